// Networks cut in two. In the place of onnxruntime a runtime that reads the file by fromOnnx and counts the examples it is given;
// test/pytorch has the real one.

import fc from "fast-check";
import {
  adam,
  array,
  batchNorm,
  chain,
  conv2d,
  crossEntropy,
  DataLoader,
  dense,
  evaluate,
  globalAveragePool,
  LaplaceError,
  laplace,
  MemoryBudgetError,
  type NDArray,
  OptionError,
  Random,
  randomNormal,
  relu,
  residual,
  ShapeError,
  tanh,
  train,
  ValueError,
} from "laplace-ts";
import { type FeaturesOptions, fromOnnx, ModelError, type OnnxRuntime, toOnnx, withFeatures } from "laplace-ts-models";
import { expect, test } from "vitest";

class Tensor {
  readonly type: string;
  readonly data: ArrayLike<number>;
  readonly dims: readonly number[];
  constructor(type: string, data: ArrayLike<number>, dims: readonly number[]) {
    Object.assign(this, { type, data, dims });
    this.type = type;
    this.data = data;
    this.dims = dims;
  }
}

/** A runtime, and the sizes of the batches that it ran. */
function counting() {
  const runs: number[] = [];
  let released = 0;
  const create = async (bytes: Uint8Array) => ({
    inputNames: ["x"],
    outputNames: ["all"],
    async run(feeds: object, fetches: readonly string[]) {
      const { x } = feeds as { x: Tensor };
      if (x.type === "float32") expect(x.data).toBeInstanceOf(Float32Array);
      runs.push(x.dims[0]);
      const results = fetches.map((output) => {
        const y = fromOnnx(bytes, { output, cut: false }).network.forward(
          array(Float64Array.from(x.data), { shape: [...x.dims] }),
        );
        return [output, new Tensor(y.dtype, y.data, y.shape)];
      });
      return Object.fromEntries(results);
    },
    async release() {
      released++;
    },
  });
  const runtime: OnnxRuntime = { Tensor, InferenceSession: { create } };
  return { runtime, runs, released: () => released };
}

const inputs = [2, 6, 6];
const net = chain(
  { inputs, seed: 3, dtype: "float64" },
  conv2d(4, 3, relu, { padding: 1 }),
  batchNorm(),
  residual(conv2d(4, 3, tanh, { padding: 1 })),
  globalAveragePool,
  dense(5, tanh),
  dense(3),
);
const bytes = toOnnx(net);
const x = randomNormal([20, ...inputs], { seed: 4 });
const random = new Random(5);
const y = Array.from({ length: 20 }, () => random.integer(3));
const task = { likelihood: "classification", structure: "full", checks: false } as const;
const close = (actual: NDArray, expected: NDArray, relative = 1e-9) => {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data).toBeAllClose(expected.data, { relative, absolute: relative });
};

/** Where the file can be cut, the last linear layers' inputs last. */
const { cuts } = (await withFeatures(bytes, "v0", { runtime: counting().runtime })).report;
const [beforeLast] = cuts.slice(-3);
const open = (options: Partial<FeaturesOptions> = {}, at = beforeLast, file = bytes) => {
  const count = counting();
  return withFeatures(file, at, { runtime: count.runtime, ...options }).then((frozen) => {
    count.runs.length = 0;
    return { frozen, ...count };
  });
};

test("is the network, cut wherever it can be cut", async () => {
  const whole = net.forward(x);
  expect(cuts.length).toBeGreaterThan(5);
  let cut = 0;
  for (const at of cuts) {
    const made = await open({}, at).catch((error: ModelError) => error);
    if (made instanceof Error) {
      // Behind the last weights there is nothing to be sure or unsure of.
      expect(made.message).toMatch(/no weights that a posterior could be over/);
      continue;
    }
    close(made.frozen.network.forward(await made.frozen.features(x)), whole, 1e-12);
    expect(made.frozen.report.at.value).toBe(at);
    cut++;
  }
  expect(cut).toBeGreaterThan(5);
});

test("a posterior over the last layer is the whole network's", async () => {
  const { frozen, runs } = await open({ batchSize: 8 });
  expect(frozen.report).toMatchObject({ shape: [5], bytesPerExample: 40, rest: { task: "regression" } });
  const whole = (await laplace(net, { ...task, weights: "lastLayer" }).fit({ x, y })).optimizePrior();
  const one = laplace(frozen.network, { ...task, weights: "lastLayer" });
  const cut = (await frozen.fit(one, { x, y })).optimizePrior();
  expect(runs).toEqual([8, 8, 4]);
  expect(cut.logMarginalLikelihood()).toBeCloseTo(whole.logMarginalLikelihood(), 8);
  const far = randomNormal([3, ...inputs], { seed: 9 });
  close((await frozen.predict(cut, far)).mean, whole.predict(far).mean);
  close((await frozen.predict(cut, far)).functionVariance, whole.predict(far).functionVariance);
  // Once for each of the three calls.
  expect(runs).toEqual([8, 8, 4, 3, 3]);
  const probit = await frozen.predict(cut, far, { approximation: "probit" });
  close(probit.mean, whole.predict(far, { approximation: "probit" }).mean);
});

