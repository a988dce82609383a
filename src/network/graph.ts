// A network as data: nodes in order of evaluation, each a primitive applied to earlier nodes, written for one example.
// Parameters enter at sites of two kinds, and live side by side in one flat vector.

import type { Primitive } from "./primitive.ts";

/** The length of each axis, for one example. */
export type Shape = readonly number[];

/** A parameter array within the flat vector. */
export interface Parameter {
  /** Layer and role: "0.weight". */
  readonly name: string;
  readonly shape: Shape;
  readonly size: number;
  /** Where it begins in the flat vector. */
  readonly offset: number;
}

/** An array that training updates, and that everything else takes as constant: a running statistic. */
export interface BufferArray extends Parameter {
  /** What its elements begin with. */
  readonly initial: number;
}

/**
 * A weight W, [outputs, inputs] as a matrix, row-major, whose derivative is a sum of products l ⊗ r over positions. In a
 * dense layer or a convolution l is what arrives at the outputs and r are the inputs, y = W r + b; where W is `transposed`
 * (an embedding, a transposed convolution), y is made of Wᵀ l, and r is what arrives.
 */
export interface LinearSite {
  readonly kind: "linear";
  readonly inputs: number;
  readonly outputs: number;
  /** Into how many blocks of outputs W falls, each with inputs of its own (default 1): grouped convolutions. */
  readonly groups?: number;
  readonly transposed?: boolean;
  readonly weight: Parameter;
  readonly bias?: Parameter;
}

/** y = s ⊙ x + t, or one of the two, over the last axis or the channels. */
export interface ElementwiseSite {
  readonly kind: "elementwise";
  readonly size: number;
  readonly scale?: Parameter;
  readonly shift?: Parameter;
}

/** Where parameters enter. One site may be used by several nodes: a layer applied twice shares its weights. */
export type Site = LinearSite | ElementwiseSite;

/** The parameter arrays of a site, in order. */
export function parametersOf(site: Site): Parameter[] {
  const all = site.kind === "linear" ? [site.weight, site.bias] : [site.scale, site.shift];
  return all.filter((parameter) => parameter !== undefined);
}

/** A primitive applied to earlier nodes. */
export interface Node<Attributes = unknown> {
  readonly id: number;
  readonly primitive: Primitive<Attributes>;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes;
  readonly site: Site | undefined;
  /** The shape of the value for one example. */
  readonly shape: Shape;
  /** Its number of elements. */
  readonly size: number;
  /** Whether a parameter has a part in the value. The network's input has one in every value. */
  readonly dependsOnParameters: boolean;
}

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
