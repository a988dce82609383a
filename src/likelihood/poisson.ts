// Counts: outputs are logarithms of rates.

import { millsRatio, normalDensity } from "../array/normal.ts";
import { portableExp } from "../array/portable.ts";
import { checkNumber, checkOptions } from "../errors.ts";
import { drawCount, logFactorial, rateVariance, stirling } from "./counting.ts";
import { fallingRoot, logTrapezoid, logUpper, normalUpper } from "./integrals.ts";
import { type Likelihood, meanOf, refuseEnding } from "./likelihood.ts";
import { logDispersedDensity, negativeBinomial } from "./negative-binomial.ts";
import { ofNumbers } from "./of-numbers.ts";
import type { NumberLikelihood } from "./plain.ts";

/** Options of `poisson`. */
export interface PoissonOptions {
  /** α ≥ 0 of the variance rate + α rate² (default 0): above it counts are negative binomial. */
  dispersion?: number | undefined;
}

/**
 * A Poisson likelihood with the rate eᶠ: the loss is eᶠ − y f, Λ = diag(eᶠ). Targets are counts, shaped like the outputs.
 * Predictions are counts: "exact" (default) has the mean of a log-normal rate, e^(m + v/2), and the variance of counts of
 * that rate; "plugin" takes the rate at the mean. Counts that vary more have a `dispersion` α: they are negative binomial, with the
 * variance eᶠ + α e²ᶠ, and Λ = diag(eᶠ / (1 + α eᶠ)). @throws OptionError for a dispersion below 0
 */
export function poisson(options: PoissonOptions = {}): Likelihood<"numbers"> {
  checkOptions("poisson", options, ["dispersion"]);
  const { dispersion = 0 } = options;
  checkNumber("poisson", "dispersion", dispersion, 0);
  const dispersed = dispersion > 0;
  const rate = (f: number) => portableExp(f);
  const plain: NumberLikelihood = {
    targets: "counts",
    loss: (f, y) => Math.exp(f) - y * f,
    gradient: (f, y) => Math.exp(f) - y,
    information: rate,
    draw: (f, random) => drawCount(Math.exp(f), random),
    mean: rate,
    variance: rate,
    constant: logFactorial,
    // The variance of a count, given its rate, is the rate.
    moments(m, v) {
      const mean = portableExp(m + v / 2);
      return { mean, aleatoric: mean, epistemic: rateVariance(m, v) };
    },
  };
  return ofNumbers("poisson", dispersed ? negativeBinomial(dispersion) : plain, dispersed ? { dispersion } : {}, {
    ...(!dispersed && { curve: "root", root: (f: number) => Math.exp(f / 2) }),
    dispersion,
    logDensity: (y, m, v) => logCountDensity(y, m, v, dispersion),
    baseline: {
      numbers: 1,
      words: "their mean",
      fit(targets) {
        const level = Math.log(meanOf(targets));
        return (y) => -logCountDensity(y, level, 0, dispersion);
      },
    },
    checkNetwork(where, net) {
      refuseEnding(
        where,
        net,
        "exp",
        "but the likelihood takes logarithms of rates: it applies the exponential itself.",
      );
    },
  });
}

/**
 * log ∫ Poisson(count; eᶠ) N(f; mean, variance) df, the log density of a count whose log rate is Gaussian (the
 * Poisson–log-normal mixture; Aitchison & Ho, 1989), to about 1e-12, in at most some hundred steps for any variance. The
 * integrand is log-concave and analytic: the trapezoidal rule on steps from its mode, as far as it matters, converges
 * geometrically (Trefethen & Weideman, SIAM Review 56, 2014). From a variance of 1 on it is integrated by parts:
 * e^(−eᶠ) is the integral of e^(t − eᵗ) from f on, so that the Gaussian becomes its own integral up to t, in which the width
 * of what is left to integrate does not grow with it. @param dispersion that of `poisson`
 */
export function logCountDensity(count: number, mean: number, variance: number, dispersion = 0): number {
  if (dispersion > 0) return logDispersedDensity(count, mean, variance, dispersion);
  const known = (f: number) => logPoisson(count, f);
  if (!(variance > 0)) return known(mean);
  return variance < 1 ? narrow(known, count, mean, variance) : wide(known, count, mean, Math.sqrt(variance));
}

function narrow(known: (f: number) => number, count: number, mean: number, variance: number): number {
  // The slope falls ever faster, so that Newton's steps from the right come down to the mode and never cross it.
  let mode = Math.min(count > 0 ? Math.max(mean, Math.log(count)) : mean, 700);
  for (let step = Number.NEGATIVE_INFINITY, last = Number.NaN; step < -1e-9 && mode !== last; ) {
    step = (count - Math.exp(mode) - (mode - mean) / variance) / (Math.exp(mode) + 1 / variance);
    last = mode;
    mode += step;
  }
  const h = Math.min(0.5 / Math.sqrt(Math.exp(mode) + 1 / variance), 0.25);
  const log = (f: number) => known(f) - (f - mean) ** 2 / (2 * variance);
  return logTrapezoid(log, mode, h) - 0.5 * Math.log(2 * Math.PI * variance);
}

function wide(known: (f: number) => number, count: number, mean: number, s: number): number {
  // ∫ e^(count f) N(f; mean, s²) df up to t, in deviations above its own mean, mean + count s².
  const beyond = (t: number) => mean / s + count * s - t / s;
  const zero = logFactorial(count);
  const log = (t: number) => {
    const x = beyond(t);
    if (x <= 0) return count * (mean + 0.5 * count * s * s) - zero + logUpper(x) + t - Math.exp(t);
    return known(t) - 0.5 * ((t - mean) / s) ** 2 - 0.5 * Math.log(2 * Math.PI) + logUpper(x) + t;
  };
  const slope = (t: number) => {
    const x = beyond(t);
    const growth = x > 0 ? 1 / millsRatio(x) : normalDensity(x) / normalUpper(x);
    return growth / s + 1 - Math.exp(t);
  };
  // eᵗ is 1 where the Gaussian is all below, and at most the growth at 0 beyond that.
  const most = Math.log1p(Math.max(slope(0), 0));
  const peak = fallingRoot(slope, 0, most, 1e-3 * Math.exp(-0.5 * most));
  return logTrapezoid(log, peak, Math.min(0.25, 0.5 * Math.exp(-0.5 * peak)));
}

/** log of a Poisson probability at the rate eᶠ: near f = log count the large terms are taken from each other exactly. */
function logPoisson(count: number, f: number): number {
  if (count < 20) return count * f - Math.exp(f) - logFactorial(count);
  const u = f - Math.log(count);
  const excess = Math.abs(u) < 0.01 ? u * u * (0.5 + u * (1 / 6 + u * (1 / 24 + u / 120))) : Math.expm1(u) - u;
  return -count * excess - 0.5 * Math.log(2 * Math.PI * count) - stirling(count);
}
