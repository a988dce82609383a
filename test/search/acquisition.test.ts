// Scores of inputs against integrals, and their derivatives against differences.

import fc from "fast-check";
import { expect, test } from "vitest";
import { expectedImprovement, OptionError, ShapeError, upperConfidenceBound, ValueError } from "../../src/index.ts";
import { boundRule, improvementRule } from "../../src/search/acquisition.ts";

/** E max(s (f − best), 0) by the trapezoid rule in the standard normal number. */
function byIntegral(mean: number, sd: number, best: number, sign: number): number {
  const step = 1e-3;
  let sum = 0;
  for (let t = -12; t <= 12; t += step) {
    sum += Math.max(0, sign * (mean + sd * t - best)) * Math.exp(-0.5 * t * t) * step;
  }
  return sum / Math.sqrt(2 * Math.PI);
}

test.each(["max", "min"] as const)("expectedImprovement is its integral, for %s", (goal) => {
  const [mean, variance] = [
    [-1, 0, 0.3, 2, 5],
    [0.2, 4, 1, 0.01, 9],
  ];
  const expected = mean.map((m, i) => byIntegral(m, Math.sqrt(variance[i]), 0.3, goal === "max" ? 1 : -1));
  const found = expectedImprovement(mean, variance, { best: 0.3, goal });
  expect(found.data).toBeAllClose(expected, { relative: 1e-6, absolute: 1e-6 });
});

test("what is known exactly improves by what it is better", () => {
  expect([...expectedImprovement([3, 1], [0, 0], { best: 2 }).data]).toEqual([1, 0]);
  expect([...expectedImprovement([[3], [1]], [[0], [0]], { best: 2, goal: "min" }).data]).toEqual([0, 1]);
  // Far below the best a little is left, and no less than nothing.
  const [far, further] = expectedImprovement([-20, -60], [1, 1], { best: 0 }).data;
  expect(far).toBeGreaterThan(0);
  expect(far / (Math.exp(-200) / Math.sqrt(2 * Math.PI) / 400)).toBeCloseTo(1, 1);
  expect(further).toBe(0);
});

test("upperConfidenceBound is the end of an interval, turned round for the smallest", () => {
  expect([...upperConfidenceBound([1, 2], [4, 0]).data]).toEqual([5, 2]);
  expect([...upperConfidenceBound([1, 2], [4, 0], { deviations: 1, goal: "min" }).data]).toEqual([1, -2]);
});

test("derivatives in mean and variance are those of differences", () => {
  const goal = fc.constantFrom("max" as const, "min" as const);
  const number = fc.double({ min: -2, max: 2, noNaN: true });
  fc.assert(
    fc.property(goal, number, fc.double({ min: 0.1, max: 4, noNaN: true }), number, (goal, mean, variance, best) => {
      for (const rule of [improvementRule("", { best, goal }), boundRule("", { goal, deviations: 1.5 })]) {
        const { inMean, inVariance } = rule(mean, variance);
        const h = 1e-5;
        const slope = (of: (t: number) => number) => (of(h) - of(-h)) / (2 * h);
        expect(inMean).toBeCloseTo(
          slope((t) => rule(mean + t, variance).value),
          6,
        );
        expect(inVariance).toBeCloseTo(
          slope((t) => rule(mean, variance + t).value),
          6,
        );
      }
    }),
  );
});

test("what does not fit is refused", () => {
  expect(() => expectedImprovement([1], [1, 2], { best: 0 })).toThrow(ShapeError);
  expect(() => expectedImprovement([1], [-1], { best: 0 })).toThrow(ValueError);
  expect(() => expectedImprovement([1], [1], {} as never)).toThrow(OptionError);
  expect(() => expectedImprovement([1], [1], { best: 0, goal: "most" as never })).toThrow(/goal must be one of/);
  expect(() => upperConfidenceBound([1], [1], { deviations: -1 })).toThrow(OptionError);
});
