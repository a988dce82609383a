// Runs forward passes over a batch in parts of bounded size, and refuses results beyond the memory budget.

import type { NDArray } from "../array/ndarray.ts";
import { checkNumber, MemoryBudgetError } from "../errors.ts";
import { bytesPerElement, copyIn, scope } from "../kernels/memory.ts";
import { chunkSize, type Network, valuesPerExample } from "../network/network.ts";
import { Forward } from "../network/passes.ts";
import { bytesText } from "../network/summary.ts";

/** Bytes a result may need unless the caller says otherwise: 1 GiB. */
export const defaultMemoryBudget: number = 2 ** 30;

/** The option of every function whose result may be large. */
export interface MemoryOptions {
  /** Bytes the result may need (default 1 GiB). What needs more is refused before it starts. */
  memoryBudget?: number;
}

/** @throws MemoryBudgetError naming the bytes, the array's shape and what to use instead */
export function checkBudget(
  where: string,
  shape: readonly number[],
  net: Network,
  memoryBudget: number = defaultMemoryBudget,
  instead: string,
): void {
  if (memoryBudget !== Number.POSITIVE_INFINITY) checkNumber(where, "memoryBudget", memoryBudget, 0);
  const bytes = shape.reduce((product, length) => product * length, bytesPerElement(net.dtype));
  if (bytes <= memoryBudget) return;
  throw new MemoryBudgetError(
    `${where}: an array of shape [${shape.join(", ")}] needs ${bytesText(bytes)} (${bytes} bytes), the memory budget is ${bytesText(memoryBudget)}. ${instead} Or raise the option memoryBudget.`,
    bytes,
    memoryBudget,
  );
}

/** One part of a batch, evaluated. */
export interface Part {
  readonly forward: Forward;
  /** The part's first example in the batch. */
  readonly start: number;
  /** The part's number of examples. */
  readonly count: number;
}

/**
 * Evaluates a batch in parts and calls `visit` for each, within one scope of the kernels' memory.
 * @param columns backward columns that `visit` will pull back for each example
 * @param extra further numbers that `visit` will allocate for each example
 */
export function eachPart(
  net: Network,
  inputs: NDArray,
  columns: number,
  extra: number,
  visit: (part: Part) => void,
): void {
  const batch = inputs.shape[0];
  const width = net.graph.input.size;
  // A backward pass keeps a cotangent for every value and column, and slopes beside them.
  const size = chunkSize(valuesPerExample(net.graph) * (2 + 2 * columns) + extra, net.dtype);
  scope(() => {
    const theta = copyIn(net.dtype, net.parameters.data);
    for (let start = 0; start < batch; start += size) {
      const count = Math.min(size, batch - start);
      scope(() => {
        const x = copyIn(net.dtype, inputs.data.subarray(start * width, (start + count) * width));
        visit({ forward: new Forward(net.graph, net.dtype, theta, x, count), start, count });
      });
    }
  });
}
