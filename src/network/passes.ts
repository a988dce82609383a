// Runs a graph on a batch in the kernels' memory: values forward, one tangent forward, K cotangent columns backward.
// Everything is allocated in the caller's scope.

import { ValueError } from "../errors.ts";
import { type Kernels, kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, type DType, type Pointer } from "../kernels/memory.ts";
import type { Graph } from "./graph.ts";
import type { BufferArray, Parameter, Site } from "./parameters.ts";
import type { CotangentPass, ForwardPass, Node, TangentPass, TrainingPass } from "./primitive.ts";
import { labelOf } from "./summary.ts";

/** What an evaluation may need besides parameters and inputs. */
export interface EvaluationOptions {
  /** Where the buffers lie; needed where the graph has some. */
  readonly buffers?: Pointer;
  /** What a step of training needs; without it, layers do what they do everywhere else. */
  readonly training?: TrainingPass;
  /** An earlier evaluation, whose buffers are taken, and values where `changes` says that the parameters have no part. */
  readonly kept?: { readonly forward: Pick<Forward, "value" | "buffers">; readonly changes: (node: Node) => boolean };
}

/** The values of every node for a batch. */
export class Forward implements ForwardPass {
  /** Others may take their place in a pass that stays. */
  kernels: Kernels;
  readonly graph: Graph;
  readonly dtype: DType;
  readonly batch: number;
  readonly training: TrainingPass | undefined;
  /** The flat parameters. */
  readonly theta: Pointer;
  /** The flat buffers. */
  readonly buffers: Pointer;
  readonly #bytes: number;
  readonly #values: Pointer[];

  /**
   * Evaluates the graph.
   * @param theta the flat parameters @param x the inputs, [B, ...input shape]
   */
  constructor(
    graph: Graph,
    dtype: DType,
    theta: Pointer,
    x: Pointer,
    batch: number,
    { buffers, training, kept }: EvaluationOptions = {},
  ) {
    this.kernels = kernelsFor(dtype);
    this.graph = graph;
    this.dtype = dtype;
    this.batch = batch;
    this.training = training;
    this.theta = theta;
    this.buffers = buffers ?? (kept === undefined ? 0 : kept.forward.buffers);
    this.#bytes = bytesPerElement(dtype);
    this.#values = new Array<Pointer>(graph.output.id + 1).fill(0);
    this.#values[0] = x;
    for (let i = 1; i < graph.nodes.length; i++) {
      const node = graph.nodes[i];
      const known = kept && !kept.changes(node);
      if (known || node.primitive.same) {
        this.#values[node.id] = known ? kept.forward.value(node) : this.#values[node.inputs[0].id];
        continue;
      }
      this.#values[node.id] = allocateFloats(dtype, batch * node.size);
      node.primitive.forward(node, this);
    }
  }

  value(node: Node): Pointer {
    return this.#values[node.id];
  }

  parameter(parameter: Parameter): Pointer {
    return this.theta + parameter.offset * this.#bytes;
  }

  buffer({ offset }: BufferArray): Pointer {
    return this.buffers + offset * this.#bytes;
  }

  /** The network's outputs, [B, ...output shape]. */
  get outputs(): Pointer {
    return this.#values[this.graph.output.id];
  }
}

/**
 * The tangents of all nodes along one direction of the parameters and/or inputs, by the nodes' numbers; 0 for what is zero.
 * @param moving the sites whose parameters move (default: all)
 */
