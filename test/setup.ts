// A matcher for arrays of numbers, equality of arrays, and the seed of the property-based tests, which every failure
// prints.

import fc, { type Plugin } from "fast-check";
import { expect } from "vitest";
import { NDArray } from "../src/array/ndarray.ts";

const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31);

/** Whether every case is tried: by `npm run test:long`. Other suites try some of each kind, and random ones for half a second. */
export const everyCase = process.env.LAPLACE_TS_EVERY_CASE === "1";

const [LEAST, MILLISECONDS] = process.env.LAPLACE_TS_FEW_RUNS === "1" ? [2, 100] : [5, 500];

/** Ends a property between two of its runs: `fc.interruptAfterTimeLimit` would leave one of promises running beside the next test. */
const forAWhile: Plugin<unknown> = () => {
  const end = performance.now() + MILLISECONDS;
  let runs = 0;
  return {
    decorateRun: (run) => (value) =>
      runs++ < LEAST || performance.now() < end ? run(value) : new fc.PreconditionFailure(true),
  };
};

// Files that share a process share what is installed, too.
if (!everyCase && fc.readConfigureGlobal().seed === undefined) fc.installGlobalPlugin(forAWhile);
fc.configureGlobal({ seed, numRuns: 60 });

/** Tolerances of `toBeAllClose`: |actual − expected| ≤ absolute + relative · |expected|. */
export interface Tolerance {
  relative?: number;
  absolute?: number;
}

interface CloseMatchers<R = unknown> {
  /** Element by element within a tolerance (default 1e-12 relative); shapes must agree where both have one. */
  toBeAllClose(expected: NDArray | ArrayLike<number>, tolerance?: Tolerance): R;
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: the signature of Vitest's own interface
  interface Matchers<T = any> extends CloseMatchers<T> {}
}

expect.extend({
  toBeAllClose(
    actual: NDArray | ArrayLike<number>,
    expected: NDArray | ArrayLike<number>,
    { relative = 1e-12, absolute = 0 }: Tolerance = {},
  ) {
    const values = (x: NDArray | ArrayLike<number>) => (x instanceof NDArray ? x.data : x);
    const shape = (x: NDArray | ArrayLike<number>) => (x instanceof NDArray ? x.shape : undefined);
    const [a, b] = [values(actual), values(expected)];
    const shapes = [shape(actual), shape(expected)];
    if (shapes[0] && shapes[1] && !this.equals(shapes[0], shapes[1])) {
      return { pass: false, message: () => `shapes [${shapes[0]}] and [${shapes[1]}] differ` };
    }
    if (a.length !== b.length) return { pass: false, message: () => `lengths ${a.length} and ${b.length} differ` };
    let worst = { excess: 0, index: -1 };
    for (let i = 0; i < a.length; i++) {
      if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
      const excess = Math.abs(a[i] - b[i]) / (absolute + relative * Math.abs(b[i]));
      if (!(excess <= Math.max(1, worst.excess))) worst = { excess, index: i };
    }
    const { index, excess } = worst;
    return {
      pass: index < 0,
      message: () =>
        index < 0
          ? "arrays are close"
          : `element ${index}: ${a[index]}, expected ${b[index]}, ${excess.toPrecision(3)} times the tolerance\nactual   ${text(a)}\nexpected ${text(b)}`,
    };
  },
});

// An array's elements are private to it, so that `toEqual` would not look at them.
expect.addEqualityTesters([
  (a: unknown, b: unknown) => {
    if (!(a instanceof NDArray && b instanceof NDArray)) return undefined;
    const shape = a.dtype === b.dtype && String(a.shape) === String(b.shape);
    return shape && a.data.every((value, i) => Object.is(value, b.data[i]));
  },
]);

function text(values: ArrayLike<number>): string {
  return `${Array.from(values).slice(0, 12).join(", ")}${values.length > 12 ? ", …" : ""}`;
}
