// Products of matrices that lie in JavaScript's memory.

import { dryBytes } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, openScope, scope } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { copyOutInSteps } from "../linalg/in-steps.ts";

/** A Bᵀ, [m, n], of rows [m, width] and [n, width]. */
export function multiplied(a: Float64Array, m: number, b: Float64Array, n: number, width: number): Float64Array {
  if (m * n === 0 || width === 0) return new Float64Array(m * n);
  return scope(() => {
    const to = allocateFloats("float64", m * n);
    const [left, right] = [copyIn("float64", a), copyIn("float64", b)];
    kernelsFor("float64").gemm(1, m, n, width, left, 0, width, 1, right, 0, 1, width, to, 0, n, 1, false);
    return copyOut("float64", to, m * n) as Float64Array;
  });
}

/** A matrix in rows, or one whose transpose is meant: numbers, and the steps from row to row and from column to column. */
export type Strided = readonly [numbers: Float64Array, row: number, column: number];

/** A B, [m, n], over `width`, in steps. */
export function* productInSteps(
  m: number,
  n: number,
  width: number,
  [a, aRow, aColumn]: Strided,
  [b, bRow, bColumn]: Strided,
): Steps<Float64Array> {
  const end = openScope();
  try {
    const to = allocateFloats("float64", m * n);
    yield* inPieces(() => {
      const left = copyIn("float64", a, true);
      const right = a === b ? left : copyIn("float64", b, true);
      kernelsFor("float64").gemm(1, m, n, width, left, 0, aRow, aColumn, right, 0, bRow, bColumn, to, 0, n, 1, false);
    });
    return yield* copyOutInSteps(to, m * n);
  } finally {
    end();
  }
}

/** ½ (A + Aᵀ) */
export function symmetrised(a: Float64Array, n: number): Float64Array {
  return dryBytes() === undefined ? a.map((x, i) => 0.5 * (x + a[(i % n) * n + Math.floor(i / n)])) : a;
}
