// Likelihoods of rows of outputs: they answer by integrals over the row's Gaussian, whatever shape targets have, and what does
// not agree is named when it is made.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noisy, pairs } from "../../examples/likelihoods.ts";
import {
  adam,
  array,
  chain,
  defineLikelihood,
  dense,
  epistemicScore,
  estimateMemory,
  evaluate,
  gaussian,
  type Likelihood,
  laplace,
  loadPosterior,
  OptionError,
  outOfDistributionAuroc,
  perSampleGradients,
  Random,
  type RowLikelihood,
  reshape,
  ShapeError,
  savePosterior,
  tanh,
  train,
  uncertainty,
  ValueError,
} from "../../src/index.ts";

const varying = defineLikelihood("noisy", noisy);
const correlated = defineLikelihood("pairs", pairs);
const rows = (likelihood: Likelihood) => likelihood.rows as NonNullable<Likelihood["rows"]>;

/** ∫ g(f) N(f; m, V) df over two numbers, by the midpoint rule in deviations. */
function overGaussian(g: (a: number, b: number) => number, m: readonly number[], v: readonly number[]): number {
  const [n, end] = [300, 9];
  const h = (2 * end) / n;
  const a = Math.sqrt(v[0]);
  const [b, c] = [v[1] / a, Math.sqrt(v[3] - v[1] ** 2 / v[0])];
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const [x, y] = [-end + (i + 0.5) * h, -end + (j + 0.5) * h];
      sum += g(m[0] + a * x, m[1] + b * x + c * y) * Math.exp(-0.5 * (x * x + y * y));
    }
  }
  return (sum * h * h) / (2 * Math.PI);
}

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const distribution = fc
  .record({ m: fc.tuple(real(-2, 2), real(-2, 1)), s: fc.tuple(real(0.02, 2), real(0.02, 0.8)), r: real(-0.9, 0.9) })
  .map(({ m, s, r }) => ({ m, v: [s[0] ** 2, r * s[0] * s[1], r * s[0] * s[1], s[1] ** 2] }));
const moderate = distribution.map(({ m, v: [a, b, , c] }) => ({ m, v: [a / 4, b / 4, b / 4, c / 2] }));
const draw = { samples: 1, seed: 0 };
const partOf = (m: readonly number[], v: readonly number[]) => ({
  batch: 1,
  outputs: 2,
  mean: Float64Array.from(m),
  variance: Float64Array.of(v[0], v[3]),
  covariance: Float64Array.from(v),
});

