// Sums over many examples. In float32 a long sum drifts: terms of one size are rounded in one direction. So what passes through
// a network of float32 is summed in float64: contractions of few weights as a whole, and of many weights part by part.

import { allocateFloats, bytesPerElement, convert, type DType, inMemory, type Pointer } from "../kernels/memory.ts";
import type { Graph, Site } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";

/** Weights up to which a contraction is summed in float64 as a whole: it then costs little beside the network's passes. */
const FEW = 2048;

/** Whether contractions of so many weights are summed in float64, though the network is not. */
export function sumsWide(dtype: DType, weights: number): boolean {
  return dtype === "float32" && weights <= FEW;
}

/** Numbers of float32 that a `widened` pass takes for each example. */
export function widenedNumbers(graph: Graph, sites: Iterable<Site>, columns: number): number {
  const { values, cotangents } = nodesOf(graph, sites);
  let numbers = 0;
  for (const { size } of values) numbers += 2 * size;
  for (const { size } of cotangents) numbers += 2 * columns * size;
  return numbers;
}

function nodesOf(graph: Graph, sites: Iterable<Site>) {
  const cotangents = new Set([...sites].flatMap((site) => graph.uses.get(site) ?? []));
  return { cotangents, values: new Set([...cotangents].flatMap(({ inputs }) => inputs.slice(0, 1))) };
}

/** What arrived at some sites, and their inputs, as copies in float64 in the current scope. */
export function widened(backward: Backward, sites: Iterable<Site>): Backward {
  const { batch, columns, dtype, graph } = backward;
  if (dtype === "float64") return backward;
  const { cotangents, values } = nodesOf(graph, sites);
  const wide = (from: Pointer, length: number): Pointer => {
    if (from === 0) return 0;
    const to = allocateFloats("float64", length);
    convert(dtype, from, length, "float64", to);
    return to;
  };
  // By number: a view of the network that was made twice has other nodes with the same numbers.
  const ofValues = new Map([...values].map((node) => [node.id, wide(backward.value(node), batch * node.size)]));
  const arrived = new Map(
    [...cotangents].map((node) => [node.id, wide(backward.cotangent(node), columns * batch * node.size)]),
  );
  return backward.as(
    "float64",
    (node) => ofValues.get(node.id) ?? 0,
    (node) => arrived.get(node.id) ?? 0,
  );
}

/** Adds numbers of the kernels' memory to totals, and leaves zeros there. */
export function fold(dtype: DType, from: Pointer, totals: Float64Array): void {
  inMemory(dtype, (memory) => {
    const start = from / bytesPerElement(dtype);
    for (let i = 0; i < totals.length; i++) totals[i] += memory[start + i];
    memory.fill(0, start, start + totals.length);
  });
}
