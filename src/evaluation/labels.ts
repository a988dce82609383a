// Predictions of a label at every position as predictions of one label each.

import { type ArrayLike, asArray, NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import { readWeights } from "../data/dataset.ts";
import { checkOptions, ShapeError, ValueError } from "../errors.ts";
import { type ClassOptions, checkClassOptions, classLayout, labelShape, startOf } from "../losses/classes.ts";
import type { WeightOptions } from "../losses/losses.ts";

/** Probabilities and the labels they are held against. */
export interface Labelled {
  readonly probabilities: ArrayLike;
  readonly labels: ArrayLike;
  /** How much each row counts; undefined where all count once. */
  readonly weights?: Float64Array | undefined;
  /** How many labels there are: rows, but for those of a label that is a row of probabilities, which are one. */
  readonly count: number;
}

/**
 * Probabilities [N, ..., C], or [N, C, ...] with the classes first, as rows [M, C] of all positions whose labels
 * [N, ...] are not ignored, and those labels [M], or rows of one 1; what has one label a sample and no ignored ones as it is.
 * Rows of probabilities in the place of labels count as labels by them: a row for each label that may be, with that weight. So do
 * probabilities of label 1, where that of label 1 is what was predicted, or where `both` columns are of one logit.
 * @throws OptionError, ShapeError; ValueError where all labels are ignored
 */
export function countedLabels(
  where: string,
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: ClassOptions & WeightOptions,
  both = false,
): Labelled {
  checkOptions(where, options, ["classAxis", "ignoredLabel", "weights"]);
  const { classAxis, ignoredLabel, weights: given } = options;
  checkClassOptions(where, { classAxis, ignoredLabel }, ["classAxis", "ignoredLabel"]);
  const [p, y] = [asArray(probabilities), asArray(labels)];
  const [samples, ...shape] = p.shape;
  const weights = given === undefined ? undefined : (readWeights(where, given, samples).data as Float64Array);
  const binary = shape.length === 0 || (shape.length === 1 && shape[0] === 1);
  // Of several axes without a name, what reads probabilities says what is missing.
  const single = shape.length <= 1;
  if (single ? ignoredLabel === undefined : classAxis === undefined) {
    return hardened(where, both, { probabilities: p, labels: y, weights, count: samples });
  }
  const layout = binary ? { classes: 1, positions: 1, step: 1 } : classLayout(where, shape, classAxis);
  const { classes, positions, step } = layout;
  const expected = [samples, ...labelShape(shape, classAxis)];
  const oneHot = !binary && sameShape(y.shape, p.shape);
  if (!oneHot && (y.shape[0] !== samples || y.size !== samples * positions)) {
    throw new ShapeError(`${where}: expected labels of shape ${shapeText(expected)}, got ${shapeText(y.shape)}.`);
  }
  const counted: number[] = [];
  for (let i = 0; i < samples * positions; i++) if (oneHot || y.data[i] !== ignoredLabel) counted.push(i);
  if (counted.length === 0) {
    throw new ValueError(`${where}: all labels are ignored (${ignoredLabel}), so that there is nothing to evaluate.`);
  }
  const rows = (from: NDArray) => {
    const result = new Float64Array(counted.length * classes);
    counted.forEach((i, row) => {
      const start = Math.floor(i / positions) * positions * classes + startOf(layout, i % positions);
      for (let c = 0; c < classes; c++) result[row * classes + c] = from.data[start + c * step];
    });
    return new NDArray(result, [counted.length, classes]);
  };
  const chosen = () =>
    new NDArray(
      Float64Array.from(counted, (i) => y.data[i]),
      [counted.length],
    );
  const own = weights && Float64Array.from(counted, (i) => weights[Math.floor(i / positions)]);
  return hardened(where, both, {
    probabilities: rows(p),
    labels: oneHot ? rows(y) : chosen(),
    weights: own,
    count: counted.length,
  });
}

/** Labels that are probabilities as labels with weights. @throws ValueError for rows that are not probabilities */
function hardened(where: string, both: boolean, labelled: Labelled): Labelled {
  const [p, y] = [asArray(labelled.probabilities), asArray(labelled.labels)];
  if (p.rank === 0 || p.rank > 2 || y.shape[0] !== p.shape[0]) return labelled;
  const classes = p.rank === 2 ? p.shape[1] : 1;
  // One number for each sample is the probability of label 1.
  const single = y.size === y.shape[0] && (classes === 1 || both);
  if (!single && (y.rank !== 2 || y.shape[1] !== classes)) return labelled;
  if (y.data.every((t: number) => Number.isInteger(t) || !(t > 0 && t < 1))) return labelled;
  const [rows, labels, weights]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < p.shape[0]; i++) {
    const own = single ? [1 - y.data[i], y.data[i]] : Array.from(y.data.subarray(i * classes, (i + 1) * classes));
    const sum = own.reduce((a, b) => a + b, 0);
    if (own.some((t) => !(t >= 0)) || Math.abs(sum - 1) > 1e-4) {
      throw new ValueError(
        `${where}: the labels of sample ${i} are neither a label nor probabilities: they must be at least 0 and sum to 1, not to ${sum}.`,
      );
    }
    own.forEach((t, label) => {
      if (t === 0) return;
      rows.push(i);
      labels.push(label);
      weights.push(((labelled.weights?.[i] ?? 1) * t) / sum);
    });
  }
  const probabilities = new NDArray(
    Float64Array.from({ length: rows.length * classes }, (_, k) => {
      return p.data[rows[Math.floor(k / classes)] * classes + (k % classes)];
    }),
    p.rank === 2 ? [rows.length, classes] : [rows.length],
  );
  return { probabilities, labels, weights: Float64Array.from(weights), count: labelled.count };
}
