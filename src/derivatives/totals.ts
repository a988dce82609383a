// Sums over many examples. In float32 a long sum drifts: terms of one size are rounded in one direction. So what passes through
// a network of float32 is summed in float64: long contractions of few weights as a whole, the others some thousand terms at a time.

import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, type DType, inMemory, type Pointer } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import { type Parameter, parametersOf, type Site } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, positionsOf } from "../network/primitive.ts";

/** Weights up to which a contraction is summed in float64 as a whole: it then costs little beside the network's passes. */
const FEW = 2048;
/** Terms of a sum, examples times positions, that float32 adds at once: equal ones drift by less than 1e-5 of their sum. */
const AT_ONCE = 1024;
/** The same of many weights, whose totals cost more. */
const MANY_AT_ONCE = 4096;
/** Examples up to which such sums, added in float64, are taken for few weights too: float64 throughout would cost half as much again. */
const SHORT = 2 ** 15;
/** Numbers of float64 that are copied at once: they stay in the cache. */
const CHUNK = 2 ** 16;

/** Whether contractions of so many weights are summed in float64, though the network is not. */
export function sumsWide(dtype: DType, weights: number): boolean {
  return dtype === "float32" && weights <= FEW;
}

/** Sites that are summed alike: so many examples at once. */
export interface Summed {
  readonly sites: readonly Site[];
  /** Those of the sites; not listed where nothing is added to totals. */
  readonly parameters?: readonly Parameter[];
  readonly most: number;
}

/**
 * How one column is summed over examples: in which type, and of which sites how many examples at once.
 * @param examples that there are in all; Infinity where that is not known
 */
export function summing(
  graph: Graph,
  own: DType,
  sites: readonly Site[],
  examples: number,
): { readonly wide: boolean; readonly groups: readonly Summed[] } {
  if (own === "float64") return { wide: false, groups: [{ sites, most: Number.POSITIVE_INFINITY }] };
  const few = sumsWide(own, graph.parameterCount);
  const all = groupsOf(graph, sites, few ? AT_ONCE : MANY_AT_ONCE);
  // Where positions share weights the passes cost more, and the copies less beside them.
  const wide = few && (examples > SHORT || all.positions > 1);
  if (!wide) return { wide, groups: all.groups };
  const most = Math.max(1, Math.floor(CHUNK / Math.max(1, widenedNumbers(graph, sites, 1) / 2)));
  return { wide, groups: [{ sites, most }] };
}

const known = new WeakMap<readonly Site[], ReturnType<typeof groupsFor>>();

/** Found once for all sites of a network. */
function groupsOf(graph: Graph, sites: readonly Site[], terms: number) {
  const found = known.get(sites) ?? groupsFor(graph, sites, terms);
  if (sites === graph.sites) known.set(sites, found);
  return found;
}

/** Sites by the examples that they add at once, and the most positions at which a weight is used, in all its uses. */
function groupsFor(graph: Graph, sites: readonly Site[], terms: number): { positions: number; groups: Summed[] } {
  const groups = new Map<number, Site[]>();
  let most = 1;
  for (const site of sites) {
    const positions = Math.max(
      1,
      (graph.uses.get(site) ?? []).reduce((sum, node) => sum + positionsOf(node), 0),
    );
    const examples = Math.max(1, Math.floor(terms / positions));
    groups.set(examples, [...(groups.get(examples) ?? []), site]);
    most = Math.max(most, positions);
  }
  return {
    positions: most,
    groups: [...groups].map(([examples, alike]) => ({
      sites: alike,
      parameters: alike.flatMap(parametersOf),
      most: examples,
    })),
  };
}

/** Some examples of what one column brought. */
export function someOf(backward: Backward, first: number, count: number): Backward {
  if (count === backward.batch) return backward;
  const { dtype, graph } = backward;
  const bytes = first * bytesPerElement(dtype);
  const [values, cotangents] = [noPlaces(graph), noPlaces(graph)];
  const at = (from: Pointer, { size }: Node) => (from === 0 ? 0 : from + size * bytes);
  for (const node of graph.nodes) {
    values[node.id] = at(backward.value(node), node);
    cotangents[node.id] = at(backward.cotangent(node), node);
  }
  return backward.as({ dtype, batch: count, values, cotangents });
}

const noPlaces = ({ output }: Graph) => new Array<Pointer>(output.id + 1).fill(0);

/** Numbers of float32 that a `widened` pass takes for each example. */
function widenedNumbers(graph: Graph, sites: readonly Site[], columns: number): number {
  const { values, cotangents } = nodesOf(graph, sites);
  let numbers = 0;
  for (const { size } of values) numbers += 2 * size;
  for (const { size } of cotangents) numbers += 2 * columns * size;
  return numbers;
}

/** By the graph and the list of sites. */
const nodesKnown = new WeakMap<Graph, WeakMap<readonly Site[], ReturnType<typeof nodesFor>>>();

function nodesOf(graph: Graph, sites: readonly Site[]) {
  const ofGraph = nodesKnown.get(graph) ?? new WeakMap();
  nodesKnown.set(graph, ofGraph);
  const found = ofGraph.get(sites) ?? nodesFor(graph, sites);
  ofGraph.set(sites, found);
  return found;
}

function nodesFor(graph: Graph, sites: readonly Site[]) {
  const cotangents = new Set(sites.flatMap((site) => graph.uses.get(site) ?? []));
  return { cotangents, values: new Set([...cotangents].flatMap(({ inputs }) => inputs.slice(0, 1))) };
}

/** What arrived at some sites, and their inputs, as copies in float64 in the current scope. */
export function widened(backward: Backward, sites: readonly Site[]): Backward {
  const { batch, columns, dtype, graph, spread } = backward;
  if (dtype === "float64") return backward;
  const { cotangents, values } = nodesOf(graph, sites);
  const wide = (from: Pointer, length: number): Pointer => {
    if (from === 0) return 0;
    const to = allocateFloats("float64", length);
    kernelsFor("float64").widen(length, from, to);
    return to;
  };
  // By number: a view of the network that was made twice has other nodes with the same numbers.
  const [places, arrived] = [noPlaces(graph), noPlaces(graph)];
  for (const node of values) places[node.id] = wide(backward.value(node), batch * node.size);
  for (const node of cotangents) arrived[node.id] = wide(backward.cotangent(node), columns * batch * node.size);
  return backward.as({ dtype: "float64", batch, values: places, cotangents: arrived, spread: spread?.in("float64") });
}

/** Adds numbers of the kernels' memory to totals, and leaves zeros there: those of some parameters, or all. */
export function addToTotals(
  dtype: DType,
  from: Pointer,
  totals: Float64Array,
  parameters?: readonly Parameter[],
): void {
  const all = parameters ?? [{ offset: 0, size: totals.length }];
  inMemory(dtype, (memory) => {
    const start = from / bytesPerElement(dtype);
    for (const { offset, size } of all) {
      for (let i = offset; i < offset + size; i++) totals[i] += memory[start + i];
      memory.fill(0, start + offset, start + offset + size);
    }
  });
}
