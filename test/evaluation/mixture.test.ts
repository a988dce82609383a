// Mixtures of posteriors: against sums written out, sampled quantiles and integrals, and files.

import { describe, expect, test } from "vitest";
import {
  array,
  categorical,
  chain,
  dense,
  evaluate,
  FileError,
  gaussian,
  heteroscedastic,
  laplace,
  loadMixture,
  mixture,
  normalCdf,
  OptionError,
  poisson,
  randomNormal,
  ShapeError,
  saveMixture,
  tanh,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";

const N = 12;
const x = randomNormal([N, 2], { seed: 1 });
const labels = (classes: number) => array(Array.from({ length: N }, (_, i) => (i * 5) % classes));
const close = { relative: 1e-10, absolute: 1e-12 };
const weights = [0.5, 0.2, 0.3];

/** Three posteriors of networks of other widths, depths and structures. */
async function three(
  likelihood: Parameters<typeof laplace>[1]["likelihood"],
  outputs: number,
  y: ReturnType<typeof array>,
) {
  const structures = ["full", "kronecker", "diagonal"] as const;
  return Promise.all(
    structures.map((structure, seed) => {
      const net = chain({ inputs: 2, seed, dtype: "float64" }, dense(3 + seed, tanh), dense(outputs));
      return laplace(net, { likelihood, structure, checks: false }).fit({ x, y });
    }),
  );
}

const sumOf = (of: (k: number) => number) => weights.reduce((sum, w, k) => sum + w * of(k), 0);

describe("of regressions", async () => {
  const y = randomNormal([N, 2], { seed: 2 });
  const posteriors = await three(gaussian({ noise: 0.5 }), 2, y);
  const mixed = mixture(
    posteriors,
    weights.map((w) => 10 * w),
  );
  const each = posteriors.map((one) => one.predict(x));

  test("means are averaged, variances are within and between", () => {
    const found = mixed.predict(x);
    for (let i = 0; i < 2 * N; i++) {
      const mean = sumOf((k) => each[k].mean.data[i]);
      const within = sumOf((k) => each[k].variance.data[i]);
      const second = sumOf((k) => each[k].variance.data[i] + each[k].mean.data[i] ** 2);
      expect([found.mean, found.within, found.variance].map(({ data }) => data[i])).toBeAllClose(
        [mean, within, second - mean ** 2],
        close,
      );
      const f = sumOf((k) => each[k].functionMean.data[i]);
      const square = sumOf((k) => each[k].functionVariance.data[i] + each[k].functionMean.data[i] ** 2);
      expect(found.functionVariance.data[i]).toBeCloseTo(square - f ** 2, 10);
      expect(found.between.data[i]).toBeCloseTo(second - mean ** 2 - within, 10);
    }
    expect(mixed.weights).toBeAllClose(weights);
  });

  test("intervals are between the quantiles of its distribution", () => {
    const { lower, upper } = mixed.intervals(x, { level: 0.8 });
    const below = (q: number, i: number) =>
      sumOf((k) => normalCdf((q - each[k].mean.data[i]) / Math.sqrt(each[k].variance.data[i])));
    for (let i = 0; i < 2 * N; i++) {
      expect([below(lower.data[i], i), below(upper.data[i], i)]).toBeAllClose([0.1, 0.9], { relative: 1e-12 });
    }
  });

  test("it is scored by its own density, crps and intervals", () => {
    const found = mixed.evaluate({ x, y }, { level: 0.8 });
    const density = (t: number, i: number) =>
      sumOf((k) => {
        const v = each[k].variance.data[i];
        return Math.exp(-((t - each[k].mean.data[i]) ** 2) / (2 * v)) / Math.sqrt(2 * Math.PI * v);
      });
    const numbers = Array.from(y.data);
    const average = (of: (t: number, i: number) => number) =>
      numbers.reduce((sum, t, i) => sum + of(t, i), 0) / (2 * N);
    expect(found.negativeLogLikelihood).toBeCloseTo(
      average((t, i) => -Math.log(density(t, i))),
      10,
    );
    const { mean } = mixed.predict(x);
    expect(found.rootMeanSquaredError).toBeCloseTo(Math.sqrt(average((t, i) => (t - mean.data[i]) ** 2)), 10);
    // ∫ (F − 1{y ≤ x})² dx by a fine sum.
    const distribution = (q: number, i: number) =>
      sumOf((k) => normalCdf((q - each[k].mean.data[i]) / Math.sqrt(each[k].variance.data[i])));
    const [from, to, steps] = [-14, 14, 2000];
    const crps = average((t, i) => {
      let sum = 0;
      for (let s = 0; s < steps; s++) {
        const q = from + ((s + 0.5) * (to - from)) / steps;
        sum += (distribution(q, i) - Number(t <= q)) ** 2;
      }
      return (sum * (to - from)) / steps;
    });
    expect(found.crps).toBeCloseTo(crps, 2);
    const { lower, upper } = mixed.intervals(x, { level: 0.8 });
    expect(found.intervalCoverage).toBe(average((t, i) => Number(t >= lower.data[i] && t <= upper.data[i])));
    expect(found.intervalWidth).toBeCloseTo(
      average((_, i) => upper.data[i] - lower.data[i]),
      10,
    );
    const twice = mixed.evaluate({ x, y, weights: new Array(N).fill(2) }, { level: 0.8 });
    expect(Object.values(twice)).toBeAllClose(Object.values(found), close);
  });

  test("of one posterior it is that posterior", () => {
    const [one] = posteriors;
    const alone = mixture([one, posteriors[1]], [1, 0]);
    expect(alone.predict(x).variance).toBeAllClose(one.predict(x).variance, close);
    const [found, due] = [alone.evaluate({ x, y }), evaluate(one, { x, y })];
    for (const name of Object.keys(found) as (keyof typeof found)[]) {
      expect(found[name]).toBeCloseTo(due[name as "crps"] as number, 10);
    }
  });

  test("one file has all of it, to the bit", () => {
    const bytes = saveMixture(mixed);
    const loaded = loadMixture(bytes);
    expect(loaded.weights).toEqual(mixed.weights);
    expect(loaded.predict(x).variance).toEqual(mixed.predict(x).variance);
    expect(saveMixture(loaded)).toEqual(bytes);
    const altered = bytes.slice();
    altered[altered.length - 3] ^= 1;
    expect(() => loadMixture(altered)).toThrow(FileError);
    expect(() => loadMixture(bytes.slice(0, -8))).toThrow(FileError);
    expect(() => loadMixture(new Uint8Array(3))).toThrow(FileError);
  });

  test("in bursts: the same numbers, and nothing held", async () => {
    expect((await mixed.predictAsync(x)).variance).toEqual(mixed.predict(x).variance);
    expect(await mixed.intervalsAsync(x)).toEqual(mixed.intervals(x));
    expect(await mixed.evaluateAsync({ x, y })).toEqual(mixed.evaluate({ x, y }));
    const controller = new AbortController();
    controller.abort();
    await expect(mixed.evaluateAsync({ x, y }, { signal: controller.signal })).rejects.toThrow(/aborted/);
    expect(memoryUse().inUse).toBe(0);
  });
});

test("of classes, probabilities are averaged, in their logarithms too", async () => {
  const y = labels(3);
  const posteriors = await three("classification", 3, y);
  const mixed = mixture(posteriors, weights);
  const each = posteriors.map((one) => one.predict(x).mean);
  const { mean, within, between, variance } = mixed.predict(x);
  const p = (i: number) => sumOf((k) => each[k].data[i]);
  expect(mean.data).toBeAllClose(
    Array.from({ length: 3 * N }, (_, i) => p(i)),
    close,
  );
  // A label's variance is p (1 − p) of the mixture's own p.
  expect(variance.data).toBeAllClose(
    Array.from(mean.data, (own) => own * (1 - own)),
    { relative: 1e-9 },
  );
  expect(within.at(0, 0) + between.at(0, 0)).toBeCloseTo(variance.at(0, 0), 14);
  const logs = mixed.logProbabilities(x);
  expect(logs.data).toBeAllClose(Array.from(mean.data, Math.log), { relative: 1e-9, absolute: 1e-12 });
  const found = mixed.evaluate({ x, y });
  const cross = Array.from({ length: N }, (_, i) => -Math.log(p(3 * i + y.at(i)))).reduce((a, b) => a + b, 0) / N;
  expect(found.negativeLogLikelihood).toBeCloseTo(cross, 10);
  expect(Object.keys(found)).toEqual(Object.keys(evaluate(posteriors[0], { x, y })));
  expect(await mixed.logProbabilitiesAsync(x)).toEqual(logs);
});

test.each([
  ["binary", 1, labels(2)],
  [poisson(), 1, labels(4)],
  [heteroscedastic(), 2, randomNormal([N, 1], { seed: 4 })],
] as const)("of other likelihoods: no worse than its members' mean score (%#)", async (likelihood, outputs, y) => {
  const posteriors = await three(likelihood, outputs, y);
  const mixed = mixture(posteriors, weights);
  const own = posteriors.map((one) => evaluate(one, { x, y }).negativeLogLikelihood);
  // The logarithm is concave.
  expect(mixed.evaluate({ x, y }).negativeLogLikelihood).toBeLessThanOrEqual(sumOf((k) => own[k]));
  const alone = mixture([posteriors[2]]).evaluate({ x, y });
  expect(alone.negativeLogLikelihood).toBeCloseTo(own[2], 9);
});

test("refusals", async () => {
  const y = labels(3);
  const [a, b] = await three("classification", 3, y);
  const [other] = await three("regression", 3, randomNormal([N, 3], { seed: 2 }));
  const [two] = await three("classification", 2, labels(2));
  const [ignoring] = await three(categorical({ ignoredLabel: 7 }), 3, y);
  const any = (value: unknown) => value as never;
  expect(() => mixture([])).toThrow(ValueError);
  expect(() => mixture([a, any(3)])).toThrow(/posterior 1 must be a posterior/);
  expect(() => mixture([a, any(other)])).toThrow(
    /posterior 1 has a gaussian likelihood, and the first a categorical one/,
  );
  expect(() => mixture([a, ignoring])).toThrow(ValueError);
  expect(() => mixture([a, two])).toThrow(/an outputShape of \[2\], that of the first \[3\]/);
  expect(() => mixture([a, b], [1])).toThrow(ShapeError);
  expect(() => mixture([a, b], [0, 0])).toThrow(/not all 0/);
  expect(() => mixture([a, b], [2, -1])).toThrow(ValueError);
  expect(() => mixture([a, b]).intervals(x)).toThrow(OptionError);
  expect(() => mixture([a, b]).predict(x, any({ sample: 2 }))).toThrow(OptionError);
  expect(() => saveMixture(any(a))).toThrow(ValueError);
  expect(() => JSON.stringify(mixture([a, b]))).toThrow(/saveMixture/);
});
