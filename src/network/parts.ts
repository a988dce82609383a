// Forward passes over a batch in parts of bounded size.

import type { NDArray } from "../array/ndarray.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, copyIn, type DType, type Pointer, scope } from "../kernels/memory.ts";
import type { Graph } from "./graph.ts";
import { Forward } from "./passes.ts";
import { labelOf } from "./summary.ts";

/** One part of a batch, evaluated. */
export interface Part {
  readonly forward: Forward;
  /** The part's first example in the batch. */
  readonly start: number;
  /** The part's number of examples. */
  readonly count: number;
}

/** A network's graph with its parameters and buffers. */
interface Model {
  readonly graph: Graph;
  readonly dtype: DType;
  readonly parameters: NDArray;
  readonly buffers: NDArray;
}

/** Bytes of what passes through a network at once, about. */
const PART_BYTES = 2 ** 25;

/** How many examples to take at once when each needs that many numbers: at most about 32 MiB of them. */
export function partSize(numbersPerExample: number, dtype: DType): number {
  return Math.max(1, Math.floor(PART_BYTES / (Math.max(numbersPerExample, 1) * bytesPerElement(dtype))));
}

/** Whether an example that needs that many numbers is a part of that size. */
export function fitsPart(numbersPerExample: number, dtype: DType): boolean {
  return numbersPerExample * bytesPerElement(dtype) <= PART_BYTES;
}

/**
 * Evaluates a batch in parts and calls `visit` for each, within one scope of the kernels' memory.
 * @param columns backward columns that `visit` will pull back for each example
 * @param extra further numbers that `visit` will allocate for each example
 */
export function eachPart(
  { graph, dtype, parameters, buffers: statistics }: Model,
  inputs: NDArray,
  columns: number,
  extra: number,
  visit: (part: Part) => void,
): void {
  const batch = inputs.shape[0];
  const width = graph.input.size;
  const values = graph.nodes.reduce((sum, node) => sum + node.size, 0);
  // A backward pass keeps a cotangent for every value and column, and derivatives of activations beside them.
  const size = partSize(values * (columns === 0 ? 1 : 2 + 2 * columns) + extra, dtype);
  scope(() => {
    const theta = copyIn(dtype, parameters.data);
    const buffers = copyIn(dtype, statistics.data);
    for (let start = 0; start < batch; start += size) {
      const count = Math.min(size, batch - start);
      scope(() => {
        const x = copyIn(dtype, inputs.data.subarray(start * width, (start + count) * width));
        visit({ forward: new Forward(graph, dtype, theta, x, count, { buffers }), start, count });
      });
    }
  });
}

/** Evaluates the examples from `start` to before `end` at once, within a scope of its own; `theta` are the parameters. */
export function onePart(
  { graph, dtype, buffers: statistics }: Model,
  theta: Pointer,
  inputs: NDArray,
  start: number,
  end: number,
  visit: (part: Part) => void,
): void {
  const width = graph.input.size;
  scope(() => {
    const x = copyIn(dtype, inputs.data.subarray(start * width, end * width));
    const buffers = copyIn(dtype, statistics.data);
    visit({ forward: new Forward(graph, dtype, theta, x, end - start, { buffers }), start, count: end - start });
  });
}

/** @throws ValueError naming the first value of the network that is not finite: its derivatives would not be either */
export function checkValues(where: string, { forward, start }: Part): void {
  const { kernels, graph, batch, dtype } = forward;
  for (const node of graph.nodes) {
    const pointer = forward.value(node);
    if (kernels.allFinite(batch * node.size, pointer) === 1) continue;
    let example = 0;
    while (kernels.allFinite(node.size, pointer + example * node.size * bytesPerElement(dtype)) === 1) example++;
    throw new ValueError(
      `${where}: at example ${start + example} the network's value after "${labelOf(node)}" is not finite. Likely causes: parameters that are not finite, or an activation such as exp that overflows ${dtype}.`,
    );
  }
}
