// Weights of means: against a slow search, and what they do where the rows say much, little or nothing.

import fc from "fast-check";
import { Random } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { meanWeights } from "../src/fitting/mean-weights.ts";

interface Case {
  readonly v: readonly number[];
  readonly means: readonly (readonly number[])[];
  readonly truth: readonly number[];
  readonly deviations: readonly number[];
  readonly rowWeights?: readonly number[];
}

/** What is minimised, as it is written. */
function objective(w: readonly number[], { v, means, truth, deviations, rowWeights }: Case): number {
  const squares = (weights: readonly number[]) =>
    truth.map(
      (y, i) =>
        ((rowWeights?.[i] ?? 1) / deviations[i] ** 2) *
        (y - weights.reduce((sum, own, k) => sum + own * means[k][i], 0)) ** 2,
    );
  const total = (values: readonly number[]) => values.reduce((sum, own) => sum + own, 0);
  const left = total(squares(v)) / (rowWeights === undefined ? truth.length : total(rowWeights));
  return total(squares(w)) / left + total(w.map((own, k) => (own - v[k]) ** 2)) / 0.01;
}

/** Weights of k/steps each that sum to 1. */
function* grid(size: number, steps: number): Generator<number[]> {
  if (size === 1) {
    yield [steps];
    return;
  }
  for (let own = 0; own <= steps; own++) for (const rest of grid(size - 1, steps - own)) yield [own, ...rest];
}

const cases = fc
  .record({
    size: fc.integer({ min: 2, max: 4 }),
    rows: fc.integer({ min: 1, max: 30 }),
    seed: fc.nat(1e6),
    far: fc.double({ min: 0, max: 20, noNaN: true }),
    counted: fc.boolean(),
  })
  .map(({ size, rows, seed, far, counted }): Case => {
    const random = new Random(seed);
    const raw = Array.from({ length: size }, () => random.uniform() + 0.01);
    const sum = raw.reduce((all, own) => all + own, 0);
    const truth = Array.from({ length: rows }, () => 10 * random.normal());
    return {
      v: raw.map((own) => own / sum),
      truth,
      deviations: truth.map(() => 5 * random.uniform() + 0.1),
      means: raw.map((_, k) => truth.map((y) => y + far * k * random.normal() + random.normal())),
      ...(counted && { rowWeights: truth.map(() => 3 * random.uniform() + 0.1) }),
    };
  });

describe("weights of means", () => {
  test("are of at least 0, sum to 1, and no others do better", () => {
    fc.assert(
      fc.property(cases, (given) => {
        const found = meanWeights(given.v, given);
        expect(found.every((own) => own >= 0)).toBe(true);
        expect(found.reduce((sum, own) => sum + own, 0)).toBeCloseTo(1, 12);
        const least = objective(found, given);
        for (const steps of grid(found.length, 12)) {
          expect(
            objective(
              steps.map((own) => own / 12),
              given,
            ),
          ).toBeGreaterThanOrEqual(least * (1 - 1e-9));
        }
        // Nor do those that are hardly different: it is convex, so no others at all.
        for (const [a] of found.entries()) {
          for (const [b] of found.entries()) {
            const step = Math.min(1e-3, found[b]);
            const near = found.map((own, k) => own + (k === a ? step : 0) - (k === b ? step : 0));
            expect(objective(near, given)).toBeGreaterThanOrEqual(least * (1 - 1e-9));
          }
        }
      }),
    );
  });

  test("of many rows are those of least squares, of few the mixture's, and of none, too", () => {
    const random = new Random(1);
    const given = (rows: number): Case => {
      const truth = Array.from({ length: rows }, () => random.normal());
      return {
        v: [0.9, 0.1],
        truth,
        deviations: truth.map(() => 1),
        means: [truth.map((y) => y + 3 * random.normal()), truth.map((y) => y + random.normal())],
      };
    };
    const [few, many] = [given(2), given(4000)];
    expect(Math.abs(meanWeights(few.v, few)[0] - 0.9)).toBeLessThan(0.1);
    // Of independent errors with variances 9 and 1.
    expect(meanWeights(many.v, many)[0]).toBeCloseTo(0.1, 1);
    // Where one row errs by much more than the mixture has it beside the others, it says no more than they.
    const far = { ...many, truth: many.truth.map((y, i) => (i === 0 ? y + 1e4 : y)) };
    const wide = { ...far, deviations: far.truth.map((_, i) => (i === 0 ? 1e4 : 1)) };
    expect(meanWeights(wide.v, wide)[0]).toBeCloseTo(0.1, 1);
    expect(meanWeights([0.3, 0.7], { means: [[], []], truth: [], deviations: [] })).toEqual([0.3, 0.7]);
    expect(
      meanWeights([0.3, 0.7], {
        means: [
          [1, 2],
          [1, 2],
        ],
        truth: [1, 2],
        deviations: [1, 1],
      }),
    ).toEqual([0.3, 0.7]);
  });

  test("a row that counts twice is two rows, and units say nothing", () => {
    fc.assert(
      fc.property(cases, fc.double({ min: 1e-3, max: 1e3, noNaN: true }), ({ v, means, truth, deviations }, unit) => {
        const twice = truth.map((_, i) => 1 + (i % 2));
        const repeated = (values: readonly number[]) => values.flatMap((own, i) => (i % 2 === 1 ? [own, own] : [own]));
        const found = meanWeights(v, { means, truth, deviations, rowWeights: twice });
        const same = meanWeights(v, {
          means: means.map(repeated),
          truth: repeated(truth),
          deviations: repeated(deviations),
        });
        const scaled = meanWeights(v, {
          means: means.map((own) => own.map((m) => m * unit)),
          truth: truth.map((y) => y * unit),
          deviations: deviations.map((own) => own * unit),
          rowWeights: twice,
        });
        found.forEach((own, k) => {
          expect(same[k]).toBeCloseTo(own, 6);
          expect(scaled[k]).toBeCloseTo(own, 6);
        });
      }),
    );
  });
});
