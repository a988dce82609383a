// Likelihoods that users define: they answer as the library's own, by integrals and by the law of total variance, and what
// does not agree is named when it is made.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { negativeBinomial, studentT } from "../../examples/likelihoods.ts";
import {
  adam,
  bernoulli,
  binaryCrossEntropy,
  chain,
  type Dataset,
  defineLikelihood,
  dense,
  epistemicScore,
  evaluate,
  gaussian,
  gradient,
  LaplaceError,
  type Likelihood,
  type LikelihoodOptions,
  laplace,
  loadPosterior,
  logGamma,
  mse,
  type NumberLikelihood,
  OptionError,
  perSampleGradients,
  poisson,
  Random,
  savePosterior,
  tanh,
  train,
  uncertainty,
  ValueError,
} from "../../src/index.ts";
import { fromDefinition } from "../../src/likelihood/define-likelihood.ts";

const heavyTails = defineLikelihood("studentT", studentT);
const counts = defineLikelihood("negativeBinomial", negativeBinomial);
const rate: NumberLikelihood = {
  targets: "counts",
  loss: (f, y) => Math.exp(f) - y * f,
  gradient: (f, y) => Math.exp(f) - y,
  information: Math.exp,
  draw(f, random) {
    let [y, p] = [0, random.uniform()];
    for (; p > Math.exp(-Math.exp(f)); y++) p *= random.uniform();
    return y;
  },
  mean: Math.exp,
  variance: Math.exp,
  constant: (y) => logGamma(y + 1),
};
const ownPoisson = defineLikelihood("ownPoisson", () => rate);

/** ∫ g(f) N(f; m, v) df, by Simpson's rule. */
function overGaussian(g: (f: number) => number, m: number, v: number): number {
  const n = 40_000;
  const [s, h] = [Math.sqrt(v), 36 / n];
  let sum = 0;
  for (let j = 0; j <= n; j++) {
    const z = -18 + j * h;
    sum += (j === 0 || j === n ? 1 : j % 2 === 1 ? 4 : 2) * g(m + s * z) * Math.exp(-0.5 * z * z);
  }
  return (sum * h) / 3 / Math.sqrt(2 * Math.PI);
}

const cases: [string, NumberLikelihood, Likelihood, fc.Arbitrary<number>][] = [
  [
    "Student-t",
    studentT({ df: 4, scale: 0.5 }),
    heavyTails({ df: 4, scale: 0.5 }),
    fc.double({ min: -5, max: 5, noNaN: true }),
  ],
  ["negative binomial", negativeBinomial({ size: 2 }), counts({ size: 2 }), fc.nat(30)],
  ["Poisson", rate, ownPoisson(), fc.nat(30)],
];

describe.each(cases)("%s", (_, rule, likelihood, targets) => {
  const moments = fc.record({
    m: fc.double({ min: -2, max: 2, noNaN: true }),
    v: fc.double({ min: 1e-4, max: 2, noNaN: true }),
  });

  test("mean, variance and density of targets are integrals over the function's Gaussian", () => {
    fc.assert(
      fc.property(moments, targets, ({ m, v }, y) => {
        const f = { batch: 1, outputs: 1, mean: Float64Array.of(m), variance: Float64Array.of(v) };
        const draw = { samples: 1, seed: 0 };
        const found = likelihood.target("exact", f, draw);
        const mean = overGaussian((x) => rule.mean(x), m, v);
        const noise = overGaussian((x) => rule.variance(x), m, v);
        const open = overGaussian((x) => (rule.mean(x) - mean) ** 2, m, v);
        const close = { relative: 1e-9, absolute: 1e-12 };
        expect([found.mean[0], found.variance[0]]).toBeAllClose([mean, noise + open], close);
        const parts = likelihood.uncertainty(f, draw);
        expect([parts.total[0], parts.aleatoric[0], parts.epistemic?.[0] as number]).toBeAllClose(
          [noise + open, noise, open],
          close,
        );
        const density = overGaussian((x) => Math.exp(-rule.loss(x, y) - (rule.constant?.(y) ?? 0)), m, v);
        const predicted = { mean: mean, variance: noise + open, functionMean: m, functionVariance: v };
        expect([likelihood.logDensity?.(y, predicted) as number]).toBeAllClose([Math.log(density)], {
          relative: 1e-8,
          absolute: 1e-8,
        });
      }),
      { numRuns: 30 },
    );
  });

  test("the baseline is the best constant", () => {
    const random = new Random(3);
    const y = Float64Array.from({ length: 50 }, () => rule.draw(0.7, random));
    const nats = (f: number) => y.reduce((sum, t) => sum + rule.loss(f, t) + (rule.constant?.(t) ?? 0), 0);
    const best = y.reduce((sum, t) => sum + likelihood.baseline.fit(y)(t), 0);
    const scan = Array.from({ length: 2001 }, (_, i) => nats(-3 + i * 0.003));
    expect(best).toBeLessThanOrEqual(Math.min(...scan) + 1e-9);
    expect(best).toBeGreaterThan(Math.min(...scan) - 0.01);
  });
});

