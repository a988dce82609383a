// The standard normal distribution in float64, to a few units in the last place, in the tails as well.

import { ValueError } from "../errors.ts";

// Beyond this, e^(−x²/2) is below every float64 number.
const END = 39;
// Within this, the series from the centre; beyond it, the tail by itself.
const MIDDLE = 0.7;
const ROOT_2_PI = Math.sqrt(2 * Math.PI);
// Step of the trapezoidal rule below: its error falls like exp(−2π²/H²), here 3e-18.
const H = 0.7;
const WEIGHTS = Array.from({ length: 13 }, (_, k) => Math.exp(-(((k + 1) * H) ** 2) / 2));

/** φ(x), the standard normal density. */
export function normalDensity(x: number): number {
  return Math.abs(x) > END ? 0 : halfGaussian(Math.abs(x)) / ROOT_2_PI;
}

/** exp(−x²/2) for x ≥ 0: x² is rounded, which the exponential would magnify, so the larger part has an exact square. */
function halfGaussian(x: number): number {
  const start = Math.round(x * 16) / 16;
  return Math.exp(-0.5 * start * start) * Math.exp(-0.5 * (x - start) * (x + start));
}

/** Φ(x) − ½ for |x| < MIDDLE, by the series φ(x) Σ x^(2k+1) / (2k+1)!!, whose terms do not cancel (Marsaglia, 2004). */
function centre(x: number): number {
  let sum = 0;
  let term = x;
  for (let k = 1; sum + term !== sum; k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return sum * normalDensity(x);
}

/**
 * 1 − Φ(x) for x ≥ MIDDLE: the trapezoidal rule for (x/π) e^(−x²/2) ∫₀^∞ e^(−t²/2) / (x² + t²) dt, less the residue of the
 * pole that the contour crosses (Matta & Reichel, 1971).
 */
function tail(x: number): number {
  if (x > END) return 0;
  let sum = 0.5 / (x * x);
  for (let k = WEIGHTS.length; k >= 1; k--) sum += WEIGHTS[k - 1] / (x * x + (k * H) ** 2);
  const value = ((x * H) / Math.PI) * sum * halfGaussian(x);
  return x < (2 * Math.PI) / H ? value - 1 / Math.expm1((2 * Math.PI * x) / H) : value;
}

/**
 * The distribution function Φ(x) of the standard normal distribution, with a relative error below 2e-15 wherever the
 * result is a normal float64 number (x > −37.5).
 * @throws ValueError for what is no number; ±∞ are allowed
 */
export function normalCdf(x: number): number {
  if (typeof x !== "number" || Number.isNaN(x)) throw new ValueError(`normalCdf: x is ${String(x)}, not a number.`);
  if (Math.abs(x) < MIDDLE) return 0.5 + centre(x);
  return x < 0 ? tail(-x) : 1 - tail(x);
}

/**
 * The quantile Φ⁻¹(p) of the standard normal distribution: −∞ at 0, ∞ at 1. Two of Halley's steps on Φ from the
 * approximation 26.2.23 of Abramowitz & Stegun (1964), whose error of 4.5e-4 they bring below rounding: the relative error
 * is below 2e-15 for normal float64 numbers p, where p near 1 is taken as the float64 number it is.
 * @throws ValueError for p outside [0, 1]
 */
export function normalQuantile(p: number): number {
  if (!(typeof p === "number" && p >= 0 && p <= 1)) {
    throw new ValueError(`normalQuantile: p must be a probability from 0 to 1, not ${String(p)}.`);
  }
  // 1 − p and p − ½ are exact there.
  if (p > 0.5) return -lowerQuantile(1 - p, p - 0.5);
  return lowerQuantile(p, 0.5 - p);
}

/** Φ⁻¹(p) for p ≤ ½; `distance` = ½ − p keeps its digits near the middle. */
function lowerQuantile(p: number, distance: number): number {
  if (p === 0) return Number.NEGATIVE_INFINITY;
  if (distance === 0) return 0;
  const t = Math.sqrt(-2 * Math.log(p));
  // x is the quantile's absolute value.
  let x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let step = 0; step < 2; step++) {
    const error = (Math.abs(x) < MIDDLE ? centre(x) - distance : p - tail(x)) / normalDensity(x);
    x -= error / (1 + 0.5 * x * error);
  }
  return -x;
}
