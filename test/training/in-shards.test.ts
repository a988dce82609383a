// Batches in shards: whoever takes the gradients, the bits are those of one thread.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import {
  batchNorm,
  chain,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  flatten,
  gaussian,
  gradient,
  mse,
  NDArray,
  NonFiniteLossError,
  OptionError,
  randomNormal,
  sgd,
  tanh,
  train,
  workers,
} from "../../src/index.ts";
import { allocateFloats, copyIn, copyOut, memoryUse } from "../../src/kernels/memory.ts";
import { inBursts, type Steps } from "../../src/kernels/steps.ts";
import { readLoss } from "../../src/losses/losses.ts";
import type { Executor } from "../../src/shards/executor.ts";
import { type BatchesOf, batchesOf, batchGradient } from "../../src/training/batch-gradient.ts";
import { gradientsOn } from "../../src/training/in-shards.ts";
import { within } from "../remote/pair.ts";
import { lanes, permuting } from "../shards/given.ts";
import { imageData, images, stopped, trained, trainings } from "./given.ts";

// Trainings go by executors once a pool was made.
workers({ count: 1 });

const record = fc.record({
  loss: fc.constantFrom("mse", "crossEntropy", "ignored", "gaussian"),
  dtype: fc.constantFrom("float32", "float64"),
  drops: fc.boolean(),
  weighted: fc.boolean(),
  samples: fc.integer({ min: 1, max: 40 }),
  length: fc.constantFrom(1, 2, 4, 8),
  batches: fc.integer({ min: 1, max: 3 }),
  seed: fc.integer({ min: 0, max: 1000 }),
});

type Case = typeof record extends fc.Arbitrary<infer T> ? T : never;

/** A network, its data, and gradients of batches of them. */
function given({ loss: name, dtype, drops, weighted, samples, length, batches, seed }: Case) {
  const net = chain(
    { inputs: 3, seed, dtype: dtype as "float32" },
    dense(5, tanh),
    ...(drops ? [dropout(0.4)] : []),
    dense(2),
  );
  const labels = Array.from({ length: samples }, (_, i) => (i * 7 + seed) % 2);
  const x = randomNormal([samples, 3], { seed });
  const random = new Random(seed);
  const weights = weighted ? Float64Array.from(labels, () => 0.5 + random.uniform()) : undefined;
  const loss = {
    mse,
    crossEntropy,
    ignored: crossEntropy.with({ ignoredLabel: 1 }),
    gaussian: gaussian({ noise: 0.5 }),
  }[name as "mse"];
  const y = name === "crossEntropy" || name === "ignored" ? labels : randomNormal([samples, 2], { seed: seed + 1 });
  const rule = readLoss("train", loss, net);
  const inputs = net.readInputs("train", x);
  const targets = rule.readTargets("train", y as never, [samples, 2], net.dtype);
  const data = { inputs, targets, ...(weights && { weights: new NDArray(weights, [samples]) }) };
  const of: BatchesOf = { ...batchesOf(net, rule, data), length };
  const rows = Array.from({ length: batches }, () => {
    const order = random.permutation(samples);
    return order.slice(0, 1 + (random.uint32() % samples));
  });
  /** The losses, how much counts, and the gradients. */
  const found = async (on?: Executor): Promise<[number, number, number[]][]> => {
    const gradients = on && gradientsOn(of, { loss: loss as never }, on);
    const draws = new Random(seed);
    const { dtype, parameterCount, parameters, buffers } = net;
    const steps = function* (): Steps<[number, number, number[]][]> {
      const all: [number, number, number[]][] = [];
      const theta = copyIn(dtype, parameters.data);
      for (const some of rows) {
        const to = allocateFloats(dtype, parameterCount);
        const one = { theta, buffers: copyIn(dtype, buffers.data), rows: some, random: draws };
        const [loss, counted] = gradients ? yield* gradients.take(one, to) : batchGradient(of, one, to);
        all.push([loss, counted, [...copyOut(dtype, to, parameterCount)]]);
      }
      return all;
    };
    try {
      return await inBursts(steps());
    } finally {
      await gradients?.end();
    }
  };
  return { net, loss, x, y, weights, rows, found };
}

