// What a stranger found: limits, budgets, and options that came to nothing.

import { expect, test } from "vitest";
import {
  chain,
  dense,
  laplace,
  MemoryBudgetError,
  OptionError,
  ShapeError,
  tanh,
  toyRegression,
  ValueError,
} from "../../src/index.ts";

const data = toyRegression({ samples: 20, seed: 1 });
const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(4, tanh), dense(1));
const quiet = { likelihood: "regression", checks: false } as const;

test("a Poisson rate of almost nothing has a variance of almost nothing", async () => {
  const rates = chain({ inputs: 1, dtype: "float64" }, dense(1, undefined, { bias: false }));
  rates.setParameters([-8]);
  const fit = laplace(rates, { likelihood: "count", priorPrecision: 13, checks: false }).fit({ x: [[1]], y: [[0]] });
  const { mean, variance } = (await fit).predict([[100], [1]]);
  // Var = rate + rate² (eᵛ − 1), of which the second part is e^(2m + 2v) here.
  expect([...mean.data, ...variance.data].every((x) => Number.isFinite(x) && x >= 0)).toBe(true);
  expect(variance.data[1]).toBeGreaterThan(mean.data[1]);
});

test("a prior mean is one number, one for each parameter, or one for each weight", async () => {
  const posterior = await laplace(net, { ...quiet, priorMean: [1, 2, 3, 4] }).fit(data);
  expect([...posterior.priorMean.data]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]);
  expect([...posterior.with({ priorMean: 5 }).priorMean.data]).toEqual(new Array(13).fill(5));
  expect(() => posterior.with({ priorMean: [[1, 2, 3, 4]] })).toThrow(ShapeError);
  expect(() => posterior.with({ priorMean: [1, 2] })).toThrow(/4 parameters or one for each of the 13 weights/);
});

test("tuning keeps the structure of the prior unless it is told another", async () => {
  const posterior = await laplace(net, { ...quiet, priorPrecision: [1, 2, 3, 4] }).fit(data);
  expect(posterior.optimizePrior().priorPrecision.shape).toEqual([4]);
  expect(posterior.optimizePrior({ priorStructure: "scalar" }).priorPrecision.shape).toEqual([1]);
});

test("Monte Carlo fits merge only where their draws are their own", async () => {
  const shard = (seed: number) => laplace(net, { ...quiet, curvature: "monteCarlo", seed }).fit(data);
  const [a, b, c] = await Promise.all([shard(1), shard(1), shard(2)]);
  expect(() => a.merge(b)).toThrow(ValueError);
  expect(() => a.merge(b)).toThrow(/places 0 to 19 from the seed 1/);
  expect(a.merge(c).examples).toBe(40);
});

test("results over the memory budget are refused before they start", async () => {
  const wide = chain({ inputs: 300 }, dense(100), dense(2));
  const x = [new Array<number>(300).fill(0.1)];
  const posterior = await laplace(wide, { ...quiet, structure: "diagonal" }).fit({ x, y: [[1, 2]] });
  const many = Array.from({ length: 3000 }, () => x[0]);
  for (const call of [
    () => posterior.covariance(),
    () => posterior.precision(),
    () => posterior.curvature.dense(),
    () => posterior.functionCovariance(many, { joint: true }),
    () => posterior.sample(10_000),
    () => posterior.functionSamples(x, 10_000),
    () => posterior.predict(x, { approximation: "network", samples: 10_000 }),
  ]) {
    expect(call).toThrow(MemoryBudgetError);
    expect(call).toThrow(/needs [^,]*\(\d+ bytes\)/);
  }
  const small = await laplace(net, quiet).fit(data);
  expect(() => small.covariance({ memoryBudget: 1000 })).toThrow(MemoryBudgetError);
  expect(small.covariance({ memoryBudget: 2000 }).shape).toEqual([13, 13]);
});

test("what is not a network is refused by name", () => {
  expect(() => laplace({} as never, quiet)).toThrow(OptionError);
  expect(() => laplace(null as never, quiet)).toThrow(/the network must be one that/);
});
