// Products of matrices in a pass, with their layouts named.

import type { Kernels } from "../kernels/kernels.ts";
import type { Pointer } from "../kernels/memory.ts";

/** Matrices [rows, columns], row-major, one after the other. */
export interface Matrices {
  readonly at: Pointer;
  readonly rows: number;
  readonly columns: number;
  /** Whether their transposes are meant. */
  readonly transposed?: boolean;
  /** Numbers from one to the next: 0 for the same one each time (default: rows · columns). */
  readonly step?: number;
}

/** to = left right (or +=), for so many matrices; those of `to` lie one after the other unless `step` says otherwise. */
export function product(
  kernels: Kernels,
  count: number,
  left: Matrices,
  right: Matrices,
  to: Pointer,
  add: boolean,
  step?: number,
): void {
  const [m, k] = left.transposed ? [left.columns, left.rows] : [left.rows, left.columns];
  const n = right.transposed ? right.rows : right.columns;
  const [rowA, columnA] = left.transposed ? [1, left.columns] : [left.columns, 1];
  const [rowB, columnB] = right.transposed ? [1, right.columns] : [right.columns, 1];
  const { at: a, step: stepA = left.rows * left.columns } = left;
  const { at: b, step: stepB = right.rows * right.columns } = right;
  kernels.gemm(count, m, n, k, a, stepA, rowA, columnA, b, stepB, rowB, columnB, to, step ?? m * n, n, 1, add);
}
