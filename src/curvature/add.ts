// Sums over two sets of examples, added.

import { ValueError } from "../errors.ts";
import { atOnce, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type Curvature, sum } from "../structures/curvature.ts";
import type { Drawn, Summary } from "./accumulate.ts";
import { mergeApart, weightedSum } from "./outputs-apart.ts";

const both = (a: Float64Array | undefined, b: Float64Array | undefined) => a && b && sum(a, b);

/** The sums over the examples of both. @throws ValueError for curvatures that do not add, and the same draws twice */
export function addSums(ours: Summary, theirs: Summary, likelihood: Likelihood): Summary {
  const apart = mergeApart(ours.apart, theirs.apart);
  const losses = both(ours.losses, theirs.losses);
  const all = {
    apart,
    losses,
    drawn: mergeDrawn(ours.drawn, theirs.drawn),
    loss: ours.loss + theirs.loss,
    examples: ours.examples + theirs.examples,
    constant: ours.constant + theirs.constant,
    squares: both(ours.squares, theirs.squares),
    gradient: sum(ours.gradient, theirs.gradient),
    gradientNorms: ours.gradientNorms + theirs.gradientNorms,
    inputs: ours.inputs && theirs.inputs && ours.inputs.merge(theirs.inputs),
  };
  if (apart === undefined) return { ...all, curvature: ours.curvature.merge(theirs.curvature) };
  // Of curvatures that are kept apart, the others may be at other ratios of the noises.
  return { ...all, ...atOnce(atRatios(apart, losses, likelihood, all.loss)) };
}

/** Curvature and loss at a likelihood's ratios. */
export function* atRatios(
  apart: readonly Curvature[],
  losses: Float64Array | undefined,
  { hyper }: Likelihood,
  loss: number,
): Steps<Pick<Summary, "curvature" | "loss">> {
  const weights = apart.map((_, c) => hyper.weight(c));
  return {
    curvature: yield* weightedSum(apart, weights),
    loss: losses?.reduce((total, one, c) => total + weights[c] * one, 0) ?? loss,
  };
}

/** The places of both, in order; those that follow each other are one. @throws ValueError for places that both have */
function mergeDrawn(
  ours: readonly Drawn[] | undefined,
  theirs: readonly Drawn[] | undefined,
): readonly Drawn[] | undefined {
  if (ours === undefined || theirs === undefined) return undefined;
  const merged: Drawn[] = [];
  for (const next of [...ours, ...theirs].sort((a, b) => a.seed - b.seed || a.first - b.first)) {
    const last = merged[merged.length - 1];
    if (last?.seed !== next.seed || last.end < next.first) {
      merged.push(next);
    } else if (last.end === next.first) {
      merged[merged.length - 1] = { ...last, end: next.end };
    } else {
      throw new ValueError(
        `merge: both drew targets at the places ${next.first} to ${Math.min(last.end, next.end) - 1} from the seed ${next.seed}, so that their errors would add. Of shards, give each the place of its first example, sum(data, { first }); of others, give each fit a seed of its own.`,
      );
    }
  }
  return merged;
}
