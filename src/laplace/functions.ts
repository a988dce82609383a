// What `laplace` and posteriors do by names and methods, as functions of values: a bundle has those that it calls, and no more.

import type { ArrayLike } from "../array/ndarray.ts";
import { OptionError, valueText } from "../errors.ts";
import { asynchronously, atOnce, type BurstOptions, type InBursts } from "../kernels/steps.ts";
import { checkLikelihood } from "../likelihood/check.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { Evidence } from "../posterior/evidence.ts";
import { evidenceIn, tuned } from "../posterior/tuned.ts";
import type { TuningOptions, TuningReport } from "../posterior/tuning.ts";
import { checkIsPosterior, WeightGaussian } from "../posterior/weight-gaussian.ts";
import { type Prediction, type PredictOptions, predict as predictInSteps } from "../prediction/prediction.ts";
import type { Row } from "../structures/structure.ts";
import { bring } from "../structures/table.ts";
import { Laplace } from "./fitting.ts";
import type { GaussianPrior } from "./gaussian-prior.ts";
import type { LaplaceOptions } from "./options.ts";

/** How a curvature is stored, as a value: `full`, `diagonal`, `kronecker`, `ekfac`, `lowRank` or `functional`. */
export type StructureValue = Row;

/** Options of this `laplace`: those of the other, with the likelihood and the structure as values, not by names. */
export interface ValueOptions<Kind extends LikelihoodKind = LikelihoodKind>
  extends Omit<LaplaceOptions<Likelihood<Kind>>, "structure" | "prior"> {
  /** A prior of any precision; with a bundler `gaussianPrior` of laplace-ts makes one. */
  prior?: GaussianPrior | undefined;
  /** How the curvature is stored; there is no default, since each is in the program only where it is named. */
  structure: StructureValue;
}

/**
 * `laplace` of values: `const posterior = await laplace(net, { likelihood: gaussian(), structure: full }).fit(data);` gives a
 * posterior without methods, which the functions beside this one take: `predict(posterior, x)`. The numbers are the same.
 * @throws as `laplace` of laplace-ts; OptionError for a structure that is a name
 */
export function laplace<Kind extends LikelihoodKind>(
  net: Network,
  options: ValueOptions<Kind>,
): Laplace<Kind, WeightGaussian<Kind>> {
  const where = "laplace";
  const { structure, likelihood } = options ?? {};
  if (typeof structure?.passes !== "function") {
    throw new OptionError(
      `${where}: the structure must be full, diagonal, kronecker or ekfac of laplace-ts/mini, got ${valueText(structure)}. Names of structures are for laplace of laplace-ts.`,
    );
  }
  bring(structure);
  return new Laplace<Kind, WeightGaussian<Kind>>(
    net,
    { ...options, structure: structure.name },
    {
      likelihood: () => checkLikelihood(where, likelihood, net),
      posterior: (parts) => new WeightGaussian(parts),
    },
  );
}

/** `posterior.predict(x, options)`. @param x [B, ...inputs] @throws as that; ValueError for what is not a posterior */
export function predict(posterior: WeightGaussian, x: ArrayLike, options: PredictOptions = {}): Prediction {
  const where = "predict";
  checkIsPosterior(where, "the first argument", posterior);
  return atOnce(predictInSteps(where, posterior, x, options));
}

/** `predict` in bursts, with turns of the event loop between them. @throws as `predict`; the signal's reason */
export async function predictAsync(
  posterior: WeightGaussian,
  x: ArrayLike,
  options: InBursts<PredictOptions> = {},
): Promise<Prediction> {
  const where = "predict";
  checkIsPosterior(where, "the first argument", posterior);
  return asynchronously(where, options, (rest) => predictInSteps(where, posterior, x, rest));
}

/** `posterior.optimizePrior(options)`: the tuned posterior. @throws as that; ValueError for what is not a posterior */
export function optimizePrior<P extends WeightGaussian>(posterior: P, options: TuningOptions = {}): P {
  checkIsPosterior("optimizePrior", "the first argument", posterior);
  return atOnce(tuned(posterior as P, options));
}

/** `optimizePrior` in bursts, with turns of the event loop between them. @throws as `optimizePrior`; the signal's reason */
export async function optimizePriorAsync<P extends WeightGaussian>(
  posterior: P,
  options: TuningOptions & BurstOptions<TuningReport> = {},
): Promise<P> {
  const where = "optimizePrior";
  checkIsPosterior(where, "the first argument", posterior);
  return asynchronously(where, options, (rest: TuningOptions) => tuned(posterior as P, rest));
}

/** `posterior.evidence()`: the log marginal likelihood and its parts. @throws NotPositiveDefiniteError; ValueError for what is not a posterior */
export function evidence(posterior: WeightGaussian): Evidence {
  checkIsPosterior("evidence", "the first argument", posterior);
  return atOnce(evidenceIn(posterior));
}
