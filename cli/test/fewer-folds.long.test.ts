// A table whose fits would take long: two of five folds are judged, unless all are asked for, and what they say holds for fresh rows.

import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { settings } from "./settings.ts";

const [INPUTS, CLASSES, ROWS, FRESH] = [10, 40, 900, 600] as const;

/** Classes by the largest of forty noisy sums. */
function drawn(rows: number, random: Random, sums: readonly (readonly number[])[]): string[][] {
  return Array.from({ length: rows }, () => {
    const x = Array.from({ length: INPUTS }, () => random.normal());
    const scores = sums.map(
      (own) => own.reduce((sum, w, j) => sum + w * x[j], 0) - Math.log(-Math.log(random.uniform())),
    );
    return [...x.map((value) => value.toFixed(4)), `k${scores.indexOf(Math.max(...scores))}`];
  });
}

test("two folds are reported, all where they are asked for", { timeout: 300_000 }, async () => {
  const random = new Random(5);
  const sums = Array.from({ length: CLASSES }, () => Array.from({ length: INPUTS }, () => 1.5 * random.normal()));
  const names = [...Array.from({ length: INPUTS }, (_, j) => `x${j}`), "y"];
  const rows = drawn(ROWS, random, sums);
  const table = { names, rows, lines: rows.map((_, i) => i + 2) };
  const some = await fitTable(table, { ...settings, target: "y" }, () => {});
  expect(some.scheme).toMatch(/^2 of 5 folds of a cross-validation/);
  expect(some.counts.folded).toBeUndefined();
  expect(some.counts.test).toBe(some.heldOut.indices.length);
  expect(Math.abs(some.counts.test - (2 * ROWS) / 5)).toBeLessThan(3);
  expect(new Set(some.heldOut.indices).size).toBe(some.counts.test);
  const fresh = drawn(FRESH, random, sums);
  const predicted = some.model.predict(fresh.map((row) => Object.fromEntries(names.map((one, j) => [one, row[j]]))));
  const losses = fresh.map(
    (row, i) => -(predicted.logProbabilities?.at(i, some.model.encoding.encodeTarget(row[INPUTS]) ?? 0) ?? Number.NaN),
  );
  const mean = losses.reduce((sum, loss) => sum + loss / FRESH, 0);
  const square = losses.reduce((sum, loss) => sum + (loss - mean) ** 2 / FRESH, 0);
  // Standard errors of both, the folds' rows being fewer.
  const error = Math.sqrt(square / FRESH + square / some.counts.test);
  expect(Math.abs(mean - some.heldOut.metrics.negativeLogLikelihood)).toBeLessThan(4 * error);
  const all = await fitTable(table, { ...settings, target: "y", folds: 5 }, () => {});
  expect(all.scheme).toMatch(/^5-fold cross-validation/);
  expect(all.counts.test).toBe(ROWS);
  expect(all.counts.folded).toBe(true);
});
