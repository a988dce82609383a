// Where a graph can be cut in two: a value by which alone what the network gives depends on its inputs.

import type { OnnxGraph, OnnxNode } from "../onnx/file.ts";

/** Two parts of a graph. Nodes are positions in the file's list. */
export interface Parts {
  /** Nodes up to the value, those of `shapes` included. */
  readonly before: ReadonlySet<number>;
  /** Nodes from the value to the outputs. */
  readonly behind: ReadonlySet<number>;
  /** Shape nodes of values before the cut, of which nodes behind it are made: constants of a batch of one. */
  readonly shapes: ReadonlySet<number>;
}

/** The inputs that are not initialisers. */
export function openInputs({ inputs, initializers }: OnnxGraph): string[] {
  const given = new Set(initializers.map(({ name }) => name));
  return inputs.map(({ name }) => name).filter((name) => !given.has(name));
}

/** The node that makes each value. */
export function producersOf({ nodes }: OnnxGraph): Map<string, number> {
  return new Map(nodes.flatMap((node, i) => node.outputs.filter((name) => name !== "").map((name) => [name, i])));
}

/** A shape says nothing of an example's numbers. */
const isShape = (node: OnnxNode) => node.op === "Shape" && ["", "ai.onnx"].includes(node.domain);

/** The values that depend on the numbers of the inputs, nodes being in the order in which they run. */
function dependent(graph: OnnxGraph, without?: string): Set<string> {
  const values = new Set(openInputs(graph));
  for (const node of graph.nodes) {
    if (isShape(node) || !node.inputs.some((name) => values.has(name))) continue;
    for (const name of node.outputs) if (name !== "" && name !== without) values.add(name);
  }
  return values;
}

/** The nodes that values are made of; `stop` says of which nodes' inputs nothing is asked. */
function reach(graph: OnnxGraph, values: readonly string[], stop: (node: number) => boolean, end?: string) {
  const producers = producersOf(graph);
  const live = new Set<number>();
  const open = values.filter((name) => name !== end);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = producers.get(name);
    if (node === undefined || live.has(node)) continue;
    live.add(node);
    if (!stop(node)) open.push(...graph.nodes[node].inputs.filter((one) => one !== "" && one !== end));
  }
  return live;
}

/**
 * The values at which the graph can be cut, in order: as nodes run one after the other, all that is still to be used and depends
 * on the inputs is this one value.
 */
export function cutsOf(graph: OnnxGraph, outputs: readonly string[]): string[] {
  const values = dependent(graph);
  const needed = reach(graph, outputs, (node) => isShape(graph.nodes[node]));
  const uses = new Map<string, number>();
  const count = (name: string, by: number) => {
    if (values.has(name)) uses.set(name, (uses.get(name) ?? 0) + by);
  };
  const order = [...needed].filter((i) => !isShape(graph.nodes[i])).sort((a, b) => a - b);
  for (const i of order) for (const name of graph.nodes[i].inputs) count(name, 1);
  for (const name of outputs) count(name, 1);
  const inputs = new Set(openInputs(graph));
  const open = new Set([...inputs].filter((name) => (uses.get(name) ?? 0) > 0));
  const cuts = new Set<string>();
  for (const i of order) {
    const { inputs: from, outputs: to } = graph.nodes[i];
    for (const name of from) {
      count(name, -1);
      if (uses.get(name) === 0) open.delete(name);
    }
    for (const name of to) if ((uses.get(name) ?? 0) > 0) open.add(name);
    const [only] = open;
    if (open.size === 1 && !inputs.has(only)) cuts.add(only);
  }
  return [...cuts];
}

/** The parts before and behind a value. */
export function partsAt(graph: OnnxGraph, value: string, outputs: readonly string[]): Parts {
  const outside = dependent(graph, value);
  const stop = (i: number) => isShape(graph.nodes[i]) && outside.has(graph.nodes[i].inputs[0]);
  const behind = reach(graph, outputs, stop, value);
  const shapes = new Set([...behind].filter(stop));
  for (const i of shapes) behind.delete(i);
  const before = reach(graph, [value, ...[...shapes].map((i) => graph.nodes[i].outputs[0])], () => false);
  return { before, behind, shapes };
}

/** How many letters are to be put in, taken out or changed; by rows of the table of all prefixes. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/** The names that are most like one, the nearest first: those that have it within come before others. */
export function nearest(name: string, among: readonly string[], most = 5): string[] {
  const short = name.slice(0, 100).toLowerCase();
  const score = (one: string) => {
    const other = one.slice(0, 100).toLowerCase();
    const within = short.length > 1 && (other.includes(short) || (other.length > 1 && short.includes(other)));
    return distance(short, other) - (within ? 1000 : 0);
  };
  return [...new Set(among)]
    .slice(0, 5000)
    .map((one) => ({ one, score: score(one) }))
    .sort((a, b) => a.score - b.score)
    .slice(0, most)
    .map(({ one }) => one);
}
