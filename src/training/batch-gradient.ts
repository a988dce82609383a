// The gradient of a batch's loss. A batch that is much work is cut into shards, by its length and by sizes alone, whose gradients are
// added over a fixed tree: the bits are the same whoever computes them.

import { type NDArray, sizeOf } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { contractSum } from "../derivatives/contractions.ts";
import { dryRun } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocate,
  allocateFloats,
  bytesPerElement,
  copyIn,
  type FloatArray,
  inMemory,
  type Pointer,
  scope,
  sumOf,
} from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import { type LossRule, weighElements, weightOf } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import { outputsOf } from "../network/part-outputs.ts";
import { Backward, Forward } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";
import { type BatchNormaliseAttributes, takesBatchStatistics } from "../network/primitives/training.ts";
import type { TargetedBatch } from "../network/run.ts";

/**
 * Multiplications that a shard of a batch is worth, half a millisecond with wide products, and those for each number of its gradient, which
 * is copied there and back and added.
 */
const [LEAST_WORK, WORK_PER_NUMBER] = [2 ** 24, 2 ** 9];
/** Examples of the dry run. */
const MEASURED = 64;
/** Numbers from which on a row is copied at once. */
const LONG_ROW = 32;

/** What gradients of batches are of. */
export interface BatchesOf {
  readonly net: Network;
  readonly rule: LossRule;
  readonly data: TargetedBatch;
  /** How many examples are a shard: a power of 2, or Infinity. */
  readonly length: number;
  /** Multiplications that the gradient of an example takes; 0 where `length` is Infinity. */
  readonly work: number;
}

/** @param data all examples, in the network's type */
export function batchesOf(net: Network, rule: LossRule, data: TargetedBatch): BatchesOf {
  const of = { net, rule, data, length: Number.POSITIVE_INFINITY, work: 0 };
  const work = workOfExample(of);
  // A power of 2; Infinity where examples of a batch know of each other.
  const least = LEAST_WORK + WORK_PER_NUMBER * net.parameterCount;
  return work === undefined ? of : { ...of, work, length: 2 ** Math.max(0, Math.ceil(Math.log2(least / work))) };
}

/** Some samples of a batch, and where the gradient is taken. */
export interface Rows {
  readonly theta: Pointer;
  readonly buffers: Pointer;
  readonly rows: Uint32Array;
  /** What dropout draws from. */
  readonly random: Random;
}

/** The loss, summed, and how many of its elements count, by their weights. */
export type Counted = readonly [loss: number, counted: number];

/** A training's steps. */
export interface StepByStep<Held> {
  readonly epochDone: boolean;
  hold(): Held & { readonly gradient: Pointer };
  next(held: Held): Rows;
  step(held: Held, found: Counted): void;
  /** Copies what was learned out of the kernels' memory. */
  keep(held: Held): void;
}

/** What takes the gradients of one training. */
export interface Gradients {
  /** Takes all steps of an epoch. */
  epoch<Held>(run: StepByStep<Held>): Steps<void>;
  /** Nothing is taken any more. */
  end(): Promise<void>;
}

/** Copies these samples' rows into the kernels' memory. */
function gather(source: NDArray, rows: Uint32Array): Pointer {
  const width = source.size / source.shape[0];
  const pointer = allocateFloats(source.dtype, rows.length * width);
  const start = pointer / bytesPerElement(source.dtype);
  inMemory(source.dtype, (memory) => {
    const { data } = source;
    for (let i = 0; i < rows.length; i++) {
      const [from, to] = [rows[i] * width, start + i * width];
      if (width > LONG_ROW) memory.set(data.subarray(from, from + width), to);
      else for (let j = 0; j < width; j++) memory[to + j] = data[from + j];
    }
  });
  return pointer;
}

/** Multiplications of an example's gradient, by a dry run; undefined where examples of a batch know of each other. */
function workOfExample(of: BatchesOf): number | undefined {
  const { graph, frozen } = of.net;
  const knows = (node: Node) =>
    node.primitive.statistics && takesBatchStatistics(node as Node<BatchNormaliseAttributes>, frozen);
  if (graph.nodes.some(knows)) return undefined;
  const given = { theta: 0, buffers: 0, rows: new Uint32Array(MEASURED), random: new Random() };
  return dryRun(() => shardGradient(of, given, 0, true)).work / MEASURED;
}