describe("predictions are integrals over the row's Gaussian", () => {
  test("of a mean and the logarithm of its variance", () => {
    const likelihood = varying();
    fc.assert(
      fc.property(moderate, real(-3, 3), ({ m, v }, deviations) => {
        // Where the product of both has one peak: with two the density has fewer digits.
        const y = m[0] + deviations * Math.sqrt(v[0] + Math.exp(m[1]));
        const part = partOf(m, v);
        const close = { relative: 1e-8, absolute: 1e-10 };
        const noise = Math.exp(m[1] + v[3] / 2);
        const found = likelihood.target("exact", part, draw);
        expect([found.mean[0], found.variance[0]]).toBeAllClose([m[0], noise + v[0]], close);
        const parts = likelihood.uncertainty(part, draw);
        expect([parts.aleatoric[0], parts.epistemic?.[0] as number]).toBeAllClose([noise, v[0]], close);
        const density = overGaussian(
          (a, s) => Math.exp(-0.5 * (s + (y - a) ** 2 * Math.exp(-s))) / Math.sqrt(2 * Math.PI),
          m,
          v,
        );
        const [log] = rows(likelihood).logDensities(Float64Array.of(y), part);
        expect([log]).toBeAllClose([Math.log(density)], { absolute: 1e-5 });
      }),
      { numRuns: 15 },
    );
  });

  test("of pairs, whose density is a Gaussian of the covariance V + Σ", () => {
    fc.assert(
      fc.property(distribution, real(-0.9, 0.9), fc.tuple(real(-3, 3), real(-3, 3)), ({ m, v }, r, y) => {
        const likelihood = correlated({ correlation: r });
        const [a, b, c] = [v[0] + 1, v[1] + r, v[3] + 1];
        const [p, q] = [y[0] - m[0], y[1] - m[1]];
        const determinant = a * c - b * b;
        const square = (c * p * p - 2 * b * p * q + a * q * q) / determinant;
        const due = -0.5 * square - 0.5 * Math.log(determinant) - Math.log(2 * Math.PI);
        const found = rows(likelihood).logDensities(Float64Array.from(y), partOf(m, v));
        expect(found).toBeAllClose([due], { absolute: 1e-9 });
        const information = (v[0] - 2 * r * v[1] + v[3]) / (1 - r * r);
        expect(rows(likelihood).informations(partOf(m, v))).toBeAllClose([information], { relative: 1e-12 });
      }),
      { numRuns: 30 },
    );
  });

  test("where the function is known but for one direction, or altogether", () => {
    const likelihood = correlated({ correlation: 0.5 });
    const due = (v: number) => {
      const [a, b, c] = [1 + v, 0.5 + v, 1 + v];
      const determinant = a * c - b * b;
      return -0.5 * ((c - 2 * b * 2 + a * 4) / determinant) - 0.5 * Math.log(determinant) - Math.log(2 * Math.PI);
    };
    for (const v of [0, 1e-12, 0.3, 1e4]) {
      const found = rows(likelihood).logDensities(Float64Array.of(1, 2), partOf([0, 0], [v, v, v, v]));
      expect(found).toBeAllClose([due(v)], { absolute: 1e-8 });
    }
  });

  test("of rows of five numbers by draws", () => {
    const five = defineLikelihood(
      "five",
      (): RowLikelihood => ({
        outputs: 5,
        loss: (f, y) => f.reduce((sum, x, c) => sum + 0.5 * (x - y[c]) ** 2, 0),
        gradient: (f, y, to) => to.set(f.map((x, c) => x - y[c])),
        information(_, to) {
          for (let c = 0; c < 5; c++) to[6 * c] = 1;
        },
        draw: (f, random, to) => to.set(f.map((x) => x + random.normal())),
        mean: (f, to) => to.set(f),
        variance(_, to) {
          to.fill(1);
        },
        constant: () => 2.5 * Math.log(2 * Math.PI),
      }),
    )();
    const v = Float64Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 0.5 : 0.1));
    const part = { batch: 1, outputs: 5, mean: Float64Array.of(1, 2, 3, 4, 5), variance: v, covariance: v };
    const found = five.target("exact", part, draw);
    expect(found.mean).toBeAllClose([1, 2, 3, 4, 5], { absolute: 1e-12 });
    expect(found.variance).toBeAllClose([1.5, 1.5, 1.5, 1.5, 1.5], { absolute: 0.05 });
    // V + I has the eigenvalues 1.9 and, four times, 1.4; the target is 1 off along all.
    const due = -0.5 * (5 / 1.9 + Math.log(1.9) + 4 * Math.log(1.4) + 5 * Math.log(2 * Math.PI));
    const [log] = rows(five).logDensities(Float64Array.of(2, 3, 4, 5, 6), part);
    expect([log]).toBeAllClose([due], { absolute: 1e-9 });
  });
});

test("the baseline is the best constant row", () => {
  const random = new Random(3);
  const y = Float64Array.from({ length: 200 }, () => 2 + 3 * random.normal());
  const mean = y.reduce((a, b) => a + b, 0) / 200;
  const variance = y.reduce((a, b) => a + (b - mean) ** 2, 0) / 200;
  const due = y.map((t) => 0.5 * (Math.log(2 * Math.PI * variance) + (t - mean) ** 2 / variance));
  expect(rows(varying()).baseline(y)).toBeAllClose(due, { absolute: 1e-5 });
});

