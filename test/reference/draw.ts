// Random networks with data, drawn by fast-check, and everything the reference says of them.

import fc from "fast-check";
import { array, type DType, type NDArray, type Network, Random } from "../../src/index.ts";
import type { Tolerance } from "../setup.ts";
import { type Activation, activations, type Dual, smoothActivations, sum } from "./dual.ts";
import { type ImageBlock, shapeAfter } from "./images.ts";
import { type LossCase, lossCases } from "./losses.ts";
import { type Block, build, evaluate } from "./network.ts";

type Draw = ReturnType<typeof fc.gen> extends fc.Arbitrary<infer Generator> ? Generator : never;

const lengths = [1, 2, 3, 5] as const;

/** Draws blocks, and keeps track of the shape. */
class Drawing {
  readonly #draw: Draw;
  readonly #smooth: boolean;
  shape: readonly number[];

  constructor(draw: Draw, shape: readonly number[], smooth: boolean) {
    this.#draw = draw;
    this.#smooth = smooth;
    this.shape = shape;
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.#draw(fc.nat, choices.length - 1)];
  }

  get #width(): number {
    return this.shape[this.shape.length - 1];
  }

  get #activations(): readonly Activation[] {
    return this.#smooth ? smoothActivations : activations;
  }

  dense(outputs: number = this.of(...lengths)): Block {
    this.shape = [...this.shape.slice(0, -1), outputs];
    return { kind: "dense", outputs, bias: this.of(true, false), activation: this.of(...this.#activations) };
  }

  /** Windows that fit into an image or a sequence; pools pad at most half of the kernel. */
  #windows(pool: boolean) {
    const flat = this.shape.length === 2;
    const size = flat ? [1, this.shape[1]] : this.shape.slice(1);
    const kernel = size.map((length, i) => (flat && i === 0 ? 1 : Math.min(this.of(1, 2, 3), length + 1)));
    const dilation = kernel.map((k, i) => (pool || k === 1 || 2 * (k - 1) + 1 > size[i] ? 1 : this.of(1, 2)));
    const padding = kernel.map((k, i) => {
      const least = Math.max(0, Math.ceil((dilation[i] * (k - 1) + 1 - size[i]) / 2));
      return flat && i === 0 ? 0 : pool ? Math.max(least, this.of(0, Math.floor(k / 2))) : least + this.of(0, 1);
    });
    const stride = kernel.map((_, i) => (flat && i === 0 ? 1 : this.of(1, 2, 3)));
    const pair = ([v, h]: readonly number[]) => [v, h] as const;
    return { kernel: pair(kernel), stride: pair(stride), padding: pair(padding), dilation: pair(dilation) };
  }

  /** A block over channels, and the shape it leaves. */
  #image(): Block {
    const [channels] = this.shape;
    const flat = this.shape.length === 2;
    const kinds = ["convolution", "convolution", "maxPool", "averagePool", "globalPool", "scaleShift"] as const;
    const drawn = flat ? this.of(...kinds) : this.of(...kinds, "transposed" as const, "transposed" as const);
    // Which entry is the largest may change within a difference.
    const kind = drawn === "maxPool" && this.#smooth ? "averagePool" : drawn;
    if (kind === "scaleShift") return { kind, scale: true, shift: true, channels: true };
    if (kind === "globalPool") {
      this.shape = [channels];
      return { kind, mean: this.of(true, false) };
    }
    const { dilation, ...windows } = this.#windows(kind !== "convolution" && kind !== "transposed");
    const groups = this.of(1, channels);
    const outputs = groups * (this.#size() > 8 ? 1 : this.of(1, 2));
    const bias = this.of(true, false);
    let block: ImageBlock;
    if (kind === "maxPool") block = { kind, ...windows };
    else if (kind === "averagePool") block = { kind, ...windows, countPadding: this.of(true, false) };
    else if (kind === "convolution") {
      const same = this.of(true, false) && windows.stride.every((step) => step === 1);
      block = { kind, ...windows, dilation, groups, outputs, bias, same };
    } else {
      const outputPadding = [this.of(0, windows.stride[0] - 1), this.of(0, windows.stride[1] - 1)] as const;
      block = { kind, ...windows, padding: [0, 0], dilation, groups, outputs, bias, outputPadding };
    }
    const after = shapeAfter(block, this.shape);
    // Numbers that carry their gradient are slow.
    if (this.#size(after) > 24) return this.dense(1);
    this.shape = after;
    return block;
  }

  /** Blocks that keep the shape where `back` is set. */
  blocks(most: number, depth: number, back = false): Block[] {
    const start = this.shape;
    const result = Array.from({ length: this.#draw(fc.nat, most) }, () => this.block(depth));
    if (!back) return result;
    if (this.shape.slice(0, -1).join() !== start.slice(0, -1).join()) {
      this.shape = [this.#size()];
      result.push({ kind: "flatten" }, this.dense(this.#size(start)), { kind: "reshape", shape: start });
      this.shape = start;
    }
    if (this.#width !== start[start.length - 1]) result.push(this.dense(start[start.length - 1]));
    return result;
  }

  #size(shape = this.shape): number {
    return shape.reduce((product, length) => product * length, 1);
  }

  block(depth: number): Block {
    const { length } = this.shape;
    if ((length === 2 || length === 3) && this.#size() <= 16 && this.of(true, false)) return this.#image();
    const simple = ["dense", "dense", "scaleShift", "activation", "constant", "flatten", "reshape", "softmax"] as const;
    const nested = ["residual", "concatenate", "combination", "twice"] as const;
    const kind = depth > 0 ? this.of(...simple, ...nested, ...nested) : this.of(...simple);
    switch (kind) {
      case "dense":
        return this.dense();
      case "scaleShift": {
        const [scale, shift] = this.of([true, true], [true, false], [false, true]);
        return { kind, scale, shift };
      }
      case "activation":
        return { kind, activation: this.of(...this.#activations) };
      case "constant":
        return { kind: this.of("add", "subtract", "multiply"), left: [], right: this.of(-1, 0.5, 2) };
      case "flatten":
        this.shape = [this.#size()];
        return { kind };
      case "reshape":
        this.shape = this.of([this.#size(), 1], [1, this.#size()], [...this.shape].reverse());
        return { kind, shape: this.shape };
      case "softmax":
        return { kind };
      case "residual":
        return { kind, body: this.blocks(2, depth - 1, true) };
      case "combination":
        return {
          kind: this.of("add", "subtract", "multiply"),
          left: this.blocks(2, depth - 1, true),
          right: this.blocks(2, depth - 1, true),
        };
      case "concatenate": {
        const { shape } = this;
        const parts = Array.from({ length: this.of(1, 2, 3) }, () => this.blocks(1, depth - 1, true));
        const axis = this.of(...shape.map((_, i) => i));
        this.shape = shape.with(axis, shape[axis] * parts.length);
        return axis === shape.length - 1 ? { kind, parts } : { kind, parts, axis };
      }
      case "twice": {
        const inSeries = this.of(true, false);
        const layer = this.of(true, false)
          ? this.dense(this.#width)
          : ({ kind: "scaleShift", scale: true, shift: true } as const);
        if (!inSeries) this.shape = [...this.shape.slice(0, -1), 2 * this.#width];
        return { kind, inSeries, layer };
      }
    }
  }
}

/** A network, a batch, a loss, and the reference's answers, as flat lists of numbers. */
export interface Case {
  readonly blocks: readonly Block[];
  readonly net: Network;
  readonly x: NDArray;
  readonly y: NDArray;
  readonly loss: LossCase;
  /** The outputs of every example, with slopes over the parameters, then the inputs. */
  readonly outputs: readonly (readonly Dual[])[];
  /** The elements of every example's loss, likewise. */
  readonly losses: readonly (readonly Dual[])[];
  readonly random: Random;
}

export interface CaseOptions {
  readonly dtype?: DType;
  /** Only activations and pools that finite differences can follow. */
  readonly smooth?: boolean;
}

/** Numbers of the element type, about as large as 1. */
export function numbers(random: Random, count: number, dtype: DType, deviation = 1): number[] {
  const round = dtype === "float32" ? Math.fround : (value: number) => value;
  return Array.from({ length: count }, () => round(deviation * random.normal()));
}

/** Whether nothing but a change of shape follows a softmax: such a network is refused. */
function endsInSoftmax(blocks: readonly Block[]): boolean {
  const last = blocks.findLast(
    (block) =>
      !["flatten", "reshape"].includes(block.kind) && !(block.kind === "activation" && block.activation === "identity"),
  );
  return last?.kind === "softmax";
}

/** Draws a case. Networks whose values or derivatives are huge are drawn again: there, rounding is all one would see. */
export function drawCase(draw: Draw, { dtype = "float64", smooth = false }: CaseOptions = {}): Case {
  const inputShape = [[1], [2], [5], [3, 2], [1, 3], [2, 1], [2, 5], [1, 3, 4], [2, 3, 2], [3, 1, 1]][draw(fc.nat, 9)];
  const drawing = new Drawing(draw, inputShape, smooth);
  const blocks = drawing.blocks(4, 2);
  const batch = drawing.of(1, 2, 3);
  if (drawing.of(true, true, false)) blocks.push({ kind: "flatten" });
  if (blocks.at(-1)?.kind !== "flatten") blocks.push(drawing.dense());
  if (endsInSoftmax(blocks)) blocks.push(drawing.dense());
  const net = build(blocks, inputShape, dtype);
  const random = new Random(draw(fc.nat, 2 ** 31 - 1));
  const theta = numbers(random, net.parameterCount, dtype, 0.7);
  net.setParameters(theta);
  const width = inputShape.reduce((product, length) => product * length, 1);
  const rows = Array.from({ length: batch }, () => numbers(random, width, dtype));
  const evaluations = rows.map((row) => evaluate(blocks, inputShape, theta, row));
  fc.pre(evaluations.every(({ largest }) => largest < 100));
  const outputs = evaluations.map(({ elements }) => elements);
  fc.pre(outputs.flat().every(({ value, slopes }) => [value, ...slopes].every((number) => Math.abs(number) < 50)));

  const size = outputs[0].length;
  const classes = net.outputShape.length === 1 && size > 1;
  const loss: LossCase = classes
    ? drawing.of<LossCase>(lossCases.mse, lossCases.crossEntropy, lossCases.binaryCrossEntropy)
    : drawing.of<LossCase>(lossCases.mse, lossCases.binaryCrossEntropy);
  const targets = rows.map(() => drawTargets(loss, size, random));
  return {
    blocks,
    net,
    x: array(rows.flat(), { shape: [batch, ...inputShape] }),
    y: array(targets.flat(), { shape: [batch, ...net.outputShape] }),
    loss,
    outputs,
    losses: outputs.map((row, i) => loss.elements(row, targets[i])),
    random,
  };
}

function drawTargets(loss: LossCase, size: number, random: Random): number[] {
  if (loss.name === "mse") return numbers(random, size, "float32");
  const weights = Array.from({ length: size }, () => Math.fround(random.uniform()));
  if (loss.name === "binaryCrossEntropy") return weights;
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** The loss of every example, its elements reduced. */
export function reducedLosses({ losses }: Case, reduction: "mean" | "sum"): Dual[] {
  return losses.map((elements) => {
    const total = sum(elements);
    const factor = reduction === "mean" ? 1 / elements.length : 1;
    return { value: total.value * factor, slopes: total.slopes.map((slope) => slope * factor) };
  });
}

/** Tolerances for an array with these expected entries: entries are sums that may cancel, so the largest one counts. */
export function near(expected: ArrayLike<number>, dtype: DType = "float64", least = 0.1): Tolerance {
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), least);
  return dtype === "float64"
    ? { relative: 1e-11, absolute: 1e-12 * largest }
    : { relative: 1e-4, absolute: 1e-4 * largest };
}
