// From a Gaussian over one logit to the probabilities of two labels. Numbers in, numbers out.

import { portableExp, portableLog1p } from "../array/portable.ts";
import { logLogisticNormal, logSigmoid } from "./integrals.ts";
import { type LinkDraw, LogMean, normals } from "./logit-draws.ts";

/**
 * How a Gaussian N(m, v) over a logit becomes the probability of label 1.
 *
 * - `"plugin"`: sigmoid(m).
 * - `"probit"`: sigmoid(m / √(1 + π v / 8)) (MacKay, 1992); off by up to 0.02.
 * - `"quadrature"`: the integral ∫ sigmoid(x) N(x; m, v) dx, to 1e-12 for v ≤ 1e4 and to 1e-8 above.
 * - `"monteCarlo"`: the mean of sigmoid over Gaussian draws of the logit.
 */
export type BinaryLink = "probit" | "plugin" | "quadrature" | "monteCarlo";

/** Every `BinaryLink`. */
export const binaryLinks: readonly BinaryLink[] = ["probit", "plugin", "quadrature", "monteCarlo"];

// Of the squared slope that matches sigmoid(x) with a probit at 0.
const PROBIT = Math.PI / 8;

/** Probabilities of label 1 for logits with these means and variances, elementwise; a negative variance counts as 0. */
export function binaryProbabilities(
  link: BinaryLink,
  mean: Float64Array,
  variance: Float64Array,
  draw: LinkDraw,
): Float64Array {
  return binaryPairs(link, mean, variance, draw).one;
}

/** Probabilities of both labels, elementwise: each keeps its digits, also where the other rounds to 1. */
export function binaryPairs(
  link: BinaryLink,
  mean: Float64Array,
  variance: Float64Array,
  draw: LinkDraw,
): { readonly one: Float64Array; readonly zero: Float64Array } {
  const [one, zero] = [new Float64Array(mean.length), new Float64Array(mean.length)];
  const noise = link === "monteCarlo" ? normals(draw, 1) : new Float64Array(0);
  const set = (i: number, x: number) => {
    [one[i], zero[i]] = [sigmoid(x), sigmoid(-x)];
  };
  mean.forEach((m, i) => {
    const v = Math.max(variance[i], 0);
    if (link === "plugin" || v === 0 || isEven(link, m)) set(i, m);
    else if (link === "probit") set(i, m / Math.sqrt(1 + PROBIT * v));
    else if (link === "quadrature") {
      const tail = quadrature(-Math.abs(m), v);
      [one[i], zero[i]] = m > 0 ? [1 - tail, tail] : [tail, 1 - tail];
    } else {
      for (const z of noise) {
        const x = m + Math.sqrt(v) * z;
        one[i] += sigmoid(x);
        zero[i] += sigmoid(-x);
      }
      one[i] /= noise.length;
      zero[i] /= noise.length;
    }
  });
  return { one, zero };
}

/** Whether an integral is ½ by symmetry: what is computed would be a little off, and the rest of 1 on the other side. */
const isEven = (link: BinaryLink, mean: number) => link === "quadrature" && mean === 0;

/** The logarithms of the probabilities of the labels 0 and 1, [n, 2], also where those round to 1 or to 0. */
export function binaryLogProbabilities(
  link: BinaryLink,
  mean: Float64Array,
  variance: Float64Array,
  draw: LinkDraw,
): Float64Array {
  const result = new Float64Array(2 * mean.length);
  const noise = link === "monteCarlo" ? normals(draw, 1) : new Float64Array(0);
  mean.forEach((m, i) => {
    const v = Math.max(variance[i], 0);
    const pair = result.subarray(2 * i, 2 * i + 2);
    const set = (x: number) => pair.set([logSigmoid(-x), logSigmoid(x)]);
    if (link === "plugin" || v === 0 || isEven(link, m)) set(m);
    else if (link === "probit") set(m / Math.sqrt(1 + PROBIT * v));
    else if (link === "quadrature") {
      const tail = logLogisticNormal(-Math.abs(m), v);
      const rest = portableLog1p(-portableExp(tail));
      pair.set(m > 0 ? [tail, rest] : [rest, tail]);
    } else {
      const average = new LogMean(2);
      for (const z of noise) {
        set(m + Math.sqrt(v) * z);
        average.add(pair);
      }
      pair.set(average.finish());
    }
  });
  return result;
}

/** By the exponential that cannot overflow, so that small probabilities keep their digits. */
export function sigmoid(x: number): number {
  const e = portableExp(-Math.abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

// Beyond this standard deviation the nodes would become too many, see below.
const WIDE = 100;
// The variance of the logistic distribution, whose distribution function is the sigmoid.
const LOGISTIC = Math.PI ** 2 / 3;

/**
 * ∫ sigmoid(m + s z) φ(z) dz for m ≤ 0 by the trapezoidal rule, s² = v. The integrand is analytic up to the sigmoid's poles at
 * Im z = ±π/s, so the error falls like exp(−2π²/(s h)) for a step h (Trefethen & Weideman, SIAM Review 56, 2014):
 * with s h ≤ 0.6 it is below 1e-12, also relative to a small result. About 41 nodes for s ≤ 1.3, 30 s beyond.
 *
 * Sigmoid and Gaussian make the distribution function of a logistic plus a normal variable. For s > 100 that is
 * normal but for a fourth cumulant of 2π⁴/15, so m and s are scaled down together to s = 100: an error below 1e-8.
 */
function quadrature(mean: number, variance: number): number {
  let m = mean;
  let s = Math.sqrt(variance);
  if (s > WIDE) {
    m *= Math.sqrt((WIDE ** 2 + LOGISTIC) / (variance + LOGISTIC));
    s = WIDE;
  }
  const h = Math.min(0.45, 0.6 / s);
  // The integrand peaks at 0 or, where the sigmoid is an exponential, to the right of it.
  const last = Math.ceil((9 + Math.min(s, -m / s)) / h);
  let sum = 0;
  for (let j = -Math.ceil(9 / h); j <= last; j++) {
    const z = j * h;
    sum += sigmoid(m + s * z) * portableExp(-0.5 * z * z);
  }
  return (sum * h) / Math.sqrt(2 * Math.PI);
}
