// Primitives that do something else in a step of training: dropout, and normalisation over the batch.

import { shapeText } from "../../array/ndarray.ts";
import { LaplaceError, ShapeError } from "../../errors.ts";
import { withLayers } from "../../kernels/layers.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, inMemory, type Pointer } from "../../kernels/memory.ts";
import { count, numberThat, positive, text } from "../attributes.ts";
import type { BufferArray } from "../parameters.ts";
import type { ForwardPass, Node, Primitive } from "../primitive.ts";

interface DropoutAttributes {
  /** The probability of 0. */
  readonly rate: number;
}

/** x. In training, each element becomes 0 with the probability `rate`, and is divided by 1 − rate otherwise. */
export const dropout: Primitive<DropoutAttributes> = {
  name: "dropout",
  order: "linear",
  inputs: 1,
  attributes: { rate: numberThat((rate) => rate >= 0 && rate < 1) },
  shape: ([x]) => x,
  forward(node, pass) {
    const n = pass.batch * node.size;
    const x = pass.value(node.inputs[0]);
    if (pass.training === undefined) {
      pass.kernels.copyRows(1, n, x, 0, pass.value(node), 0, false);
      return;
    }
    const { random, kept } = pass.training;
    const { rate } = node.attributes;
    const factors = allocateFloats(pass.dtype, n);
    const start = factors / bytesPerElement(pass.dtype);
    inMemory(pass.dtype, (memory) => {
      for (let i = 0; i < n; i++) memory[start + i] = random.uniform() < rate ? 0 : 1 / (1 - rate);
    });
    kept.set(node, factors);
    pass.kernels.multiply(1, n, x, factors, pass.value(node), false);
  },
  pushforward(node, pass) {
    pass.kernels.copyRows(1, pass.batch * node.size, pass.tangent(node.inputs[0]), 0, pass.tangent(node), 0, false);
  },
  pullback(node, pass) {
    const n = pass.batch * node.size;
    const factors = pass.training?.kept.get(node);
    pass.contribute(node.inputs[0], (to, add) => {
      if (factors === undefined) pass.kernels.copyRows(1, pass.columns * n, pass.cotangent(node), 0, to, 0, add);
      else pass.kernels.multiply(pass.columns, n, pass.cotangent(node), factors, to, add);
    });
  },
  rowwise: () => 1,
};

/** Running statistics of each channel. */
export interface BatchStatistics {
  readonly mean: BufferArray;
  /** The unbiased one. */
  readonly variance: BufferArray;
}

export interface BatchNormaliseAttributes extends BatchStatistics {
  /** What is added to the variance. */
  readonly epsilon: number;
  /** The share of a batch's statistics in the running ones. */
  readonly momentum: number;
}

type BatchNode = Node<BatchNormaliseAttributes>;

/** How many values each channel has in one example. */
export const positionsOfChannel = (node: BatchNode): number => node.size / node.attributes.mean.size;

/** A number for each channel. */
const place = (pass: ForwardPass, numbers: Float64Array): Pointer => copyIn(pass.dtype, numbers);

/** For each of `slabs` batches y = scale x + shift (or +=) for each channel; 0 for no scale or no shift. */
function stretch(
  node: BatchNode,
  pass: ForwardPass,
  slabs: number,
  x: Pointer,
  scale: Pointer,
  shift: Pointer,
  y: Pointer,
  add = false,
): void {
  const { size } = node.attributes.mean;
  withLayers(pass.kernels).channelAffine(slabs * pass.batch, size, positionsOfChannel(node), x, scale, shift, y, add);
}

/** The means of each channel over batch and positions. */
function channelMeans(node: BatchNode, pass: ForwardPass, x: Pointer): Float64Array {
  const [channels, positions] = [node.attributes.mean.size, positionsOfChannel(node)];
  const [rows, sums] = [allocateFloats(pass.dtype, node.size), allocateFloats(pass.dtype, channels)];
  pass.kernels.sumAxis(1, pass.batch, node.size, x, rows, node.size, false);
  pass.kernels.sumAxis(channels, positions, 1, rows, sums, 1, false);
  return Float64Array.from(copyOut(pass.dtype, sums, channels), (x) => x / (pass.batch * positions));
}

const negative = (numbers: Float64Array) => numbers.map((x) => -x);

/** 1 / √(running variance + ε) */
function runningFactors({ attributes }: BatchNode, pass: ForwardPass): Pointer {
  const { variance, epsilon } = attributes;
  return place(
    pass,
    read(pass, variance).map((v) => 1 / Math.sqrt(v + epsilon)),
  );
}

function read(pass: ForwardPass, buffer: BufferArray): Float64Array {
  return Float64Array.from(copyOut(pass.dtype, pass.buffer(buffer), buffer.size));
}

