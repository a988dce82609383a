// SWAG against its formulas over all snapshots at once (Maddox et al. 2019).

import { describe, expect, test } from "vitest";
import {
  batchNorm,
  categorical,
  chain,
  crossEntropy,
  dense,
  gaussian,
  jacobian,
  laplace,
  loadPosterior,
  mse,
  type Network,
  OptionError,
  type Posterior,
  randomNormal,
  type SwagOptions,
  savePosterior,
  sgd,
  swag,
  swagPosterior,
  tanh,
  train,
  ValueError,
} from "../../src/index.ts";

const data = { x: randomNormal([24, 2], { seed: 1 }), y: randomNormal([24, 2], { seed: 2 }) };
const make = () => chain({ inputs: 2, dtype: "float64", seed: 3 }, dense(3, tanh), dense(2));
const likelihood = gaussian({ noise: 0.3 });
const close = { relative: 1e-9, absolute: 1e-13 };
const EPOCHS = 12;

/** A training from which weights are taken, and the weights after each of its epochs. */
async function collected(options: SwagOptions, net: Network = make(), seed = 5) {
  const snapshots = swag(net, options);
  const epochs: Float64Array[] = [];
  await train(net, data, {
    loss: mse,
    optimizer: sgd({ learningRate: 0.2 }),
    epochs: EPOCHS,
    batchSize: 8,
    seed,
    onProgress: (report) => {
      epochs.push(Float64Array.from(net.parameters.data));
      snapshots.collect(report);
    },
  });
  return { snapshots, epochs };
}

/** ½ diag(s²) + D Dᵀ / (2 (K − 1)), or diag(s²), by sums over what was taken, [P, P]; and the mean. */
function formula(taken: readonly Float64Array[], rank: number, scale = 1) {
  const size = taken[0].length;
  const meanOf = (rows: readonly Float64Array[]) =>
    Float64Array.from({ length: size }, (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length);
  const mean = meanOf(taken);
  const variance = meanOf(taken.map((row) => row.map((x, i) => (x - mean[i]) ** 2)));
  const deviations = taken.map((row, n) => {
    const until = meanOf(taken.slice(0, n + 1));
    return row.map((x, i) => x - until[i]);
  });
  const kept = rank === 0 ? [] : deviations.slice(-rank);
  const covariance = Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    const diagonal = i === j ? variance[i] * (kept.length > 0 ? 0.5 : 1) : 0;
    const products = kept.reduce((sum, row) => sum + row[i] * row[j], 0);
    return scale * (diagonal + products / (2 * Math.max(1, kept.length - 1)));
  });
  return { mean, covariance };
}

const identity = (n: number) => Array.from({ length: n * n }, (_, at) => (at % (n + 1) === 0 ? 1 : 0));
const product = (a: ArrayLike<number>, b: ArrayLike<number>, n: number) =>
  Array.from({ length: n * n }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[Math.floor(at / n) * n + k] * b[k * n + (at % n)];
    return sum;
  });

