// The posterior precision P = D + h V diag(l) Vᵀ of an exact Hessian of low rank, if it is positive definite.

import { IndefiniteHessianError } from "../../errors.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { Eigenpairs, EigenpairsCurvature } from "../eigenpairs.ts";
import { Prior } from "../prior.ts";
import { LowRankPrecision, whitenedPairs } from "./precision.ts";

/** Factors P, without negative eigenvalues if they are to be clipped. @throws IndefiniteHessianError */
export function* signedPrecision(
  curvature: EigenpairsCurvature,
  h: number,
  prior: Prior,
  clip: boolean,
): Steps<LowRankPrecision> {
  const all = yield* curvature.eigen();
  const used = clip ? positive(all, curvature.size) : all;
  const pairs = yield* whitenedPairs(used, h, prior);
  const least = leastOf(pairs);
  if (!(least > 0)) {
    const [delta] = prior.precision;
    throw new IndefiniteHessianError(
      prior.structure === "scalar" ? delta * least : yield* leastEigenvalue(used, h, prior),
    );
  }
  return new LowRankPrecision(curvature, prior, pairs);
}

/** The least eigenvalue of I + Σ μ w wᵀ, where that is below 1. */
const leastOf = ({ values }: Eigenpairs) => values.reduce((least, mu) => Math.min(least, 1 + mu), 1);

/** The eigenpairs above 0. */
function positive({ values, vectors }: Eigenpairs, n: number): Eigenpairs {
  const kept = [...values.keys()].filter((k) => values[k] > 0);
  const rows = new Float64Array(kept.length * n);
  kept.forEach((k, at) => {
    rows.set(vectors.subarray(k * n, (k + 1) * n), at * n);
  });
  return { values: Float64Array.from(kept, (k) => values[k]), vectors: rows };
}

/** Where it is searched, so many times at most, and when that ends. */
const MOST_STEPS = 100;
const ENOUGH = 1e-13;

/**
 * The least eigenvalue of D + h V diag(l) Vᵀ, which is below 0: the t at which D − t + h V diag(l) Vᵀ loses its definiteness, by the
 * Illinois rule (Dowell & Jarratt 1971, BIT 11).
 */
function* leastEigenvalue(pairs: Eigenpairs, h: number, prior: Prior): Steps<number> {
  const delta = prior.spread();
  const at = function* (t: number): Steps<number> {
    const shifted = delta.map((d) => d - t);
    return leastOf(yield* whitenedPairs(pairs, h, new Prior(prior.selection, shifted, prior.mean)));
  };
  // Of a sum it is no less than the sum of the two.
  let low = delta.reduce((a, b) => Math.min(a, b)) + h * pairs.values.reduce((a, b) => Math.min(a, b));
  let high = 0;
  let [below, above] = [yield* at(low), yield* at(high)];
  for (let step = 0; step < MOST_STEPS && high - low > ENOUGH * -low; step++) {
    const t = below > above ? low + ((high - low) * below) / (below - above) : low;
    const value = yield* at(t);
    if (value === 0) return t;
    if (value > 0) {
      [low, below] = [t, value];
      above /= 2;
    } else {
      [high, above] = [t, value];
      below /= 2;
    }
  }
  return low;
}
