// Sums of a curvature's products with some directions, and of its trace.

import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, type Pointer } from "../kernels/memory.ts";

/** Adds Σ ‖r‖² over rows r [count, n] to one number. */
export function addTrace(count: number, n: number, rows: Pointer, to: Pointer): void {
  const kernels = kernelsFor("float64");
  const squares = allocateFloats("float64", count);
  kernels.dotRows(count, n, rows, rows, squares, false);
  kernels.sumAxis(1, count, 1, squares, to, 1, true);
}

/** Adds Σ (Ω r) rᵀ over rows r [count, n], of directions Ω [b, n]: [b, n]. */
export function addProducts(count: number, n: number, rows: Pointer, b: number, omega: Pointer, to: Pointer): void {
  const kernels = kernelsFor("float64");
  const along = allocateFloats("float64", count * b);
  kernels.gemm(1, count, b, n, rows, 0, n, 1, omega, 0, 1, n, along, 0, b, 1, false);
  kernels.gemm(1, b, n, count, along, 0, 1, b, rows, 0, n, 1, to, 0, n, 1, true);
}