test.each([
  ["diagonal", { rank: 0 }, 7, 1, 1],
  ["low rank", { rank: 3 }, 7, 1, 0.7],
  ["as many deviations as there are", { rank: 20, from: 3, every: 2 }, 3, 2, 1],
] as const)("%s: mean and covariance are the formulas'", async (_, options, from, every, scale) => {
  const { snapshots, epochs } = await collected(options);
  const taken = epochs.filter((_, i) => i + 1 >= from && (i + 1 - from) % every === 0);
  expect(snapshots.count).toBe(taken.length);
  const structure = options.rank === 0 ? "diagonal" : "lowRank";
  const posterior = swagPosterior(snapshots, { likelihood, scale });
  const due = formula(taken, options.rank, scale);
  const n = posterior.size;
  expect(posterior.structure).toBe(structure);
  expect(posterior.mean.data).toBeAllClose(due.mean, close);
  expect(posterior.covariance().data).toBeAllClose(due.covariance, close);
  expect(posterior.variance().data).toBeAllClose(
    Array.from({ length: n }, (_, i) => due.covariance[i * (n + 1)]),
    close,
  );
  expect(product(posterior.precision().data, due.covariance, n)).toBeAllClose(identity(n), { absolute: 1e-6 });

  const x = randomNormal([4, 2], { seed: 9 });
  const net = make();
  net.setParameters(posterior.mean);
  const rows = jacobian(net, x).data;
  const variances = Array.from({ length: 8 }, (_, row) => {
    const j = rows.subarray(row * n, (row + 1) * n);
    let sum = 0;
    for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) sum += j[a] * due.covariance[a * n + b] * j[b];
    return sum;
  });
  const { functionMean, functionVariance, variance } = posterior.predict(x);
  expect(functionMean.data).toBeAllClose(net.forward(x).data, close);
  expect(functionVariance.data).toBeAllClose(variances, close);
  expect(variance.data).toBeAllClose(
    variances.map((one) => one + 0.09),
    close,
  );
  const joint = posterior.functionCovariance(x).data;
  expect(Array.from({ length: 8 }, (_, i) => joint[(i >> 1) * 4 + (i % 2) * 3])).toBeAllClose(variances, close);

  // The density of a mean is that of the determinant alone.
  const densities = posterior.logProb(posterior.sample(3, { seed: 1 })).data;
  const most = posterior.logProb(posterior.mean).data[0];
  for (const one of densities) expect(one).toBeLessThan(most);
});

test("draws have the covariance", async () => {
  const { snapshots } = await collected({ rank: 4 });
  const posterior = swagPosterior(snapshots, { likelihood });
  const [n, draws] = [posterior.size, 4000];
  const samples = posterior.sample(draws, { seed: 2 }).data;
  const { data: mean } = posterior.mean;
  const due = posterior.covariance().data;
  const scale = Array.from({ length: n }, (_, i) => Math.sqrt(due[i * (n + 1)]));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let s = 0; s < draws; s++) sum += (samples[s * n + i] - mean[i]) * (samples[s * n + j] - mean[j]);
      expect(Math.abs(sum / draws - due[i * n + j])).toBeLessThan(6 * scale[i] * scale[j] * Math.sqrt(2 / draws));
    }
  }
});

test("the same seeds give the same posterior, and a file keeps it", async () => {
  const make = async (seed: number) =>
    swagPosterior((await collected({ rank: 3 }, undefined, seed)).snapshots, { likelihood });
  const [one, same, other] = [await make(5), await make(5), await make(6)];
  const numbers = (posterior: Posterior) => [posterior.mean.data, posterior.covariance().data];
  expect(numbers(one)).toEqual(numbers(same));
  expect(numbers(one)).not.toEqual(numbers(other));
  const read = loadPosterior(savePosterior(one));
  expect(numbers(read)).toEqual(numbers(one));
  expect(read.predict(data.x)).toEqual(one.predict(data.x));
  expect(read.sample(2, { seed: 3 })).toEqual(one.sample(2, { seed: 3 }));
  expect(savePosterior(read)).toEqual(savePosterior(one));
});

test("some weights vary, and the others are at their means", async () => {
  const { snapshots, epochs } = await collected({ rank: 3, from: 2 });
  const all = swagPosterior(snapshots, { likelihood });
  const some = swagPosterior(snapshots, { likelihood, weights: { indices: [1, 4, 16] } });
  const { covariance } = formula(epochs.slice(1), 3);
  const due = [1, 4, 16].flatMap((i) => [1, 4, 16].map((j) => covariance[i * all.size + j]));
  expect(some.covariance().data).toBeAllClose(due, close);
  const read = loadPosterior(savePosterior(some));
  expect(read.covariance()).toEqual(some.covariance());
  // The most variable of them, as laplace-torch's LargestVarianceSWAGSubnetMask has them.
  const variance = all.variance().data;
  const ordered = Array.from(variance.keys()).sort((a, b) => variance[b] - variance[a]);
  const fitted = await laplace(make(), {
    ...{ likelihood, structure: "full", checks: false },
    weights: { mostVariable: 5, of: all },
  }).fit(data);
  expect([...fitted.indices]).toEqual(ordered.slice(0, 5).sort((a, b) => a - b));
});

