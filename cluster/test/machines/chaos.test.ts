// Many fits by seed, while machines are killed, put to sleep and come back: the same bits each time, nothing lost, nothing half
// written. LAPLACE_CHAOS says how many.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Case, given } from "../../../test/shards/given.ts";
import { cluster } from "../../src/cluster.ts";
import { readSealed } from "../../src/store/sealed.ts";
import { chances } from "../faulty.ts";
import { RedisOfTest, WorkerOfTest } from "./hosts.ts";

const runs = Number(process.env.LAPLACE_CHAOS ?? 100);
const folder = mkdtempSync(join(tmpdir(), "laplace-chaos-"));
const store = join(folder, "store");
const atPhase = fileURLToPath(new URL("at-phase.mjs", import.meta.url));
let redis: RedisOfTest;
const workers: WorkerOfTest[] = [];

beforeAll(async () => {
  redis = await RedisOfTest.start();
});
afterAll(async () => {
  await Promise.all(workers.map((one) => one.kill()));
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

const start = (fails: boolean) =>
  new WorkerOfTest(
    { queue: redis.address, store, lease: 1000, imports: fails ? [atPhase] : [] },
    fails ? { LAPLACE_FAILS: "0.1" } : {},
  );
const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test(`${runs} fits`, { timeout: 60_000 + 20_000 * runs }, async () => {
  const seed = Number(process.env.LAPLACE_CHAOS_SEED ?? Math.floor(1e6 * Math.random()));
  console.log(`LAPLACE_CHAOS_SEED=${seed}`);
  const next = chances(seed);
  const pick = <T>(...all: readonly T[]): T => all[Math.floor(next() * all.length)];
  const on = cluster({ queue: redis.address, store, attempts: 10, onWarning: () => {} });
  workers.push(start(false), start(true), start(false));
  let over = false;
  const trouble = async () => {
    while (!over) {
      await later(300 + 1200 * next());
      const at = Math.floor(next() * workers.length);
      const what = next();
      if (what < 0.4) {
        await workers[at].kill();
        workers[at] = start(next() < 0.3);
      } else if (what < 0.7) {
        workers[at].killSums();
      } else if (what < 0.9) {
        workers[at].signalAll("SIGSTOP");
        await later(2000 * next());
        workers[at].signalAll("SIGCONT");
      } else {
        await redis.kill();
        await later(300 * next());
        await redis.start();
      }
    }
  };
  const troubled = trouble();
  let begun = 0;
  const lane = async () => {
    while (begun < runs) {
      const run = begun++;
      const one: Case = {
        structure: pick("full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional"),
        curvature: pick("ggn", "monteCarlo", "empiricalFisher"),
        sharing: pick("expand", "reduce"),
        dtype: pick("float32", "float64"),
        convolution: next() < 0.5,
        examples: 4 + Math.floor(20 * next()),
        length: 1 + Math.floor(3 * next()),
        batch: 1 + Math.floor(8 * next()),
        seed: 1000 * run + Math.floor(1000 * next()),
      };
      const { sums, numbers } = given(one);
      expect(numbers(await sums(on)), `run ${run}: ${JSON.stringify(one)}`).toBe(numbers(await sums()));
    }
  };
  // Several at the same time, as machines have it.
  try {
    await Promise.all([lane(), lane(), lane(), lane()]);
  } finally {
    over = true;
    await troubled;
  }
  await on.close();
  for (const fit of readdirSync(join(store, "fits"))) {
    const results = join(store, "fits", fit, "sums");
    for (const name of readdirSync(results))
      expect(readSealed(name, readFileSync(join(results, name))).by).not.toBe("");
  }
});
