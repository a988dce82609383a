// Sums over examples and columns of squared derivatives of a weight, [outputs, inputs]: (Σ_t l_t ⊗ r_t)².

import { type Chunk, productNumbers, type Use, writeProducts } from "../derivatives/uses.ts";
import { allocateFloats, type Pointer } from "../kernels/memory.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";

/** What estimates of a part of the data depend on. */
export type PartSize = Pick<Backward, "columns" | "dtype" | "batch">;

/** Numbers that `addSquares` allocates for each example of a chunk. */
export function squareNumbers(site: LinearSite, nodes: readonly Node[], columns: number): number {
  return columns * site.outputs * site.inputs + productNumbers(site, nodes, columns);
}

/** Adds the squares of a weight's derivatives at its one use at one position to `to`, [outputs, inputs]. */
export function addPlainSquares(backward: Backward, site: LinearSite, use: Use, to: Pointer): void {
  const delta = sumOfSquares(backward, use.left.at, site.outputs);
  addSquaredProducts(backward, site, backward.batch, delta, use.right.at, to);
}

/** Adds Σ_n d_n ⊗ a_n² to `to`, for rows d of squares that are summed over columns: (δ a)² = δ² a². */
export function addSquaredProducts(
  { kernels, dtype }: Backward,
  { outputs, inputs }: LinearSite,
  rows: number,
  d: Pointer,
  a: Pointer,
  to: Pointer,
): void {
  const squares = allocateFloats(dtype, rows * inputs);
  kernels.multiply(1, rows * inputs, a, a, squares, false);
  kernels.gemm(1, outputs, inputs, rows, d, 0, 1, outputs, squares, 0, inputs, 1, to, 0, inputs, 1, true);
}

/** Adds the squares of a weight's derivatives at a chunk of examples to `to`, [outputs, inputs]. */
export function addSquares(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  chunk: Chunk,
  to: Pointer,
): void {
  const { kernels, columns, dtype } = backward;
  const n = site.outputs * site.inputs;
  const rows = allocateFloats(dtype, columns * chunk.count * n);
  writeProducts(backward, site, nodes, chunk, { to: rows, example: columns * n });
  kernels.addSquares(columns * chunk.count, n, rows, to);
}

/** Σ_k x_k² over columns [K, B, n]: [B, n]. */
export function sumOfSquares({ kernels, batch, columns, dtype }: Backward, x: Pointer, n: number): Pointer {
  const total = allocateFloats(dtype, batch * n);
  kernels.fill(batch * n, 0, total);
  kernels.addSquares(columns, batch * n, x, total);
  return total;
}
