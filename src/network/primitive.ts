// What a primitive must know: its shape, and its three rules on a batch of B examples in the kernels' memory; and a node of a
// network, which is a primitive applied to earlier nodes.

import type { Random } from "../array/random.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { DType, Pointer } from "../kernels/memory.ts";
import type { AttributeReader, AttributeReaders } from "./attributes.ts";
import type { BufferArray, Parameter, Shape, Site } from "./parameters.ts";

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

/** What some layers need in a step of training, where they do something else than everywhere else. */
export interface TrainingPass {
  /** The draws of this run. */
  readonly random: Random;
  /** The names of parameters and buffers that stay as they are. */
  readonly frozen: ReadonlySet<string>;
  /** What a forward rule leaves for the node's pullback. */
  readonly kept: Map<Node, Pointer>;
}

/** The values of every node for a batch: [B, ...shape] each. */
export interface ForwardPass {
  readonly kernels: Kernels;
  readonly dtype: DType;
  /** B, the number of examples. */
  readonly batch: number;
  value(node: Node): Pointer;
  /** Where a parameter's values lie. */
  parameter(parameter: Parameter): Pointer;
  /** Where a buffer's values lie. */
  buffer(buffer: BufferArray): Pointer;
  /** In a step of training only. */
  readonly training: TrainingPass | undefined;
}

/** Directional derivatives of every node, shaped as the values; 0 stands for a tangent that is zero. */
export interface TangentPass extends ForwardPass {
  /** The tangent of an input, or the place for the node's own. */
  tangent(node: Node): Pointer;
  /** The direction of a parameter, or 0. */
  parameterTangent(parameter: Parameter): Pointer;
}

/** K cotangent columns of every node: [K, B, ...shape] each. */
export interface CotangentPass extends ForwardPass {
  /** K, the number of columns. */
  readonly columns: number;
  cotangent(node: Node): Pointer;
  /**
   * Calls `write` with the place of an input's cotangents and whether to add to what is there already; does nothing
   * where nobody asked for that input's cotangents.
   */
  contribute(input: Node, write: (to: Pointer, add: boolean) => void): void;
}

/** One cotangent column of every node, and how values move: for what the column's pullback does then. */
export interface SecondPass extends CotangentPass {
  /** The tangent of a node's value; 0 where it is zero. */
  tangent(node: Node): Pointer;
  /** The direction of a parameter; 0 where it is zero. */
  parameterTangent(parameter: Parameter): Pointer;
}

/** Windows at every place of a grid over an image, or over a sequence, which is an image of one row. */
export interface Windows {
  readonly image: readonly [channels: number, height: number, width: number];
  readonly grid: readonly [height: number, width: number];
  readonly kernel: readonly [height: number, width: number];
  readonly stride: readonly [height: number, width: number];
  /** Zeros around the image. */
  readonly padding: readonly [top: number, bottom: number, left: number, right: number];
  readonly dilation: readonly [height: number, width: number];
}

/** One side of the products l ⊗ r that a weight's derivative is a sum of: numbers at each position. */
export interface SiteSide {
  /** Whether positions come last, [n, positions], or first, [positions, n]. */
  readonly channelsFirst: boolean;
  /**
   * Writes that layout for `count` examples, from what a node has for them: its input's values, or one column of its own
   * cotangents. Missing where they have that layout already. What is unfolded is never kept for a whole batch.
   */
  readonly unfold?: (kernels: Kernels, from: Pointer, count: number, to: Pointer, dtype: DType) => void;
  /** The windows that are unfolded, where they are of all channels. */
  readonly windows?: Windows | undefined;
}

/** Sums products of a weight's sides over examples. */
export type WeightSum = (kernels: Kernels, examples: number, x: Pointer, d: Pointer, to: Pointer, add: boolean) => void;

