// A network as nested plain data: evaluated for one example with numbers that carry their gradient, and built as a
// network of the library from the same data.

import {
  add,
  chain,
  concatenate,
  cos,
  type DType,
  dense,
  elu,
  erf,
  exp,
  flatten,
  gelu,
  identity,
  type Layer,
  leakyRelu,
  log,
  multiply,
  type Network,
  network,
  relu,
  reshape,
  residual,
  scaleShift,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  subtract,
  tanh,
} from "../../src/index.ts";
import type { Activation, Dual } from "./dual.ts";
import * as dual from "./dual.ts";
import { applyImage, convolutionLayer, type ImageBlock, imageKinds, imageLayer, type Recorder } from "./images.ts";
import { applyLayer, isLayerBlock, type LayerBlock, libraryLayer } from "./layers.ts";
import { applyTokens, isTokenBlock, type TokenBlock, tokenLayer } from "./tokens.ts";

type Operation = "add" | "subtract" | "multiply";

export interface DenseBlock {
  readonly kind: "dense";
  readonly outputs: number;
  readonly bias: boolean;
  readonly activation: Activation;
}

export interface ScaleShiftBlock {
  readonly kind: "scaleShift";
  readonly scale: boolean;
  readonly shift: boolean;
  readonly channels?: boolean;
}

/** A block of a network; blocks in a row are applied one after the other. */
export type Block =
  | ImageBlock
  | DenseBlock
  | ScaleShiftBlock
  | LayerBlock
  | TokenBlock
  | { readonly kind: "activation"; readonly activation: Activation }
  | { readonly kind: "softmax" }
  | { readonly kind: "flatten" }
  | { readonly kind: "reshape"; readonly shape: readonly number[] }
  /** x + body(x) */
  | { readonly kind: "residual"; readonly body: readonly Block[] }
  /** parts side by side along an axis (default: the last), each applied to x */
  | { readonly kind: "concatenate"; readonly parts: readonly (readonly Block[])[]; readonly axis?: number }
  /** left(x) and right(x), or left(x) and a constant */
  | {
      readonly kind: Operation;
      readonly left: readonly Block[];
      readonly right: readonly Block[] | number;
    }
  /** one layer after itself, or beside itself with -x/2: shared weights */
  | { readonly kind: "twice"; readonly inSeries: boolean; readonly layer: Block };

/** A value for one example. */
export interface Value {
  readonly shape: readonly number[];
  readonly elements: readonly Dual[];
}

const layers: Record<Activation, Layer> = {
  identity,
  relu,
  leakyRelu: (x) => leakyRelu(x),
  elu: (x) => elu(x),
  selu,
  gelu,
  silu,
  softplus,
  sigmoid,
  tanh,
  exp,
  log,
  erf,
  cos,
};

const operations = {
  add: { reference: dual.plus, library: add },
  subtract: { reference: dual.minus, library: subtract },
  multiply: { reference: dual.times, library: multiply },
} as const;

/** A layer with parameters at work at one position. */
export interface Use {
  /** Where the layer's parameters begin. */
  readonly begin: number;
  /** The group of outputs whose inputs these are. */
  readonly group: number;
  /** Whether rows of the weight belong to inputs. */
  readonly transposed: boolean;
  readonly input: readonly number[];
  readonly outputs: number;
  /** Which probe was added to its first output, before any activation. */
  readonly probe: number;
}

/** What an evaluation knows: the parameters, and where each layer's begin, in order of first use. */
class Parameters {
  readonly all: readonly Dual[];
  readonly #begin = new Map<Block, number>();
  used = 0;
  /** The largest value of any block. */
  largest = 0;
  readonly uses: Use[] = [];
  readonly #probes: readonly Dual[];
  #probed = 0;

  constructor(all: readonly Dual[], probes: readonly Dual[]) {
    this.all = all;
    this.#probes = probes;
  }

