// The curvatures of the outputs one by one. With a noise σ_c for each output the curvature of a Gaussian is Σ_c H_c / σ_c²: kept
// apart, the H_c give it for any noises, so that these can be tuned without the data.

import type { Steps } from "../kernels/steps.ts";
import type { Curvature } from "../structures/curvature.ts";
import { rowNamed, rowOf } from "../structures/table.ts";
import type { Plan } from "./plan.ts";

/** Outputs, and numbers of all their curvatures (128 MiB), up to which they are kept apart. */
const MOST_OUTPUTS = 64;
const MOST_NUMBERS = 2 ** 24;

/**
 * How many curvatures are kept apart, each of so many numbers: one for each output of the shape [C], where each has a noise to be
 * tuned; 1 where there is one curvature of all.
 */
export function outputsApart({ likelihood, net, kind, structure }: Plan, numbers: () => number): number {
  const [outputs] = net.outputShape;
  if (!likelihood.hyper.apart || kind !== "ggn" || net.outputShape.length !== 1 || rowNamed(structure).together)
    return 1;
  return outputs > 1 && outputs <= MOST_OUTPUTS && outputs * numbers() <= MOST_NUMBERS ? outputs : 1;
}

/** The arrays that sum over columns. */
export function columnSums(curvature: Curvature): readonly Float64Array[] {
  return rowOf(curvature).columnSums(curvature);
}

/** A curvature with these arrays in their place. */
export function withColumnSums(curvature: Curvature, sums: readonly Float64Array[]): Curvature {
  return rowOf(curvature).lift(curvature, curvature.selection, curvature.examples, sums);
}

/** Σ_c w_c H_c */
export function* weightedSum(each: readonly Curvature[], weights: ArrayLike<number>): Steps<Curvature> {
  const sums = columnSums(each[0]).map((array) => new Float64Array(array.length));
  for (const [c, one] of each.entries()) {
    for (const [k, array] of columnSums(one).entries()) {
      const sum = sums[k];
      const weight = weights[c];
      for (let first = 0; first < sum.length; first += AT_ONCE) {
        const end = Math.min(sum.length, first + AT_ONCE);
        for (let i = first; i < end; i++) sum[i] += weight * array[i];
        yield;
      }
    }
  }
  return withColumnSums(each[0], sums);
}

/** Numbers that are added in a step. */
const AT_ONCE = 2 ** 18;

/** The same curvatures, which share what sums over examples alone: that of the first. */
export function sharing(each: readonly Curvature[]): readonly Curvature[] {
  return each.map((one, c) => (c === 0 ? one : withColumnSums(each[0], columnSums(one))));
}

/** The curvatures over both sets of examples, where both keep those of the same outputs apart. */
export function mergeApart(
  ours: readonly Curvature[] | undefined,
  theirs: readonly Curvature[] | undefined,
): readonly Curvature[] | undefined {
  if (ours === undefined || theirs === undefined) return undefined;
  return sharing(ours.map((one, c) => one.merge(theirs[c])));
}
