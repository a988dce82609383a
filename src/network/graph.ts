// A network as data: nodes in order of evaluation, each a primitive applied to earlier nodes, written for one example.

import type { BufferArray, Parameter, Site } from "./parameters.ts";
import type { Node } from "./primitive.ts";

/** A network's graph. */
export interface Graph {
  /** In order of evaluation; the first is the input. */
  readonly nodes: readonly Node[];
  readonly input: Node;
  readonly output: Node;
  /** In order of their parameters. */
  readonly sites: readonly Site[];
  readonly parameters: readonly Parameter[];
  readonly parameterCount: number;
  /** Side by side in a flat vector of their own. */
  readonly buffers: readonly BufferArray[];
  readonly bufferCount: number;
  /** The nodes at each site. */
  readonly uses: ReadonlyMap<Site, readonly Node[]>;
}

/** The size of the nodes' values together, for one example. */
export function nodeNumbers(nodes: readonly Node[]): number {
  return nodes.reduce((sum, { size }) => sum + size, 0);
}

/**
 * Numbers that a pass with so many columns takes for each example, at most: of each node its value and cotangents; where it is not
 * linear, slopes besides, and as many numbers again as there are cotangents, on their way.
 */
export function passNumbers({ nodes }: Graph, columns: number): number {
  const each = ({ size, primitive }: Node) => (columns > 0 && primitive.order === "general" ? 2 * size : size);
  return nodes.reduce((sum, node) => sum + each(node), 0) * (1 + columns);
}

/** What a node is, apart from the nodes before it. */
function describe(node: Node, sites: readonly Site[]): string {
  const { attributes = {}, primitive, shape, site } = node;
  const sorted = Object.entries(attributes as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([primitive.name, shape, sorted, site === undefined ? -1 : sites.indexOf(site)]);
}

/**
 * The place of the first node in which two graphs differ as functions of parameters and input, or -1: primitives, attributes,
 * shapes, inputs and the sites of parameters, whatever the layers' names.
 */
export function firstDifference(a: Graph, b: Graph): number {
  if (a === b) return -1;
  const inputsOf = ({ nodes }: Graph, i: number) => nodes[i]?.inputs.map((input) => nodes.indexOf(input)).join();
  for (let i = 0; i < Math.max(a.nodes.length, b.nodes.length); i++) {
    const [one, other] = [a.nodes[i], b.nodes[i]];
    if (one === undefined || other === undefined) return i;
    if (describe(one, a.sites) !== describe(other, b.sites) || inputsOf(a, i) !== inputsOf(b, i)) return i;
  }
  return -1;
}
