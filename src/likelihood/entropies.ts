// How much of a label's entropy is doubt about the logits. Numbers in, numbers out, as in links.ts.

import { portableExp, portableLog, portableLog1p } from "../array/portable.ts";
import { binaryProbabilities, eachDraw, type LinkDraw, normals, sigmoid } from "./links.ts";

/** Entropies of predicted labels in nats, of each example. */
export interface Entropies {
  /** Of the mean probabilities: H[E p]. */
  readonly total: Float64Array;
  /** What is left once the logits are known: E H[p], at most the total. */
  readonly aleatoric: Float64Array;
}

/** −Σ p log p, with 0 log 0 = 0. */
function entropy(p: Float64Array): number {
  let sum = 0;
  for (const x of p) if (x > 0) sum -= x * portableLog(x);
  return Math.max(sum, 0);
}

/**
 * Entropies of class labels for logits with mean [B, C] and covariance [B, C, C], [B], over Gaussian draws of the logits. Both
 * are of the same draws, whose mutual information is therefore not negative (Jensen).
 */
export function classEntropies(
  mean: Float64Array,
  covariance: Float64Array,
  batch: number,
  classes: number,
  draw: LinkDraw,
): Entropies {
  const [total, aleatoric] = [new Float64Array(batch), new Float64Array(batch)];
  const noise = normals(draw, classes);
  for (let b = 0; b < batch; b++) {
    const p = new Float64Array(classes);
    const example = {
      mean: mean.subarray(b * classes, (b + 1) * classes),
      covariance: covariance.subarray(b * classes ** 2, (b + 1) * classes ** 2),
    };
    eachDraw(example, noise, (row) => {
      for (let c = 0; c < classes; c++) p[c] += row[c] / draw.samples;
      aleatoric[b] += entropy(row) / draw.samples;
    });
    total[b] = entropy(p);
    aleatoric[b] = Math.min(aleatoric[b], total[b]);
  }
  return { total, aleatoric };
}

// Beyond this a logit's entropy is below every float64 number.
const END = 745;

/**
 * Entropies of binary labels for logits N(m, v), elementwise. The mean entropy is a trapezoidal rule over the logit x: its
 * integrand is analytic up to Im x = ±π, and a step of 0.3, or of 0.3 deviations, leaves less than 1e-12 (Trefethen & Weideman, SIAM
 * Review 56, 2014). A negative variance counts as 0.
 */
export function binaryEntropies(mean: Float64Array, variance: Float64Array): Entropies {
  // Of the less likely label, which keeps its digits.
  const below = mean.map((m) => -Math.abs(m));
  const total = binaryProbabilities("quadrature", below, variance, { samples: 1, seed: 0 }).map((p) =>
    p > 0 ? -p * portableLog(p) - (1 - p) * portableLog1p(-p) : 0,
  );
  const aleatoric = below.map((m, i) => {
    const v = Math.max(variance[i], 0);
    const s = Math.sqrt(v);
    if (s === 0) return total[i];
    // In deviations from the mean. Towards 0 the entropy grows as an exponential at most, which moves the peak by v.
    const h = 0.3 * Math.min(1, 1 / s);
    const first = Math.ceil(Math.max(-9, (-END - m) / s) / h);
    const last = Math.floor(Math.min(9 + s, (END - m) / s) / h);
    let sum = 0;
    for (let j = first; j <= last; j++) sum += portableExp(-0.5 * (j * h) ** 2) * logitEntropy(m + s * j * h);
    return Math.min((sum * h) / Math.sqrt(2 * Math.PI), total[i]);
  });
  return { total, aleatoric };
}

/** The entropy of a label with the probability σ(x): log(1 + e^(−|x|)) + |x| σ(−|x|), which does not cancel. */
function logitEntropy(x: number): number {
  const size = Math.abs(x);
  return portableLog1p(portableExp(-size)) + size * sigmoid(-size);
}
