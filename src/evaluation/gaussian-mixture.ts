// A mixture of Gaussians of one number: its quantiles and its score.

import { normalCdf, normalDensity, normalQuantile } from "./normal.ts";

/** Weights that sum to 1, means and deviations of its parts. */
export interface GaussianMixture {
  readonly weights: ArrayLike<number>;
  readonly means: ArrayLike<number>;
  readonly deviations: ArrayLike<number>;
}

/** The number below which it lies with probability p, by bisection to rounding, between the quantiles of its parts. */
export function mixtureQuantile({ weights, means, deviations }: GaussianMixture, p: number): number {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const z = normalQuantile(p);
  for (let k = 0; k < weights.length; k++) {
    if (weights[k] === 0) continue;
    const own = means[k] + z * deviations[k];
    [low, high] = [Math.min(low, own), Math.max(high, own)];
  }
  for (let step = 0; step < 200 && low < high; step++) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    let below = 0;
    for (let k = 0; k < weights.length; k++) {
      const x = middle - means[k];
      // Of a part without spread, all lies at its mean.
      below += weights[k] * (deviations[k] > 0 ? normalCdf(x / deviations[k]) : Number(x >= 0));
    }
    if (below < p) low = middle;
    else high = middle;
  }
  return high;
}

/** E|X| of N(m, s²). */
function meanDistance(m: number, s: number): number {
  if (s === 0) return Math.abs(m);
  const z = m / s;
  return 2 * s * normalDensity(z) + m * (2 * normalCdf(z) - 1);
}

/** The continuous ranked probability score at y, E|X − y| − ½ E|X − X′| (Grimit et al. 2006). */
export function mixtureCrps({ weights, means, deviations }: GaussianMixture, y: number): number {
  let [distance, spread] = [0, 0];
  for (let k = 0; k < weights.length; k++) {
    distance += weights[k] * meanDistance(y - means[k], deviations[k]);
    // Of each pair once: E|X − X′| is the same either way.
    for (let l = 0; l <= k; l++) {
      const s = Math.hypot(deviations[k], deviations[l]);
      spread += (l < k ? 2 : 1) * weights[k] * weights[l] * meanDistance(means[k] - means[l], s);
    }
  }
  return distance - spread / 2;
}
