// Predictions of a label at every position as predictions of one label each.

import { type ArrayLike, asArray, NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import { ShapeError, ValueError } from "../errors.ts";
import { type ClassOptions, checkClassOptions, classLayout, labelShape, startOf } from "../losses/classes.ts";

/** Probabilities and the labels they are held against. */
export interface Labelled {
  readonly probabilities: ArrayLike;
  readonly labels: ArrayLike;
}

/**
 * Probabilities [N, ..., C], or [N, C, ...] with the classes first, as rows [M, C] of all positions whose labels
 * [N, ...] are not ignored, and those labels [M], or rows of one 1; what has one label a sample and no ignored ones as it is.
 * @throws OptionError, ShapeError; ValueError where all labels are ignored
 */
export function countedLabels(
  where: string,
  probabilities: ArrayLike,
  labels: ArrayLike,
  options: ClassOptions,
): Labelled {
  checkClassOptions(where, options, ["classAxis", "ignoredLabel"]);
  const { classAxis, ignoredLabel } = options;
  const [p, y] = [asArray(probabilities), asArray(labels)];
  const [samples, ...shape] = p.shape;
  const binary = shape.length === 0 || (shape.length === 1 && shape[0] === 1);
  // Of several axes without a name, what reads probabilities says what is missing.
  const single = shape.length <= 1;
  if (single ? ignoredLabel === undefined : classAxis === undefined) {
    return { probabilities: p, labels: y };
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
  return { probabilities: rows(p), labels: oneHot ? rows(y) : chosen() };
}
