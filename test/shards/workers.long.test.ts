// A pool of workers: the bits of one thread, whatever happens to the workers; aborts, errors, and an end.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { readPlan, withOwn } from "../../src/curvature/plan.ts";
import { summarise } from "../../src/curvature/rounds.ts";
import { evaluationOf, predictedRows } from "../../src/evaluation/evaluate.ts";
import { chain, dense, evaluate, laplace, randomNormal, tanh, type WorkerLike, workers } from "../../src/index.ts";
import { inBursts } from "../../src/kernels/steps.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { inShards, predictAllOn, predictTask } from "../../src/prediction/in-shards.ts";
import type { Executor } from "../../src/shards/executor.ts";

import { within } from "../remote/pair.ts";
import { type Case, cases, casesOf, everyStructure, given } from "./given.ts";

const own = new URL(import.meta.resolve("laplace-ts/worker"));

test("every structure, as messages: the same bits as on this thread", async () => {
  const pool = workers({ count: 3, make: within });
  await fc.assert(
    fc.asyncProperty(cases, async (one) => {
      const { sums, numbers } = given(one);
      const due = numbers(await sums());
      expect(numbers(await sums(pool)) === due).toBe(true);
    }),
    { numRuns: 25 },
  );
  pool.close();
});

test("the exact Hessian of low rank by products, whose passes go by each other: the same bits", async () => {
  const pool = workers({ count: 2, make: within });
  const net = chain({ inputs: 100, seed: 3, dtype: "float64" }, dense(10, tanh), dense(2));
  const data = { x: randomNormal([12, 100], { seed: 1 }), y: randomNormal([12, 2], { seed: 2 }) };
  const read = () => readLikelihood("fit", "regression", net);
  const plan = readPlan("fit", net, read, { structure: "lowRank", curvature: "hessian", rank: 9 });
  const sums = async (on?: Executor) => {
    const { curvature } = await inBursts(summarise("fit", plan, data, { length: 5, on }), {});
    return curvature.lowRank();
  };
  expect(await sums(pool)).toEqual(await sums());
  pool.close();
});

test("all rows of low rank beyond 1024 weights, whose directions go by how many there are: the same bits", async () => {
  const pool = workers({ count: 2, make: within });
  const net = chain({ inputs: 100, seed: 3, dtype: "float64" }, dense(10, tanh), dense(2));
  const data = { x: randomNormal([20, 100], { seed: 1 }), y: randomNormal([20, 2], { seed: 2 }) };
  const options = { structure: "lowRank", rank: 2 } as const;
  const plan = withOwn(
    "fit",
    readPlan("fit", net, () => readLikelihood("fit", "regression", net), options),
    options,
  );
  const sums = async (on?: Executor) => {
    const { curvature } = await inBursts(summarise("fit", plan, data, { length: 5, on }), {});
    expect((curvature as unknown as { directions: number }).directions).toBe(60);
    return curvature.lowRank();
  };
  expect(await sums(pool)).toEqual(await sums());
  pool.close();
});

const one: Case = {
  structure: "ekfac",
  curvature: "ggn",
  sharing: "reduce",
  dtype: "float32",
  convolution: true,
  examples: 60,
  length: 4,
  batch: 7,
  seed: 1,
};

