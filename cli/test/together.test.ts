// Scales that are chosen together: against every number in turn, and that a mixture of two that differ is then as wide as its errors.

import fc from "fast-check";
import { normalCdf, Random } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { mixtureWeights } from "../src/fitting/portfolio.ts";
import { scalesTogether } from "../src/fitting/together.ts";

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value / values.length, 0);

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

/** The mean −log p of a mixture, as it is written. */
const mixed = (rows: readonly (readonly number[])[], weights: readonly number[]) =>
  mean(rows[0].map((_, i) => -Math.log(rows.reduce((sum, own, k) => sum + weights[k] * Math.exp(-own[i]), 0))));

const losses = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 6 }))
  .chain(([candidates, scales, rows]) => {
    const loss = fc.oneof(
      { weight: 9, arbitrary: fc.double({ min: -3, max: 3, noNaN: true }) },
      { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
    );
    const of = <T>(one: fc.Arbitrary<T>, length: number) => fc.array(one, { minLength: length, maxLength: length });
    // The first scale has been tried of each.
    const finite = of(fc.double({ min: -3, max: 3, noNaN: true }), rows);
    const more = of(of(loss, rows), scales - 1);
    return of(
      fc.tuple(finite, more).map(([first, others]) => [first, ...others]),
      candidates,
    );
  });

describe("scales together", () => {
  test("each in turn is where the mixture with it is most probable", () => {
    fc.assert(
      fc.property(losses, (all) => {
        const weights = all.map((_, k) => (k + 1) / ((all.length * (all.length + 1)) / 2));
        const start = all.map(() => 0);
        const found = scalesTogether(all, start, () => weights);
        const expected = [...start];
        const now = () => all.map((own, k) => own[expected[k]]);
        for (let round = 0; round < 4; round++) {
          for (let k = all.length - 1; k >= 0; k--) {
            const rowsWith = (rows: readonly number[]) =>
              rows.map((_, i) => {
                const all_ = now().map((own, j) => (j === k ? rows[i] : own[i]));
                return mixed(
                  all_.map((one) => [one]),
                  weights,
                );
              });
            const before = rowsWith(all[k][expected[k]]);
            const gains = all[k].map((rows) => {
              if (!rows.some(Number.isFinite)) return 0;
              const own = rowsWith(rows).map((loss, i) => before[i] - loss);
              const error = Math.sqrt(sum(own.map((gain) => (gain - mean(own)) ** 2))) / own.length;
              // Gains at a bound may fall to either side by rounding.
              fc.pre(Math.abs(mean(own) - 1e-3) > 1e-9 && !(Math.abs(mean(own) - error) < 1e-9 && error > 0));
              return mean(own) > 1e-3 && mean(own) > error ? mean(own) : 0;
            });
            const best = gains.indexOf(Math.max(...gains));
            fc.pre(gains.every((gain, s) => s === best || gain === 0 || gain < gains[best] - 1e-9));
            if (gains[best] > 0) expected[k] = best;
          }
        }
        expect(found.chosen).toEqual(expected);
        expect(found.weights).toEqual(weights);
        const end = all.map((own, k) => own[found.chosen[k]]);
        expect(mixed(end, weights)).toBeLessThanOrEqual(mixed(now(), weights) + 1e-9);
      }),
    );
  });

  test("four that err apart are as wide together as their mixture's errors, not as each one's", () => {
    const random = new Random(3);
    const n = 2000;
    const factors = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2];
    const rows = Array.from({ length: n }, () => ({
      target: random.normal(),
      centers: [0, 1, 2, 3].map(() => random.normal()),
    }));
    // Each errs by its own error and the target's, a variance of 1 each.
    const all = [0, 1, 2, 3].map((k) =>
      factors.map((factor) =>
        rows.map(({ target, centers }) => {
          const v = 2 * factor;
          return 0.5 * (Math.log(2 * Math.PI * v) + (target - centers[k]) ** 2 / v);
        }),
      ),
    );
    const held = (places: readonly number[], weights: readonly number[]) =>
      mean(
        rows.map(({ target, centers }) => {
          const below = centers.reduce(
            (sum, at, k) => sum + weights[k] * normalCdf((target - at) / Math.sqrt(2 * factors[places[k]])),
            0,
          );
          return Number(below > 0.05 && below < 0.95);
        }),
      );
    const alone = [0, 0, 0, 0];
    const even = [0.25, 0.25, 0.25, 0.25];
    const found = scalesTogether(all, alone, mixtureWeights);
    expect(held(alone, even)).toBeGreaterThan(0.97);
    expect(held(found.chosen, found.weights)).toBeLessThan(0.94);
    expect(held(found.chosen, found.weights)).toBeGreaterThan(0.86);
    const at = (places: readonly number[]) => places.map((place, k) => all[k][place]);
    expect(mixed(at(found.chosen), found.weights)).toBeLessThan(mixed(at(alone), even) - 0.05);
  });

  test("what has no weight alone has none together, and a scale that was not tried is not taken", () => {
    const inf = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const found = scalesTogether(
      [
        [[1, 1], inf],
        [
          [9, 9],
          [0, 0],
        ],
      ],
      [0, 0],
      ([first]) => (first === undefined ? [] : first.length > 0 ? [1, 0] : []),
    );
    expect(found).toEqual({ chosen: [0, 0], weights: [1, 0] });
  });
});
