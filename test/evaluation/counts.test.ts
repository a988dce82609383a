import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  evaluate,
  laplace,
  poissonNegativeLogLikelihood,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import { logCountDensity } from "../../src/likelihood/poisson.ts";
import { logPoisson, overGaussian } from "../reference/evaluation.ts";

describe("the density of a count whose log rate is Gaussian", () => {
  test("is the integral", () => {
    const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
    fc.assert(
      fc.property(fc.nat(60), real(-4, 4), real(0.01, 3), (count, mean, variance) => {
        const due = Math.log(overGaussian((f) => Math.exp(logPoisson(count, f)), mean, variance, count));
        expect(logCountDensity(count, mean, variance)).toBeCloseTo(due, 8);
      }),
      { numRuns: 40 },
    );
  });

  test.each([
    [0, 0.1],
    [1.5, 1e-9],
    [-3, 4],
    [2, 0.3],
    [3, 1e-3],
  ])("sums to 1 and has the moments of the mixture, mean %d, variance %d", (mean, variance) => {
    let [total, first] = [0, 0];
    for (let count = 0; count < 5000; count++) {
      const p = Math.exp(logCountDensity(count, mean, variance));
      total += p;
      first += count * p;
    }
    expect(total).toBeCloseTo(1, variance > 1 ? 7 : 9);
    expect(first / Math.exp(mean + variance / 2)).toBeCloseTo(1, variance > 1 ? 3 : 9);
  });

  test("without variance it is Poisson's, and near it nearly so", () => {
    for (const [count, mean] of [
      [0, 0],
      [3, 1.2],
      [25, 3],
      [400, 6],
    ]) {
      expect(logCountDensity(count, mean, 0)).toBeCloseTo(logPoisson(count, mean), 9);
      expect(logCountDensity(count, mean, 1e-12)).toBeCloseTo(logPoisson(count, mean), 6);
    }
  });

  test("is finite at the edges: large rates, large variances, counts far away", () => {
    for (const [count, mean, variance] of [
      [0, 700, 1],
      [0, 800, 2],
      [0, -700, 5],
      [1e6, -5, 0.5],
      [1e6, 13.8, 1e-4],
      [2, 0, 1e4],
      [0, 30, 1e-3],
    ]) {
      const value = logCountDensity(count, mean, variance);
      expect(Number.isFinite(value) && value <= 0, `${count}, ${mean}, ${variance}: ${value}`).toBe(true);
    }
  });
});

test("the negative log likelihood averages over samples and outputs", () => {
  const [m, v, y] = [
    [0, 1, 2, 0.5],
    [0.1, 0.2, 0, 2],
    [1, 0, 9, 3],
  ];
  const due = -y.reduce((sum, count, i) => sum + logCountDensity(count, m[i], v[i]), 0) / 4;
  expect(poissonNegativeLogLikelihood(m, v, y)).toBeCloseTo(due, 14);
  const shaped = [m, v, y].map((list) => array(list, { shape: [2, 2] }));
  expect(poissonNegativeLogLikelihood(shaped[0], shaped[1], shaped[2])).toBeCloseTo(due, 14);
});

test("refusals", () => {
  expect(() => poissonNegativeLogLikelihood([1], [1], [1, 2])).toThrow(ShapeError);
  expect(() => poissonNegativeLogLikelihood([1], [-1], [1])).toThrow(ValueError);
  expect(() => poissonNegativeLogLikelihood([1], [1], [0.5])).toThrow("0.5 (element 0) is not a count");
  expect(() => poissonNegativeLogLikelihood([1], [1], [-1])).toThrow(ValueError);
});

test("evaluate has it, by the approximation's own distribution", async () => {
  const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(2));
  const x = [[0], [1], [2]];
  const y = [
    [1, 0],
    [2, 1],
    [4, 0],
  ];
  const posterior = await laplace(net, { likelihood: "count", checks: false }).fit({ x, y });
  const { functionMean, functionVariance } = posterior.predict(x);
  const result = evaluate(posterior, { x, y });
  expect(result.negativeLogLikelihood).toBe(poissonNegativeLogLikelihood(functionMean, functionVariance, y));
  const plugin = evaluate(posterior, { x, y }, { approximation: "plugin" }).negativeLogLikelihood;
  const due = y.flat().map((count, i) => -logPoisson(count, functionMean.data[i]));
  expect(plugin).toBeCloseTo(due.reduce((a, b) => a + b) / 6, 12);
  expect(Object.keys(result)).toEqual([
    "samples",
    "negativeLogLikelihood",
    "rootMeanSquaredError",
    "meanAbsoluteError",
    "outputs",
  ]);
});