/** How many of so many shards the tree has on its left. */
export const leftOf = (shards: number): number => 2 ** (Math.ceil(Math.log2(shards)) - 1);

/** Seeds of what dropout drops in each shard of a batch; undefined where there is one. */
export function seedsOf({ length }: BatchesOf, { rows, random }: Rows): Uint32Array | undefined {
  return rows.length > length
    ? Uint32Array.from({ length: Math.ceil(rows.length / length) }, () => random.uint32())
    : undefined;
}

/** Makes the gradient of a batch's summed loss that of its mean. */
export function divide({ dtype, parameterCount }: Network, gradient: Pointer, counted: number): void {
  const scale = copyIn(dtype, [1 / (counted || 1)]);
  kernelsFor(dtype).scaleRows(1, parameterCount, gradient, scale, 0, gradient);
}

/** Writes the gradient of a batch's mean loss. */
export function batchGradient(of: BatchesOf, given: Rows, gradient: Pointer): Counted {
  const seeds = seedsOf(of, given);
  if (seeds === undefined) return shardGradient(of, given, gradient, true);
  const sums = sumsOver(of, given, seeds, gradient);
  scope(() => divide(of.net, gradient, sums[1]));
  return sums;
}

/** Writes the gradient of the summed loss of shards. */
export function sumsOver(of: BatchesOf, given: Rows, seeds: Uint32Array, to: Pointer): Counted {
  const { length: shards } = seeds;
  if (shards === 1) return shardGradient(of, { ...given, random: new Random(seeds[0]) }, to, false);
  const left = leftOf(shards);
  const part = (first: number, end: number, at: Pointer) => {
    const rows = given.rows.subarray(first * of.length, end * of.length);
    return sumsOver(of, { ...given, rows }, seeds.subarray(first, end), at);
  };
  const [loss, counted] = part(0, left, to);
  return scope(() => {
    const { dtype, parameterCount } = of.net;
    const other = allocateFloats(dtype, parameterCount);
    const more = part(left, shards, other);
    kernelsFor(dtype).copyRows(1, parameterCount, other, 0, to, 0, true);
    return [loss + more[0], counted + more[1]];
  });
}

/** Of samples that go through a pass at once. */
function shardGradient({ net, rule, data }: BatchesOf, given: Rows, gradient: Pointer, mean: boolean): Counted {
  const { theta, buffers, rows, random } = given;
  const { graph, dtype, frozen } = net;
  return scope(() => {
    const outputs = graph.output.size;
    const count = rows.length;
    const x = gather(data.inputs, rows);
    const t = gather(data.targets, rows);
    const training = { random, frozen, kept: new Map<Node, Pointer>() };
    const forward = new Forward(graph, dtype, theta, x, count, { buffers, training });
    const f = outputsOf({ forward, count, shape: graph.output.shape });
    const elements = count * sizeOf(rule.elementShape(f.shape));
    const losses = allocate(8 * elements);
    rule.elements(f, t, losses);
    const own = data.weights?.data;
    const weights = own && Float64Array.from(rows, (row) => own[row]);
    if (weights !== undefined) weighElements(losses, elements, weights);
    const start = t / bytesPerElement(dtype);
    const targets = (memory: FloatArray) => memory.subarray(start, start + count * outputs);
    const counted = inMemory(dtype, (memory) => weightOf(rule, f.shape, targets(memory), weights), 1);
    const column = allocateFloats(dtype, count * outputs);
    rule.gradient(f, t, mean ? 1 / (counted || 1) : 1, column);
    if (weights !== undefined) kernelsFor(dtype).scaleRows(count, outputs, column, copyIn(dtype, weights), 1, column);
    const loss = sumOf("float64", losses, elements);
    contractSum(new Backward(forward, column, 1, "parameters"), gradient, false);
    return [loss, counted];
  });
}
