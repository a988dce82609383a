// What a pass sums besides the curvature: losses, and the norms of the examples' gradients.

import { sizeOf } from "../array/ndarray.ts";
import { contractSquaredNorms } from "../derivatives/contractions.ts";
import { allocate, allocateFloats, inMemory, later, type Pointer, sumOf } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { weighElements } from "../losses/losses.ts";
import type { Outputs } from "../network/part-outputs.ts";
import type { Backward } from "../network/passes.ts";
import type { Selection } from "../structures/selection.ts";

/**
 * Adds the loss of outputs and targets, summed, by weights if there are any; within a scope. That of each output is added to `losses`, of likelihoods that have
 * it.
 */
export function lossOf(
  likelihood: Likelihood,
  f: Outputs,
  targets: Pointer,
  weights: Float64Array | undefined,
  losses: Float64Array | undefined,
  add: (loss: number) => void,
): void {
  const to = allocate(8 * f.batch * f.outputs);
  const count = f.batch * sizeOf(likelihood.elementShape(f.shape));
  likelihood.elements(f, targets, to);
  if (weights !== undefined) weighElements(to, count, weights);
  if (losses !== undefined) {
    inMemory("float64", (elements) => {
      const { length } = losses;
      for (let i = to / 8; i < to / 8 + count; i += length)
        for (let c = 0; c < length; c++) losses[c] += elements[i + c];
    });
  }
  later(() => add(sumOf("float64", to, count)));
}

/** Adds Σ_n ‖∂ℓ_n/∂θ‖ of a part. */
export function sumOfNorms(backward: Backward, selection: Selection, add: (norms: number) => void): void {
  const { dtype, batch } = backward;
  const to = allocateFloats(dtype, batch);
  contractSquaredNorms(backward, to, selection.siteList);
  later(() => add(sumOf(dtype, to, batch, true)));
}
