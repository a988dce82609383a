// The standard normal distribution in float64, to a few units in the last place, in the tails as well.

import { MIDDLE, normalCentre, normalDensity, normalTail } from "../array/normal.ts";
import { ValueError, valueText } from "../errors.ts";

export { normalDensity };

/**
 * The distribution function Φ(x) of the standard normal distribution, with a relative error below 2e-15 wherever the
 * result is a normal float64 number (x > −37.5).
 * @throws ValueError for what is not a number; ±∞ are allowed
 */
export function normalCdf(x: number): number {
  if (typeof x !== "number" || Number.isNaN(x)) throw new ValueError(`normalCdf: x is ${valueText(x)}, not a number.`);
  if (Math.abs(x) < MIDDLE) return 0.5 + normalCentre(x);
  return x < 0 ? normalTail(-x) : 1 - normalTail(x);
}

/**
 * The quantile Φ⁻¹(p) of the standard normal distribution: −∞ at 0, ∞ at 1. Two of Halley's steps on Φ from the
 * approximation 26.2.23 of Abramowitz & Stegun (1964), whose error of 4.5e-4 they bring below rounding: the relative error
 * is below 2e-15 for normal float64 numbers p, where p near 1 is taken as the float64 number it is.
 * @throws ValueError for p outside [0, 1]
 */
export function normalQuantile(p: number): number {
  if (!(typeof p === "number" && p >= 0 && p <= 1)) {
    throw new ValueError(`normalQuantile: p must be a probability from 0 to 1, not ${valueText(p)}.`);
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
    const error = (Math.abs(x) < MIDDLE ? normalCentre(x) - distance : p - normalTail(x)) / normalDensity(x);
    x -= error / (1 + 0.5 * x * error);
  }
  return -x;
}
