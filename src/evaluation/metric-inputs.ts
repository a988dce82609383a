// What metrics are computed from: predictions and targets, checked.

import { checkFinite } from "../array/arguments.ts";
import { type ArrayLike as Arrays, asArray, type NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import { readWeights } from "../data/dataset.ts";
import { OptionError, ShapeError, ValueError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";
import type { WeightOptions } from "../losses/losses.ts";

// How far a probability may lie outside [0, 1], and a row's sum from 1, by rounding: means of many float32 rows do.
const ENTRY_ROUNDING = 1e-6;
const SUM_ROUNDING = 1e-4;
const INFINITE = Number.POSITIVE_INFINITY;

/** An array of N samples. @throws ShapeError for none, ValueError for numbers that are not finite */
function readSamples(where: string, name: string, values: Arrays): NDArray {
  const samples = asArray(values);
  if (samples.size === 0 || samples.rank === 0) {
    const shape = shapeText(samples.shape);
    throw new ShapeError(`${where}: ${name} must have a first axis that counts samples, at least one; it is ${shape}.`);
  }
  const { data } = samples;
  const predicted = !["targets", "labels", "counts", "scores"].includes(name);
  const at = predicted ? data.findIndex((x) => Math.abs(x) === INFINITE) : -1;
  if (at >= 0) {
    throw new ValueError(
      `${where}: ${name} has the value ${data[at]} (element ${at}): it overflowed where it was predicted, and this metric needs it. Likely causes: the mean e^f of a count where the log rate f is above 709, or a variance, of a prior so wide or inputs so far from the training data that predictions mean nothing. Scores of the log rate, poissonNegativeLogLikelihood(functionMean, functionVariance, counts), stay finite.`,
    );
  }
  checkFinite(where, name, samples);
  return samples;
}

/** The mean of n numbers, by weights of each if there are any; infinite only where it is above every float64 number itself. */
export function average(n: number, at: (i: number) => number, weights?: ArrayLike<number>): number {
  if (weights !== undefined) {
    let [sum, total] = [0, 0];
    for (let i = 0; i < n; i++) {
      // What has no weight may be infinite.
      if (weights[i] > 0) sum += weights[i] * at(i);
      total += weights[i];
    }
    return sum / total;
  }
  let sum = 0;
  for (let i = 0; i < n; i++) sum += at(i);
  if (Math.abs(sum) !== INFINITE) return sum / n;
  let mean = 0;
  for (let i = 0; i < n; i++) mean += at(i) / n;
  return mean;
}

/** The weight of each of n elements, as many for each sample; undefined where all count once. @throws ShapeError, ValueError */
export function elementWeights(
  where: string,
  { weights }: WeightOptions,
  samples: number,
  n: number,
): Float64Array | undefined {
  if (weights === undefined) return undefined;
  const own = readWeights(where, weights, samples).data;
  return Float64Array.from({ length: n }, (_, i) => own[Math.floor((i * samples) / n)]);
}

/** Numbers of N samples with C outputs each, from several arrays of one shape. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly samples: number;
  readonly outputs: number;
  /** As many as were read, each [N, C]. */
  readonly columns: readonly FloatArray[];
}

/**
 * Arrays of the same shape [N, ...outputs]; [N] and [N, 1] are the same.
 * @throws ShapeError, ValueError
 */
export function readNumbers(where: string, named: Readonly<Record<string, Arrays>>): Numbers {
  const arrays = Object.entries(named).map(([name, values]) => [name, readSamples(where, name, values)] as const);
  const [[firstName, first]] = arrays;
  const bare = ({ shape }: NDArray) => (shape.length === 2 && shape[1] === 1 ? shape.slice(0, 1) : shape);
  for (const [name, values] of arrays) {
    if (sameShape(bare(values), bare(first))) continue;
    throw new ShapeError(
      `${where}: ${firstName} has shape ${shapeText(first.shape)}, but ${name} ${shapeText(values.shape)}; they must agree.`,
    );
  }
  const [samples] = first.shape;
  const columns = arrays.map(([, { data }]) => data);
  return { shape: first.shape, samples, outputs: first.size / samples, columns };
}

/** Refuses negative variances, and where the spread is divided by, zeros. @throws ValueError */
export function checkVariance(where: string, variance: FloatArray, positive: boolean): void {
  for (let i = 0; i < variance.length; i++) {
    if (positive ? variance[i] > 0 : variance[i] >= 0) continue;
    throw new ValueError(
      `${where}: variance ${variance[i]} (element ${i}) is not ${positive ? "positive" : "at least 0"}. Likely causes: variances given as logarithms, or deviations from rounding.`,
    );
  }
}

/** Probabilities of N samples over C classes. */
export interface Probabilities {
  readonly samples: number;
  readonly classes: number;
  /** [N, C] */
  readonly p: Float64Array;
}

/**
 * Class probabilities [N, C], or probabilities of label 1, [N] or [N, 1], which become [N, 2]. What rounding left outside
 * [0, 1] is cut off. @throws ShapeError, ValueError
 */
export function readProbabilities(where: string, values: Arrays): Probabilities {
  const given = readSamples(where, "probabilities", values);
  if (given.rank > 2) {
    throw new ShapeError(
      `${where}: probabilities must be [N, C], or [N] of label 1, not of shape ${shapeText(given.shape)}. Where every position has classes, name their axis with the option classAxis.`,
    );
  }
  const [samples] = given.shape;
  const columns = given.size / samples;
  given.data.forEach((entry: number, i: number) => {
    if (entry >= -ENTRY_ROUNDING && entry <= 1 + ENTRY_ROUNDING) return;
    throw new ValueError(
      `${where}: probability ${entry} of sample ${Math.floor(i / columns)} is outside [0, 1]. Likely cause: logits in place of probabilities.`,
    );
  });
  const cut = (entry: number) => Math.min(Math.max(entry, 0), 1);
  if (columns === 1) {
    const p = new Float64Array(2 * samples);
    for (let i = 0; i < samples; i++) {
      p[2 * i + 1] = cut(given.data[i]);
      p[2 * i] = 1 - p[2 * i + 1];
    }
    return { samples, classes: 2, p };
  }
  for (let i = 0; i < samples; i++) {
    let sum = 0;
    for (let c = 0; c < columns; c++) sum += given.data[i * columns + c];
    if (Math.abs(sum - 1) <= SUM_ROUNDING) continue;
    throw new ValueError(
      `${where}: the probabilities of sample ${i} sum to ${sum}, not to 1. Independent labels are to be evaluated one by one.`,
    );
  }
  return { samples, classes: columns, p: Float64Array.from(given.data, cut) };
}

/** Labels [N] or [N, 1], integers from 0, or rows [N, C] of one 1 and zeros. @throws ShapeError, ValueError */
export function readLabels(where: string, values: Arrays, samples: number, classes: number): Int32Array {
  const given = readSamples(where, "labels", values);
  const rows = given.rank === 2 && given.shape[1] === classes;
  if (given.shape[0] !== samples || !(rows || given.size === samples)) {
    throw new ShapeError(
      `${where}: expected labels of shape [${samples}], one for each sample, got ${shapeText(given.shape)}.`,
    );
  }
  if (rows) return Int32Array.from({ length: samples }, (_, i) => labelOfRow(where, given.sub(i).data, i));
  return Int32Array.from(given.data, (label: number, i: number) => {
    if (Number.isInteger(label) && label >= 0 && label < classes) return label;
    throw new ValueError(
      `${where}: label ${label} of sample ${i} is not an integer from 0 to ${classes - 1}. Likely cause: labels that count from 1.`,
    );
  });
}

function labelOfRow(where: string, row: FloatArray, i: number): number {
  const label = row.indexOf(1);
  if (label >= 0 && row.every((entry, c) => entry === (c === label ? 1 : 0))) return label;
  throw new ValueError(
    `${where}: the labels of sample ${i} are not a row of one 1 and zeros. Metrics of classes take rows of probabilities, too; this takes labels only.`,
  );
}

/** Refuses a level outside (0, 1). @throws OptionError */
export function checkLevel(where: string, level: unknown): asserts level is number {
  if (typeof level === "number" && level > 0 && level < 1) return;
  throw new OptionError(`${where}: level must be a number between 0 and 1, such as 0.9, not ${valueText(level)}.`);
}
