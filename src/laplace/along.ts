// Posteriors that are known by their moments, with no curvature of data: of weights along a training, and of optimisers.

import { readPlan } from "../curvature/plan.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type KindOf, readLikelihood, type Task } from "../likelihood/tasks.ts";
import type { Network } from "../network/network.ts";
import { Fit } from "../posterior/fit.ts";
import { swagParts } from "../posterior/swag.ts";
import { bringAll } from "../structures/all.ts";
import { Prior } from "../structures/prior.ts";
import type { Weights } from "../structures/selection.ts";
import { noCurvature } from "../structures/swag.ts";
import { Posterior } from "./posterior.ts";

/** What such a posterior is of. */
export interface Along<Given extends Likelihood | Task = Likelihood | Task> {
  /** As that of `laplace`; a Gaussian's noise is not tuned: give it, `gaussian({ noise })`. */
  likelihood: Given;
  /** Which weights vary (default "all"); the others stay at their means. */
  weights?: Weights | undefined;
}

/** D and Lᵀ of the covariance D + L Lᵀ, of all parameters: 1 / D, [P], and rows of Lᵀ, [P] each. */
export interface Moments {
  readonly precision: Float64Array;
  readonly columns: readonly Float64Array[];
  /** What counts as its examples. */
  readonly examples: number;
}

/** @param net at the means, its own for good @throws OptionError, ShapeError */
export function posteriorAlong<Given extends Likelihood | Task>(
  where: string,
  net: Network,
  options: Along<Given>,
  moments: Moments,
): Posterior<KindOf<Given>> {
  bringAll();
  const read = () => readLikelihood(where, options.likelihood, net);
  const { likelihood, selection, kind, samples, seed, sharing } = readPlan(where, net, read, {
    weights: options.weights,
    structure: "diagonal",
  });
  const { precision, columns, examples } = moments;
  const n = selection.size;
  const rows = new Float64Array(columns.length * n);
  for (const [k, column] of columns.entries()) rows.set(selection.take(column), k * n);
  const theta = Float64Array.from(net.parameters.data);
  const fit = new Fit(
    { net, theta, likelihood, kind, samples, seed, sharing, basis: false },
    {
      curvature: noCurvature(selection, examples),
      examples,
      loss: 0,
      losses: undefined,
      apart: undefined,
      constant: 0,
      gradient: new Float64Array(n),
      gradientNorms: 0,
    },
  );
  const prior = new Prior(selection, selection.take(precision), selection.take(theta));
  return new Posterior<KindOf<Given>>(swagParts(fit, likelihood, prior, rows));
}
