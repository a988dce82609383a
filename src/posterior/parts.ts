// A posterior as data.

import type { Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Precision } from "../structures/precision.ts";
import type { Prior } from "../structures/prior.ts";
import type { Fit } from "./fit.ts";
import type { Tuning } from "./tuning.ts";

/** What a posterior is made of. */
export interface PosteriorParts {
  /** At the likelihood's ratios of the noises. */
  readonly fit: Fit;
  readonly likelihood: Likelihood;
  readonly prior: Prior;
  readonly temperature: number;
  readonly damping: boolean;
  /** Whether negative eigenvalues of a Hessian are 0. */
  readonly clip?: boolean | undefined;
  /** Of SWAG and IVON: the columns of its covariance, [K, S]. */
  readonly swag?: Float64Array | undefined;
  /** What is made of the precision: of a sandwich posterior its covariance. @param h 1 / (σ² T) */
  readonly around?: ((precision: Precision, h: number) => Steps<Precision>) | undefined;
  readonly tuning: Tuning | undefined;
}
