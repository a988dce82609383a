// Noise that depends on the inputs: the closed form is that of the plain functions, and intervals widen where the noise does.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { noisy } from "../../examples/likelihoods.ts";
import {
  adam,
  chain,
  cosineDecay,
  crps,
  defineLikelihood,
  dense,
  evaluate,
  gaussian,
  gaussianNegativeLogLikelihood,
  heteroscedastic,
  intervalCoverage,
  type Likelihood,
  laplace,
  loadPosterior,
  NDArray,
  type Network,
  OptionError,
  Random,
  reshape,
  ShapeError,
  savePosterior,
  tanh,
  train,
  uncertainty,
} from "../../src/index.ts";
import { At } from "./kernels.ts";

const plain = defineLikelihood("plainNoise", noisy);
const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });

describe("it answers as the plain functions of its rows, whose moments are integrals", () => {
  test("loss, gradient, Λ, and distributions of targets", () => {
    const [ours, theirs] = [heteroscedastic(), plain()];
    fc.assert(
      fc.property(
        fc.tuple(real(-3, 3), real(-3, 3)),
        fc.tuple(real(0.05, 1.5), real(0.05, 1.2), real(-0.95, 0.95)),
        real(-4, 4),
        (f, [a, b, r], y) => {
          const at = [ours, theirs].map((likelihood) => new At(likelihood, f, 2));
          expect(at[0].loss([y, 0])).toBe(at[1].loss([y, 0]));
          expect(at[0].gradient([y, 0])).toEqual(at[1].gradient([y, 0]));
          expect(at[0].curvature()).toBeAllClose([Math.exp(-f[1]), 0, 0, 0.5], { relative: 1e-14 });
          const part = {
            batch: 1,
            outputs: 2,
            mean: Float64Array.from(f),
            variance: Float64Array.of(a * a, b * b),
            covariance: Float64Array.of(a * a, r * a * b, r * a * b, b * b),
          };
          const draw = { samples: 1, seed: 0 };
          const close = { relative: 1e-9, absolute: 1e-12 };
          const [own, due] = [ours, theirs].map((likelihood) => likelihood.target("exact", part, draw));
          expect(own.mean).toBeAllClose(due.mean, close);
          expect(own.variance).toBeAllClose(due.variance, close);
          const [parts, dueParts] = [ours, theirs].map((likelihood) => likelihood.uncertainty(part, draw));
          expect(parts.aleatoric).toBeAllClose(dueParts.aleatoric, close);
          expect(parts.epistemic as Float64Array).toBeAllClose([a * a], close);
          const plugin = ours.target("plugin", { ...part, covariance: undefined }, draw);
          expect([plugin.mean[0], plugin.variance[0]]).toBeAllClose([f[0], Math.exp(f[1])], close);
        },
      ),
      { numRuns: 40 },
    );
  });

  const data = {
    x: Array.from({ length: 30 }, (_, i) => [i / 10 - 1.5]),
    y: Array.from({ length: 30 }, (_, i) => Math.sin(i) * Math.exp(i / 20)),
  };
  const netOf = () => chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(6, tanh), dense(2));
  const fitted = async <Given extends Likelihood>(likelihood: Given) =>
    laplace(netOf(), { likelihood, checks: false }).fit(data);

  test("evaluate takes predictions for Gaussian, or for mixtures as of one's own likelihood", async () => {
    const posterior = await fitted(heteroscedastic());
    const { mean, variance, functionVariance } = posterior.predict(data.x);
    const found = evaluate(posterior, data);
    expect(found.negativeLogLikelihood).toBe(gaussianNegativeLogLikelihood(mean, variance, data.y));
    expect(found.crps).toBe(crps(mean, variance, data.y));
    expect(found.intervalCoverage).toBe(intervalCoverage(mean, variance, data.y, { level: 0.9 }));
    expect(functionVariance.shape).toEqual([30, 2]);
    const [mixed, own] = [await fitted(heteroscedastic({ density: "mixture" })), await fitted(plain())].map((one) =>
      evaluate(one, data),
    );
    expect(mixed.negativeLogLikelihood).toBeCloseTo(own.negativeLogLikelihood, 12);
    expect(mixed.negativeLogLikelihood).not.toBeCloseTo(found.negativeLogLikelihood, 3);
    expect(mixed.rootMeanSquaredError).toBe(found.rootMeanSquaredError);
    expect(mixed.crps).toBe(undefined);
    expect(() => posterior.diagnose(data)).not.toThrow();
    expect(posterior.noise).toBe(undefined);
  });

  test.each(["gaussian", "mixture"] as const)("files keep it, %s", async (density) => {
    const posterior = await fitted(heteroscedastic({ density }));
    const loaded = loadPosterior(savePosterior(posterior));
    expect(loaded.likelihood.normal).toBe(density === "gaussian");
    expect(evaluate(loaded, data)).toEqual(evaluate(posterior, data));
  });

  test("several targets are rows of two outputs", async () => {
    const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(4, tanh), dense(6), (x) => reshape(x, [3, 2]));
    const y = data.y.map((t) => [t, 2 * t, 3 * t]);
    const posterior = await laplace(net, { likelihood: heteroscedastic(), checks: false }).fit({ x: data.x, y });
    expect(posterior.predict(data.x).variance.shape).toEqual([30, 3]);
    expect(uncertainty(posterior, data.x).total.shape).toEqual([30, 3]);
    expect(evaluate(posterior, { x: data.x, y }).samples).toBe(30);
  });

  test("what it does not take is refused", () => {
    const one = chain({ inputs: 1, seed: 1 }, dense(1));
    expect(() => laplace(one, { likelihood: heteroscedastic() })).toThrow(ShapeError);
    expect(() => heteroscedastic({ density: "student" as never })).toThrow(OptionError);
    expect(() => heteroscedastic({ noise: 1 } as never)).toThrow(OptionError);
    expect(() => defineLikelihood("heteroscedastic", noisy)).toThrow(/likelihood of the library/);
  });
});

