// The contractions whose results are arrays: summed over everything, kept, or the norm of each example.

import { gatherStrided } from "../array/einsum.ts";
import type { NDArray } from "../array/ndarray.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bringOut, bytesPerElement, copyOutTo, type Pointer, scope } from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";
import type { Site } from "../network/parameters.ts";
import type { Contraction, Part } from "../network/run.ts";
import { contractKeep, contractSquaredNorms, contractSum } from "./contractions.ts";
import { addToTotals, someOf, summing, widened } from "./totals.ts";

/** What a derivative is taken with respect to. */
export type Variable = "parameters" | "inputs";

export const variables: readonly Variable[] = ["parameters", "inputs"];

/** The shape of one column's derivative: summed over the batch for parameters, [B, ...inputs] for inputs. */
export function pulledBackShape(net: Network, inputs: NDArray, variable: Variable): readonly number[] {
  return variable === "parameters" ? [net.parameterCount] : inputs.shape;
}

/** One column with respect to parameters, summed, or to inputs, of each example: into `result`. */
export function sumOrInputs(net: Network, result: NDArray, variable: Variable, examples: number): Contraction<NDArray> {
  return variable === "parameters" ? sum(net, result, { examples }) : keep(net, result, variable);
}

/**
 * The sum of one column over all examples, [P]: in float64, or in the network's type some examples at a time.
 * @param sites those whose parameters count; the others' are 0
 * @param examples that there are in all, where that is known
 */
export function sum(
  { graph, dtype: own }: Network,
  result: NDArray,
  {
    sites = graph.sites,
    examples = Number.POSITIVE_INFINITY,
  }: { sites?: readonly Site[] | undefined; examples?: number } = {},
): Contraction<NDArray> {
  const size = graph.parameterCount;
  const { wide, groups } = summing(graph, own, sites, examples);
  const dtype = wide ? "float64" : own;
  let at: Pointer = 0;
  let started = false;
  /** Of the examples before, where they are summed in float32. */
  let totals: Float64Array | undefined;
  return {
    open(hold) {
      at = hold(dtype, size);
      kernelsFor(dtype).fill(size, 0, at);
    },
    add(backward) {
      for (const { sites: alike, parameters, most } of groups) {
        for (let first = 0; first < backward.batch; first += most) {
          const some = someOf(backward, first, Math.min(most, backward.batch - first));
          const again = started || first > 0;
          if (again && dtype === "float32") {
            totals ??= new Float64Array(size);
            addToTotals(dtype, at, totals, parameters);
          }
          scope(() => contractSum(wide ? widened(some, alike) : some, at, again && dtype === "float64", alike));
        }
      }
      started = true;
    },
    finish() {
      if (totals === undefined) copyOutTo(dtype, at, size, result.data, 0);
      else {
        addToTotals(dtype, at, totals);
        result.data.set(totals);
      }
      return result;
    },
  };
}

/** Nothing summed over: the derivatives of every example and column, [B, K, P] or [B, K, ...inputs]. */
export function keep({ graph, dtype }: Network, result: NDArray, variable: Variable): Contraction<NDArray> {
  const row = variable === "parameters" ? graph.parameterCount : graph.input.size;
  // Of a network without parameters there is nothing.
  const columns = result.size / (result.shape[0] * row) || 0;
  let start = 0;
  return {
    scratch: columns * (row + columns),
    begin: (part: Part) => {
      start = part.start * columns * row;
    },
    add(backward) {
      const { kernels, batch } = backward;
      const size = batch * columns * row;
      // A result in the kernels' memory is written where it lies.
      const { place } = result;
      const to = place === undefined ? allocateFloats(dtype, size) : place + start * bytesPerElement(dtype);
      if (variable === "parameters") contractKeep(backward, to);
      // Columns come first in [K, B, inputs]; examples come first in the result.
      else {
        const strides = [row, batch * row, 1];
        gatherStrided(kernels, [batch, columns, row], strides, backward.cotangent(graph.input), to);
      }
      if (place === undefined) bringOut(dtype, to, size, result.data, start);
    },
    finish: () => result,
  };
}

/** The squared norm of every example's derivative, [B], of one column. */
export function squaredNorms({ dtype }: Network, result: NDArray): Contraction<NDArray> {
  let start = 0;
  return {
    begin: (part: Part) => {
      start = part.start;
    },
    add(backward) {
      const squares = allocateFloats(dtype, backward.batch);
      contractSquaredNorms(backward, squares);
      bringOut(dtype, squares, backward.batch, result.data, start);
    },
    finish: () => result,
  };
}
