// The derivatives of vectors: of a bias or shift Σ_t δ_t over the positions t of each use of its site, of a scale
// Σ_t δ_t ⊙ x_t.

import { allocateFloats, bytesPerElement, type Pointer } from "../kernels/memory.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, siteUseOf } from "../network/primitive.ts";

/** The derivatives of a vector of n numbers at a site, [K, B, n]: to be read, as they may be what arrived there. */
export function vectorRows(backward: Backward, nodes: readonly Node[], n: number, scaled: boolean): Pointer {
  const { kernels, batch, columns, dtype } = backward;
  // Of one use at one position there is nothing to sum.
  if (nodes.length === 1 && nodes[0].size === n) {
    const delta = backward.cotangent(nodes[0]);
    if (!scaled) return delta;
    const product = allocateFloats(dtype, columns * batch * n);
    kernels.multiply(columns, batch * n, delta, backward.value(nodes[0].inputs[0]), product, false);
    return product;
  }
  const result = allocateFloats(dtype, columns * batch * n);
  nodes.forEach((node, use) => {
    const add = use > 0;
    const t = node.size / n;
    const delta = backward.cotangent(node);
    const x = scaled ? backward.value(node.inputs[0]) : 0;
    if (siteUseOf(node).channelsFirst && t > 1) {
      if (!scaled) kernels.sumAxis(columns * batch * n, t, 1, delta, result, 1, add);
      for (let k = 0; scaled && k < columns; k++) {
        const step = k * batch * n * bytesPerElement(dtype);
        kernels.dotRows(batch * n, t, delta + step * t, x, result + step, add);
      }
      return;
    }
    if (!scaled) {
      kernels.sumAxis(columns * batch, t, n, delta, result, n, add);
      return;
    }
    const product = allocateFloats(dtype, columns * batch * node.size);
    kernels.multiply(columns, batch * node.size, delta, x, product, false);
    kernels.sumAxis(columns * batch, t, n, product, result, n, add);
  });
  return result;
}
