import fc from "fast-check";
import { expect, test } from "vitest";
import { portableExp, portableExpm1, portableLog, portableLog1p, portableSin } from "../../src/array/portable.ts";

const within = (min: number, max: number) => fc.double({ min, max, noNaN: true });

test("they are the functions of Math, to a few units in the last place", () => {
  fc.assert(
    fc.property(within(-700, 700), within(-0.99, 3), within(1e-300, 1e300), (x, small, positive) => {
      expect([portableExp(x), portableExp(small)]).toBeAllClose([Math.exp(x), Math.exp(small)], { relative: 1e-15 });
      expect([0, Number.POSITIVE_INFINITY, Number.NaN, -1].map(portableLog)).toEqual([
        Number.NEGATIVE_INFINITY,
        Number.POSITIVE_INFINITY,
        Number.NaN,
        Number.NaN,
      ]);
      expect(portableLog(positive)).toBeCloseTo(Math.log(positive), 12);
      const pairs = [small, small * 1e-5, small * 1e-12, small * 1e-300].map((v) => [
        [portableExpm1(v), portableLog1p(v)],
        [Math.expm1(v), Math.log1p(v)],
      ]);
      for (const [ours, due] of pairs) expect(ours).toBeAllClose(due, { relative: 4e-15 });
    }),
    { numRuns: 2000 },
  );
});

test("the exponential at the edges", () => {
  expect([0, -0, 1000, -1000, 710.5, -746.5, Infinity, -Infinity].map(portableExp)).toEqual([
    1,
    1,
    Infinity,
    0,
    Infinity,
    0,
    Infinity,
    0,
  ]);
  expect(portableExp(Number.NaN)).toBeNaN();
  // Subnormal numbers have few digits, but are there.
  for (const x of [-708.5, -720, -740, -745]) {
    expect(Math.abs(portableExp(x) - Math.exp(x))).toBeLessThanOrEqual(1e-15 * Math.exp(x) + Number.MIN_VALUE);
  }
  for (const x of [709.5, 709.78]) expect(portableExp(x) / Math.exp(x)).toBeCloseTo(1, 14);
  expect([portableExpm1(-800), portableExpm1(-50), portableExpm1(0), portableLog1p(0)]).toEqual([-1, -1, 0, 0]);
  expect(portableExpm1(800)).toBe(Infinity);
});

test("portableSin is the sine to a few units in the last place of 1", () => {
  let worst = 0;
  for (let x = -100; x <= 100; x += 0.00731) worst = Math.max(worst, Math.abs(portableSin(x) - Math.sin(x)));
  expect(worst).toBeLessThan(4e-15);
  expect(portableSin(0)).toBe(0);
});
