// Log densities of targets that are numbers, under what was predicted of each.

import type { Likelihood } from "../likelihood/likelihood.ts";

/** What was predicted of N C targets. */
export interface PredictedNumbers {
  readonly mean: ArrayLike<number>;
  readonly variance: ArrayLike<number>;
  readonly functionMean: ArrayLike<number>;
  readonly functionVariance: ArrayLike<number>;
}

/** −log density of each target, in nats, all constants included; NaN where the likelihood has none. */
export function negativeLogDensities(
  likelihood: Likelihood,
  { mean, variance, functionMean, functionVariance }: PredictedNumbers,
  targets: ArrayLike<number>,
): Float64Array {
  return Float64Array.from(targets, (target, i) => {
    const predicted = {
      mean: mean[i],
      variance: variance[i],
      functionMean: functionMean[i],
      functionVariance: functionVariance[i],
    };
    return -(likelihood.logDensity?.(target, predicted) ?? Number.NaN);
  });
}
