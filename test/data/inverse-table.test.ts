// Powers by a table against the function itself.

import fc from "fast-check";
import { expect, test } from "vitest";
import { rootByTable, tabledRoot } from "../../src/data/inverse-table.ts";
import { fromScale, momentsFromScale } from "../../src/data/target-scales.ts";

const root = (t: number, p: number) => Math.expm1(p === 0 ? t : Math.log1p(p * t) / p);

test("a power's inverse by a table is the function to 5e-13, before and beyond the table's end", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(0, 0.05, 1, 2), fc.double({ min: 1e-9, max: 2, noNaN: true })),
      fc.array(fc.double({ min: 0, max: 20, noNaN: true }), { minLength: 1, maxLength: 50 }),
      (p, places) => {
        const table = rootByTable(root, p);
        for (const t of [0, 1 / 64, 16, ...places]) {
          const wanted = root(t, p);
          expect(Math.abs(tabledRoot(table, t) - wanted)).toBeLessThanOrEqual(5e-13 * (1 + wanted));
        }
        expect(tabledRoot(table, Number.POSITIVE_INFINITY)).toBe(root(Number.POSITIVE_INFINITY, p));
      },
    ),
  );
});

test("moments of what is normal on a power's scale are those of the same nodes without a table", () => {
  const shares = Array.from({ length: 65 }, (_, k) => Math.exp(-0.5 * (0.25 * (k - 32)) ** 2));
  const total = shares.reduce((sum, share) => sum + share, 0);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.double({ min: -6, max: 6, noNaN: true }),
      fc.double({ min: 1e-3, max: 2, noNaN: true }),
      (step, mean, sd) => {
        const scale = { kind: "yeoJohnson", lambda: step / 20, center: -3, unit: 7 } as const;
        const values = shares.map((_, k) => fromScale(scale, mean + sd * 0.25 * (k - 32)));
        const center = values.reduce((sum, value, k) => sum + (shares[k] / total) * value, 0);
        const variance = values.reduce((sum, value, k) => sum + (shares[k] / total) * (value - center) ** 2, 0);
        const [own, spread] = momentsFromScale(scale, mean, sd ** 2);
        const size = Math.abs(center) + Math.sqrt(variance);
        expect(Math.abs(own - center)).toBeLessThan(1e-10 * size);
        expect(Math.abs(Math.sqrt(spread) - Math.sqrt(variance))).toBeLessThan(1e-10 * size);
      },
    ),
  );
});

test("what is not finite stays so, and ends", () => {
  const scale = { kind: "yeoJohnson", lambda: 0.5, center: -3, unit: 7 } as const;
  expect(momentsFromScale(scale, Number.NaN, 1)).toEqual([Number.NaN, Number.NaN]);
  for (const [mean, variance] of [
    [Number.POSITIVE_INFINITY, 1],
    [1, Number.POSITIVE_INFINITY],
  ]) {
    expect(momentsFromScale(scale, mean, variance).every(Number.isFinite)).toBe(false);
  }
});
