// A posterior of the weights along a training.

import { checkNumber, checkOptions, ValueError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { KindOf, Task } from "../likelihood/tasks.ts";
import { SwagSnapshots } from "../training/swag.ts";
import { type Along, posteriorAlong } from "./along.ts";
import type { Posterior } from "./posterior.ts";

/** Options of `swagPosterior`. */
export interface SwagPosteriorOptions<Given extends Likelihood | Task = Likelihood | Task> extends Along<Given> {
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
  if (!(snapshots instanceof SwagSnapshots)) {
    throw new ValueError(`${where}: the first argument must be the snapshots that swag(net) gives.`);
  }
  checkOptions(where, options, ["likelihood", "weights", "scale"]);
  const { scale = 1 } = options;
  checkNumber(where, "scale", scale, 0, true);
  const { net, variance, deviations } = snapshots.summary();
  // One deviation has no variance.
  const kept = deviations.length > 1 ? deviations : [];
  const share = kept.length > 0 ? 0.5 * scale : scale;
  const factor = Math.sqrt(share / Math.max(1, kept.length - 1));
  return posteriorAlong(where, net, options, {
    precision: variance.map((one) => 1 / Math.max(share * one, LEAST_VARIANCE)),
    columns: kept.map((deviation) => deviation.map((one) => factor * one)),
    examples: snapshots.count,
  });
}
