// Layers that do something else in training: what they do there, what they learn, and that nothing else sees it.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  batchNorm,
  chain,
  dense,
  dropout,
  exp,
  flatten,
  gaussian,
  laplace,
  loadPosterior,
  loadWeights,
  mse,
  type NDArray,
  type Network,
  NonFiniteLossError,
  OptionError,
  randomNormal,
  savePosterior,
  sgd,
  tanh,
  train,
  writeSafetensors,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";

/** One step of length 1 over all data: θ − θ′ is the gradient. */
async function step(net: Network, x: NDArray, y: NDArray, seed = 0): Promise<number[]> {
  const before = net.parameters.clone();
  await train(
    net,
    { x, y },
    { loss: mse, optimizer: sgd({ learningRate: 1 }), epochs: 1, batchSize: x.shape[0], seed },
  );
  return Array.from(before.data, (value, i) => value - net.parameters.data[i]);
}

interface Normalised {
  readonly rows: number[][][];
  readonly mean: number[];
  /** Divided by the number of values. */
  readonly variance: number[];
}

/** A batch of [channels][positions], normalised over examples and positions by its definition. */
function normalised(batch: readonly (readonly (readonly number[])[])[], epsilon: number): Normalised {
  const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const channels = batch[0].map((_, c) => batch.flatMap((example) => example[c]));
  const mean = channels.map(average);
  const variance = channels.map((values, c) => average(values.map((x) => (x - mean[c]) ** 2)));
  const rows = batch.map((example) =>
    example.map((values, c) => values.map((x) => (x - mean[c]) / Math.sqrt(variance[c] + epsilon))),
  );
  return { rows, mean, variance };
}

describe("batchNorm in training", () => {
  const sizes = fc.record({
    batch: fc.constantFrom(2, 3, 5),
    channels: fc.constantFrom(1, 2, 3),
    rest: fc.constantFrom<number[]>([], [1], [2], [2, 3]),
    momentum: fc.constantFrom(0.1, 0.5, 1),
    seed: fc.nat(2 ** 31 - 1),
  });

  test("gradients go through mean and variance of the batch, which join the running ones", async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async ({ batch, channels, rest, momentum, seed }) => {
        const positions = rest.reduce((product, length) => product * length, 1);
        const epsilon = 0.1;
        const net = chain(
          { inputs: [channels, ...rest], dtype: "float64", seed },
          flatten,
          dense(channels * positions, tanh),
          batchNorm({ epsilon, momentum }),
          dense(1),
        );
        const shaped = chain(
          { inputs: [channels, ...rest], dtype: "float64", seed },
          batchNorm({ epsilon, momentum }),
          tanh,
          flatten,
          dense(2),
        );
        const x = randomNormal([batch, channels, ...rest], { dtype: "float64", seed });
        for (const [one, width] of [
          [net, 1],
          [shaped, 2],
        ] as const) {
          const first = randomNormal([one.parameterCount], { dtype: "float64", seed: 7 });
          one.setParameters(first);
          const y = randomNormal([batch, width as number], { dtype: "float64", seed: 8 });
          const loss = width === 1 ? lossOfVectors : lossOfChannels;
          const expected = finiteDifferences((theta) => [loss(one, theta, x, y, epsilon).loss], [...first.data]).flat();
          const { mean, variance } = loss(one, [...first.data], x, y, epsilon);
          const found = await step(one, x, y);
          expect(found).toBeAllClose(expected, { relative: 1e-6, absolute: 1e-7 });
          const count = width === 1 ? batch : batch * positions;
          const due = [
            ...mean.map((m) => momentum * m),
            ...variance.map((v) => 1 - momentum + (momentum * v * count) / (count - 1)),
          ];
          expect(one.buffers.data).toBeAllClose(due, { relative: 1e-12, absolute: 1e-13 });
          expect(memoryUse().inUse).toBe(0);
        }
      }),
      { numRuns: 30 },
    );
  });

  function meanSquare(outputs: readonly (readonly number[])[], y: NDArray): number {
    const errors = outputs.flat().map((f, i) => (f - y.data[i]) ** 2);
    return errors.reduce((a, b) => a + b, 0) / errors.length;
  }

  /** dense, tanh, norm of vectors, dense */
  function lossOfVectors(net: Network, theta: readonly number[], x: NDArray, y: NDArray, epsilon: number) {
    const [w, b, scale, shift, v, c] = Object.values(net.clone([...theta]).named(array([...theta])));
    const inputs = rowsOf(x);
    const hidden = inputs.map((row) =>
      Array.from(b.data, (bias, o) => [Math.tanh(bias + row.reduce((sum, xi, i) => sum + w.at(o, i) * xi, 0))]),
    );
    const { rows, mean, variance } = normalised(hidden, epsilon);
    const outputs = rows.map((row) => [
      row.reduce((sum, [value], o) => sum + v.at(0, o) * (scale.at(o) * value + shift.at(o)), c.at(0)),
    ]);
    return { loss: meanSquare(outputs, y), mean, variance };
  }

  /** norm of channels, tanh, dense */
  function lossOfChannels(net: Network, theta: readonly number[], x: NDArray, y: NDArray, epsilon: number) {
    const [scale, shift, v, c] = Object.values(net.named(array([...theta])));
    const [channels] = scale.shape;
    const positions = x.size / x.shape[0] / channels;
    const batch = rowsOf(x).map((row) =>
      Array.from({ length: channels }, (_, i) => row.slice(i * positions, (i + 1) * positions)),
    );
    const { rows, mean, variance } = normalised(batch, epsilon);
    const outputs = rows.map((example) => {
      const features = example.flatMap((values, i) => values.map((z) => Math.tanh(scale.at(i) * z + shift.at(i))));
      return Array.from(c.data, (bias, o) => features.reduce((sum, z, i) => sum + v.at(o, i) * z, bias));
    });
    return { loss: meanSquare(outputs, y), mean, variance };
  }

  function rowsOf(x: NDArray): number[][] {
    const width = x.size / x.shape[0];
    return Array.from({ length: x.shape[0] }, (_, b) => Array.from(x.data.subarray(b * width, (b + 1) * width)));
  }
});