export function tangentsOf(
  forward: Forward,
  thetaTangent: Pointer,
  inputTangent: Pointer,
  moving?: ReadonlySet<Site>,
): readonly Pointer[] {
  const { graph, dtype, batch, kernels } = forward;
  const moves = (site: Site | undefined) =>
    thetaTangent !== 0 && site !== undefined && (moving === undefined || moving.has(site));
  let own = true;
  const tangents = new Array<Pointer>(graph.output.id + 1).fill(0);
  tangents[0] = inputTangent;
  const bytes = bytesPerElement(dtype);
  const pass: TangentPass = {
    kernels,
    dtype,
    batch,
    value: (node) => forward.value(node),
    parameter: (parameter) => forward.parameter(parameter),
    buffer: (buffer) => forward.buffer(buffer),
    training: forward.training,
    tangent: (node) => tangents[node.id],
    parameterTangent: (parameter) => (own ? thetaTangent + parameter.offset * bytes : 0),
  };
  for (let i = 1; i < graph.nodes.length; i++) {
    const node = graph.nodes[i];
    own = moves(node.site);
    if (!own && !node.inputs.some((x) => tangents[x.id] !== 0)) continue;
    tangents[node.id] = allocateFloats(dtype, batch * node.size);
    node.primitive.pushforward(node, pass);
  }
  return tangents;
}

/**
 * Pushes one direction of the parameters and/or inputs forward to the outputs; 0 for a direction that is zero.
 * @param moving the sites whose parameters move (default: all)
 */
export function pushForward(
  forward: Forward,
  thetaTangent: Pointer,
  inputTangent: Pointer,
  moving?: ReadonlySet<Site>,
): Pointer {
  const { graph, dtype, batch, kernels } = forward;
  const result = tangentsOf(forward, thetaTangent, inputTangent, moving)[graph.output.id];
  if (result !== 0) return result;
  const zero = allocateFloats(dtype, batch * graph.output.size);
  kernels.fill(batch * graph.output.size, 0, zero);
  return zero;
}

/** Whether the network's inputs have a part in a node. */
const isNoConstant = ({ id, inputs }: Node) => id === 0 || inputs.length > 0;

/** Blocks that are added to at once, and rows of theirs. */
export const BLOCKS_AT_ONCE = 64;
export const ROWS_AT_ONCE = 8;

/** Columns of a node of which only Λ = Σ_k c_k c_kᵀ is known, for each row of its last axis, [C]. */
export interface Spread {
  readonly node: Node;
  readonly rows: number;
  /** The same in that type: its results are in its own. */
  in(dtype: DType): Spread;
  /** diag Λ of each row, [rows, C]: to be read. */
  variances(): Pointer;
  /** Adds Σ Λ over rows to the lower triangle of `to`, [C, C]. */
  add(to: Pointer): void;
  /** Writes Λ of each row, [rows, C, C]. */
  write(to: Pointer): void;
  /**
   * Adds Σ Λ_op x xᵀ over rows x [rows, n], lower triangles, to blocks [n, n] of outputs o > p and then those of o = p. Λ is what `write` wrote, in that
   * order, [rows, C (C + 1) / 2]; `work` has room for ROWS_AT_ONCE times rows (n + at most BLOCKS_AT_ONCE) + 4 numbers.
   */
  addBlocks(dtype: DType, rows: number, n: number, x: Pointer, weights: Pointer, to: Pointer, work: Pointer): void;
  /** diag MᵀΛM of each row for a matrix M [C, C], [rows, C]. */
  rotated(matrix: Pointer): Pointer;
}

/** How a pass begins where it does not at the outputs. */
export interface Beginning {
  /** The node that the columns are put on. */
  readonly at?: Node | undefined;
  /** What is known of those at the outputs. */
  readonly spread?: Spread | undefined;
}

/** Where values and cotangents lie, by the nodes' numbers; 0 for those that nobody needs. */
interface Copies {
  readonly spread?: Spread | undefined;
  readonly dtype: DType;
  readonly batch: number;
  readonly values: readonly Pointer[];
  readonly cotangents: Pointer[];
}

/** K cotangent columns of every node, pulled back from the outputs. */
export class Backward implements CotangentPass {
  /** As those of `Forward`. */
  kernels: Kernels;
  readonly graph: Graph;
  readonly dtype: DType;
  readonly batch: number;
  readonly columns: number;
  readonly forward: Forward;
  /** Columns that are not among these, but for their sum. */
  readonly spread: Spread | undefined;
  readonly #values: readonly Pointer[] | undefined;
  readonly #cotangents: Pointer[];
  readonly #wanted: (node: Node) => boolean;

