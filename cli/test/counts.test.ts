// How the family of counts and their dispersion are found.

import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { dispersionOf, marginalDispersion } from "../src/fitting/counts.ts";
import { mixOf } from "../src/fitting/portfolio.ts";
import { baselineMetrics, baselineOf } from "../src/model/metrics.ts";

/** Poisson counts whose rate is a mean of so many exponential variables times it; 0 for the rate itself. */
function draws(rate: number, parts: number, count: number): number[] {
  const random = new Random(7);
  return Array.from({ length: count }, () => {
    let factor = parts === 0 ? 1 : 0;
    for (let k = 0; k < parts; k++) factor -= Math.log(1 - random.uniform()) / parts;
    let [y, product] = [-1, 1];
    for (const limit = Math.exp(-rate * factor); product > limit || y < 0; y++) product *= random.uniform();
    return y;
  });
}

test("the dispersion is 1 / k of rates that are means of k exponential variables, and 0 of Poisson counts that vary less", () => {
  expect(Math.abs(marginalDispersion(draws(5, 2, 4000)) - 0.5)).toBeLessThan(0.06);
  expect(Math.abs(marginalDispersion(draws(5, 1, 4000)) - 1)).toBeLessThan(0.12);
  expect(marginalDispersion(draws(5, 0, 4000))).toBeLessThan(0.02);
  expect(dispersionOf([2, 2, 3, 3], [2, 3, 2, 3], 1)).toBe(0);
});

test("a mixture is of one family, the negative binomial where rows that were not seen are clearly more probable so", () => {
  const rows = (mean: number, jitter: number) => [
    [Float64Array.from({ length: 40 }, (_, i) => mean + jitter * Math.sin(5 * i))],
  ];
  const families = ["Poisson", "Poisson", "negative binomial", "negative binomial"] as const;
  const clear = mixOf([rows(2, 0.3), rows(2.1, 0.2), rows(1.5, 0.1), rows(1.6, 0.4)], [1], { families });
  expect(clear.weights[0] + clear.weights[1]).toBe(0);
  const same = mixOf([rows(2, 0.3), rows(2.1, 0.2), rows(1.999, 0.8), rows(2.1, 0.4)], [1], { families });
  expect(same.weights[2] + same.weights[3]).toBe(0);
  const alone = mixOf([[undefined], [undefined], rows(2, 0.1), rows(2.1, 0.2)], [1], { families });
  expect(alone.weights[2] + alone.weights[3]).toBeCloseTo(1, 12);
});

test("the baseline is one rate for all, with its dispersion", () => {
  const counts = draws(4, 2, 300);
  const baseline = baselineOf(counts, "counts");
  expect(baseline).toMatchObject({ rate: expect.closeTo(counts.reduce((a, b) => a + b, 0) / 300, 1) });
  const metrics = baselineMetrics(new Array(300).fill(baseline), counts);
  expect(metrics.intervalCoverage).toBeGreaterThan(0.88);
  const poisson = baselineMetrics(new Array(300).fill({ ...baseline, dispersion: 0 }), counts);
  expect(metrics.negativeLogLikelihood).toBeLessThan(poisson.negativeLogLikelihood - 0.1);
});
