// One logit and its variance to the probability of label 1.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BinaryLink, binaryLinks, binaryProbabilities } from "../../src/likelihood/links.ts";
import { normalCdf, sigmoid } from "../reference/functions.ts";

const { sigmoid: oracle } = JSON.parse(readFileSync(new URL("../fixtures/links.json", import.meta.url), "utf8")) as {
  sigmoid: Record<"mean" | "var" | "probit" | "quadrature", { data: number[] }>;
};

const draw = { samples: 40, seed: 3 };
const real = (size: number) => fc.double({ min: -size, max: size, noNaN: true });
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

function binary(link: BinaryLink, mean: number, variance: number, how = draw): number {
  return binaryProbabilities(link, Float64Array.of(mean), Float64Array.of(variance), how)[0];
}

test.each(["probit", "quadrature"] as const)("%s agrees with the independent reference", (link) => {
  const { mean, var: variance, [link]: expected } = oracle;
  const p = binaryProbabilities(link, Float64Array.from(mean.data), Float64Array.from(variance.data), draw);
  // The reference's own error: 200 nodes of Gauss and Hermite do not resolve the sigmoid under a variance of 25.
  const rough = (i: number) => link === "quadrature" && variance.data[i] === 25;
  for (const [i, value] of expected.data.entries()) {
    expect(Math.abs(p[i] - value)).toBeLessThan(rough(i) ? 3e-8 : 1e-9);
  }
});

/** ∫ f from a to b by Simpson's rule, halving intervals until the two estimates agree. */
function simpson(f: (x: number) => number, a: number, b: number, allowed: number): number {
  const halve = (x: number, y: number, fx: number, fm: number, fy: number, whole: number, error: number): number => {
    const m = (x + y) / 2;
    const [left, right] = [f((x + m) / 2), f((m + y) / 2)];
    const [first, second] = [((m - x) / 6) * (fx + 4 * left + fm), ((y - m) / 6) * (fm + 4 * right + fy)];
    const rest = first + second - whole;
    if (Math.abs(rest) <= 15 * error || y - x < 1e-9 * (b - a)) return first + second + rest / 15;
    return halve(x, m, fx, left, fm, first, error / 2) + halve(m, y, fm, right, fy, second, error / 2);
  };
  const cells = Array.from({ length: 64 }, (_, i) => [a + ((b - a) * i) / 64, a + ((b - a) * (i + 1)) / 64]);
  return sum(
    cells.map(([x, y]) => {
      const [fx, fm, fy] = [f(x), f((x + y) / 2), f(y)];
      return halve(x, y, fx, fm, fy, ((y - x) / 6) * (fx + 4 * fm + fy), allowed / 64);
    }),
  );
}

const density = (x: number, m: number, s: number) => Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));

test("quadrature is the integral, for variances up to 100", () => {
  const variances = fc.oneof(real(100).map(Math.abs), real(3).map(Math.abs), fc.constantFrom(1e-8, 1, 1.8, 4, 100));
  fc.assert(
    fc.property(real(20), variances, (mean, given) => {
      const variance = given + 1e-10;
      const s = Math.sqrt(variance);
      const exact = simpson((x) => sigmoid(x) * density(x, mean, s), mean - 9 * s, mean + 9 * s, 1e-12);
      expect(Math.abs(binary("quadrature", mean, variance) - exact)).toBeLessThan(1e-11);
    }),
    { numRuns: 25 },
  );
});

test.each([900, 1e4, 2e4, 1e6, 1e12])("quadrature is the integral for variance %s", (variance) => {
  // The other way round: a normal distribution function, averaged over the logistic density
  const s = Math.sqrt(variance);
  for (const t of [0.3, -1.5]) {
    const of = (x: number) => sigmoid(x) * sigmoid(-x) * normalCdf(t - x / s);
    const exact = simpson(of, -40, 40, 1e-11);
    expect(Math.abs(binary("quadrature", t * s, variance) - exact)).toBeLessThan(variance > 1e4 ? 1e-8 : 1e-10);
  }
});

test("quadrature keeps the digits of small probabilities", () => {
  // Far left the sigmoid is the exponential, whose mean is e^(m + v/2).
  for (const [m, v] of [
    [-40, 0.5],
    [-100, 1],
    [-300, 20],
  ]) {
    expect(binary("quadrature", m, v) / Math.exp(m + v / 2)).toBeCloseTo(1, 11);
  }
});

test.each(binaryLinks)("%s gives probabilities, whatever the logit, and the plugin without variance", (link) => {
  const means = fc.oneof(real(1000), real(10), fc.constantFrom(1e300, -1e300, 0));
  fc.assert(
    fc.property(means, fc.constantFrom(0, -1e-18, 1e-300, 1e-5, 1, 50, 1e6, 1e300), (mean, variance) => {
      const p = binary(link, mean, variance);
      expect(p).toBeGreaterThanOrEqual(0);
      expect(p).toBeLessThanOrEqual(1 + 1e-14);
      if (variance <= 0) expect(p).toBeCloseTo(sigmoid(mean), 14);
      if (link !== "monteCarlo") expect(p + binary(link, -mean, variance)).toBeCloseTo(1, 12);
    }),
  );
  expect(binaryProbabilities(link, new Float64Array(0), new Float64Array(0), draw)).toHaveLength(0);
});

test("probit is within 0.02 of the integral, and Monte Carlo within its error", () => {
  for (const mean of [-6, -2, -0.5, 0, 1, 4]) {
    for (const variance of [0.1, 1, 10, 100]) {
      const exact = binary("quadrature", mean, variance);
      expect(Math.abs(binary("probit", mean, variance) - exact)).toBeLessThan(0.02);
      expect(Math.abs(binary("monteCarlo", mean, variance, { samples: 20_000, seed: 4 }) - exact)).toBeLessThan(0.018);
    }
  }
});