describe("real threads", () => {
  const started: Worker[] = [];
  const make = () => {
    const worker = new Worker(own);
    started.push(worker);
    return worker as unknown as WorkerLike;
  };
  const { sums, numbers } = given(one);
  const fitted = async (pool: ReturnType<typeof workers>) => numbers(await sums(pool));
  const due = sums().then(numbers);
  const pools = [1, 2, 3, 8].map((count) => workers({ count, make }));
  afterAll(() => {
    for (const pool of pools) pool.close();
  });

  test("1, 2, 3 and 8 of them give the same bits", async () => {
    for (const pool of pools) expect((await fitted(pool)) === (await due)).toBe(true);
  });

  test.each(everyStructure)("they give the same bits of $structure, $dtype", async ({ structure, dtype }) => {
    await fc.assert(
      fc.asyncProperty(casesOf(structure, dtype), async (some) => {
        const { sums, numbers } = given(some);
        const alone = numbers(await sums());
        for (const pool of pools.slice(0, 4)) expect(numbers(await sums(pool)) === alone).toBe(true);
      }),
      { numRuns: 5 },
    );
  });

  test("an exact Hessian of low rank, all of which is known, by many shards of one worker", async () => {
    // The pools are awake: a worker does several of them.
    const shards = { convolution: true, sharing: "expand", examples: 23, length: 1, batch: 9, seed: 54 } as const;
    const { sums, numbers } = given({ structure: "lowRank", curvature: "hessian", dtype: "float64", ...shards });
    const alone = numbers(await sums());
    for (const pool of pools.slice(0, 4)) expect(numbers(await sums(pool)) === alone).toBe(true);
  });

  test("workers that are killed, as they start, with a shard, or between two fits, change nothing", async () => {
    const pool = workers({ count: 4, make });
    pools.push(pool);
    const before = started.length;
    // As they start.
    const first = fitted(pool);
    while (started.length === before) await new Promise(setImmediate);
    void started[before].terminate();
    expect((await first) === (await due)).toBe(true);
    // At each of the messages in turn.
    for (let at = 1; at < 6; at++) {
      let seen = 0;
      const onProgress = () => {
        if (++seen === at) void started[started.length - 1].terminate();
      };
      expect(numbers(await sums(pool, { onProgress })) === (await due)).toBe(true);
    }
    for (const worker of started.slice(before)) void worker.terminate();
    expect((await fitted(pool)) === (await due)).toBe(true);
  });

  test("workers that hang, as they start, with a shard, or between two fits, change nothing, and are ended", async () => {
    // At a sign, their thread sleeps for ever.
    const program = `
      const { workerData } = require("node:worker_threads");
      setInterval(() => {
        if (Atomics.load(workerData, 0) === 1) Atomics.wait(workerData, 0, 1);
      }, 1);
      void import(${JSON.stringify(own.href)});`;
    const signs: Int32Array[] = [];
    const exits: Promise<unknown>[] = [];
    const sleeper = () => {
      const workerData = new Int32Array(new SharedArrayBuffer(4));
      signs.push(workerData);
      const worker = new Worker(program, { eval: true, workerData });
      exits.push(once(worker, "exit"));
      return worker as unknown as WorkerLike;
    };
    const hang = (sign: Int32Array | undefined) => sign && Atomics.store(sign, 0, 1);
    const pool = workers({ count: 3, patience: 1000, make: sleeper });
    pools.push(pool);
    const first = fitted(pool);
    while (signs.length < 2) await new Promise(setImmediate);
    for (const sign of signs) hang(sign);
    const hung = exits.slice();
    expect((await first) === (await due)).toBe(true);
    await Promise.all(hung);
    for (let at = 1; at < 6; at++) {
      let seen = 0;
      const onProgress = () => {
        if (++seen === at) hang(signs.at(-1));
      };
      expect(numbers(await sums(pool, { onProgress })) === (await due)).toBe(true);
    }
    for (const sign of signs) hang(sign);
    const known = exits.slice();
    expect((await fitted(pool)) === (await due)).toBe(true);
    await Promise.all(known);

    // Nobody waits for one that does not hear an abort.
    const slow = workers({ count: 2, patience: 3_600_000, make: sleeper });
    pools.push(slow);
    expect((await fitted(slow)) === (await due)).toBe(true);
    hang(signs.at(-1));
    const controller = new AbortController();
    const reason = new Error("stopped");
    const run = sums(slow, { onProgress: () => controller.abort(reason), signal: controller.signal });
    await expect(run).rejects.toBe(reason);
  });

  describe("predictions", async () => {
    const { approximation, batches } = given(one);
    const posterior = await approximation.fit(batches());
    const inputs = randomNormal([60, 1, 4, 4], { seed: 7 });
    const of = { where: "predict", posterior, options: {} };
    const predictedOn = (on: Executor, options = {}) =>
      inBursts(inShards(predictTask, of, [{ inputs }], 4, on), options);
    const { mean, variance, functionMean, functionVariance } = posterior.predict(inputs);
    const all = { mean, variance, functionMean, functionVariance };

    test("and scores by 1, 2, 3 and 8 are the bits of one thread; a posterior is sent once", async () => {
      for (const pool of pools.slice(0, 4)) {
        expect(await predictedOn(pool)).toEqual(all);
        expect(await predictedOn(pool)).toEqual(all);
        const rows = await inBursts(predictAllOn("evaluate", predictedRows, of, batches(), pool, 7));
        expect(await inBursts(evaluationOf("", posterior, rows, {}))).toEqual(evaluate(posterior, batches()));
      }
    });

    test("and tuning on held-out data, also where a worker is killed, and where it is stopped", async () => {
      const y = Array.from({ length: 60 }, (_, i) => i % posterior.net.outputShape[0]);
      const options = { on: { x: inputs, y }, steps: 12, onWarning: () => {} };
      const { tuning } = posterior.optimizePrior(options);
      for (const pool of pools.slice(0, 4)) {
        expect((await posterior.optimizePriorAsync({ ...options, workers: pool })).tuning).toEqual(tuning);
      }
      const pool = workers({ count: 3, make });
      pools.push(pool);
      const kill = () => void started[started.length - 1].terminate();
      const killed = await posterior.optimizePriorAsync({ ...options, workers: pool, onProgress: kill });
      expect(killed.tuning).toEqual(tuning);
      const controller = new AbortController();
      const reason = new Error("stopped");
      const stopped = { workers: pool, onProgress: () => controller.abort(reason), signal: controller.signal };
      await expect(posterior.optimizePriorAsync({ ...options, ...stopped })).rejects.toBe(reason);
    });

    test("workers that are killed with a shard change nothing, and an abort is heard by all", async () => {
      const pool = workers({ count: 3, make });
      pools.push(pool);
      for (let at = 1; at < 5; at++) {
        const reason = new Error(`stopped at ${at}`);
        const controller = new AbortController();
        let seen = 0;
        const kill = () => {
          if (++seen === at) void started[started.length - 1].terminate();
        };
        expect(await predictedOn(pool, { onProgress: kill })).toEqual(all);
        seen = 0;
        const stop = () => {
          if (++seen === at) controller.abort(reason);
        };
        const run = predictedOn(pool, { onProgress: stop, signal: controller.signal });
        await expect(run).rejects.toBe(reason);
      }
    });
  });

  test("an abort is heard in each phase, by all; the next fit is as ever", async () => {
    const pool = pools[2];
    for (let at = 0; at < 8; at++) {
      const controller = new AbortController();
      const reason = new Error(`stopped at ${at}`);
      let seen = 0;
      const stop = () => {
        if (seen++ === at) controller.abort(reason);
      };
      if (at === 0) stop();
      const run = sums(pool, { onProgress: stop, signal: controller.signal });
      await expect(run).rejects.toBe(reason);
    }
    expect((await fitted(pool)) === (await due)).toBe(true);
  });

  test("the error is that of the first shard in the data, with its example's number", async () => {
    const net = chain({ inputs: 1, seed: 1 }, dense(2, tanh), dense(1));
    net.parameters.data.fill(3e30);
    const x = randomNormal([40, 1], { seed: 1 });
    x.data.fill(0);
    net.parameters.data.fill(0, 2, 4);
    x.data[33] = x.data[22] = 3e38;
    const plan = readPlan("fit", net, () => readLikelihood("fit", "regression", net), { structure: "diagonal" });
    const run = (pool?: ReturnType<typeof workers>) =>
      inBursts(summarise("fit", plan, { x, y: randomNormal([40, 1], { seed: 2 }) }, { on: pool, length: 3 }));
    const expected = await run().catch((error) => error.message);
    expect(expected).toMatch(/^fit: at example 22 /);
    for (const pool of pools.slice(1, 3)) await expect(run(pool)).rejects.toThrow(expected);
  });

  test("a worker that cannot start is an error; a process ends with its workers", async () => {
    const wrong = workers({ count: 2, make: () => new Worker(new URL("none.js", own)) as unknown as WorkerLike });
    await expect(sums(wrong)).rejects.toThrow("The call to the worker has no answer: the worker failed");
    const program = `
      import { chain, dense, laplace, relu, workers, NDArray, Random } from "laplace-ts";
      const net = chain({ inputs: 100, seed: 1 }, dense(100, relu), dense(10));
      const random = new Random(1);
      const x = new NDArray(Float32Array.from({ length: 1e6 }, () => random.normal()), [10000, 100]);
      const y = Array.from({ length: 10000 }, (_, i) => i % 10);
      const on = workers({ count: 2 });
      const fits = [];
      for (const options of [{}, { on }]) fits.push(await laplace(net, { likelihood: "classification", structure: "diagonal", checks: false }).fit({ x, y }, options));
      console.log(fits[0].variance().data.every((v, i) => v === fits[1].variance().data[i]));`;
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect(said).toBe("true\n");
  });
});