/** Noise that grows from left to right. */
function problem(n: number, seed: number) {
  const random = new Random(seed);
  const x = Array.from({ length: n }, () => [4 * random.uniform() - 2]);
  return { x, y: x.map(([t]) => Math.sin(t) + Math.exp(0.6 * t - 1) * random.normal()) };
}
const [data, held] = [problem(120, 1), problem(80, 2)];

async function fitted() {
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(8, tanh), dense(2));
  const likelihood = varying();
  const optimizer = adam({ learningRate: 0.02 });
  await train(net, data, { loss: likelihood, optimizer, epochs: 300, batchSize: 120 });
  return (await laplace(net, { likelihood, checks: false, structure: "full" }).fit(data)).optimizePrior();
}

describe("one network gives a mean and its variance", async () => {
  const posterior = await fitted();

  test("predictions have the targets' shape, and the noise grows where it does", () => {
    for (const approximation of ["exact", "plugin", "network"] as const) {
      const { mean, variance, functionMean, functionVariance } = posterior.predict([[-1.5], [0], [1.5]], {
        approximation,
      });
      expect([mean.shape, variance.shape]).toEqual([[3], [3]]);
      expect([functionMean.shape, functionVariance.shape]).toEqual([
        [3, 2],
        [3, 2],
      ]);
      expect(variance.data[2] / variance.data[0]).toBeGreaterThan(approximation === "plugin" ? 5 : 2);
      const found = evaluate(posterior, held, { approximation });
      expect(Object.keys(found)).toEqual([
        "samples",
        "negativeLogLikelihood",
        "rootMeanSquaredError",
        "meanAbsoluteError",
      ]);
      // Networks that are drawn are no longer trained.
      expect(found.negativeLogLikelihood).toBeLessThan(approximation === "network" ? 3 : 1);
    }
    const column = { x: held.x, y: held.y.map((t) => [t]) };
    expect(evaluate(posterior, column)).toEqual(evaluate(posterior, held));
  });

  test("is better than one noise for all", async () => {
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(8, tanh), dense(1));
    await train(net, data, { loss: gaussian(), optimizer: adam({ learningRate: 0.02 }), epochs: 300, batchSize: 120 });
    const plain = (await laplace(net, { likelihood: gaussian(), checks: false }).fit(data)).optimizePrior();
    const [ours, theirs] = [posterior, plain].map((one) => evaluate(one, held).negativeLogLikelihood as number);
    expect(ours).toBeLessThan(theirs - 0.1);
  });

  test("uncertainty has parts, and inputs far away have more", () => {
    const parts = uncertainty(posterior, held.x);
    expect(parts.total.shape).toEqual([80]);
    const { variance } = posterior.predict(held.x);
    expect(parts.total.data).toBeAllClose(variance.data, { relative: 1e-12 });
    expect(parts.total.data).toBeAllClose(
      parts.aleatoric.data.map((x: number, i: number) => x + parts.epistemic.data[i]),
      { relative: 1e-12 },
    );
    const score = epistemicScore(posterior, held.x);
    const { functionMean } = posterior.predict(held.x);
    const covariance = posterior.functionCovariance(held.x);
    const due = Array.from({ length: 80 }, (_, i) => {
      return covariance.at(i, 0, 0) * Math.exp(-functionMean.at(i, 1)) + covariance.at(i, 1, 1) / 2;
    });
    expect(score.data).toBeAllClose(due, { relative: 1e-9 });
    expect(outOfDistributionAuroc(posterior, held.x, [[8], [-9]])).toBeGreaterThan(0.9);
  });

  test("a diagnosis looks at it, and finds what is wrong", () => {
    const { findings, data: which } = posterior.diagnose(held);
    expect(which).toBe("held-out");
    expect(posterior.diagnose(data).data).toBe("training");
    expect(findings.map(({ code }) => code)).not.toContain("worse-than-baseline");
    const codesOf = (y: number[]) => posterior.diagnose({ x: held.x, y }).findings.map(({ code }) => code);
    const { mean } = posterior.predict(held.x);
    expect(codesOf(held.y.map((t, i) => mean.data[i] + 4 * (t - mean.data[i])))).toContain("over-confident");
    expect(codesOf(held.y.map((t) => t + 5))).toContain("worse-than-baseline");
    const far = { x: held.x.map(([t]) => [t + 30]), y: held.y };
    expect(posterior.diagnose(far).findings.map(({ code }) => code)).toContain("far-from-training-data");
  });

  test("files keep it by its name, and fits of shards add", async () => {
    const loaded = loadPosterior(savePosterior(posterior));
    expect(loaded.predict(held.x).variance.data).toEqual(posterior.predict(held.x).variance.data);
    const { net } = posterior;
    const one = laplace(net, { likelihood: varying(), checks: false, curvature: "monteCarlo" });
    const shard = (from: number, to: number) =>
      one.sum({ x: data.x.slice(from, to), y: data.y.slice(from, to) }, { first: from });
    const [whole, a, b] = await Promise.all([one.sum(data), shard(0, 50), shard(50, 120)]);
    const merged = a.merge(b);
    expect([merged.loss, merged.constant]).toBeAllClose([whole.loss, whole.constant], { relative: 1e-12 });
    expect(merged.curvature.dense().data).toBeAllClose(whole.curvature.dense().data, {
      relative: 1e-9,
      absolute: 1e-9,
    });
    expect(estimateMemory(net, { likelihood: varying(), inputs: 10 }).phases).toBeDefined();
  });
});

