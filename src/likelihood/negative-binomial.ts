// Counts that vary more than a Poisson's: of a rate μ and a dispersion α the variance is μ + α μ², the negative binomial in its usual
// form for regression (Hilbe, Negative Binomial Regression, 2011; "NB2").

import { portableExp, portableLog1p } from "../array/portable.ts";
import { drawCount, logFactorial, rateVariance, stirling } from "./counting.ts";
import { fallingRoot, logTrapezoid } from "./integrals.ts";
import type { DrawSource, NumberLikelihood } from "./plain.ts";

/** log (1 + α eᶠ), also where that is above every number. */
function logOver(alpha: number, f: number): number {
  const log = Math.log(alpha) + f;
  return log > 0 ? log + portableLog1p(portableExp(-log)) : portableLog1p(portableExp(log));
}

/** eᶠ / (1 + α eᶠ) */
const bounded = (alpha: number, f: number) => 1 / (portableExp(-f) + alpha);

/** The functions of counts with a log rate and a dispersion above 0. */
export function negativeBinomial(alpha: number): NumberLikelihood {
  const rate = (f: number) => portableExp(f);
  const variance = (f: number) => rate(f) + alpha * rate(f) ** 2;
  return {
    targets: "counts",
    loss: (f, y) => (y + 1 / alpha) * logOver(alpha, f) - y * f,
    // (μ − y) / (1 + α μ)
    gradient: (f, y) => bounded(alpha, f) - y * (1 - alpha * bounded(alpha, f)),
    information: (f) => bounded(alpha, f),
    hessian: (f, y) => (1 + alpha * y) * bounded(alpha, f) * (1 - alpha * bounded(alpha, f)),
    draw: (f, random) => drawCount(Math.exp(f) * alpha * drawGamma(1 / alpha, random), random),
    mean: rate,
    variance,
    constant: (y) => logFactorial(y) - logRising(y, alpha),
    // The mean over the log-normal rate of its variance, and the rate's own.
    moments(m, v) {
      const mean = portableExp(m + v / 2);
      return { mean, aleatoric: mean + alpha * portableExp(2 * m + 2 * v), epistemic: rateVariance(m, v) };
    },
  };
}

/** Factors that are multiplied one by one; beyond, by Stirling's series. */
const ONE_BY_ONE = 200;

/** log of the product of 1 + k α for k < y, Γ(y + r) / (Γ(r) rʸ) with r = 1 / α. */
function logRising(y: number, alpha: number): number {
  const few = Math.min(y, ONE_BY_ONE);
  let sum = 0;
  for (let k = 0; k < few; k++) sum += Math.log1p(k * alpha);
  if (few === y) return sum;
  const [r, s] = [1 / alpha + few, 1 / alpha + y];
  const rest = y - few;
  return sum + (s - 0.5) * Math.log1p(rest / r) - rest + stirling(s) - stirling(r) + rest * Math.log(r * alpha);
}

/** A gamma variable of mean and variance r (Marsaglia & Tsang, ACM TOMS 26, 2000). */
function drawGamma(r: number, random: DrawSource): number {
  if (r < 1) return drawGamma(r + 1, random) * random.uniform() ** (1 / r);
  const d = r - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Steps where the integrand's own width would allow longer ones: its singularities are at a distance of π. */
const LONGEST = 0.25;

/**
 * log ∫ p(count; eᶠ, α) N(f; mean, variance) df: the integrand is log-concave, and the trapezoidal rule around its peak converges
 * geometrically, to about 1e-12.
 */
export function logDispersedDensity(count: number, mean: number, variance: number, alpha: number): number {
  const { loss, gradient, hessian, constant } = negativeBinomial(alpha) as Required<NumberLikelihood>;
  const known = constant(count);
  if (!(variance > 0)) return -loss(mean, count) - known;
  const slope = (f: number) => -gradient(f, count) - (f - mean) / variance;
  // The slope of the loss is at most 1 / α, and 0 at the log of the count.
  const level = count > 0 ? Math.log(count) : mean - variance * Math.min(1 / alpha, portableExp(mean));
  const [low, high] = [Math.min(mean, level), Math.max(mean, level)];
  const peak = fallingRoot(
    slope,
    low,
    high,
    1e-3 * Math.sqrt(1 / (hessian(high, count) + hessian(low, count) + 1 / variance)),
  );
  const h = Math.min(0.5 / Math.sqrt(hessian(peak, count) + 1 / variance), LONGEST);
  const log = (f: number) => -loss(f, count) - (f - mean) ** 2 / (2 * variance);
  return logTrapezoid(log, peak, h) - 0.5 * Math.log(2 * Math.PI * variance) - known;
}
