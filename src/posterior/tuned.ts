// The evidence of a posterior, and the posterior at its maximum.

import type { Steps } from "../kernels/steps.ts";
import { bringSpectrum } from "../linalg/spectrum.ts";
import { type Evidence, evidenceOf } from "./evidence.ts";
import { evidenceAt, TunableEvidence } from "./tunable.ts";
import { type TuningOptions, type TuningReport, tune } from "./tuning.ts";
import type { WeightGaussian } from "./weight-gaussian.ts";

/** See `Posterior.evidence`. */
export function* evidenceIn(posterior: WeightGaussian): Steps<Evidence> {
  bringSpectrum();
  const { parts } = posterior;
  return evidenceOf(yield* evidenceAt(parts, parts, yield* posterior.factoring("determinant")));
}

/** See `Posterior.optimizePrior`. */
export function* tuned<P extends WeightGaussian>(posterior: P, options: TuningOptions): Steps<P, TuningReport> {
  bringSpectrum();
  const tunable = new TunableEvidence(posterior.parts, (curvature, at, inverse) =>
    posterior.factor(curvature, at, inverse),
  );
  return yield* posterior.deriving(yield* tune(tunable, options));
}