test("rows at every position: targets have no axis of their own where they are single numbers", async () => {
  const net = chain({ inputs: [3, 2], seed: 1, dtype: "float64" }, dense(4, tanh), dense(2));
  const random = new Random(1);
  const x = array(
    Array.from({ length: 60 }, () => random.normal()),
    { shape: [10, 3, 2] },
  );
  const y = array(
    Array.from({ length: 30 }, () => random.normal()),
    { shape: [10, 3] },
  );
  const likelihood = varying();
  const posterior = await laplace(net, { likelihood, checks: false }).fit({ x, y });
  expect(posterior.predict(x).mean.shape).toEqual([10, 3]);
  expect(posterior.predict(x).functionMean.shape).toEqual([10, 3, 2]);
  expect(uncertainty(posterior, x).total.shape).toEqual([10, 3]);
  expect(epistemicScore(posterior, x).shape).toEqual([10]);
  expect(evaluate(posterior, { x, y }).negativeLogLikelihood).toBeGreaterThan(0);
  expect(posterior.diagnose({ x, y }).data).toBe("training");
  // What positions say apart is what rows of one long output say.
  const mixed = chain({ inputs: [3, 2], seed: 1, dtype: "float64" }, dense(4, tanh), dense(2), (f) =>
    reshape(reshape(f, [6]), [3, 2]),
  );
  const other = await laplace(mixed, { likelihood, checks: false }).fit({ x, y: y.reshape(10, 3, 1) });
  const close = { relative: 1e-9, absolute: 1e-12 };
  expect(other.curvature.dense().data).toBeAllClose(posterior.curvature.dense().data, close);
  for (const one of ["mean", "variance"] as const) {
    expect(other.predict(x)[one].data).toBeAllClose(posterior.predict(x)[one].data, close);
  }
  expect(evaluate(other, { x, y })).toEqual(evaluate(posterior, { x, y }));
  expect(uncertainty(other, x).total.data).toBeAllClose(uncertainty(posterior, x).total.data, close);
});