test.each(["full", "diagonal", "kronecker", "ekfac"] as const)(
  "batches of any kind go through once: %s",
  async (structure) => {
    const { frozen, runs } = await open();
    const loader = new DataLoader({ x, y }, { batchSize: 6 });
    async function* inTime() {
      for (const batch of loader) yield batch;
    }
    const one = laplace(frozen.network, { ...task, structure });
    const expected = (await one.fit(await frozen.data({ x, y }))).logMarginalLikelihood();
    for (const data of [loader, [...loader], inTime(), inTime]) {
      runs.length = 0;
      const seen: number[] = [];
      const posterior = await frozen.fit(one, data, { onProgress: ({ examples }) => seen.push(examples) });
      expect(posterior.logMarginalLikelihood()).toBeCloseTo(expected, 8);
      expect(runs).toEqual([6, 6, 6, 2]);
      expect(seen).toEqual([6, 12, 18, 20]);
    }
  },
);

test.each(["full", "kronecker", "ekfac"] as const)("sums of several groups add: %s", async (structure) => {
  // Features take 32 KiB each, so that a group of 32 MiB ends after two of the batches.
  const wide = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(4096), dense(3, tanh), dense(2));
  const { runtime, runs } = counting();
  const frozen = await withFeatures(toOnnx(wide), "v0", { runtime, batchSize: 600 });
  const data = { x: randomNormal([2500, 1], { seed: 2 }), y: Array.from({ length: 2500 }, () => random.integer(2)) };
  const one = laplace(frozen.network, { ...task, structure, weights: "lastLayer" });
  runs.length = 0;
  const found = await frozen.fit(one, new DataLoader(data, { batchSize: 600 }));
  expect(runs).toEqual([600, 600, 600, 600, 100]);
  const expected = await laplace(wide, { ...task, structure, weights: "lastLayer" }).fit(data);
  expect(found.examples).toBe(2500);
  expect(found.logMarginalLikelihood() / expected.logMarginalLikelihood()).toBeCloseTo(1, 8);
  close((await frozen.predict(found, [[0.3]])).functionVariance, expected.predict([[0.3]]).functionVariance, 1e-6);
});

test("data keep features for training, tuning and evaluation, within a budget", async () => {
  const count = counting();
  const frozen = await withFeatures(bytes, beforeLast, {
    runtime: count.runtime,
    network: (shape) => chain({ inputs: shape, seed: 1, dtype: "float64" }, dense(3)),
  });
  expect(frozen.report.rest).toBeUndefined();
  count.runs.length = 0;
  const weights = Array.from({ length: 20 }, (_, i) => 1 + (i % 2));
  const kept = await frozen.data([{ x, y, weights }]);
  expect(kept.x.shape).toEqual([20, 5]);
  expect([...(kept.weights?.data ?? [])]).toEqual(weights);
  const before = crossEntropyOf(frozen.network.forward(kept.x));
  await train(frozen.network, kept, {
    loss: crossEntropy,
    optimizer: adam({ learningRate: 0.05 }),
    epochs: 50,
    batchSize: 20,
  });
  expect(crossEntropyOf(frozen.network.forward(kept.x))).toBeLessThan(before);
  const posterior = (await laplace(frozen.network, task).fit(kept)).optimizePrior({ on: kept });
  expect(evaluate(posterior, kept).negativeLogLikelihood).toBeGreaterThan(0);
  expect(count.runs).toEqual([20]);
  await expect(frozen.data({ x, y }, { memoryBudget: 100 })).rejects.toBeInstanceOf(MemoryBudgetError);
  await expect(
    frozen.data([
      { x, y, weights },
      { x, y },
    ]),
  ).rejects.toBeInstanceOf(ValueError);
});

const crossEntropyOf = (logits: NDArray) =>
  y.reduce((sum, label, i) => {
    const row = [...logits.sub(i).data];
    return sum + Math.log(row.reduce((total, value) => total + Math.exp(value), 0)) - row[label];
  }, 0);

test("says what is wrong with names, and where the model can be cut", async () => {
  const fail = (at: string) =>
    open({}, at).then(
      () => undefined,
      (error: Error) => error,
    );
  expect((await fail("value4"))?.message).toMatch(/no node or value "value4". Near it: "v4"/);
  const inside = (await Promise.all(Array.from({ length: 20 }, (_, i) => fail(`v${i}`)))).find((error) =>
    /goes around/.test(`${error}`),
  );
  expect(inside).toBeInstanceOf(ModelError);
  expect(inside?.message).toMatch(/It can be cut at "v\d+"/);
  expect((await fail("y"))?.message).toMatch(/no weights/);
});

