// Variances at the last layer where the precision is diagonal in a basis of blocks.

import { allocateFloats, type Pointer, scope } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { Forward } from "../network/passes.ts";
import { product } from "../network/product.ts";
import { type Head, type HeadVariance, headOf } from "./head.ts";
import { type Block, enter, inverseOf } from "./precision-blocks.ts";

/** How they come of the blocks; undefined where these are not those of a head. */
export function headOfBlocks(size: number, blocks: readonly Block[], graph: Graph): HeadVariance | undefined {
  const selected = blocks.map((block) => block.selected);
  const head = headOf(size, selected, graph);
  if (head === undefined) return undefined;
  return (forward) => {
    const { batch, dtype, kernels } = forward;
    const length = batch * head.site.outputs;
    const at = allocateFloats(dtype, length);
    kernels.fill(length, 0, at);
    for (const block of blocks) scope(() => addHeadBlock(forward, head, block, at));
    return { dtype, at, length };
  };
}

/**
 * Adds what a block of the head gives the variances of its outputs, [B, C]: Σ_o Q_co² Σ_j (Qᵀa)_j² / p_oj, or of the bias
 * Σ_o Q_co² / p_o, the same for all examples.
 */
function addHeadBlock(forward: Forward, { site, input }: Head, block: Block, to: Pointer): void {
  const { batch, dtype, kernels } = forward;
  const { inputs, outputs } = site;
  const p = enter(dtype, inverseOf(block));
  const weight = block.selected.role === "weight";
  const rows = weight ? batch : 1;
  let forms = p;
  if (weight) {
    const squares = allocateFloats(dtype, batch * inputs);
    let a = forward.value(input);
    if (block.qa !== undefined) {
      const inBasis = { at: enter(dtype, block.qa), rows: inputs, columns: inputs };
      product(kernels, 1, { at: a, rows: batch, columns: inputs }, inBasis, squares, false);
      a = squares;
    }
    kernels.multiply(1, batch * inputs, a, a, squares, false);
    forms = allocateFloats(dtype, batch * outputs);
    const inverse = { at: p, rows: outputs, columns: inputs, transposed: true };
    product(kernels, 1, { at: squares, rows: batch, columns: inputs }, inverse, forms, false);
  }
  if (block.qb !== undefined) {
    const [q, own] = [enter(dtype, block.qb), allocateFloats(dtype, outputs * outputs)];
    kernels.multiply(1, outputs * outputs, q, q, own, false);
    const all = allocateFloats(dtype, rows * outputs);
    const squares = { at: own, rows: outputs, columns: outputs, transposed: true };
    product(kernels, 1, { at: forms, rows, columns: outputs }, squares, all, false);
    forms = all;
  }
  kernels.copyRows(batch, outputs, forms, weight ? outputs : 0, to, outputs, true);
}