test("pairs without correlation are a Gaussian of unit noise", async () => {
  const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(4, tanh), dense(2));
  const random = new Random(1);
  const x = Array.from({ length: 20 }, () => [random.normal(), random.normal()]);
  const y = x.map(([a, b]) => [a + random.normal(), b + random.normal()]);
  const [ours, theirs] = await Promise.all(
    [correlated({ correlation: 0 }), gaussian({ noise: 1 })].map((likelihood) =>
      laplace(net, { likelihood, checks: false }).fit({ x, y }),
    ),
  );
  const close = { relative: 1e-9, absolute: 1e-12 };
  expect([ours.logMarginalLikelihood()]).toBeAllClose([theirs.logMarginalLikelihood()], close);
  expect(ours.predict(x).variance.data).toBeAllClose(theirs.predict(x).variance.data, close);
  expect(epistemicScore(ours, x).data).toBeAllClose(epistemicScore(theirs, x).data, close);
  // A pair's density is that of both.
  const joint = evaluate(ours, { x, y }).negativeLogLikelihood as number;
  expect([joint]).toBeAllClose([2 * (evaluate(theirs, { x, y }).negativeLogLikelihood as number)], { relative: 0.05 });
  // As a loss, the mean is over pairs.
  const [a, b] = [ours, theirs].map(({ likelihood }) => perSampleGradients(net, likelihood, { x, y }).data);
  expect(a).toBeAllClose(
    b.map((g) => 2 * g),
    close,
  );
});

describe("what does not agree is named", () => {
  const good = noisy();
  const made = (changes: Partial<RowLikelihood> | object) => () =>
    defineLikelihood("changed", () => ({ ...good, ...changes }) as RowLikelihood)();

  test.each<[string, object, typeof OptionError, RegExp]>([
    [
      "gradient",
      {
        gradient(f: Float64Array, y: Float64Array, to: Float64Array) {
          good.gradient(f, y, to);
          to[1] *= 1.001;
        },
      },
      ValueError,
      /the gradient is not the loss's derivative.* in output 1/,
    ],
    [
      "information",
      {
        information(f: Float64Array, to: Float64Array) {
          good.information(f, to);
          to[3] = 1;
        },
      },
      ValueError,
      /outputs 1 and 1, the information/,
    ],
    [
      "symmetry",
      { information: (_: Float64Array, to: Float64Array) => to.set([1, 0.5, 0, 1]) },
      ValueError,
      /symmetric/,
    ],
    [
      "a sign",
      { information: (_: Float64Array, to: Float64Array) => to.set([1, 2, 2, 1]) },
      ValueError,
      /negative eigen/,
    ],
    ["below 0", { information: (_: Float64Array, to: Float64Array) => to.set([-1, 0, 0, 1]) }, ValueError, /symmetric/],
    ["constant", { constant: undefined }, ValueError, /belongs in constant/],
    ["mean", { mean: ([m]: number[], to: Float64Array) => to.set([m + 0.5]) }, ValueError, /the mean of number 0/],
    ["variance", { variance: (_: unknown, to: Float64Array) => to.set([7]) }, ValueError, /the variance of number 0/],
    ["kind of draws", { targets: "positives" }, ValueError, /draw at f = .* expected positive targets/],
    ["a function too many", { moments: () => 1 }, OptionError, /unknown function "moments"/],
    ["a function too few", { draw: undefined }, OptionError, /expected a function draw/],
    ["numbers", { numbers: 3 }, OptionError, /numbers at most outputs, got 2 and 3/],
    ["outputs", { outputs: 1.5 }, OptionError, /to be whole/],
  ])("%s", (_, changes, error, message) => {
    expect(made(changes)).toThrow(error);
    expect(made(changes)).toThrow(message);
    expect(made(changes)).toThrow(/^changed: /);
  });

  test("networks and targets of other shapes", async () => {
    const net = chain({ inputs: 1, seed: 1 }, dense(3));
    expect(() => laplace(net, { likelihood: varying() })).toThrow(ShapeError);
    expect(() => laplace(net, { likelihood: varying() })).toThrow(/rows of 2 outputs, .* has shape \[3\]/);
    const two = laplace(chain({ inputs: 1, seed: 1 }, dense(2)), { likelihood: varying(), checks: false });
    await expect(
      two.fit({
        x: [[1], [2]],
        y: [
          [1, 2],
          [3, 4],
        ],
      }),
    ).rejects.toThrow(/expected \[2\] for outputs \[2, 2\], 1 number/);
  });
});
