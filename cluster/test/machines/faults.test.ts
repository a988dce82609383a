// What goes wrong on machines: the fit ends with the same bits, or with a named error; nothing is lost, nothing half written.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chain, dense, laplace, NDArray, randomNormal, savePosterior, tanh, ValueError } from "laplace-ts";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { given } from "../../../test/shards/given.ts";
import type { ClusterOptions } from "../../src/cluster.ts";
import { StoreError } from "../../src/errors.ts";
import { folderStore } from "../../src/store/folder.ts";
import { readSealed } from "../../src/store/sealed.ts";
import { type WorkOptions, work } from "../../src/worker/worker.ts";
import { faulty } from "../faulty.ts";
import { Fleet, RedisOfTest, small, until } from "./hosts.ts";

let redis: RedisOfTest;
let store: string;
const folder = mkdtempSync(join(tmpdir(), "laplace-faults-"));
const atPhase = fileURLToPath(new URL("at-phase.mjs", import.meta.url));
const fleet = new Fleet();

beforeAll(async () => {
  redis = await RedisOfTest.start();
});
beforeEach(async () => {
  if (!redis.runs) await redis.start();
  store = mkdtempSync(join(folder, "store-"));
});
afterEach(() => fleet.end());
afterAll(async () => {
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

const worker = (options: Partial<WorkOptions> = {}, env: NodeJS.ProcessEnv = {}) =>
  fleet.worker({ lease: 1000, ...options, queue: redis.address, store }, env);
const machines = (options: Partial<ClusterOptions> = {}) => fleet.machines({ queue: redis.address, store, ...options });

const fixed = { ...small, curvature: "monteCarlo", dtype: "float32" } as const;

/** The results that are in the store, whole, by their names. */
function results(): Map<string, Buffer> {
  const [fit] = readdirSync(join(store, "fits"));
  const path = join(store, "fits", fit, "sums");
  const files = (existsSync(path) ? readdirSync(path) : []).map(
    (name) => [name, readFileSync(join(path, name))] as const,
  );
  for (const [name, bytes] of files) expect(readSealed(name, bytes).by).not.toBe("");
  return new Map(files);
}

describe("a worker", () => {
  test.each(["reading", "summed", "written", "linked", "added"])(
    "that is killed when its shard is %s: another does it",
    async (phase) => {
      const marker = join(store, ".marker");
      const { sums, numbers } = given(fixed);
      const due = numbers(await sums());
      const first = worker({ imports: [atPhase] }, { LAPLACE_PHASE: phase, LAPLACE_MARKER: marker });
      const running = sums(machines());
      await until("the phase is reached", () => existsSync(marker));
      await first.kill();
      const second = worker();
      expect(numbers(await running)).toBe(due);
      expect(second.count("failed")).toBe(0);
      expect(results().size).toBeGreaterThan(12);
    },
  );

  test("whose process that sums takes more memory than it may has its shard done again", async () => {
    const { sums, numbers } = given(fixed);
    const due = numbers(await sums());
    const env = { LAPLACE_PHASE: "summed", LAPLACE_MARKER: join(store, ".marker"), LAPLACE_HUNGRY: "1" };
    const one = worker({ imports: [atPhase], memoryBudget: 2 ** 28 }, env);
    expect(numbers(await sums(machines()))).toBe(due);
    expect(one.count("failed")).toBe(1);
    const { reason } = one.events.find(({ event }) => event === "failed") ?? {};
    expect(reason).toMatch(/^The process that summed on .* took \d+ MiB, and may take 256: the share of one/);
    await expect(work({ queue: redis.address, store, memoryBudget: 2 ** 20 })).rejects.toThrow(
      "work: memoryBudget must be a number of at least 134217728, not 1048576.",
    );
  });

  test("whose process that sums is killed has its shard done again", async () => {
    const marker = join(store, ".marker");
    const { sums, numbers } = given(fixed);
    const one = worker({ imports: [atPhase] }, { LAPLACE_PHASE: "written", LAPLACE_MARKER: marker });
    const running = sums(machines());
    await until("the phase is reached", () => existsSync(marker));
    process.kill(Number(readFileSync(marker, "utf8")), "SIGKILL");
    expect(numbers(await running)).toBe(numbers(await sums()));
    expect(one.events.find(({ event }) => event === "failed")?.reason).toMatch(/ended: by SIGKILL\. Likely cause/);
  });

  test("that sleeps for twice its lease writes nothing twice", async () => {
    const marker = join(store, ".marker");
    const { sums, numbers } = given(fixed);
    const first = worker({ imports: [atPhase] }, { LAPLACE_PHASE: "never", LAPLACE_MARKER: marker });
    await first.saw("ready");
    const running = sums(machines());
    await first.saw("begun");
    first.signalAll("SIGSTOP");
    const second = worker();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(numbers(await running)).toBe(numbers(await sums()));
    expect(second.count("done")).toBeGreaterThan(0);
    const before = results();
    first.signalAll("SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(results()).toEqual(before);
  });

  test("that is told to end finishes its shard, or gives it back", async () => {
    for (const grace of [20_000, 0]) {
      store = mkdtempSync(join(folder, "store-"));
      const { sums, numbers } = given({ ...fixed, seed: grace });
      const first = worker({ grace });
      const running = sums(machines());
      await first.saw("begun", 2);
      first.process.kill("SIGTERM");
      expect(await first.ended).toEqual([0, null]);
      expect(first.count("begun")).toBe(first.count("done") + first.count("given back"));
      if (grace > 0) expect(first.count("given back")).toBe(0);
      worker();
      expect(numbers(await running)).toBe(numbers(await sums()));
    }
  });

  test("ends by itself when there is nothing to do for long enough", async () => {
    const one = worker({ stopWhenIdle: 1500 });
    const { sums } = given(fixed);
    await sums(machines());
    expect(await one.ended).toEqual([0, null]);
    expect(one.count("done")).toBe(12);
  });
});

describe("the queue", () => {
  test("that is killed, loses everything and comes back is filled again", async () => {
    const { sums, numbers } = given({ ...fixed, examples: 20, length: 1 });
    const one = worker();
    const running = sums(machines());
    await one.saw("done", 3);
    await redis.kill();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await redis.start();
    expect(numbers(await running)).toBe(numbers(await sums()));
  });

  test("that is not there is waited for, and said", async () => {
    await redis.kill();
    const warnings: string[] = [];
    const { sums, numbers } = given(fixed);
    const running = sums(machines({ onWarning: (message) => warnings.push(message) }));
    const one = worker();
    await one.saw("queue");
    await until("somebody is told", () => warnings.length > 0);
    expect(warnings[0]).toMatch(/^cluster: the queue does not answer: .*ECONNREFUSED/);
    await redis.start();
    expect(numbers(await running)).toBe(numbers(await sums()));
  });

  test("without a worker is said to be so", async () => {
    const warnings: string[] = [];
    const { sums, numbers } = given(fixed);
    const running = sums(machines({ onWarning: (message) => warnings.push(message) }));
    await until("somebody is told", () => warnings.length > 0);
    expect(warnings[0]).toMatch(/^cluster: no worker of this version, build and store listens/);
    worker();
    expect(numbers(await running)).toBe(numbers(await sums()));
    expect(warnings).toHaveLength(1);
  });
});

describe("the store", () => {
  test("that fails a third of its calls on workers, and of whoever asks: the same bits", async () => {
    const { sums, numbers } = given(fixed);
    for (let i = 0; i < 2; i++) worker({ imports: [atPhase] }, { LAPLACE_FAILS: "0.33" });
    const on = machines({ store: faulty(folderStore(store), 0.1, 3), attempts: 20 });
    expect(numbers(await sums(on))).toBe(numbers(await sums()));
  });

  test("that is full ends the fit with a named error; with room it goes on", async ({ skip }) => {
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", store], { stdio: "ignore" });
    } catch {
      skip("no right to mount a small disk");
    }
    try {
      const { sums, numbers } = given(fixed);
      const ballast = join(store, ".ballast");
      writeFileSync(ballast, new Uint8Array(480_000));
      worker();
      const error: unknown = await sums(machines({ attempts: 2 })).catch((one: unknown) => one);
      expect(error).toBeInstanceOf(StoreError);
      expect(error).toMatchObject({ reason: "full" });
      rmSync(ballast);
      expect(numbers(await sums(machines()))).toBe(numbers(await sums()));
    } finally {
      for (const one of fleet.workers) await one.kill();
      execFileSync("umount", [store]);
    }
  });
});

describe("a fit", () => {
  /** A fit of many shards, as users have it; the row `wrong` has values that nothing finite comes of. */
  function large(wrong: readonly number[] = []) {
    const net = chain({ inputs: 64, seed: 1 }, dense(128, tanh), dense(128, tanh), dense(10));
    const x = randomNormal([12_000, 64], { seed: 2 });
    for (const row of wrong) x.data.fill(1e38, 64 * row, 64 * (row + 1));
    const y = new NDArray(
      Float64Array.from({ length: 12_000 }, (_, i) => i % 10),
      [12_000],
    );
    return {
      approximation: laplace(net, { likelihood: "classification", structure: "kronecker", checks: false }),
      data: { x, y },
    };
  }

  test("is what `fit` gives, with progress", async () => {
    const { approximation, data } = large();
    worker();
    worker();
    const reports: number[] = [];
    const found = await approximation.fit(data, {
      on: machines(),
      onProgress: ({ examples }) => reports.push(examples),
    });
    expect(savePosterior(found)).toEqual(savePosterior(await approximation.fit(data)));
    expect(reports.at(-1)).toBe(12_000);
    expect(reports).toEqual([...reports].sort((a, b) => a - b));
    // What is predicted goes there as well.
    const x = randomNormal([3000, 64], { seed: 3 });
    const there = await found.predictAsync(x, { on: machines() });
    const here = found.predict(x);
    expect(there.mean.data).toEqual(here.mean.data);
    expect(there.variance.data).toEqual(here.variance.data);
  });

  test("whose shard fails ends with the error of the first, as on one thread; the rest is there to go on", async () => {
    const { approximation, data } = large([11_000, 9000]);
    const due: unknown = await approximation.fit(data).catch((error: unknown) => error);
    expect(due).toBeInstanceOf(Error);
    worker();
    worker();
    const found: unknown = await approximation.fit(data, { on: machines() }).catch((error: unknown) => error);
    expect(found).toBeInstanceOf(Object.getPrototypeOf(due).constructor);
    expect((found as Error).message).toBe((due as Error).message);
    expect(results().size).toBeGreaterThan(0);
    expect(found).toBeInstanceOf(ValueError);
  });

  test("whose shard nobody can do ends with a named error after so many tries", async () => {
    const { sums } = given(fixed);
    const one = worker({ imports: [atPhase] }, { LAPLACE_FAILS: "1" });
    const error: unknown = await sums(machines({ attempts: 2 })).catch((own: unknown) => own);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ reason: "unreachable" });
    expect(one.count("failed")).toBeGreaterThanOrEqual(2);
  });

  test("that is given up is heard within a part, and leaves nothing in the queue", async () => {
    const { approximation, data } = large();
    const one = worker();
    const stop = new AbortController();
    const running = approximation.fit(data, { on: machines(), signal: stop.signal });
    await one.saw("begun");
    stop.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await until("the worker is free", () => one.count("begun") === one.count("done") + one.count("given back"));
    expect(redis.keys().filter((key) => /:[0-9a-f]{40}-\d+$/.test(key))).toEqual([]);
    // It goes on from there.
    const found = await approximation.fit(data, { on: machines() });
    expect(savePosterior(found)).toEqual(savePosterior(await approximation.fit(data)));
  });

  test("goes on when whoever asked is killed and asks again, with what workers did meanwhile", async () => {
    const asks = fileURLToPath(new URL("asks.mjs", import.meta.url));
    const machine = [redis.address, store];
    const ask = () => spawn(process.execPath, [asks, ...machine], { stdio: ["ignore", "pipe", "inherit"] });
    const one = worker();
    const first = ask();
    await one.saw("done", 2);
    first.kill("SIGKILL");
    const done = one.count("done");
    const again = ask();
    let said = "";
    again.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
    });
    expect(await once(again, "close")).toEqual([0, null]);
    expect(said).toBe(execFileSync(process.execPath, [asks], { encoding: "utf8" }));
    expect(done).toBeGreaterThan(1);
    // No shards were done a second time.
    const did = one.events
      .filter(({ event }) => event === "done")
      .map(({ fit, level, place }) => `${fit} ${level} ${place}`);
    expect(new Set(did).size).toBe(did.length);
  });
});
