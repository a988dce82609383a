// Logarithms of integrals over a Gaussian, where the integrals themselves may be below or above every float64 number.

import { MIDDLE, millsRatio, normalCentre, normalDensity, normalTail } from "../array/normal.ts";
import { portableExp, portableLog1p } from "../array/portable.ts";

/** log ∫ e^g by steps of h from a point near the peak of a log-concave e^g, in both directions as far as it matters. */
export function logTrapezoid(g: (x: number) => number, peak: number, h: number): number {
  const top = g(peak);
  let sum = 1;
  for (const step of [-h, h]) {
    for (let j = 1, term = 1; term > 1e-18 * sum; j++) {
      term = Math.exp(g(peak + j * step) - top);
      sum += term;
    }
  }
  return top + Math.log(h * sum);
}

/** The point in [a, b] where a falling function passes 0, or an end of it, to within `width`. */
export function fallingRoot(slope: (x: number) => number, a: number, b: number, width: number): number {
  let [low, high] = [a, b];
  while (high - low > width) {
    const middle = 0.5 * (low + high);
    if (middle === low || middle === high) break;
    if (slope(middle) > 0) low = middle;
    else high = middle;
  }
  return 0.5 * (low + high);
}

/** log (1 − Φ(x)) for x ≤ 0, and log of Mills' ratio for x > 0: neither is below every number. */
export const logUpper = (x: number): number => (x > 0 ? Math.log(millsRatio(x)) : Math.log1p(-upperTail(-x)));

/** 1 − Φ(x) for x ≤ 0, at least ½. */
export const normalUpper = (x: number): number => 1 - upperTail(-x);

/** 1 − Φ(x) for x ≥ 0. */
const upperTail = (x: number): number => (x < MIDDLE ? 0.5 - normalCentre(x) : normalTail(x));

/** log σ(x). */
export function logSigmoid(x: number): number {
  const rest = portableLog1p(portableExp(-Math.abs(x)));
  return x < 0 ? x - rest : -rest;
}

/**
 * log ∫ σ(f) N(f; m, v) df for m ≤ 0, to about 1e-12 for any v, in at most some hundred steps. For v < 1 the trapezoidal
 * rule in the Gaussian's deviations; beyond, σ and the Gaussian change places: the integral is that of σ′(t) Φ((m + t)/√v),
 * whose width does not grow with v. Where |m| > v/2 the identity σ(f) = e^f σ(−f) gives e^(m + v/2) ∫ σ(−f) N(f; m + v, v) df.
 */
export function logLogisticNormal(m: number, v: number): number {
  if (!(v > 0)) return logSigmoid(m);
  const s = Math.sqrt(v);
  if (s < 1) return logTrapezoid((z) => logSigmoid(m + s * z) - 0.5 * z * z, 0, 0.3) - 0.5 * Math.log(2 * Math.PI);
  if (m < -v / 2) {
    // The integral that is left is 1 within rounding where this bound of what it lacks says so.
    if (m + 1.5 * v < -40) return m + v / 2;
    const tail = logLogisticNormal(-Math.abs(m + v), v);
    return m + v / 2 + (m + v > 0 ? tail : Math.log1p(-Math.exp(tail)));
  }
  // log σ′(t) is −|t| − 2 log(1 + e^−|t|).
  const g = (t: number) => {
    const x = -m / s - t / s;
    const upper = logUpper(x) - (x > 0 ? 0.5 * x * x + 0.5 * Math.log(2 * Math.PI) : 0);
    return upper - Math.abs(t) - 2 * Math.log1p(Math.exp(-Math.abs(t)));
  };
  const slope = (t: number) => {
    const x = -m / s - t / s;
    return (x > 0 ? 1 / millsRatio(x) : normalDensity(x) / normalUpper(x)) / s - Math.tanh(t / 2);
  };
  return logTrapezoid(g, fallingRoot(slope, 0, 4, 0.1), 0.3);
}
