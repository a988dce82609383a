// What is said of the portfolio, against sums by hand.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  gainOf,
  longerOf,
  overLinearOf,
  partsOfGain,
  type RowLosses,
  rowLosses,
  stepsOf,
  widerOf,
} from "../src/fitting/gains.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import type { Candidate } from "../src/fitting/portfolio.ts";
import { gainText } from "../src/model/gain-text.ts";

const candidate = (width: number, groups: "layers" | "inputs" = "layers", varying = false): Candidate => ({
  name: `${width} units${groups === "inputs" ? " with relevance" : ""}${varying ? " with noise by row" : ""}`,
  recipe: { by: "evidence", learning: learningOfClasses(0), width, groups, varying, memoryBudget: 1, seed: 0 },
  seeds: 1,
  network: "",
  structureReason: "",
});
const candidates = [
  candidate(0),
  candidate(0, "layers", true),
  candidate(6),
  candidate(6, "inputs"),
  candidate(12, "inputs"),
];
const number = fc.double({ min: -3, max: 3, noNaN: true });
const rowsOf = (n: number) =>
  fc.record({
    places: fc.constant(Array.from({ length: n }, (_, i) => 3 * i + 1)),
    each: fc.array(fc.array(number, { minLength: n, maxLength: n }), { minLength: 5, maxLength: 5 }),
    mixture: fc.array(number, { minLength: n, maxLength: n }),
  });
/** By two standard errors, of the best alone. */
const clearlyBetter = (own: readonly number[], than: readonly number[]) => {
  const { gain, standardError } = gainOf(than, own);
  return gain > 2 * standardError;
};
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("row by row", () => {
  const part = (...scales: number[][]) => scales.map((own) => Float64Array.from(own));
  // Two candidates, two parts of two rows and one, two scales; a third that was given up.
  const losses = [
    [part([1, 2], [3, 3]), part([1], [0])],
    [part([4, 0], [1, 1]), part([2], [2])],
    [part([9, 9], [9, 9]), undefined],
  ];
  const mixes = [
    { weights: [0.25, 0.75, 0], scales: [1, 0.5, 1], losses: [] },
    { weights: [1, 0, 0], scales: [0.5, 1, 1], losses: [] },
  ];

  test("a candidate has its own best scale, the mixture that of each part", () => {
    const found = rowLosses(losses, [1, 0.5], mixes, [[7, 2], [5]]);
    expect(found.places).toEqual([7, 2, 5]);
    expect(found.each).toEqual([[1, 2, 1], [1, 1, 2], undefined]);
    const mixed = (a: number, b: number) => -Math.log(0.25 * Math.exp(-a) + 0.75 * Math.exp(-b));
    expect(found.mixture[0]).toBeCloseTo(mixed(1, 1), 12);
    expect(found.mixture[1]).toBeCloseTo(mixed(2, 1), 12);
    expect(found.mixture[2]).toBeCloseTo(0, 12);
  });
});

test("steps add up to the gain over the linear model, and so do its parts", () => {
  fc.assert(
    fc.property(
      rowsOf(40).chain((rows) => fc.tuple(fc.constant(rows), fc.array(number, { minLength: 40, maxLength: 40 }))),
      ([rows, values]) => {
        const whole = overLinearOf(candidates, rows);
        expect(whole?.gain).toBeCloseTo(mean(rows.each[0]) - mean(rows.mixture), 10);
        const steps = stepsOf(candidates, rows);
        expect(steps.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(whole?.gain ?? Number.NaN, 10);
        const parts = partsOfGain(candidates, rows, values, undefined);
        expect(parts).toHaveLength(4);
        expect(parts.reduce((sum, { samples }) => sum + samples, 0)).toBe(40);
        const all = parts.reduce((sum, { gain, samples }) => sum + (gain * samples) / 40, 0);
        expect(all).toBeCloseTo(whole?.gain ?? Number.NaN, 10);
      },
    ),
  );
});

test("classes with few rows have no part; a prediction that is not there has none", () => {
  const rows: RowLosses = {
    places: Array.from({ length: 30 }, (_, i) => i),
    each: [new Array(30).fill(1), undefined, new Array(30).fill(0.5), undefined, undefined],
    mixture: Array.from({ length: 30 }, (_, i) => (i < 20 ? 0.25 : 1)),
  };
  const labels = rows.places.map((i) => (i < 20 ? 0 : i < 29 ? 1 : Number.NaN));
  expect(partsOfGain(candidates, rows, labels, ["a", "b"])).toEqual([
    { rows: "a", samples: 20, gain: expect.closeTo(0.75, 10), standardError: expect.closeTo(0, 10) },
  ]);
  expect(stepsOf(candidates, rows).map(({ name }) => name)).toEqual([
    "curves and interactions (6 units)",
    "the mixture of all",
  ]);
});

test("the widest network is compared with the next that differs in nothing else", () => {
  fc.assert(
    fc.property(rowsOf(12), (rows) => {
      const [from, to] = [rows.each[3], rows.each[4]];
      expect(widerOf(candidates, rows)).toEqual({
        from: "6 units with relevance",
        to: "12 units with relevance",
        ...gainOf(from, to),
        behind: clearlyBetter(rows.each.toSorted((a, b) => mean(a) - mean(b))[0], to),
      });
      const gains = from.map((loss, i) => loss - to[i]);
      const square = gains.reduce((sum, gain) => sum + (gain - mean(gains)) ** 2, 0);
      expect(gainOf(from, to).standardError).toBeCloseTo(Math.sqrt(square / 11 / 12), 10);
    }),
  );
  // Of two families of counts, which are as wide, none is wider.
  const families = (["Poisson", "negative binomial"] as const).map((family) => ({ ...candidate(6, "inputs"), family }));
  expect(widerOf(families, { places: [], each: [[1], [2]], mixture: [1] })).toBeUndefined();
  expect(widerOf(candidates.slice(0, 4), { places: [], each: [[1], [1], [1], [1]], mixture: [1] })).toBeUndefined();
});

test("what the second half of a training brought", () => {
  const course = { epochs: [10, 20, 30, 40, 50], train: [], validation: [5, 3, 2, 1.5, 1.6], kept: 40, rounds: 4 };
  expect(longerOf(course)).toBe(1.5);
  expect(longerOf({ ...course, validation: [] })).toBeUndefined();
});

test("a gain in words", () => {
  expect(gainText({ gain: -0.0123, standardError: 0.0045 })).toBe("−0.0123 ± 0.0045 nats");
  expect(gainText({ gain: 1.5, standardError: 0.25 })).toBe("1.50 ± 0.25 nats");
});

test("rows that count twice gain as rows that are there twice; their error is that of the rows there are", () => {
  const counts = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(rowsOf(12), counts, (rows, weights) => {
      const again = (losses: readonly number[]) =>
        losses.flatMap((loss, i) => new Array<number>(weights[i]).fill(loss));
      const repeated = { ...rows, each: rows.each.map(again), mixture: again(rows.mixture) };
      const weighted = overLinearOf(candidates, { ...rows, weights });
      expect(weighted?.gain).toBeCloseTo(overLinearOf(candidates, repeated)?.gain ?? Number.NaN, 10);
      const even = overLinearOf(candidates, { ...rows, weights: weights.map(() => 1) });
      expect(even?.standardError).toBeCloseTo(overLinearOf(candidates, rows)?.standardError ?? Number.NaN, 10);
    }),
  );
});
