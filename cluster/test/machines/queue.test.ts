// Fits by a real queue and real workers: the same bits as on one thread.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cases, everyStructure, given } from "../../../test/shards/given.ts";
import { Watch } from "../../src/queue/watching.ts";
import { openStore } from "../../src/store/open.ts";
import type { WorkOptions } from "../../src/worker/worker.ts";
import { Fleet, RedisOfTest, small, until } from "./hosts.ts";

let redis: RedisOfTest;
const folder = mkdtempSync(join(tmpdir(), "laplace-queue-"));
const fleet = new Fleet();

beforeAll(async () => {
  redis = await RedisOfTest.start();
});
afterEach(() => fleet.end());
afterAll(async () => {
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

const newStore = () => mkdtempSync(join(folder, "store-"));
const worker = (store: string, options: Partial<WorkOptions> = {}, env: NodeJS.ProcessEnv = {}) =>
  fleet.worker({ ...options, queue: redis.address, store }, env);
const machines = (store: string) => fleet.machines({ queue: redis.address, store });

describe("a fit by a queue", () => {
  test.each([1, 2, 3, 4])("of %i workers is the same bits as on one thread", async (count) => {
    const store = newStore();
    const on = machines(store);
    const workers = Array.from({ length: count }, () => worker(store));
    await Promise.all(workers.map((one) => one.saw("ready")));
    for (const kind of everyStructure) {
      await fc.assert(
        fc.asyncProperty(cases, async (some) => {
          const one = { ...some, ...kind };
          const { sums, numbers } = given(one);
          const reports: number[] = [];
          const found = numbers(await sums(on, { onProgress: (examples) => reports.push(examples) }));
          expect(found).toBe(numbers(await sums()));
          expect(Math.max(...reports, 0)).toBeLessThanOrEqual(one.examples);
        }),
        { numRuns: 1 },
      );
    }
    expect(workers.every((one) => one.count("failed") === 0)).toBe(true);
    // Nothing half written, nothing left in the queue.
    expect(readdirSync(join(store, ".incoming"))).toEqual([]);
    expect(redis.keys().filter((key) => /shards-[^:]+:[0-9a-f]{40}-/.test(key))).toEqual([]);
  });

  test("that is asked for again is there: no shard is done twice", async () => {
    const store = newStore();
    const one = worker(store);
    const { sums, numbers } = given(small);
    const found = numbers(await sums(machines(store)));
    expect(one.count("done")).toBe(12);
    expect(numbers(await sums(machines(store)))).toBe(found);
    expect(one.count("begun")).toBe(12);
  });

  test("is watched: shards, workers, and why one is tried again", async () => {
    const store = newStore();
    const { sums } = given(small);
    const watch = new Watch("test", redis.address, openStore("test", store));
    const stop = new AbortController();
    const running = sums(machines(store), { signal: stop.signal }).catch(() => {});
    await until("the fit is there", async () => (await watch.now()).fits.length === 1);
    const before = await watch.now();
    expect(before).toMatchObject({ workers: [], fits: [{ shards: 12, done: 0, examples: 23, active: 0, failed: [] }] });
    // Of one whose disk fails.
    const one = worker(
      store,
      { name: "one", imports: [fileURLToPath(new URL("at-phase.mjs", import.meta.url))] },
      { LAPLACE_FAILS: "1" },
    );
    await one.saw("failed");
    await until("a failure is seen", async () => (await watch.now()).fits[0].failed.length > 0);
    const now = await watch.now();
    expect(now.workers).toEqual(["one"]);
    expect(now.list).toMatch(/^\{laplace-ts\}:shards-.*:wait$/);
    expect(now.fits[0].failed[0].reason).toMatch(/EIO: i\/o error, as the test wants/);
    stop.abort();
    await running;
    await watch.close();
  });
});
