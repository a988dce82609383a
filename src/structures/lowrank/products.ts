// Products of matrices that lie in JavaScript's memory.

import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../kernels/memory.ts";

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