  /** Records uses of a layer, and adds a probe to everything it gives, if there are probes. */
  record(
    layer: Block,
    inputs: readonly (readonly Dual[])[],
    rows: readonly (readonly Dual[])[],
    { group = 0, transposed = false } = {},
  ): Dual[][] {
    const begin = this.#begin.get(layer) as number;
    return rows.map((row, position) => {
      const input = inputs[position].map(({ value }) => value);
      this.uses.push({ begin, group, transposed, input, outputs: row.length, probe: this.#probed });
      const probes = this.#probes.slice(this.#probed, this.#probed + row.length);
      this.#probed += row.length;
      return row.map((element, i) => (probes.length === 0 ? element : dual.plus(element, probes[i])));
    });
  }

  of(layer: Block, count: number): readonly Dual[] {
    let begin = this.#begin.get(layer);
    if (begin === undefined) {
      begin = this.used;
      this.#begin.set(layer, begin);
      this.used += count;
    }
    return this.all.slice(begin, begin + count);
  }
}

/** The rows of a value: its elements along the last axis. */
function rowsOf({ shape, elements }: Value): Dual[][] {
  const width = shape[shape.length - 1];
  return Array.from({ length: elements.length / width }, (_, i) => elements.slice(i * width, (i + 1) * width));
}

function fromRows(x: Value, rows: readonly (readonly Dual[])[]): Value {
  return { shape: [...x.shape.slice(0, -1), rows[0].length], elements: rows.flat() };
}

/** Entries of an axis from one value after the other. */
function concatenated(parts: readonly Value[], axis: number): Value {
  const [{ shape }] = parts;
  const size = (lengths: readonly number[]) => lengths.reduce((product, length) => product * length, 1);
  const elements = Array.from({ length: size(shape.slice(0, axis)) }, (_, i) =>
    parts.flatMap((part) => {
      const length = size(part.shape.slice(axis));
      return part.elements.slice(i * length, (i + 1) * length);
    }),
  ).flat();
  return {
    shape: shape.with(
      axis,
      parts.reduce((sum, part) => sum + part.shape[axis], 0),
    ),
    elements,
  };
}

function zip(x: Value, y: Value, combine: (a: Dual, b: Dual) => Dual): Value {
  return { shape: x.shape, elements: x.elements.map((a, i) => combine(a, y.elements[i])) };
}

function isImageBlock(block: Block): block is ImageBlock {
  return (imageKinds as readonly string[]).includes(block.kind);
}

function apply(block: Block, x: Value, parameters: Parameters): Value {
  const y = applyRule(block, x, parameters);
  for (const { value } of y.elements) parameters.largest = Math.max(parameters.largest, Math.abs(value));
  return y;
}

function applyRule(block: Block, x: Value, parameters: Parameters): Value {
  const inner = (other: Block, value: Value) => apply(other, value, parameters);
  const recorder: Recorder = {
    parameters: (count) => parameters.of(block, count),
    record: (inputs, outputs, more) => parameters.record(block, inputs, outputs, more),
  };
  if (isLayerBlock(block)) return applyLayer(block, x, inner);
  if (isImageBlock(block)) return applyImage(block, x, recorder);
  if (isTokenBlock(block)) return applyTokens(block, x, recorder, inner);
  const all = (blocks: readonly Block[], value = x) => blocks.reduce((y, next) => apply(next, y, parameters), value);
  switch (block.kind) {
    case "dense": {
      const inputs = x.shape[x.shape.length - 1];
      const { outputs, bias, activation } = block;
      const theta = parameters.of(block, outputs * inputs + (bias ? outputs : 0));
      const one = (row: readonly Dual[], o: number) => {
        const products = row.map((element, i) => dual.times(theta[o * inputs + i], element));
        return dual.sum(bias ? [...products, theta[outputs * inputs + o]] : products);
      };
      const rows = rowsOf(x).map((row) => Array.from({ length: outputs }, (_, o) => one(row, o)));
      const recorded = parameters.record(block, rowsOf(x), rows);
      return apply({ kind: "activation", activation }, fromRows(x, recorded), parameters);
    }
    case "scaleShift": {
      const { scale, shift, channels = false } = block;
      const n = channels ? x.shape[0] : x.shape[x.shape.length - 1];
      const theta = parameters.of(block, (scale ? n : 0) + (shift ? n : 0));
      const one = (element: Dual, i: number) => {
        const stretched = scale ? dual.times(theta[i], element) : element;
        return shift ? dual.plus(stretched, theta[(scale ? n : 0) + i]) : stretched;
      };
      if (channels) {
        const positions = x.elements.length / n;
        return { shape: x.shape, elements: x.elements.map((element, i) => one(element, Math.floor(i / positions))) };
      }
      const rows = rowsOf(x).map((row) => row.map(one));
      return fromRows(x, parameters.record(block, rowsOf(x), rows));
    }
    case "activation":
      return { shape: x.shape, elements: x.elements.map((element) => dual.activate(block.activation, element)) };
    case "softmax":
      return fromRows(x, rowsOf(x).map(dual.softmax));
    case "flatten":
      return { shape: [x.elements.length], elements: x.elements };
    case "reshape":
      return { shape: block.shape, elements: x.elements };
    case "residual":
      return zip(x, all(block.body), dual.plus);
    case "concatenate": {
      const parts = block.parts.map((part) => all(part));
      return concatenated(parts, block.axis ?? parts[0].shape.length - 1);
    }
    case "twice": {
      const once = all([block.layer]);
      if (block.inSeries) return all([block.layer], once);
      const beside = all([block.layer], {
        shape: x.shape,
        elements: x.elements.map((element) => dual.scaled(element, -0.5)),
      });
      const other = rowsOf(beside);
      return fromRows(
        x,
        rowsOf(once).map((row, i) => [...row, ...other[i]]),
      );
    }
    default: {
      const { left, right } = block;
      const combine = operations[block.kind].reference;
      if (typeof right !== "number") return zip(all(left), all(right), combine);
      const constant = (a: Dual) => dual.through(a, right, 0);
      const y = all(left);
      return { shape: y.shape, elements: y.elements.map((a) => combine(a, constant(a))) };
    }
  }
}

/** An output of a network, and the largest number on the way to it. */
export interface Evaluation extends Value {
  readonly largest: number;
  readonly uses: readonly Use[];
}

/**
 * The outputs for one example; their slopes run over the parameters, then over the inputs, then over as many probes: zeros
 * that are added to what layers give, so that the slopes are the derivatives in those values.
 */
export function evaluate(
  blocks: readonly Block[],
  inputShape: readonly number[],
  theta: readonly number[],
  x: readonly number[],
  probes = 0,
): Evaluation {
  const all = dual.variables([...theta, ...x, ...new Array<number>(probes).fill(0)]);
  const begin = theta.length + x.length;
  const parameters = new Parameters(all.slice(0, theta.length), all.slice(begin));
  const input: Value = { shape: inputShape, elements: all.slice(theta.length, begin) };
  const output = blocks.reduce((value, block) => apply(block, value, parameters), input);
  if (parameters.used !== theta.length) {
    throw new Error(`the network has ${theta.length} parameters, the reference ${parameters.used}`);
  }
  return { ...output, largest: parameters.largest, uses: parameters.uses };
}

/** The library's layer. */
export function layerOf(block: Block): Layer {
  if (isLayerBlock(block)) return libraryLayer(block, chainOf);
  if (isTokenBlock(block)) return tokenLayer(block);
  if (isImageBlock(block)) {
    return block.kind === "convolution" || block.kind === "transposed" ? convolutionLayer(block) : imageLayer(block);
  }
  switch (block.kind) {
    case "dense":
      return dense(block.outputs, layers[block.activation], { bias: block.bias });
    case "scaleShift":
      return scaleShift({ scale: block.scale, shift: block.shift, axis: block.channels ? "channels" : "last" });
    case "activation":
      return layers[block.activation];
    case "softmax":
      return softmax;
    case "flatten":
      return flatten;
    case "reshape":
      return (x) => reshape(x, block.shape);
    case "residual":
      return residual(...block.body.map(layerOf));
    case "concatenate": {
      const parts = block.parts.map(chainOf);
      const { axis } = block;
      return (x) => {
        const values = parts.map((part) => part(x));
        return axis === undefined ? concatenate(...values) : concatenate(...values, { axis });
      };
    }
    case "twice": {
      const layer = layerOf(block.layer);
      return block.inSeries ? chain(layer, layer) : (x) => concatenate(layer(x), layer(multiply(x, -0.5)));
    }
    default: {
      const combine = operations[block.kind].library;
      const left = chainOf(block.left);
      const { right } = block;
      if (typeof right === "number") return (x) => combine(left(x), right);
      const other = chainOf(right);
      return (x) => combine(left(x), other(x));
    }
  }
}

function chainOf(blocks: readonly Block[]): Layer {
  return chain(identity, ...blocks.map(layerOf));
}

/** The outputs for one example alone, without slopes. */
export function evaluateValue(
  blocks: readonly Block[],
  shape: readonly number[],
  theta: readonly number[],
  x: readonly number[],
): Value {
  const plain = (values: readonly number[]) => values.map((value): Dual => ({ value, slopes: [] }));
  const parameters = new Parameters(plain(theta), []);
  return blocks.reduce((value, block) => apply(block, value, parameters), { shape, elements: plain(x) } as Value);
}

/** The library's network of the same data; running statistics are those of the blocks in the outermost row. */
export function build(blocks: readonly Block[], inputShape: readonly number[], dtype: DType, seed = 0): Network {
  const net = network({ inputs: inputShape, dtype, seed }, chainOf(blocks));
  net.buffers.data.set(
    blocks.flatMap((block) => (block.kind === "batchNorm" ? [...block.mean, ...block.variance] : [])),
  );
  return net;
}