/** How a node uses its site. */
export interface SiteUse {
  /** Whether the node's value has its channels first, [n, ...], with a bias, scale or shift for each. */
  readonly channelsFirst: boolean;
  /** Positions of a weight: how many products there are. */
  readonly positions: number;
  /** The sides of a weight's products; those of scales and shifts are the values themselves. */
  readonly left?: SiteSide;
  readonly right?: SiteSide;
  /**
   * What takes less than products of the sides in that type, if anything does: it writes Σ_t l_t ⊗ r_t over so many examples at the
   * weight's place, or adds it, of their inputs x and of one column d that arrived at the node.
   */
  sumFor?(dtype: DType): WeightSum | undefined;
  /** Whether the left side is one-hot: each position takes the weight's row that the node's input names. */
  readonly table?: boolean;
  /** Whether the weight is transposed in this use, where that is not as its site says: of tied layers. */
  readonly transposed?: boolean;
  /** The row of a table that has no derivative. */
  readonly padding?: number;
}

/** How files have attributes that are not plain: as others, which are read one by one. */
interface Stored<Attributes> {
  readonly attributes: Readonly<Record<string, AttributeReader<unknown>>>;
  write(attributes: Attributes): Readonly<Record<string, string | number>>;
  /** @param statistics the running statistics of a layer, by its name @throws LaplaceError */
  read(found: Readonly<Record<string, unknown>>, statistics: (layer: string, channels: number) => object): Attributes;
}

/** What a primitive is, and its rules, side by side. */
export interface Primitive<Attributes> {
  /** Its name, also in files. */
  readonly name: string;
  /** Whether it is linear in its inputs together, in two of them or in its input and its parameters, or neither. */
  readonly order: "linear" | "bilinear" | "general";
  /** What a node does, in a word, where that is not the name. */
  label?(node: Node<Attributes>): string;
  /** How many values it takes; "some" for one or more. */
  readonly inputs: number | "some";
  /** The kind of site it needs; none if missing. */
  readonly site?: Site["kind"];
  /** How its attributes are read from files; missing where it has none. */
  readonly attributes?: AttributeReaders<Attributes>;
  readonly stored?: Stored<Attributes>;
  /** Whether its attributes have running statistics, which training updates. */
  readonly statistics?: boolean;
  /** The value's shape for one example. @throws ShapeError naming the primitive */
  shape(inputs: readonly Shape[], attributes: Attributes, site: Site | undefined): Shape;
  /** Whether its value is that of its input, number by number: it lies in the same place then, and `forward` is not called (default false). */
  readonly same?: boolean;
  /** Writes the node's value. */
  forward(node: Node<Attributes>, pass: ForwardPass): void;
  /** Jacobian times tangent: writes the node's tangent. Called only where an input or the site has one. */
  pushforward(node: Node<Attributes>, pass: TangentPass): void;
  /** Transposed Jacobian times K columns: contributes to the inputs' cotangents. */
  pullback(node: Node<Attributes>, pass: CotangentPass): void;
  /**
   * The second rule, of an order "general": contributes to the inputs' cotangents how what `pullback` contributes changes along the
   * tangents, for one column that does not. Nothing where the primitive is piecewise linear; missing where there are no exact
   * Hessians. The library's own primitives have theirs in second-rules.ts.
   */
  second?(node: Node<Attributes>, pass: SecondPass): void;
  /**
   * How long the shortest runs of elements are that do not mix: each run's derivatives are those with respect to the run at the
   * same place in every input, all cut into as many. Missing where everything mixes.
   */
  rowwise?(node: Node<Attributes>): number;
  /** Whether a node's value is finite wherever those of its inputs are: it need not be looked at then. Not so if missing. */
  finite?(node: Node<Attributes>): boolean;
  /** How the node uses its site; for primitives with sites. */
  siteUse?(node: Node<Attributes>): SiteUse;
}

/** The length of a value's last axis. */
export function lastAxis({ shape }: Pick<Node, "shape">): number {
  return shape[shape.length - 1];
}

/** How a node with a site uses it. */
export function siteUseOf(node: Node): SiteUse {
  return node.primitive.siteUse?.(node) as SiteUse;
}

/** How often a site's operation is applied within one example. */
export function positionsOf(node: Node): number {
  return siteUseOf(node).positions;
}
