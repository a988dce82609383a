// How many folds are judged: all, but where their fits would take long, whatever the table below a thousand rows.

import fc from "fast-check";
import { NDArray } from "laplace-ts";
import { expect, test } from "vitest";
import { foldsText, foldsToJudge } from "../src/fitting/fewer-folds.ts";
import type { Job } from "../src/fitting/jobs.ts";
import { learningOfClasses } from "../src/fitting/network.ts";

/** A network by first order, of so many hidden units. */
function job(rows: number, inputs: number, classes: number, hidden: readonly number[]): Job {
  const x = new NDArray(new Float64Array(rows * inputs), [rows, inputs]);
  const y = new NDArray(new Float64Array(rows), [rows]);
  const places = Array.from({ length: rows }, (_, i) => i);
  const division = { part: places.slice(0, rows >> 3), rest: places.slice(rows >> 3) };
  return {
    recipe: {
      by: "rounds",
      learning: learningOfClasses(classes),
      hidden,
      activation: "relu",
      structure: "kronecker",
      memoryBudget: 2 ** 30,
      first: 5,
      rounds: 5,
      seed: 0,
    },
    numbers: { x, y, rows, gaps: places.map(() => []), unusual: [] } as unknown as Job["numbers"],
    division,
  };
}

test("all folds of what is quick, two of what takes long, and never fewer for less work", () => {
  const shape = fc.record({
    rows: fc.integer({ min: 10, max: 300 }),
    inputs: fc.integer({ min: 1, max: 300 }),
    classes: fc.integer({ min: 2, max: 40 }),
    folds: fc.integer({ min: 1, max: 10 }),
    copies: fc.integer({ min: 1, max: 200 }),
  });
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(shape, ({ rows, inputs, classes, folds, copies }) => {
      const own = job(rows, inputs, classes, [16]);
      const many = new Array<Job>(copies).fill(own);
      const judged = foldsToJudge(many, many, folds);
      expect(judged === folds || judged === Math.min(2, folds)).toBe(true);
      expect(foldsToJudge(many, many.slice(1), folds)).toBeGreaterThanOrEqual(judged);
      expect(foldsToJudge(many.slice(1), many.slice(1), folds)).toBeGreaterThanOrEqual(judged);
      if (folds > 2) seen.add(judged === folds);
    }),
  );
  expect(seen.size).toBe(2);
  // Forty numbers and two classes take all folds; twelve hundred inputs, whose factor's eigenvectors take long, do not.
  expect(foldsToJudge([job(900, 40, 2, [16])], [job(900, 40, 2, [16])], 5)).toBe(5);
  const wide = [job(950, 1200, 4, []), job(950, 1200, 4, [16]), job(950, 1200, 4, [32, 32])];
  expect(foldsToJudge(wide, wide.slice(0, 1), 5)).toBe(2);
});

test("says what was judged", () => {
  expect(foldsText(5, 5)).toBe("5-fold cross-validation: each row was predicted once by a model that had not seen it");
  expect(foldsText(2, 5)).toMatch(/^2 of 5 folds of a cross-validation, because .* \(--folds 5 takes all\)$/);
});
