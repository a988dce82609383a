// Counts whose rates are known: the right family is chosen and said, the rates are found within sampling error, and whole intervals
// hold at least 90 % of fresh ones.

import { loadTableModel, Random, saveTableModel, tableScores } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { findingsOf } from "../src/fitting/findings.ts";
import { fitTable } from "../src/fitting/fit.ts";
import { reportData } from "../src/fitting/to-report.ts";
import { dispersionOf, familyText } from "../src/model/noise.ts";
import type { Rows } from "../src/model/rows.ts";
import { settings } from "./settings.ts";

const average = (values: ArrayLike<number>) => Array.from(values).reduce((sum, one) => sum + one / values.length, 0);

function poissonDraw(rate: number, random: Random): number {
  let [count, product] = [-1, 1];
  for (const limit = Math.exp(-rate); product > limit || count < 0; count++) product *= random.uniform();
  return count;
}

/** A sum of exponential variables of mean 1, of which so many parts are one of mean 1. */
function gammaDraw(parts: number, random: Random): number {
  let sum = 0;
  for (let k = 0; k < parts; k++) sum -= Math.log(1 - random.uniform()) / parts;
  return sum;
}

/** log p of a count of a rate and a dispersion, by its factors. */
function logOf(y: number, rate: number, alpha: number): number {
  let log = alpha > 0 ? -Math.log1p(alpha * rate) / alpha : -rate;
  for (let k = 0; k < y; k++) log += Math.log(((1 + alpha * k) / (k + 1)) * (rate / (1 + alpha * rate)));
  return log;
}

/** Rows with known rates; of `parts` exponential variables a dispersion of 1 / parts. */
function drawn(seed: number, rows: number, parts: number) {
  const random = new Random(seed);
  return Array.from({ length: rows }, () => {
    const [a, b] = [2 * random.uniform() - 1, 2 * random.uniform() - 1];
    const rate = Math.exp(1 + a + 0.8 * Math.sin(3 * b));
    const y = poissonDraw(parts === 0 ? rate : rate * gammaDraw(parts, random), random);
    return { a: String(a), b: String(b), rate, y };
  });
}

const tableOf = (rows: ReturnType<typeof drawn>): Rows => ({
  names: ["a", "b", "y"],
  rows: rows.map(({ a, b, y }) => [a, b, String(y)]),
  lines: rows.map((_, i) => i + 2),
});

describe.each([
  { family: "Poisson", parts: 0, alpha: 0 },
  { family: "negative binomial", parts: 2, alpha: 0.5 },
])("$family", ({ family, parts, alpha }) => {
  test("is chosen by held-out rows and said, with the rates and the coverage that are true", {
    timeout: 300_000,
  }, async () => {
    const fit = await fitTable(tableOf(drawn(1, 400, parts)), { ...settings, target: "y" }, () => {});
    const { model, heldOut } = fit;
    expect(fit.task).toBe("count");
    expect(fit.guessed).toContain("counts");
    expect(familyText(model)).toContain(family);
    expect(fit.candidates.filter(({ weight }) => weight > 0).every(({ name }) => name.endsWith(family))).toBe(true);
    const dispersion = dispersionOf(model) ?? Number.NaN;
    // Its own sampling error is about a tenth of it.
    expect(Math.abs(dispersion - alpha)).toBeLessThan(0.35 * alpha + 1e-9);
    const fresh = drawn(2, 1500, parts);
    const cells = fresh.map(({ a, b }) => ({ a, b }));
    const predicted = model.predict(cells);
    const { mean = [], lower = [], upper = [], functionSd = [] } = predicted;
    // The rates' errors are of the size that is said of them.
    const z = fresh.map(({ rate }, i) => (mean[i] - rate) / functionSd[i]);
    expect(Math.sqrt(average(z.map((own) => own * own)))).toBeLessThan(1.6);
    expect(average(z.map((own) => Number(Math.abs(own) < 2.5)))).toBeGreaterThan(0.9);
    expect(average(fresh.map(({ rate }, i) => Math.abs(mean[i] / rate - 1)))).toBeLessThan(0.2);
    const truth = fresh.map(({ y }) => y);
    expect(average(truth.map((y, i) => Number(y >= lower[i] && y <= upper[i])))).toBeGreaterThan(0.9 - 0.02);
    expect(heldOut.metrics.intervalCoverage).toBeGreaterThan(0.9 - 0.045);
    expect([...lower, ...upper].every(Number.isInteger)).toBe(true);
    // Hardly more than the truth itself costs, where a Gaussian with one noise would lose tenths.
    const { negativeLogDensity, below } = tableScores(predicted, truth);
    const least = average(fresh.map(({ rate, y }) => -logOf(y, rate, alpha)));
    expect(average(negativeLogDensity) - least).toBeLessThan(0.04);
    expect(heldOut.metrics.negativeLogLikelihood).toBeLessThan(heldOut.baseline.negativeLogLikelihood - 0.2);
    const sorted = below.toSorted();
    const distance = Math.max(...sorted.map((p, i) => Math.abs(p - (i + 0.5) / sorted.length)));
    expect(distance).toBeLessThan(0.06);
    expect(loadTableModel(saveTableModel(model)).predict(cells.slice(0, 3))).toEqual(model.predict(cells.slice(0, 3)));
    const report = await reportData(fit, findingsOf(fit), { data: "counts", seed: 0 });
    expect(report.targetScale).toContain(family);
    for (const { functionLower, functionUpper, mean } of report.slices) {
      expect(mean.every((m, i) => functionLower[i] < functionUpper[i] && m > 0)).toBe(true);
    }
  });
});

test("many rows, by the network that was asked for: the dispersion is learned beside it", {
  timeout: 300_000,
}, async () => {
  for (const [parts, alpha] of [
    [0, 0],
    [2, 0.5],
  ]) {
    const options = { ...settings, target: "y", task: "count", hidden: [8] } as const;
    const { model } = await fitTable(tableOf(drawn(3, 1200, parts)), options, () => {});
    expect(Math.abs((dispersionOf(model) ?? Number.NaN) - alpha)).toBeLessThan(0.25 * alpha + 0.03);
    const fresh = drawn(4, 500, parts);
    const { negativeLogDensity } = tableScores(
      model.predict(fresh.map(({ a, b }) => ({ a, b }))),
      fresh.map(({ y }) => y),
    );
    expect(average(negativeLogDensity) - average(fresh.map(({ rate, y }) => -logOf(y, rate, alpha)))).toBeLessThan(
      0.05,
    );
  }
});