  /**
   * Pulls the columns back.
   * @param columns [K, B, ...output shape]
   * @param target what gets cotangents: all that depends on the parameters, everything, or the nodes it says
   * @param beginning where they do not begin at the outputs
   * @param copies where a pass lies that was pulled back before, see `as`
   */
  constructor(
    forward: Forward,
    columns: Pointer,
    columnCount: number,
    target: "parameters" | "inputs" | ((node: Node) => boolean),
    { at, spread }: Beginning = {},
    copies?: Copies,
  ) {
    this.dtype = copies === undefined ? forward.dtype : copies.dtype;
    this.kernels = kernelsFor(this.dtype);
    this.graph = forward.graph;
    this.batch = copies === undefined ? forward.batch : copies.batch;
    this.columns = columnCount;
    this.forward = forward;
    this.spread = spread;
    this.#values = copies?.values;
    if (typeof target === "function") this.#wanted = target;
    else this.#wanted = target === "parameters" ? (node) => node.dependsOnParameters : isNoConstant;
    const { nodes, output } = this.graph;
    if (copies !== undefined) {
      this.#cotangents = copies.cotangents;
      return;
    }
    this.#cotangents = new Array<Pointer>(output.id + 1).fill(0);
    this.#cotangents[(at ?? output).id] = columns;
    for (let i = nodes.length - 1; i > 0; i--) {
      if (this.#cotangents[nodes[i].id] !== 0) nodes[i].primitive.pullback(nodes[i], this);
    }
  }

  value(node: Node): Pointer {
    return this.#values === undefined ? this.forward.value(node) : this.#values[node.id];
  }

  parameter(parameter: Parameter): Pointer {
    return this.forward.parameter(parameter);
  }

  buffer(buffer: BufferArray): Pointer {
    return this.forward.buffer(buffer);
  }

  get training(): TrainingPass | undefined {
    return this.forward.training;
  }

  /** What is known of the columns at the one use of a site; of a view that was made twice nodes have the same numbers. */
  spreadAt([node]: readonly Node[]): Spread | undefined {
    return node?.id === this.spread?.node.id ? this.spread : undefined;
  }

  /** The node's cotangents [K, B, ...shape], or 0 where none arrived. */
  cotangent(node: Node): Pointer {
    return this.#cotangents[node.id];
  }

  /**
   * The same pass, with values and cotangents that lie elsewhere, in another type or of some examples: to contract, not to pull
   * further back.
   */
  as(copies: Copies): Backward {
    return new Backward(this.forward, 0, this.columns, this.#wanted, { spread: copies.spread }, copies);
  }

  contribute(input: Node, write: (to: Pointer, add: boolean) => void): void {
    if (!this.#wanted(input)) return;
    const known = this.#cotangents[input.id];
    if (known !== 0) {
      write(known, true);
      return;
    }
    const fresh = allocateFloats(this.dtype, this.columns * this.batch * input.size);
    this.#cotangents[input.id] = fresh;
    write(fresh, false);
  }
}

/** @throws ValueError naming the first value of the network that is not finite: its derivatives would not be either */
export function checkValues(where: string, forward: Forward, start: number): void {
  const { kernels, graph, batch, dtype } = forward;
  for (const node of graph.nodes) {
    const pointer = forward.value(node);
    if (node.primitive.finite?.(node) || kernels.allFinite(batch * node.size, pointer) === 1) continue;
    let example = 0;
    while (kernels.allFinite(node.size, pointer + example * node.size * bytesPerElement(dtype)) === 1) example++;
    const causes =
      node === graph.input
        ? "a missing value"
        : `parameters that are not finite, or an activation such as exp that overflows ${dtype}`;
    throw new ValueError(
      `${where}: at example ${start + example} the network's value after "${labelOf(node)}" is not finite. Likely causes: ${causes}.`,
    );
  }
}
