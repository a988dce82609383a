// A posterior of the weights along a training.

import { readPlan } from "../curvature/plan.ts";
import { checkNumber, checkOptions, ValueError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type KindOf, readLikelihood, type Task } from "../likelihood/tasks.ts";
import { Fit } from "../posterior/fit.ts";
import { swagParts } from "../posterior/swag.ts";
import { bringAll } from "../structures/all.ts";
import { Prior } from "../structures/prior.ts";
import type { Weights } from "../structures/selection.ts";
import { noCurvature } from "../structures/swag.ts";
import { SwagSnapshots } from "../training/swag.ts";
import { Posterior } from "./posterior.ts";

/** Options of `swagPosterior`. */
export interface SwagPosteriorOptions<Given extends Likelihood | Task = Likelihood | Task> {
  /** As that of `laplace`; a Gaussian's noise is not tuned: give it, `gaussian({ noise })`. */
  likelihood: Given;
  /** Which weights vary (default "all"); the others stay at their means. */
  weights?: Weights | undefined;
  /** What the covariance is multiplied by (default 1). */
  scale?: number | undefined;
}

/** The least variance: of weights that did not move. */
const LEAST_VARIANCE = 1e-30;

/**
 * The posterior of SWAG (Maddox et al. 2019, arXiv:1902.02476): the Gaussian around the mean θ̄ of the weights that were collected, with
 * the covariance ½ diag(s²) + D Dᵀ / (2 (K − 1)), s² their variances and D the last K deviations; diag(s²) where none were kept. It
 * predicts, draws and goes into files as other posteriors do; it has no prior and no evidence, and its `examples` are the snapshots.
 * @throws LaplaceError where weights were taken less than twice; OptionError, ShapeError
 */
export function swagPosterior<Given extends Likelihood | Task>(
  snapshots: SwagSnapshots,
  options: SwagPosteriorOptions<Given>,
): Posterior<KindOf<Given>> {
  const where = "swagPosterior";
  bringAll();
  if (!(snapshots instanceof SwagSnapshots)) {
    throw new ValueError(`${where}: the first argument must be the snapshots that swag(net) gives.`);
  }
  checkOptions(where, options, ["likelihood", "weights", "scale"]);
  const { scale = 1, weights } = options;
  checkNumber(where, "scale", scale, 0, true);
  const { net, variance, deviations } = snapshots.summary();
  const read = () => readLikelihood(where, options.likelihood, net);
  const { likelihood, selection, kind, samples, seed, sharing } = readPlan(where, net, read, {
    weights,
    structure: "diagonal",
  });
  const n = selection.size;
  // One deviation has no variance.
  const kept = deviations.length > 1 ? deviations : [];
  const share = kept.length > 0 ? 0.5 * scale : scale;
  const inverse = selection.take(variance).map((one) => 1 / Math.max(share * one, LEAST_VARIANCE));
  const columns = new Float64Array(kept.length * n);
  const factor = Math.sqrt(share / Math.max(1, kept.length - 1));
  for (const [k, deviation] of kept.entries()) {
    const own = selection.take(deviation);
    for (let i = 0; i < n; i++) columns[k * n + i] = factor * own[i];
  }
  const zeros = new Float64Array(n);
  const theta = Float64Array.from(net.parameters.data);
  const fit = new Fit(
    { net, theta, likelihood, kind, samples, seed, sharing, basis: false },
    {
      curvature: noCurvature(selection, snapshots.count),
      examples: snapshots.count,
      loss: 0,
      losses: undefined,
      apart: undefined,
      constant: 0,
      gradient: zeros,
      gradientNorms: 0,
    },
  );
  const prior = new Prior(selection, inverse, selection.take(theta));
  return new Posterior<KindOf<Given>>(swagParts(fit, likelihood, prior, columns));
}