test("frozen weights, running statistics and classes are as elsewhere", async () => {
  const net = chain({ inputs: 2, seed: 1 }, dense(4, tanh), batchNorm(), dense(3));
  net.freeze("0");
  const snapshots = swag(net, { rank: 2 });
  const statistics: Float64Array[] = [];
  const y = Array.from({ length: 24 }, (_, i) => i % 3);
  await train(
    net,
    { x: data.x, y },
    {
      loss: crossEntropy,
      optimizer: sgd({ learningRate: 0.1 }),
      epochs: 8,
      onProgress: (report) => {
        if (report.epoch > 4) statistics.push(Float64Array.from(net.buffers.data));
        snapshots.collect(report);
      },
    },
  );
  const posterior = swagPosterior(snapshots, { likelihood: categorical() });
  expect(posterior.size).toBe(net.parameterCount - 12);
  const means = statistics[0].map((_, i) => statistics.reduce((sum, one) => sum + one[i], 0) / 4);
  expect(posterior.net.buffers.data).toBeAllClose(means, { relative: 1e-6, absolute: 1e-7 });
  const { mean } = posterior.predict(data.x);
  for (let i = 0; i < 24; i++) expect(mean.at(i, 0) + mean.at(i, 1) + mean.at(i, 2)).toBeCloseTo(1, 6);
  expect(loadPosterior(savePosterior(posterior)).predict(data.x)).toEqual(posterior.predict(data.x));
});

describe("what it has not is refused", () => {
  test("a prior, and an evidence", async () => {
    const posterior = swagPosterior((await collected({ rank: 2 })).snapshots, { likelihood });
    for (const call of [
      () => posterior.evidence(),
      () => posterior.logMarginalLikelihood(),
      () => posterior.evidenceGradient(),
      () => posterior.optimizePrior(),
      () => posterior.with({ priorPrecision: 2 }),
      () => posterior.with({ temperature: 2 }),
      () => posterior.sandwich(data),
      () => posterior.merge(posterior),
      () => posterior.diagnose(data),
    ]) {
      expect(call).toThrow(ValueError);
      expect(call).toThrow(/a posterior of SWAG or IVON has neither a prior nor an evidence/);
    }
    const noisy = posterior.with({ noise: 2 });
    const [a, b] = [noisy, posterior].map((one) => one.predict(data.x));
    expect(a.functionVariance).toEqual(b.functionVariance);
    expect(a.variance.at(0, 0) - b.variance.at(0, 0)).toBeCloseTo(4 - 0.09, 9);
  });

  test("too few snapshots, and options", async () => {
    const snapshots = swag(make());
    expect(() => swagPosterior(snapshots, { likelihood })).toThrow(
      /weights were taken never, and a variance needs two/,
    );
    snapshots.take();
    expect(() => swagPosterior(snapshots, { likelihood })).toThrow(/weights were taken once/);
    snapshots.take();
    const posterior = swagPosterior(snapshots, { likelihood });
    // Weights that did not move.
    expect(posterior.predict(data.x).functionVariance.data.every((one) => one >= 0 && one < 1e-20)).toBe(true);
    expect(() => swagPosterior(snapshots, { likelihood, scale: 0 })).toThrow(OptionError);
    expect(() => swagPosterior({} as never, { likelihood })).toThrow(/the snapshots that swag\(net\) gives/);
    expect(() => swag(make(), { rank: -1 })).toThrow(OptionError);
    expect(() => swag(make(), { every: 0 })).toThrow(OptionError);
    expect(() => swag(make(), { from: 0 })).toThrow(OptionError);
    expect(() => swag({} as never)).toThrow(/swag/);
  });
});