test("a Poisson of one's own predicts, scores and tunes as the library's", async () => {
  const { net, data, held } = await problem(poisson());
  const [own, built] = await Promise.all(
    [ownPoisson(), poisson()].map(async (likelihood) =>
      (await laplace(net, { likelihood, checks: false }).fit(data)).optimizePrior(),
    ),
  );
  const close = { relative: 1e-8, absolute: 1e-10 };
  expect([own.logMarginalLikelihood()]).toBeAllClose([built.logMarginalLikelihood()], close);
  for (const name of ["mean", "variance", "functionVariance"] as const) {
    expect(own.predict(held.x)[name].data).toBeAllClose(built.predict(held.x)[name].data, close);
  }
  expect(Object.values(evaluate(own, held))).toBeAllClose(Object.values(evaluate(built, held)) as number[], close);
  expect(Object.keys(evaluate(own, held))).toEqual(Object.keys(evaluate(built, held)));
  expect(uncertainty(own, held.x).share.data).toBeAllClose(uncertainty(built, held.x).share.data, close);
  expect(epistemicScore(own, held.x).data).toBeAllClose(epistemicScore(built, held.x).data, close);
  const codes = [own, built].map((posterior) => posterior.diagnose(held).findings.map(({ code }) => code));
  expect(codes[0]).toEqual(codes[1]);
});

/** A small network that was trained by a likelihood on counts. */
async function problem(likelihood: Likelihood) {
  const random = new Random(5);
  const make = (n: number): Dataset => {
    const x = Array.from({ length: n }, () => [2 * random.uniform() - 1]);
    return { x, y: x.map(([t]) => [rate.draw(1 + t, random)]) } as never;
  };
  const [data, held] = [make(40), make(60)];
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(3, tanh), dense(1));
  await train(net, data, { loss: likelihood, epochs: 100, optimizer: adam({ learningRate: 0.02 }) });
  return { net, data, held };
}

