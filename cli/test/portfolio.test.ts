// The choice among candidates, against one by every number, and that it does not end at the mean.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { choose, hopeless } from "../src/fitting/portfolio.ts";

/** Losses [candidate][part][scale][row] of so many candidates, parts and scales. */
const losses = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 3 }))
  .chain(([candidates, parts, scales]) => {
    const of = <T>(length: number, one: fc.Arbitrary<T>) => fc.array(one, { minLength: length, maxLength: length });
    const part = fc
      .integer({ min: 1, max: 4 })
      .chain((rows) => of(scales, of(rows, fc.double({ min: -5, max: 5, noNaN: true }))));
    // A candidate's parts have the rows of the others': lengths are made equal by cutting.
    return of(candidates, of(parts, part)).map((all) => {
      return all.map((own) =>
        own.map((each, k) => {
          const rows = Math.min(...all.map((other) => other[k][0].length));
          return each.map((values) => Float64Array.from(values.slice(0, rows)));
        }),
      );
    });
  });

describe("choice", () => {
  test("the candidate of the least sum over the other parts, and its first scale that is hardly worse", () => {
    fc.assert(
      fc.property(losses, fc.boolean(), (all, leave) => {
        const scales = all[0][0].map((_, s) => s + 1);
        const without = leave ? 0 : -1;
        const rowsOf = (candidate: number, s: number) =>
          all[candidate].flatMap((part, k) => (k === without ? [] : [...part[s]]));
        const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
        const found = choose(all, scales, without);
        const sums = all.map((_, candidate) => Math.min(...scales.map((_, s) => sum(rowsOf(candidate, s)))));
        expect(sums[found.candidate]).toBeLessThanOrEqual(Math.min(...sums) + 1e-9);
        const own = scales.map((_, s) => rowsOf(found.candidate, s));
        const best = own[own.map(sum).indexOf(Math.min(...own.map(sum)))];
        const hardlyWorse = own.map((values) => {
          const differences = values.map((loss, i) => loss - best[i]);
          const mean = sum(differences) / values.length;
          const deviation = Math.sqrt(sum(differences.map((d) => (d - mean) ** 2)));
          return { excess: sum(differences), bound: 0.25 * deviation };
        });
        const chosen = scales.indexOf(found.scale);
        expect(hardlyWorse[chosen].excess).toBeLessThanOrEqual(hardlyWorse[chosen].bound + 1e-9);
        for (const { excess, bound } of hardlyWorse.slice(0, chosen)) expect(excess).toBeGreaterThan(bound - 1e-9);
      }),
    );
  });

  test("a candidate that was given up is not chosen, whichever part is left out", () => {
    const [good, bad] = [[Float64Array.of(1, 1)], [Float64Array.of(0, 0)]];
    const losses = [
      [bad, undefined, undefined],
      [good, good, good],
    ];
    for (const left of [0, undefined]) expect(choose(losses, [1], left).candidate).toBe(1);
  });

  test("only what is clearly behind is given up", () => {
    const near = [Float64Array.of(1, 1.2, 0.9, 1.1)];
    const behind = [Float64Array.of(2, 2.2, 1.9, 2.1)];
    expect([near, behind].map((_, c) => hopeless([[near], [behind]], c))).toEqual([false, true]);
    expect(hopeless([[near], [[Float64Array.of(0, 3, 0, 3)]]], 1)).toBe(false);
  });
});

test("a line of 15 rows is found, which a strong prior took for its mean", { timeout: 60_000 }, async () => {
  const rows = Array.from({ length: 15 }, (_, i) => [String(58 + i), String(115 + 3.5 * i + 0.3 * ((i * 7) % 5))]);
  const table = { names: ["height", "weight"], rows, lines: rows.map((_, i) => i + 2) };
  const settings = {
    activation: "tanh",
    missing: "impute",
    structure: "auto",
    memoryBudget: 2 ** 30,
    kinds: {},
  } as const;
  const fit = await fitTable(table, { ...settings, target: "weight", rounds: 5, seed: 0 }, () => {});
  expect(fit.heldOut.metrics.rootMeanSquaredError).toBeLessThan(0.2 * fit.heldOut.baseline.rootMeanSquaredError);
  expect(fit.candidates).toHaveLength(3);
});