describe("gradients of batches in shards", () => {
  test("have the same bits in whatever order and by however many, also where shards are done twice or given back", async () => {
    await fc.assert(
      fc.asyncProperty(record, async (one) => {
        const { found } = given(one);
        const alone = await found();
        for (const on of [permuting(one.seed), lanes(3, one.seed)]) expect(await found(on)).toEqual(alone);
        // Jobs as they are known, of as many shards as there are lanes for.
        for (const count of [1, 2, 3, 8]) expect(await found(lanes(count, one.seed, true))).toEqual(alone);
      }),
      { numRuns: 40 },
    );
  });

  test("are those of the batch", async () => {
    await fc.assert(
      fc.asyncProperty(record, async (some) => {
        const { net, loss, x, y, weights, rows, found } = given({ ...some, drops: false, dtype: "float64" });
        const all = await found();
        for (const [i, [sum, counted, own]] of all.entries()) {
          const inputs = Array.from(rows[i], (row) => [...x.sub(row).data]);
          const targets = Array.from(rows[i], (row) => (Array.isArray(y) ? y[row] : [...y.sub(row).data]));
          const data = {
            x: inputs,
            y: targets,
            ...(weights && { weights: Array.from(rows[i], (row) => weights[row]) }),
          };
          const whole = gradient(net, loss as never, data as never).data;
          expect(own.length).toBe(whole.length);
          for (const [k, g] of own.entries()) expect(Math.abs(g - whole[k])).toBeLessThan(1e-12);
          if (typeof loss !== "function" || weights) continue;
          expect(Math.abs(sum - counted * loss(net.forward(inputs), targets as never))).toBeLessThan(
            1e-12 * (1 + Math.abs(sum)),
          );
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("trainings, of several shards a batch", () => {
  test.each(Object.keys(trainings) as (keyof typeof trainings)[])("%s: the bits of one thread", async (name) => {
    const alone = await trained(name, { on: workers({ count: 1 }) });
    expect(await trained(name, { on: permuting(7) })).toEqual(alone);
    expect(await trained(name, { on: lanes(3, 7, true) })).toEqual(alone);
  });
});

describe("a training that is shared", () => {
  /** How many shards an executor did. */
  function counting(on: Executor) {
    const seen = { shards: 0, on };
    seen.on = {
      lanes: on.lanes,
      run: ({ take, ...shards }, options) => {
        const counted: typeof take = (...found) => {
          seen.shards++;
          take(...found);
        };
        return on.run({ ...shards, take: counted }, options);
      },
    };
    return seen;
  }

  test("has its batches cut, unless they are little work, or know of each other's examples", async () => {
    const cut = counting(permuting(1));
    await trained("Adam, float32", { on: cut.on });
    // Batches of 512 and 188 of 700, twice, in shards of 128.
    expect(cut.shards).toBeGreaterThanOrEqual(12);
    const small = counting(permuting(1));
    await trained("Adam, float32", { on: small.on, batchSize: 64 });
    expect(small.shards).toBe(0);
    const mixed = counting(permuting(1));
    const normalised = chain(
      { inputs: [1, 12, 12], seed: 1 },
      conv2d(8, 3),
      batchNorm(),
      conv2d(8, 3),
      flatten,
      dense(3),
    );
    await train(normalised, imageData, { loss: crossEntropy, epochs: 1, batchSize: 512, on: mixed.on });
    expect(mixed.shards).toBe(0);
  });

  test("goes to others where its passes through the data are worth a copy of these: the same bits", async () => {
    const x = randomNormal([1024, 784], { seed: 1, dtype: "float32" });
    const y = Array.from({ length: 1024 }, (_, i) => i % 3);
    /** Shards that others did, and what was learned. */
    const after = async (epochs: number, on: Executor): Promise<[number, number[]]> => {
      const net = chain({ inputs: 784, seed: 1 }, dense(64, tanh), dense(3));
      const counted = counting(on);
      await train(net, { x, y }, { loss: crossEntropy, epochs, batchSize: 1024, on: counted.on });
      return [counted.shards, [...net.parameters.data]];
    };
    const [none, once] = await after(1, lanes(2, 1, true));
    expect(none).toBe(0);
    const [some, often] = await after(9, lanes(2, 1, true));
    expect(some).toBeGreaterThanOrEqual(18);
    expect(once).toEqual((await after(1, workers({ count: 1 })))[1]);
    expect(often).toEqual((await after(9, workers({ count: 1 })))[1]);
    // The trainings that tests have taken by workers are worth it.
    const enough = counting(lanes(2, 1, true));
    await trained("Adam, float32", { on: enough.on });
    expect(enough.shards).toBeGreaterThanOrEqual(8);
  });

  test("that is stopped keeps whole steps, and can go on; no memory is held", async () => {
    const before = memoryUse().inUse;
    const { net, reason, options, run } = stopped(lanes(2, 1, true));
    await expect(run).rejects.toBe(reason);
    // What one thread has learned by then.
    const other = images();
    const three = train(other, imageData, {
      ...options,
      on: workers({ count: 1 }),
      epochs: 9,
      schedule: (step) => {
        if (step === 4) throw reason;
        return 1;
      },
    });
    await expect(three).rejects.toBe(reason);
    expect([...net.parameters.data]).toEqual([...other.parameters.data]);
    await train(net, imageData, { ...options, epochs: 1 });
    expect(memoryUse().inUse).toBe(before);
  });

  test("says of a loss that is not finite what one thread says, and keeps the same parameters", async () => {
    const run = async (on: Executor) => {
      const net = images();
      const options = { loss: crossEntropy, optimizer: sgd({ learningRate: 3e38 }), epochs: 9, batchSize: 512, on };
      const error = await train(net, imageData, options).catch((error) => error);
      expect(error).toBeInstanceOf(NonFiniteLossError);
      return [error.message, [...net.parameters.data]];
    };
    const alone = await run(workers({ count: 1 }));
    expect(await run(lanes(2, 1, true))).toEqual(alone);
    expect(await run(permuting(1))).toEqual(alone);
  });

  test("takes the data as they are: what its caller changed in its arrays since the training before, workers see", async () => {
    const twice = async (on: Executor) => {
      const net = images();
      const x = randomNormal([700, 1, 12, 12], { seed: 1, dtype: "float32" });
      const y = randomNormal([x.shape[0], 3], { seed: 5, dtype: "float32" });
      // Of its own type, as arrays are that are not copied.
      expect(net.readInputs("train", x)).toBe(x);
      const all = [];
      for (let time = 0; time < 2; time++) {
        const { history } = await train(net, { x, y }, { loss: mse, epochs: 2, batchSize: 512, on });
        all.push(history, [...net.parameters.data]);
        for (const { data } of [x, y]) for (let i = 0; i < data.length; i++) data[i] *= -2;
      }
      return all;
    };
    const on = workers({ count: 3, make: within });
    try {
      expect(await twice(on)).toEqual(await twice(workers({ count: 1 })));
    } finally {
      on.close();
    }
  });

  /** One who does so many jobs, and then ends while nobody waits. */
  const ending = (jobs: number, error?: Error): Executor => ({
    lanes: 2,
    async run({ task, prepare, coming, take }) {
      if (coming === undefined) throw new Error("Expected jobs as they come.");
      const iterator = coming[Symbol.iterator]();
      let wake = () => {};
      coming.tell(() => wake());
      const work = await inBursts(task.begin(await inBursts(prepare())));
      for (let place = 0; place < jobs; ) {
        const { done, value } = iterator.next();
        if (done) return;
        if (value === undefined) await new Promise<void>((resolve) => (wake = resolve));
        else take(place++, await inBursts(work(value)));
      }
      if (error !== undefined) throw error;
    },
  });

  test.each([0, 1, 2, 3, 4, 8])("by who fails after %i jobs, also between two batches: its error", async (jobs) => {
    const error = new Error("the executor failed");
    const net = images();
    const run = train(net, imageData, { loss: crossEntropy, epochs: 9, batchSize: 512, on: ending(jobs, error) });
    await expect(run).rejects.toBe(error);
    await train(net, imageData, { loss: crossEntropy, epochs: 1, batchSize: 512 });
  });

  test.each([0, 3, 4])("by who ends after %i jobs: an error", async (jobs) => {
    const run = train(images(), imageData, { loss: crossEntropy, epochs: 9, batchSize: 512, on: ending(jobs) });
    await expect(run).rejects.toThrow("train: the executor that on gave ended before the training did.");
  });

  test("must be given an executor", async () => {
    await expect(trained("Adam, float32", { on: {} as never })).rejects.toThrow(OptionError);
  });
});
