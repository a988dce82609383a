// The mean of numbers by weights of its own: what is nearest to targets in squares is another mixture than what makes them probable.

import type { TableEncoding } from "../data/encoding.ts";
import { ValueError } from "../errors.ts";
import type { TableMixture } from "./table-posteriors.ts";

/** @throws ValueError for weights that are not those of a mean over the mixture's posteriors */
export function checkMeanWeights(
  given: Float64Array,
  mixture: TableMixture | undefined,
  { target }: TableEncoding,
): void {
  if (target.kind !== "number" || target.counts)
    throw new ValueError("tableModel: meanWeights are for numbers alone, not for classes or counts; leave them out.");
  const { weights } = mixture ?? { weights: [1] };
  const sound = given instanceof Float64Array && given.length === weights.length;
  if (
    !sound ||
    !given.every((own, k) => own >= 0 && (own === 0 || weights[k] > 0)) ||
    !(Math.abs(sumOf(given) - 1) < 1e-9)
  )
    throw new ValueError(
      `tableModel: meanWeights: expected a Float64Array of ${weights.length} numbers that sum to 1, 0 where the mixture's weight is 0.`,
    );
}

const sumOf = (values: Float64Array) => values.reduce((all, own) => all + own, 0);

/** The mean by its own weights, within the interval that is shown with it. @param means of each posterior, [rows] */
export function ownMean(
  means: readonly Float64Array[],
  weights: ArrayLike<number>,
  lower: Float64Array,
  upper: Float64Array,
): Float64Array {
  return lower.map((low, i) => {
    let mean = 0;
    for (const [k, own] of means.entries()) mean += weights[k] * own[i];
    return Math.min(Math.max(mean, low), upper[i]);
  });
}