test("refuses what is not a file, a runtime, inputs or data, and says what the runtime says", async () => {
  const { runtime } = counting();
  const call = withFeatures as unknown as (...values: unknown[]) => Promise<unknown>;
  for (const wrong of [
    undefined,
    {},
    { runtime: {} },
    { runtime, batchSize: 0 },
    { runtime, mode: 1 },
    { runtime, network: 3 },
  ])
    await expect(call(bytes, beforeLast, wrong)).rejects.toBeInstanceOf(OptionError);
  await expect(call(bytes, 3, { runtime })).rejects.toBeInstanceOf(OptionError);
  for (const wrong of ["model.onnx", null, 5, {}])
    await expect(call(wrong, "v1", { runtime })).rejects.toBeInstanceOf(OptionError);
  await expect(call(new Uint8Array(9), "v1", { runtime })).rejects.toBeInstanceOf(ModelError);
  const broken = { Tensor, InferenceSession: { create: () => Promise.reject(new Error("no such backend")) } };
  const error = (await call(bytes, beforeLast, { runtime: broken }).catch((cause) => cause)) as Error;
  expect(error).toBeInstanceOf(LaplaceError);
  expect(error.message).toMatch(/no such backend/);
  await expect(
    call(bytes, beforeLast, { runtime, network: () => chain({ inputs: 4 }, dense(2)) }),
  ).rejects.toBeInstanceOf(OptionError);

  const { frozen, released } = await open();
  const all = frozen as unknown as Record<string, (...values: unknown[]) => Promise<unknown>>;
  for (const wrong of [null, 3, "x", { other: x }, {}])
    await expect(all.features(wrong)).rejects.toBeInstanceOf(OptionError);
  await expect(all.features([[1, 2]])).rejects.toBeInstanceOf(ShapeError);
  await expect(
    all.features(
      array(
        x.data.map(() => Number.NaN),
        { shape: [...x.shape] },
      ),
    ),
  ).rejects.toBeInstanceOf(ValueError);
  for (const wrong of [null, 3, "x", {}, { x }, [3]]) await expect(all.data(wrong)).rejects.toBeInstanceOf(ValueError);
  await expect(all.data([])).rejects.toBeInstanceOf(ValueError);
  await expect(all.fit({}, { x, y })).rejects.toBeInstanceOf(OptionError);
  await expect(all.predict({}, x)).rejects.toBeInstanceOf(OptionError);
  await expect(all.data({ x, y }, { budget: 3 })).rejects.toBeInstanceOf(OptionError);
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await expect(frozen.data({ x, y }, { signal: stop.signal })).rejects.toThrow("enough");
  await frozen.release();
  expect(released()).toBe(1);
  await expect(frozen.features(x)).rejects.toThrow(/released/);
});

test("a session of the caller's needs the file, and stays open", async () => {
  const { runtime, released } = counting();
  // Of a file that ends at the features, as withFeatures makes it.
  let file = new Uint8Array();
  const spy: OnnxRuntime = {
    ...runtime,
    InferenceSession: {
      create(given) {
        file = new Uint8Array(given);
        return runtime.InferenceSession.create(file);
      },
    },
  };
  await withFeatures(bytes, beforeLast, { runtime: spy });
  const session = { ...(await runtime.InferenceSession.create(file)), outputNames: [beforeLast, "y"] };
  await expect(withFeatures(session, beforeLast, { runtime })).rejects.toThrow(/option model/);
  const elsewhere = { ...session, outputNames: ["y"] };
  await expect(withFeatures(elsewhere, beforeLast, { runtime, model: bytes })).rejects.toThrow(
    /in the place of the session/,
  );
  const frozen = await withFeatures(session, beforeLast, { runtime, model: bytes });
  close(frozen.network.forward(await frozen.features(x)), net.forward(x), 1e-12);
  await frozen.release();
  expect(released()).toBe(0);
});

test("calls that come at once wait for each other", async () => {
  const { frozen } = await open({ batchSize: 4 });
  const all = await Promise.all([frozen.features(x), frozen.features(x), frozen.features(x)]);
  for (const one of all) close(one, all[0], 0);
});

test("altered files are cut, or refused by name", { timeout: 300_000 }, async () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 0.999999, noNaN: true }),
    to: fc.integer({ min: 0, max: 255 }),
  });
  const changes = fc.array(change, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(changes, fc.boolean(), fc.constantFrom(...cuts), async (all, cut, at) => {
      const altered = cut ? bytes.slice(0, Math.floor(all[0].at * bytes.length)) : bytes.slice();
      for (const { at: place, to } of cut ? [] : all) altered[Math.floor(place * altered.length)] = to;
      const result = await open({}, at, altered).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toBeInstanceOf(LaplaceError);
    }),
    { numRuns: 300 },
  );
});