describe("in the library", () => {
  test("a likelihood is a loss: labels as binaryCrossEntropy to the bit, a Gaussian as half the squared error", async () => {
    const x = [[0.1], [0.7], [-0.3], [0.9]];
    const y = [[0], [1], [0], [1]];
    const trained = await Promise.all(
      [bernoulli(), binaryCrossEntropy].map(async (loss) => {
        const net = chain({ inputs: 1, seed: 2 }, dense(3, tanh), dense(1));
        await train(net, { x, y }, { loss, epochs: 20 });
        return net.parameters.toArray();
      }),
    );
    expect(trained[0]).toEqual(trained[1]);
    const net = chain({ inputs: 1, seed: 2, dtype: "float64" }, dense(3, tanh), dense(1));
    const half = gradient(net, mse, { x, y }).data.map((g) => g / 2);
    expect(gradient(net, gaussian(), { x, y }).data).toBeAllClose(half, { relative: 1e-13 });
    const [rows, due] = [heavyTails({ df: 3, scale: 1 }), gaussian()].map(
      (loss) => perSampleGradients(net, loss, { x, y }).shape,
    );
    expect(rows).toEqual(due);
  });

  test("a loss that the network's ending contradicts is refused by train too", async () => {
    const { sigmoid } = await import("../../src/index.ts");
    const net = chain({ inputs: 1 }, dense(1, sigmoid));
    await expect(train(net, { x: [[1]], y: [[1]] }, { loss: bernoulli() })).rejects.toThrow(
      /train: .* ends in sigmoid/,
    );
  });

  test("evaluate gives the mean of −log density, diagnose judges by it", async () => {
    const likelihood = counts({ size: 3 });
    const { net, data, held } = await problem(likelihood);
    const posterior = (await laplace(net, { likelihood, checks: false }).fit(data)).optimizePrior();
    const { functionMean, functionVariance } = posterior.predict(held.x);
    const rule = negativeBinomial({ size: 3 });
    const y = (held.y as unknown as number[][]).flat();
    const nats = y.map((t, i) => {
      const density = (f: number) => Math.exp(-rule.loss(f, t) - (rule.constant?.(t) ?? 0));
      return -Math.log(overGaussian(density, functionMean.data[i], functionVariance.data[i]));
    });
    const found = evaluate(posterior, held);
    expect(Object.keys(found)).toEqual([
      "samples",
      "negativeLogLikelihood",
      "rootMeanSquaredError",
      "meanAbsoluteError",
    ]);
    expect([found.negativeLogLikelihood as number]).toBeAllClose([nats.reduce((a, b) => a + b) / y.length], {
      relative: 1e-8,
    });
    expect(() => evaluate(posterior, { x: held.x, y: y.map((t) => t + 0.5) })).toThrow(/is not a count/);
    // Counts as scattered as Poisson's leave a posterior that takes them for wilder under-confident, if anything.
    for (const { code } of posterior.diagnose(held).findings) expect(code).not.toBe("over-confident");
    const shifted = { x: held.x, y: y.map((t) => [t + 200]) };
    const codes = posterior.diagnose(shifted).findings.map(({ code }) => code);
    expect(codes).toContain("over-confident");
    expect(codes).toContain("worse-than-baseline");
  });

  test("a file has its name and options; it is read where the name is defined", async () => {
    const likelihood = heavyTails({ df: 5, scale: 0.4 });
    const { net, data, held } = await problem(likelihood);
    const posterior = (await laplace(net, { likelihood, checks: false }).fit(data)).optimizePrior();
    const loaded = loadPosterior(savePosterior(posterior));
    expect(loaded.predict(held.x).variance.toArray()).toEqual(posterior.predict(held.x).variance.toArray());
    expect(loaded.logMarginalLikelihood()).toBe(posterior.logMarginalLikelihood());
    expect(loaded.merge(posterior).examples).toBe(80);
    const other = await laplace(net, { likelihood: heavyTails({ df: 6, scale: 0.4 }), checks: false }).fit(data);
    expect(() => posterior.merge(other)).toThrow(/the likelihoods differ/);
    expect(() => fromDefinition("somebodyElses", {})).toThrow(LaplaceError);
    expect(() => fromDefinition("somebodyElses", {})).toThrow(
      /one of gaussian, .*, got "somebodyElses". .* after defineLikelihood/,
    );
    const byHand = { ...likelihood, name: "byHand" };
    const unnamed = await laplace(net, { likelihood: byHand, checks: false }).fit(data);
    expect(() => savePosterior(unnamed)).toThrow(/those of defineLikelihood .*, not "byHand"/);
  });
});

