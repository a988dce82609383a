// A posterior of SWAG, or of an optimiser: its Gaussian has no data and no prior. It is that of a fit without a loss, with variances in
// the place of the prior's, and the deviations beside them.

import { ValueError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Prior } from "../structures/prior.ts";
import { swagPrecision } from "../structures/swag.ts";
import type { Fit } from "./fit.ts";
import type { PosteriorParts } from "./parts.ts";

/** @param inverse 1 / D in the place of the prior's precisions @param columns Lᵀ of the covariance D + L Lᵀ, [K, S] */
export function swagParts(fit: Fit, likelihood: Likelihood, inverse: Prior, columns: Float64Array): PosteriorParts {
  const around = () => swagPrecision(fit.curvature, inverse, columns);
  return { fit, likelihood, prior: inverse, temperature: 1, damping: false, swag: columns, around, tuning: undefined };
}

/** @throws ValueError for a posterior of SWAG or of IVON, which has no evidence */
export function refuseSwag(where: string, { swag }: PosteriorParts): void {
  if (swag === undefined) return;
  throw new ValueError(
    `${where}: a posterior of SWAG or IVON has neither a prior nor an evidence; with({ noise }) changes its noise.`,
  );
}
