// Sums over examples and columns of squared derivatives of a linear site, [outputs, inputs]: (Σ_t δ_t ⊗ a_t)².

import { sumOfProducts } from "../derivatives/contractions.ts";
import { allocateFloats, bytesPerElement, type Pointer } from "../kernels/memory.ts";
import { type LinearSite, type Node, nodeNumbers, positionsOf } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";

/** A use of a site: cotangents [K, B, T, outputs] and inputs [B, T, inputs], possibly rotated. */
export interface Use {
  readonly delta: Pointer;
  readonly a: Pointer;
  readonly positions: number;
}

/** The uses of a site as they are. */
export function usesOf(backward: Backward, nodes: readonly Node[]): Use[] {
  return nodes.map((node) => ({
    delta: backward.cotangent(node),
    a: backward.value(node.inputs[0]),
    positions: positionsOf(node),
  }));
}

/** Numbers that `addSquares` allocates for each example. */
export function squaresPerExample(site: LinearSite, nodes: readonly Node[], columns: number): number {
  const once = nodes.length === 1 && positionsOf(nodes[0]) === 1;
  return once ? site.outputs + site.inputs : columns * site.outputs * site.inputs;
}

/** Adds the squares of the weights' derivatives to `to`, [outputs, inputs]. */
export function addSquares(
  backward: Backward,
  outputs: number,
  inputs: number,
  uses: readonly Use[],
  to: Pointer,
): void {
  const { kernels, batch, columns, dtype } = backward;
  if (uses.length === 1 && uses[0].positions === 1) {
    // (δ a)² = δ² a²: one product for all examples, after the columns are summed.
    const delta = sumOfSquares(backward, uses[0].delta, outputs);
    const a = allocateFloats(dtype, batch * inputs);
    kernels.multiply(1, batch * inputs, uses[0].a, uses[0].a, a, false);
    kernels.gemm(1, outputs, inputs, batch, delta, 0, 1, outputs, a, 0, inputs, 1, to, 0, inputs, 1, true);
    return;
  }
  const n = outputs * inputs;
  const rows = allocateFloats(dtype, columns * batch * n);
  const size = bytesPerElement(dtype);
  uses.forEach(({ delta, a, positions }, use) => {
    for (let k = 0; k < columns; k++) {
      const d = delta + k * batch * positions * outputs * size;
      sumOfProducts(backward, batch, positions, outputs, inputs, d, a, rows + k * batch * n * size, n, use > 0);
    }
  });
  kernels.multiply(1, columns * batch * n, rows, rows, rows, false);
  kernels.sumAxis(1, columns * batch, n, rows, to, n, true);
}

/** Σ_k x_k² over columns [K, B, n]: [B, n]. */
export function sumOfSquares({ kernels, batch, columns, dtype }: Backward, x: Pointer, n: number): Pointer {
  const total = allocateFloats(dtype, batch * n);
  const bytes = batch * n * bytesPerElement(dtype);
  for (let k = 0; k < columns; k++) kernels.multiply(1, batch * n, x + k * bytes, x + k * bytes, total, k > 0);
  return total;
}

/** Numbers that `vectorRows` allocates for each example. */
export function vectorRowsPerExample(nodes: readonly Node[], n: number, scaled: boolean, columns: number): number {
  return columns * (n + (scaled ? nodeNumbers(nodes) : 0));
}

/**
 * The derivatives of a vector at a site, [K, B, n]: of a bias or shift Σ_t δ_t, of a scale Σ_t δ_t ⊙ x_t, over all uses.
 */
export function vectorRows(backward: Backward, nodes: readonly Node[], n: number, scaled: boolean): Pointer {
  const { kernels, batch, columns, dtype } = backward;
  const result = allocateFloats(dtype, columns * batch * n);
  nodes.forEach((node, use) => {
    const t = positionsOf(node);
    let delta = backward.cotangent(node);
    if (scaled) {
      const product = allocateFloats(dtype, columns * batch * node.size);
      kernels.multiply(columns, batch * node.size, delta, backward.value(node.inputs[0]), product, false);
      delta = product;
    }
    kernels.sumAxis(columns * batch, t, n, delta, result, n, use > 0);
  });
  return result;
}