const norms = () => chain({ inputs: 3, dtype: "float64", seed: 1 }, dense(4, tanh), batchNorm(), dense(1));
const data = {
  x: randomNormal([10, 3], { dtype: "float64", seed: 1 }),
  y: randomNormal([10, 1], { dtype: "float64", seed: 2 }),
};
const options = { loss: mse, epochs: 3, batchSize: 5 };

describe("running statistics", () => {
  test("begin at mean 0 and variance 1, under PyTorch's names", () => {
    const net = norms();
    expect(net.bufferTable.map(({ name }) => name)).toEqual(["1.running_mean", "1.running_var"]);
    expect([...net.buffers.data]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(net.summary()).toContain("1.running_mean [4] running, 1.running_var [4] running");
    expect(net.clone().freeze("1").summary()).toContain("1.running_mean [4] frozen");
    expect(net.parameterTable.map(({ name }) => name)).toEqual([
      ...["0.weight", "0.bias", "1.scale", "1.shift", "2.weight", "2.bias"],
    ]);
  });

  test("a layer without scale and shift has a name all the same, and one that is applied twice the same statistics", () => {
    const plain = () => batchNorm({ scale: false, shift: false });
    const twice = plain();
    const net = chain({ inputs: 2 }, plain(), twice, dense(2), twice, dense(1));
    expect(net.bufferTable.map(({ name, offset }) => [name, offset])).toEqual([
      ["0.running_mean", 0],
      ["0.running_var", 2],
      ["1.running_mean", 4],
      ["1.running_var", 6],
    ]);
    expect(net.parameterTable[0].name).toBe("2.weight");
  });

  test("outputs and derivatives leave them alone; training is reproducible, also in bursts of its own", async () => {
    const [a, b] = [norms(), norms()];
    await train(a, data, options);
    await train(b, data, options);
    expect(a.parameters).toEqual(b.parameters);
    expect(a.buffers).toEqual(b.buffers);
    expect([...a.buffers.data].slice(0, 4)).not.toContain(0);
    const kept = a.buffers.clone();
    a.forward(data.x);
    await laplace(a, { likelihood: "regression", checks: false }).fit(data);
    expect(a.buffers).toEqual(kept);
  });

  test("an example's output does not depend on the others", async () => {
    const net = norms();
    await train(net, data, options);
    const alone = net.forward(data.x.sub(3).reshape(1, 3));
    expect(alone.data[0]).toBeCloseTo(net.forward(data.x).data[3], 14);
  });

  test("a clone has its own", async () => {
    const net = norms();
    const copy = net.clone();
    await train(net, data, options);
    expect([...copy.buffers.data]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
  });

  test("a frozen layer keeps to them, in training too", async () => {
    const net = norms().freeze("1");
    net.buffers.data.set([0.1, 0.2, 0.3, 0.4, 2, 3, 4, 5]);
    const before = net.buffers.clone();
    const { history } = await train(net, data, { loss: mse, epochs: 1, batchSize: 10 });
    expect(net.buffers).toEqual(before);
    const fresh = norms();
    fresh.buffers.data.set(before.data);
    expect(history[0].loss).toBeCloseTo(mse(fresh.forward(data.x), data.y), 12);
    // A batch of one is not a difficulty then.
    await train(net, data, { loss: mse, epochs: 1, batchSize: 1 });
  });

  test("a batch of one is refused before anything changes, unless there are positions", async () => {
    const net = norms();
    const before = [net.parameters.clone(), net.buffers.clone()];
    for (const batchSize of [1, 3, 9]) {
      const training = train(net, data, { loss: mse, epochs: 1, batchSize });
      await expect(training).rejects.toThrow(OptionError);
      await expect(training).rejects.toThrow(/a batch of one, of which the batchNorm "1" cannot take a variance/);
    }
    expect([net.parameters, net.buffers]).toEqual(before);
    const image = chain({ inputs: [2, 3], seed: 1 }, batchNorm(), flatten, dense(1));
    await train(image, { x: randomNormal([3, 2, 3]), y: randomNormal([3, 1]) }, { loss: mse, epochs: 1, batchSize: 1 });
  });

  test("a loss that is not finite leaves those of the last finite one", async () => {
    const make = () => chain({ inputs: 1, dtype: "float64", seed: 1 }, batchNorm(), dense(1), exp);
    const [net, other] = [make(), make()];
    const [x, y] = [array([[1], [2], [3], [4], [1e200], [-1e200]]), array([[1], [2], [1], [2], [1], [1]])];
    const finite = { x: array([[1], [2], [3], [4]]), y: array([[1], [2], [1], [2]]) };
    const all = { loss: mse, epochs: 1, batchSize: 2, shuffle: false };
    await expect(train(net, { x, y }, all)).rejects.toThrow(NonFiniteLossError);
    await train(other, finite, all);
    expect(net.buffers).toEqual(other.buffers);
    expect(net.buffers.data.every(Number.isFinite)).toBe(true);
  });

  test("posteriors keep those of the fit, also in files, and do not add up with others", async () => {
    const net = norms();
    await train(net, data, options);
    const posterior = await laplace(net, { likelihood: gaussian(), checks: false }).fit(data);
    const { mean, functionVariance } = posterior.predict(data.x);
    const drawn = posterior.predict(data.x, { approximation: "network" });
    // A prior so narrow that every draw is the network itself.
    const narrow = posterior.with({ priorPrecision: 1e14 }).predict(data.x, { approximation: "network", samples: 2 });
    expect(narrow.mean.data).toBeAllClose(mean.data, { relative: 0, absolute: 1e-5 });
    const theta = net.parameters.clone();
    await train(net, data, options);
    expect(posterior.predict(data.x).mean).toEqual(mean);
    expect(posterior.predict(data.x, { approximation: "network" })).toEqual(drawn);
    const again = loadPosterior(savePosterior(posterior));
    expect(again.predict(data.x).functionVariance).toEqual(functionVariance);
    net.setParameters(theta);
    const later = await laplace(net, { likelihood: gaussian(), checks: false }).fit(data);
    expect(() => posterior.merge(later)).toThrow(/different running statistics/);
  });

  test("loadWeights sets them by name", async () => {
    const net = norms();
    await train(net, data, options);
    const fresh = norms();
    const { loaded } = loadWeights(fresh, writeSafetensors(net.named()));
    expect(loaded.slice(-2)).toEqual(["1.running_mean", "1.running_var"]);
    expect(fresh.forward(data.x)).toEqual(net.forward(data.x));
    const { "1.running_var": missing, ...rest } = net.named();
    expect(missing.shape).toEqual([4]);
    expect(() => loadWeights(fresh, rest)).toThrow(/Missing: "1.running_var"/);
    // As PyTorch names them.
    const { "1.scale": scale, "1.shift": shift, ...same } = net.named();
    const torch = { ...same, "1.weight": scale, "1.bias": shift, "1.num_batches_tracked": array([6]) };
    const ours = new Map([
      ["1.weight", "1.scale"],
      ["1.bias", "1.shift"],
      ["1.num_batches_tracked", undefined],
    ]);
    const other = norms();
    loadWeights(other, torch, { rename: (name) => (ours.has(name) ? ours.get(name) : name) });
    expect(other.forward(data.x)).toEqual(net.forward(data.x));
  });
});

describe("dropout", () => {
  const size = 2000;
  const ones = array([new Array<number>(size).fill(1)], { dtype: "float64" });
  const target = array([[-0.5]], { dtype: "float64" });
  const single = (rate: number) =>
    chain({ inputs: size, dtype: "float64" }, dropout(rate), dense(1, undefined, { bias: false, init: "zeros" }));

  test.each([0, 0.25, 0.5, 0.9])("drops that share (%s) in training, and scales what is left", async (rate) => {
    // With weights 0 and one example, the gradient is what dropout makes of a row of ones.
    const found = await step(single(rate), ones, target);
    const left = found.filter((x) => x !== 0);
    expect(left).toBeAllClose(new Array(left.length).fill(1 / (1 - rate)), { relative: 1e-15 });
    // Five standard deviations.
    expect(Math.abs(left.length - size * (1 - rate))).toBeLessThanOrEqual(5 * Math.sqrt(size * rate * (1 - rate)));
  });

  test("follows the seed, and draws anew in each step", async () => {
    const first = await step(single(0.5), ones, target, 1);
    expect(await step(single(0.5), ones, target, 1)).toEqual(first);
    expect(await step(single(0.5), ones, target, 2)).not.toEqual(first);
    const net = single(0.5);
    const two = array([...ones.data, ...ones.data], { shape: [2, size] });
    const both = { x: two, y: array([[-0.5], [-0.5]]) };
    await train(net, both, { loss: mse, optimizer: sgd({ learningRate: 1e-9 }), epochs: 1, batchSize: 1, seed: 1 });
    // Dropped in one step only: half of what both steps kept.
    const moved = Array.from(net.parameters.data, (w) => Math.round(-w / 1e-9));
    expect(new Set(moved)).toEqual(new Set([0, 2, 4]));
  });

  test("drops the same on the way back", async () => {
    const net = chain(
      { inputs: 1, dtype: "float64" },
      dense(50, undefined, { bias: false }),
      dropout(0.5),
      dense(1, undefined, { bias: false }),
    );
    net.setParameters(new Array(100).fill(0.1));
    const found = await step(net, array([[1]]), array([[3]]));
    expect(found.slice(0, 50)).toEqual(found.slice(50));
    expect(found.filter((x) => x === 0).length).toBeGreaterThan(20);
  });

  test("is nothing anywhere else", () => {
    const [net, plain] = [chain({ inputs: 3 }, dropout(0.5), dense(2)), chain({ inputs: 3 }, dense(2))];
    expect(net.forward(data.x)).toEqual(plain.forward(data.x));
  });

  test("refuses rates of which nothing would be left", () => {
    for (const rate of [1, -0.1, Number.NaN]) expect(() => dropout(rate)).toThrow(OptionError);
  });
});
