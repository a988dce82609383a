// Integrals over a Gaussian of what plain functions of a number say, by the trapezoidal rule: it converges geometrically
// where they are analytic (Trefethen & Weideman, SIAM Review 56, 2014).

import { portableExp } from "../array/portable.ts";
import type { NumberLikelihood, TargetMoments } from "./plain.ts";

/** Deviations beyond which nothing of a Gaussian is left in float64. */
const END = 9;
/** Steps at most, on each side. */
const MOST = 2000;

/** Means over f ~ N(m, v) of the mean and the variance of targets at f, and the variance of the mean. */
export function gaussianMoments(rule: NumberLikelihood, m: number, v: number): TargetMoments {
  if (!(v > 0)) return { mean: rule.mean(m), aleatoric: rule.variance(m), epistemic: 0 };
  const s = Math.sqrt(v);
  // In deviations; what grows exponentially moves the peak of its square by 2 s.
  const end = END + 2 * Math.min(s, END);
  const h = Math.max(0.25 * Math.min(1, 1 / s), end / MOST);
  const n = Math.ceil(end / h);
  let [weights, mean, aleatoric, epistemic] = [0, 0, 0, 0];
  const each = (visit: (f: number, weight: number) => void) => {
    for (let j = -n; j <= n; j++) visit(m + s * j * h, portableExp(-0.5 * (j * h) ** 2));
  };
  each((f, weight) => {
    weights += weight;
    mean += weight * rule.mean(f);
    aleatoric += weight * rule.variance(f);
  });
  mean /= weights;
  each((f, weight) => {
    epistemic += weight * (rule.mean(f) - mean) ** 2;
  });
  return { mean, aleatoric: aleatoric / weights, epistemic: epistemic / weights };
}

/** log ∫ e^(−loss(f, y)) N(f; m, v) df: steps as narrow as the loss and the Gaussian ask for, around both their peaks. */
export function logMixture(rule: NumberLikelihood, y: number, m: number, v: number): number {
  if (!(v > 0)) return -rule.loss(m, y);
  const s = Math.sqrt(v);
  // The peak of the product, by Fisher scoring from the Gaussian's.
  let peak = m;
  for (let i = 0; i < 50; i++) {
    const step = -(rule.gradient(peak, y) + (peak - m) / v) / (rule.information(peak) + 1 / v);
    if (!Number.isFinite(step)) break;
    peak += step;
    if (Math.abs(step) < 1e-3 * s) break;
  }
  const [low, high] = [Math.min(m, peak) - END * s, Math.max(m, peak) + END * s];
  const narrow = Math.min(s, ...[m, peak].map((f) => 1 / Math.sqrt(rule.information(f))).filter((x) => x > 0));
  const n = Math.min(Math.ceil((high - low) / (0.25 * narrow)), 50 * MOST);
  const h = (high - low) / n;
  const logs = Float64Array.from({ length: n + 1 }, (_, j) => {
    const f = low + j * h;
    return -rule.loss(f, y) - (f - m) ** 2 / (2 * v);
  });
  let top = Number.NEGATIVE_INFINITY;
  for (const log of logs) if (log > top) top = log;
  let sum = 0;
  for (const log of logs) sum += Math.exp(log - top);
  return top + Math.log(h * sum) - 0.5 * Math.log(2 * Math.PI * v);
}