test("in Node a long call has all cores, unless it is told not to; what workers cannot do is done here", () => {
  const program = `
    import threads from "node:worker_threads";
    import { chain, defineLikelihood, dense, kernels, laplace, NDArray, relu, workers } from "laplace-ts";
    kernels.setThreads(3);
    let started = 0;
    const { Worker } = threads;
    threads.Worker = class extends Worker {
      constructor(file, options) {
        super(file, options);
        if (file instanceof URL) started++;
      }
    };
    const net = chain({ inputs: 100, seed: 1 }, dense(100, relu), dense(10));
    const n = 30_000;
    const x = new NDArray(Float32Array.from({ length: 100 * n }, (_, i) => Math.sin(i)), [n, 100]);
    const y = Array.from({ length: n }, (_, i) => i % 10);
    const squares = defineLikelihood("squares", () => ({
      loss: (f, y) => (f - y) ** 2 / 2,
      gradient: (f, y) => f - y,
      information: () => 1,
      mean: (f) => f,
      variance: () => 1,
      constant: () => Math.log(2 * Math.PI) / 2,
      draw: (f, random) => f + random.normal(),
    }))({});
    const targets = new NDArray(new Float32Array(10 * n), [n, 10]);
    const alone = { on: workers({ count: 1 }) };
    const said = [];
    for (const [likelihood, target] of [["classification", y], [squares, targets]]) {
      const la = laplace(net, { likelihood, structure: "diagonal", checks: false });
      const data = { x, y: target };
      const one = await la.fit(data, alone);
      const without = started;
      const all = await la.fit(data);
      const same = one.variance().data.every((v, i) => v === all.variance().data[i]);
      said.push(without, started, same);
    }
    kernels.setThreads(1);
    await laplace(net, { likelihood: "classification", structure: "diagonal", checks: false }).fit({ x, y });
    console.log(JSON.stringify([...said, started]));`;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  expect(JSON.parse(said)).toEqual([0, 2, true, 2, 2, true, 2]);
});

test("on must be an executor", async () => {
  const net = chain({ inputs: 1, seed: 1 }, dense(1));
  const fit = laplace(net, { likelihood: "regression" }).fit({ x: [[1]], y: [[1]] }, { on: {} as never });
  await expect(fit).rejects.toThrow("fit: on must be workers() or alike, not");
});
