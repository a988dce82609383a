import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { normalDensity } from "../../src/evaluation/normal.ts";
import { normalCdfByTable } from "../../src/evaluation/normal-table.ts";
import { normalCdf, normalQuantile, ValueError } from "../../src/index.ts";

// By mpmath with 50 digits, rounded to float64: erfc(-x/sqrt 2)/2, and its inverse.
const distribution = [
  [-37.5, 4.605353009581955e-308],
  [-30, 4.906713927148187e-198],
  [-20, 2.7536241186062337e-89],
  [-12.3456, 2.572462274578868e-35],
  [-9, 1.1285884059538405e-19],
  [-8.97, 1.4825721806110338e-19],
  [-6, 9.86587645037698e-10],
  [-4.2, 1.3345749015906327e-5],
  [-3, 0.0013498980316300946],
  [-2, 0.02275013194817921],
  [-1.5, 0.06680720126885807],
  [-1, 0.15865525393145705],
  [-0.7, 0.24196365222307303],
  [-0.6999999, 0.24196368344846744],
  [-0.3, 0.3820885778110474],
  [-0.001, 0.49960105778608893],
  [-1e-9, 0.49999999960105773],
  [1e-300, 0.5],
  [0.25, 0.5987063256829237],
  [0.7, 0.758036347776927],
  [1, 0.8413447460685429],
  [1.96, 0.9750021048517795],
  [2.5758, 0.9949995762622214],
  [4, 0.9999683287581669],
  [7, 0.9999999999987201],
];
const quantiles = [
  [3e-308, -37.511419674255876],
  [1e-200, -30.20559417957964],
  [1e-50, -14.933337534788489],
  [1e-20, -9.262340089798407],
  [1e-10, -6.361340902404057],
  [1e-5, -4.264890793922825],
  [0.001, -3.0902323061678136],
  [0.025, -1.9599639845400543],
  [0.1, -1.2815515655446004],
  [0.2, -0.8416212335729142],
  [0.25, -0.6744897501960817],
  [0.31, -0.4958503473474533],
  [0.45, -0.12566134685507402],
  [0.4999999, -2.5066282747031063e-7],
  [0.5000000000009095, 2.2797651350911116e-12],
  [0.6, 0.2533471031357997],
  [0.75, 0.6744897501960817],
  [0.9, 1.2815515655446006],
  [0.95, 1.6448536269514722],
  [0.975, 1.9599639845400538],
  [0.99, 2.3263478740408408],
  [0.999999, 4.753424308817087],
  [0.9999999999999999, 8.209536151601387],
];
const bound = { relative: 2e-15 };

describe("the standard normal distribution", () => {
  test.each(distribution)("at %d", (x, value) => {
    expect([normalCdf(x)]).toBeAllClose([value], bound);
  });

  test.each(quantiles)("its quantile at %d", (p, value) => {
    expect([normalQuantile(p)]).toBeAllClose([value], bound);
  });

  test("ends where it should", () => {
    expect([Number.NEGATIVE_INFINITY, -1e308, -40, 0, 40, 1e308, Number.POSITIVE_INFINITY].map(normalCdf)).toEqual([
      0, 0, 0, 0.5, 1, 1, 1,
    ]);
    expect([0, 0.5, 1].map(normalQuantile)).toEqual([Number.NEGATIVE_INFINITY, 0, Number.POSITIVE_INFINITY]);
    expect(normalQuantile(5e-324)).toBeCloseTo(-38.4674, 3);
    expect(normalDensity(Number.POSITIVE_INFINITY)).toBe(0);
  });

  test("the quantile inverts it, as well as the numbers allow", () => {
    fc.assert(
      fc.property(fc.double({ min: -37, max: 5, noNaN: true }), (x) => {
        const p = normalCdf(x);
        // An error of ε p in p is one of ε p / φ(x) in x.
        expect(Math.abs(normalQuantile(p) - x)).toBeLessThanOrEqual(
          4e-16 * (Math.abs(x) * 5 + (5 * p) / normalDensity(x)) + 1e-16,
        );
      }),
    );
  });

  test("is symmetric and monotone", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 38, noNaN: true }),
        fc.double({ min: 1e-9, max: 1, noNaN: true }),
        (x, step) => {
          expect([normalCdf(x)]).toBeAllClose([1 - normalCdf(-x)], { relative: 4e-16 });
          expect(normalCdf(-x - step)).toBeLessThanOrEqual(normalCdf(-x));
        },
      ),
    );
    for (const seam of [-0.7, -(2 * Math.PI) / 0.7]) {
      const values = Array.from({ length: 41 }, (_, i) => normalCdf(seam + (i - 20) * 1e-12));
      expect(values).toEqual(values.toSorted((a, b) => a - b));
    }
  });

  test("refuses what is not a number or not a probability", () => {
    for (const bad of [Number.NaN, "1", undefined]) expect(() => normalCdf(bad as number)).toThrow(ValueError);
    for (const bad of [-1e-9, 1.1, Number.NaN, "0.5"]) expect(() => normalQuantile(bad as number)).toThrow(ValueError);
  });
});

test("by its table it is the same to 1e-9, and to 1e-16 far out", () => {
  const cdf = normalCdfByTable();
  fc.assert(
    fc.property(fc.double({ min: -12, max: 12, noNaN: true }), (x) => {
      expect(Math.abs(cdf(x) - normalCdf(x))).toBeLessThan(Math.abs(x) > 8.4 ? 1e-16 : 1e-9);
    }),
  );
  for (const end of [-8.3, 8.3, -8.299999999, 8.299999999])
    expect(Math.abs(cdf(end) - normalCdf(end))).toBeLessThan(1e-15);
  expect([cdf(Number.NEGATIVE_INFINITY), cdf(Number.POSITIVE_INFINITY)]).toEqual([0, 1]);
});