describe("what does not agree is named", () => {
  const good = studentT({ df: 5, scale: 0.3 });
  const made = (changes: object) => () => defineLikelihood("changed", () => ({ ...good, ...changes }))();
  test.each<[string, object, typeof OptionError, RegExp]>([
    [
      "gradient",
      { gradient: (f: number, y: number) => good.gradient(f, y) * 1.001 },
      ValueError,
      /the gradient is not/,
    ],
    ["sign", { gradient: (f: number, y: number) => -good.gradient(f, y) }, ValueError, /the gradient is not/],
    ["information", { information: () => 1.01 * good.information(0) }, ValueError, /the mean of gradient² over all/],
    ["information below 0", { information: () => -1 }, ValueError, /at least 0 and finite, got -1/],
    ["constant", { constant: undefined }, ValueError, /the integral over all targets.* belongs in constant/],
    ["mean", { mean: (f: number) => f + 0.01 }, ValueError, /the mean over all targets/],
    ["variance", { variance: () => 0.09 }, ValueError, /the variance over all targets/],
    [
      "draws",
      { draw: (f: number, random: Random) => f + 0.3 * random.normal() },
      ValueError,
      /draw and density do not/,
    ],
    ["kind of draws", { targets: "positives" }, ValueError, /draw at f = .* expected positive targets/],
    ["a function too many", { noise: () => 1 }, OptionError, /unknown function "noise"/],
    ["a function too few", { draw: undefined }, OptionError, /expected a function draw, got undefined/],
    ["kind", { targets: "integers" }, OptionError, /"reals", "positives" or "counts", got "integers"/],
  ])("%s", (_, changes, error, message) => {
    expect(made(changes)).toThrow(error);
    expect(made(changes)).toThrow(message);
    expect(made(changes)).toThrow(/^changed: /);
  });

  test.each<[unknown, unknown, RegExp]>([
    ["poisson", () => good, /"poisson" is a likelihood of the library/],
    ["a name", () => good, /expected a name of letters/],
    ["t", good, /expected a function that gives .*, got object/],
  ])("defineLikelihood(%j)", (name, make, message) => {
    expect(() => defineLikelihood(name as string, make as never)).toThrow(OptionError);
    expect(() => defineLikelihood(name as string, make as never)).toThrow(message);
  });

  test("options are what files can keep", () => {
    const likelihood = defineLikelihood("withOptions", (_: LikelihoodOptions) => good);
    expect(() => likelihood({ a: 1, b: "text", c: true, d: [1, 2] })).not.toThrow();
    for (const value of [Number.NaN, Infinity, undefined, {}, [[1]], () => 1]) {
      expect(() => likelihood({ value } as never)).toThrow(/^withOptions: expected the option value to be/);
    }
    expect(() => defineLikelihood("none", () => 3 as never)()).toThrow(/expected an object of functions, got number/);
  });

  test("units do not matter, nor heavy tails or positive targets", () => {
    for (const scale of [1e-9, 1, 1e9]) for (const df of [1.5, 3, 100]) heavyTails({ df, scale });
    for (const size of [0.3, 1, 1000]) counts({ size });
    // Gamma-distributed targets of the mean e^f.
    const gamma = (shape: number): NumberLikelihood => ({
      targets: "positives",
      loss: (f, y) => shape * (f + y * Math.exp(-f)),
      gradient: (f, y) => shape * (1 - y * Math.exp(-f)),
      information: () => shape,
      draw(f, random) {
        let sum = 0;
        for (let i = 0; i < shape; i++) sum -= Math.log(1 - random.uniform());
        return (Math.exp(f) * sum) / shape;
      },
      mean: Math.exp,
      variance: (f) => Math.exp(2 * f) / shape,
      constant: (y) => logGamma(shape) - shape * Math.log(shape) - (shape - 1) * Math.log(y),
    });
    for (const shape of [1, 2, 9]) defineLikelihood("gamma", () => gamma(shape))();
  });
});

test("logGamma is the logarithm of the factorial, of √π, and of its own recurrence", () => {
  let sum = 0;
  for (let n = 1; n < 300; n++) {
    sum += Math.log(n);
    expect([logGamma(n + 1)]).toBeAllClose([sum], { relative: 1e-13, absolute: 1e-14 });
  }
  expect([logGamma(0.5)]).toBeAllClose([0.5 * Math.log(Math.PI)], { relative: 1e-14 });
  fc.assert(
    fc.property(fc.double({ min: 1e-3, max: 1e3, noNaN: true }), (x) => {
      expect([logGamma(x + 1)]).toBeAllClose([logGamma(x) + Math.log(x)], { relative: 1e-13, absolute: 1e-13 });
    }),
  );
  expect(logGamma(0)).toBeNaN();
});
