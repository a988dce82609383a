// Fits by a real queue and real workers: the same bits as on one thread.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cases, given } from "../../../test/shards/given.ts";
import { type Cluster, type ClusterOptions, cluster } from "../../src/cluster.ts";
import type { WorkOptions } from "../../src/worker/worker.ts";
import { RedisOfTest, WorkerOfTest } from "./hosts.ts";

let redis: RedisOfTest;
const folder = mkdtempSync(join(tmpdir(), "laplace-queue-"));
const started: WorkerOfTest[] = [];
const clusters: Cluster[] = [];

beforeAll(async () => {
  redis = await RedisOfTest.start();
});
afterEach(async () => {
  for (const one of clusters.splice(0)) await one.close();
  await Promise.all(started.splice(0).map((worker) => worker.kill()));
});
afterAll(async () => {
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

const newStore = () => mkdtempSync(join(folder, "store-"));
function worker(store: string, options: Partial<WorkOptions> = {}): WorkerOfTest {
  const made = new WorkerOfTest({ ...options, queue: redis.address, store });
  started.push(made);
  return made;
}
function machines(store: string, options: Partial<ClusterOptions> = {}): Cluster {
  const made = cluster({ queue: redis.address, store, onWarning: () => {}, ...options });
  clusters.push(made);
  return made;
}

const fixed = {
  structure: "kronecker",
  curvature: "ggn",
  sharing: "expand",
  dtype: "float64",
  convolution: false,
  examples: 23,
  length: 2,
  batch: 5,
  seed: 7,
} as const;

describe("a fit by a queue", () => {
  test.each([1, 2, 4])("of %i workers is the same bits as on one thread", async (count) => {
    const store = newStore();
    const on = machines(store);
    const workers = Array.from({ length: count }, () => worker(store));
    await Promise.all(workers.map((one) => one.saw("ready")));
    await fc.assert(
      fc.asyncProperty(cases, async (one) => {
        const { sums, numbers } = given(one);
        const reports: number[] = [];
        const found = numbers(await sums(on, { onProgress: (examples) => reports.push(examples) }));
        expect(found).toBe(numbers(await sums()));
        expect(Math.max(...reports, 0)).toBeLessThanOrEqual(one.examples);
      }),
      { numRuns: 8 },
    );
    expect(workers.every((one) => one.count("failed") === 0)).toBe(true);
    // Nothing half written, nothing left in the queue.
    expect(readdirSync(join(store, ".incoming"))).toEqual([]);
    expect(redis.keys().filter((key) => /shards-[^:]+:[0-9a-f]{40}-/.test(key))).toEqual([]);
  });

  test("that is asked for again is there: no shard is done twice", async () => {
    const store = newStore();
    const one = worker(store);
    const { sums, numbers } = given(fixed);
    const found = numbers(await sums(machines(store)));
    expect(one.count("done")).toBe(12);
    expect(numbers(await sums(machines(store)))).toBe(found);
    expect(one.count("begun")).toBe(12);
  });
});
