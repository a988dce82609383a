// The standard normal distribution in float64, to a few units in the last place: its density, and its tail by itself.

// Beyond this, e^(−x²/2) is below every float64 number.
const END = 39;
/** Within this, the series from the centre; beyond it, the tail by itself. */
export const MIDDLE = 0.7;
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
export function normalCentre(x: number): number {
  let sum = 0;
  let term = x;
  for (let k = 1; sum + term !== sum; k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return sum * normalDensity(x);
}

/** The trapezoidal rule for x² ∫₀^∞ e^(−t²/2) / (x² + t²) dt, over H. */
function rule(x: number): number {
  let sum = 0.5;
  for (let k = WEIGHTS.length; k >= 1; k--) sum += WEIGHTS[k - 1] / (1 + ((k * H) / x) ** 2);
  return sum;
}

/**
 * 1 − Φ(x) for x ≥ MIDDLE: the trapezoidal rule for (x/π) e^(−x²/2) ∫₀^∞ e^(−t²/2) / (x² + t²) dt, less the residue of the
 * pole that the contour crosses (Matta & Reichel, 1971).
 */
export function normalTail(x: number): number {
  if (x > END) return 0;
  const value = (H / (Math.PI * x)) * rule(x) * halfGaussian(x);
  return x < (2 * Math.PI) / H ? value - 1 / Math.expm1((2 * Math.PI * x) / H) : value;
}

/** Mills' ratio (1 − Φ(x)) / φ(x) for x ≥ 0, by the same rule: about 1/x far out, where both are below every number. */
export function millsRatio(x: number): number {
  if (x < MIDDLE) return (0.5 - normalCentre(x)) / normalDensity(x);
  const value = (H / (Math.PI * x)) * rule(x) * ROOT_2_PI;
  if (x >= (2 * Math.PI) / H) return value;
  return value - (ROOT_2_PI * Math.exp(0.5 * x * x)) / Math.expm1((2 * Math.PI * x) / H);
}
