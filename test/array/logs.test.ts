import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sumOfLogs } from "../../src/array/logs.ts";
import { Random } from "../../src/array/random.ts";

describe("the sum of logarithms", () => {
  test("is that of exact powers of two to the last bit, however many and large", () => {
    for (const seed of [1, 2, 3]) {
      const random = new Random(seed);
      const exponents = Array.from({ length: 5000 }, () => Math.floor(random.uniform() * 2000) - 1000);
      const sum = exponents.reduce((a, b) => a + b, 0);
      const found = sumOfLogs(Float64Array.from(exponents, (e) => 2 ** e));
      expect(Math.abs(found - sum * Math.LN2), `seed ${seed}`).toBeLessThan(1e-9);
    }
  });

  test("loses less than a plain sum: x and 1/x are nothing", () => {
    const random = new Random(4);
    const halves = Float64Array.from({ length: 40_000 }, () => Math.exp(4 + 8 * random.normal()));
    const both = Float64Array.from([...halves, ...halves.map((x) => 1 / x)]);
    // Each quotient is rounded by half a unit of its last place.
    expect(Math.abs(sumOfLogs(both))).toBeLessThan(5e-12);
  });

  test("is the sum of Math.log, wherever numbers of any size, or signs, stand", () => {
    const number = fc.oneof(
      fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      fc.double({ min: 0, noNaN: true }),
      fc.constantFrom(1, 5e-324, 1e-200, 1e-150, 1e150, 1e200, 1.7e308),
    );
    fc.assert(
      fc.property(fc.array(number, { maxLength: 30 }), fc.option(fc.nat(29), { nil: -1, freq: 3 }), (list, bad) => {
        const values = Float64Array.from(list);
        // Two negative numbers in a row.
        if (bad >= 0 && bad + 2 <= values.length) values.set([-1 - values[bad], -2], bad);
        const due = values.reduce((sum, x) => sum + Math.log(x), 0);
        const found = sumOfLogs(values);
        if (Number.isFinite(due)) expect(Math.abs(found - due)).toBeLessThan(1e-10 * (1 + list.length * 745));
        else expect(found).toBe(due);
      }),
      { numRuns: 1000 },
    );
    for (const n of [1, 3, 4, 5, 8, 9]) expect(sumOfLogs(new Float64Array(n).fill(1))).toBe(0);
    expect(sumOfLogs(Float64Array.of(-2, -2, 1, 1))).toBeNaN();
    expect(sumOfLogs(Float64Array.of(1, 1, -2, -2))).toBeNaN();
  });

  test("of nothing is 0; of what has no logarithm, what Math.log gives", () => {
    expect(sumOfLogs(new Float64Array(0))).toBe(0);
    expect(sumOfLogs(Float64Array.of(2, 0))).toBe(Number.NEGATIVE_INFINITY);
    expect(sumOfLogs(Float64Array.of(2, Number.POSITIVE_INFINITY))).toBe(Number.POSITIVE_INFINITY);
    expect(sumOfLogs(Float64Array.of(2, -1))).toBeNaN();
    expect(sumOfLogs(Float64Array.of(Number.NaN, 1))).toBeNaN();
    expect(sumOfLogs(Float64Array.of(5e-324, 1.7e308))).toBeCloseTo(Math.log(5e-324) + Math.log(1.7e308), 10);
  });
});
