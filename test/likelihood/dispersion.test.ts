// Counts with a dispersion: the negative binomial of poisson({ dispersion }).

import { chain, dense, laplace, loadPosterior, NDArray, poisson, savePosterior } from "laplace-ts";
import { expect, test } from "vitest";
import { logDispersedDensity, negativeBinomial } from "../../src/likelihood/negative-binomial.ts";
import { logCountDensity } from "../../src/likelihood/poisson.ts";
import { verify } from "../../src/likelihood/verify.ts";

/** log p by its definition, a product of one factor for each count below. */
function slowLog(y: number, f: number, alpha: number): number {
  const mu = Math.exp(f);
  let log = -Math.log1p(alpha * mu) / alpha;
  for (let k = 0; k < y; k++) log += Math.log(((1 + alpha * k) / (k + 1)) * (mu / (1 + alpha * mu)));
  return log;
}

/** log ∫ p N(f; m, v) df by a fine sum. */
function slowMixture(y: number, m: number, v: number, alpha: number): number {
  const [s, n, end] = [Math.sqrt(v), 20_000, 12];
  const logs = Array.from({ length: 2 * n + 1 }, (_, j) => {
    const z = ((j - n) / n) * end;
    return slowLog(y, m + s * z, alpha) - 0.5 * z * z;
  });
  const top = Math.max(...logs);
  const sum = logs.reduce((total, log) => total + Math.exp(log - top), 0);
  return top + Math.log((sum * end) / n) - 0.5 * Math.log(2 * Math.PI);
}

test("its functions belong together: derivatives, information, moments and draws, at any dispersion", () => {
  for (const alpha of [1e-4, 0.3, 3]) expect(() => verify("counts", negativeBinomial(alpha))).not.toThrow();
});

test("its density is the product of its factors, and over a log-normal rate their integral", () => {
  for (const alpha of [1e-6, 0.05, 1, 20]) {
    for (const y of [0, 1, 7, 60, 400]) {
      for (const m of [-3, 1, 5]) {
        const known = slowLog(y, m, alpha);
        expect(Math.abs(logDispersedDensity(y, m, 0, alpha) - known)).toBeLessThan(1e-9 * (1 + Math.abs(known)));
      }
    }
  }
  for (const [y, m, v, alpha] of [
    [0, 2, 0.04, 0.3],
    [3, -1, 4, 0.05],
    [12, 2, 25, 2],
    [40, 5, 0.5, 1],
    [0, -6, 9, 10],
  ]) {
    const known = slowMixture(y, m, v, alpha);
    expect(Math.abs(logDispersedDensity(y, m, v, alpha) - known)).toBeLessThan(1e-9 * (1 + Math.abs(known)));
  }
});

test("the smaller the dispersion, the nearer to Poisson; large counts and rates stay finite", () => {
  for (const [y, m, v] of [
    [4, 1, 0],
    [300, 5.5, 0.01],
  ]) {
    const poissonLog = logCountDensity(y, m, v);
    expect(Math.abs(logCountDensity(y, m, v, 1e-9) - poissonLog)).toBeLessThan(1e-4);
  }
  for (const m of [-800, 0, 800]) {
    for (const v of [0, 1, 1e4]) expect(Number.isFinite(logCountDensity(1e6, m, v, 0.5))).toBe(true);
  }
});

test("a posterior keeps its dispersion in its file, predicts its variance, and takes the expected information", async () => {
  const x = new NDArray(
    Float64Array.from({ length: 20 }, (_, i) => i / 10 - 1),
    [20, 1],
  );
  const y = new NDArray(
    Float64Array.from({ length: 20 }, (_, i) => (i * 7) % 5),
    [20, 1],
  );
  const net = chain({ inputs: 1, seed: 0, dtype: "float64" }, dense(1));
  const fitted = await laplace(net, { likelihood: poisson({ dispersion: 0.4 }), structure: "full", checks: false }).fit(
    {
      x,
      y,
    },
  );
  const loaded = loadPosterior(savePosterior(fitted));
  expect(loaded.likelihood.dispersion).toBe(0.4);
  const [own, again] = [fitted.predict(x), loaded.predict(x)];
  expect(again.mean.data).toEqual(own.mean.data);
  for (let i = 0; i < 20; i++) {
    const [m, v] = [own.functionMean.data[i], own.functionVariance.data[i]];
    const rate = Math.exp(m + v / 2);
    const variance = rate + 0.4 * Math.exp(2 * m + 2 * v) + Math.exp(2 * m + v) * Math.expm1(v);
    expect(Math.abs(own.variance.data[i] / variance - 1)).toBeLessThan(1e-10);
  }
  expect(loaded.logMarginalLikelihood()).toBe(fitted.logMarginalLikelihood());
  expect(() => poisson({ dispersion: -1 })).toThrow("dispersion");
  expect(poisson({ dispersion: 0 }).entry).toEqual({});
});