/** Moves the running statistics towards those of a batch. */
function update(node: BatchNode, pass: ForwardPass, mean: Float64Array, variance: Float64Array): void {
  const { attributes } = node;
  const count = pass.batch * positionsOfChannel(node);
  const { momentum } = attributes;
  const move = (buffer: BufferArray, found: (channel: number) => number) => {
    const start = pass.buffer(buffer) / bytesPerElement(pass.dtype);
    inMemory(pass.dtype, (memory) => {
      for (let c = 0; c < buffer.size; c++) {
        memory[start + c] = (1 - momentum) * memory[start + c] + momentum * found(c);
      }
    });
  };
  move(attributes.mean, (c) => mean[c]);
  move(attributes.variance, (c) => (variance[c] * count) / (count - 1));
}

/** Whether a step of training takes the batch's own statistics; a frozen layer keeps to its running ones. */
export const takesBatchStatistics = (node: BatchNode, frozen: ReadonlySet<string>): boolean =>
  !frozen.has(node.attributes.mean.name);

/**
 * y = (x − mean) / √(variance + ε) for each channel, the first axis, with the running statistics: a fixed affine map. In
 * training, with those of the batch, which it adds to the running ones; derivatives then go through mean and variance.
 */
export const batchNormalise: Primitive<BatchNormaliseAttributes> = {
  name: "batchNormalise",
  order: "linear",
  inputs: 1,
  statistics: true,
  stored: {
    attributes: {
      layer: text,
      channels: count,
      epsilon: positive,
      momentum: numberThat((share) => share > 0 && share <= 1),
    },
    write: ({ mean, epsilon, momentum }) => ({
      layer: mean.name.slice(0, mean.name.lastIndexOf(".")),
      channels: mean.size,
      epsilon,
      momentum,
    }),
    read({ layer, channels, ...rest }, statistics) {
      const found = statistics(layer as string, channels as number) as BatchStatistics;
      if (found.mean.size === channels) return { ...found, ...rest } as BatchNormaliseAttributes;
      throw new LaplaceError("batchNormalise: its statistics have another size.");
    },
  },
  shape([x], { mean }) {
    if (x[0] === mean.size) return x;
    throw new ShapeError(
      `batchNormalise: the layer takes ${mean.size} channels, but its input has shape ${shapeText(x)}.`,
    );
  },
  forward(node, pass) {
    const { training } = pass;
    const [x, y] = [pass.value(node.inputs[0]), pass.value(node)];
    const { mean, epsilon } = node.attributes;
    // The mean first: x − mean is exact to rounding also where the mean is large.
    const centre = (by: Float64Array) => stretch(node, pass, 1, x, 0, place(pass, negative(by)), y);
    if (training === undefined || !takesBatchStatistics(node, training.frozen)) {
      centre(read(pass, mean));
      stretch(node, pass, 1, y, runningFactors(node, pass), 0, y);
      return;
    }
    const n = pass.batch * node.size;
    const found = channelMeans(node, pass, x);
    centre(found);
    const squares = allocateFloats(pass.dtype, n);
    pass.kernels.multiply(1, n, y, y, squares, false);
    const variance = channelMeans(node, pass, squares);
    const factors = place(
      pass,
      variance.map((v) => 1 / Math.sqrt(v + epsilon)),
    );
    stretch(node, pass, 1, y, factors, 0, y);
    training.kept.set(node, factors);
    update(node, pass, found, variance);
  },
  pushforward(node, pass) {
    stretch(node, pass, 1, pass.tangent(node.inputs[0]), runningFactors(node, pass), 0, pass.tangent(node));
  },
  pullback(node, pass) {
    const d = pass.cotangent(node);
    const factors = pass.training?.kept.get(node);
    pass.contribute(node.inputs[0], (to, add) => {
      if (factors !== undefined) pullBackThroughBatch(node, pass, d, factors, to, add);
      else stretch(node, pass, pass.columns, d, runningFactors(node, pass), 0, to, add);
    });
  },
};

/** One column, as training has: factor (d − mean(d) − y mean(y d)), with means over batch and positions. */
function pullBackThroughBatch(
  node: BatchNode,
  pass: ForwardPass,
  d: Pointer,
  factors: Pointer,
  to: Pointer,
  add: boolean,
): void {
  const n = pass.batch * node.size;
  const y = pass.value(node);
  const rest = allocateFloats(pass.dtype, n);
  pass.kernels.multiply(1, n, d, y, rest, false);
  const along = place(pass, negative(channelMeans(node, pass, rest)));
  const middle = place(pass, negative(channelMeans(node, pass, d)));
  stretch(node, pass, 1, y, along, middle, rest);
  pass.kernels.copyRows(1, n, d, 0, rest, 0, true);
  stretch(node, pass, 1, rest, factors, 0, to, add);
}
