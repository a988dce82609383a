// Weights of classes as weights of samples.

import { type ArrayLike, NDArray, namedArray } from "../array/ndarray.ts";
import { OptionError, ShapeError, ValueError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";

/**
 * The weight of each sample by its class, [N], for `{ x, y, weights }`. Without `of` every class counts as much as any other:
 * N / (K n_c), n_c the samples of class c, K the classes that occur; the weights then sum to N.
 * @param labels [N], integers from 0 @param of the weight of each class, [C]
 * @throws ShapeError, ValueError for what are not labels, or classes without a weight; OptionError for weights below 0
 */
export function classWeights(labels: ArrayLike, of?: ArrayLike): NDArray {
  const where = "classWeights";
  const y = namedArray(where, "labels", labels);
  if (y.size === 0 || y.size !== y.shape[0]) {
    throw new ShapeError(`${where}: expected labels of shape [N], one for each sample, at least one.`);
  }
  const bad = y.data.findIndex((label) => !Number.isInteger(label) || label < 0);
  if (bad >= 0) throw new ValueError(`${where}: label ${y.data[bad]} of sample ${bad} is not an integer from 0 on.`);
  const weights = of === undefined ? balanced(y.data) : namedArray(where, "of", of);
  weights.data.forEach((weight: number, label: number) => {
    if (weight >= 0 && weight < Number.POSITIVE_INFINITY) return;
    throw new OptionError(
      `${where}: the weight of class ${label} must be a number of at least 0, not ${valueText(weight)}.`,
    );
  });
  return new NDArray(
    Float64Array.from(y.data, (label, i) => {
      if (label < weights.size) return weights.data[label];
      throw new ValueError(
        `${where}: label ${label} of sample ${i} has no weight: there are ${weights.size} of classes from 0 on.`,
      );
    }),
    [y.size],
  );
}

function balanced(labels: FloatArray): { readonly data: Float64Array; readonly size: number } {
  const counts = new Map<number, number>();
  let most = 0;
  for (let i = 0; i < labels.length; i++) {
    counts.set(labels[i], (counts.get(labels[i]) ?? 0) + 1);
    most = Math.max(most, labels[i]);
  }
  if (most > labels.length + 1e6)
    throw new ValueError(`classWeights: label ${most} is far beyond the number of samples.`);
  const data = Float64Array.from({ length: most + 1 }, (_, c) => {
    const count = counts.get(c);
    return count === undefined ? 0 : labels.length / (counts.size * count);
  });
  return { data, size: data.length };
}