test("it finds a noise that depends on the input, where one noise for all is too wide and too narrow", async () => {
  const sigma = (t: number) => 0.1 + 0.1 * (t + 2);
  const random = new Random(3);
  const make = (n: number) => {
    const x = Array.from({ length: n }, () => [4 * random.uniform() - 2]);
    return { x, y: x.map(([t]) => Math.sin(2 * t) + sigma(t) * random.normal()) };
  };
  const [data, held] = [make(3000), make(8000)];
  const fitted = async <Given extends Likelihood>(likelihood: Given, net: Network, y: number[] | number[][]) => {
    const [optimizer, schedule] = [adam({ learningRate: 0.03 }), cosineDecay({ end: 0 })];
    const epochs = y === data.y ? 300 : 60;
    await train(net, { x: data.x, y }, { loss: likelihood, optimizer, schedule, epochs, batchSize: 500 });
    return (await laplace(net, { likelihood, structure: "full", checks: false }).fit({ x: data.x, y })).optimizePrior();
  };
  const netOf = (outputs: number) => chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(12, tanh), dense(outputs));
  const ours = await fitted(heteroscedastic(), netOf(2), data.y);
  const same = await fitted(
    gaussian(),
    netOf(1),
    data.y.map((y) => [y]),
  );
  /** Shares of targets in their 90 % intervals, of each quarter of the inputs. */
  const coverage = (posterior: typeof ours | typeof same) => {
    const { mean, variance } = posterior.predict(held.x);
    return [0, 1, 2, 3].map((quarter) => {
      const rows = held.x.flatMap(([t], i) => (Math.floor(t + 2) === quarter ? [i] : []));
      const some = (values: ArrayLike<number>) =>
        new NDArray(
          Float64Array.from(rows, (i) => values[i]),
          [rows.length],
        );
      return intervalCoverage(some(mean.data), some(variance.data), some(held.y), { level: 0.9 });
    });
  };
  for (const share of coverage(ours)) {
    expect(share).toBeGreaterThan(0.88);
    expect(share).toBeLessThan(0.92);
  }
  expect(Math.max(...coverage(same))).toBeGreaterThan(0.97);
  expect(Math.min(...coverage(same))).toBeLessThan(0.82);
  const grid = Array.from({ length: 15 }, (_, i) => [i / 4 - 1.75]);
  const { data: aleatoric } = uncertainty(ours, grid).aleatoric;
  for (const [i, [t]] of grid.entries()) expect(Math.abs(Math.sqrt(aleatoric[i]) / sigma(t) - 1)).toBeLessThan(0.1);
  expect(evaluate(ours, held).negativeLogLikelihood).toBeLessThan(
    evaluate(same, { x: held.x, y: held.y.map((y) => [y]) }).negativeLogLikelihood - 0.05,
  );
});
