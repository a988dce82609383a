// From a Gaussian over logits to probabilities. Numbers in, numbers out: nothing here knows of networks.

import { portableExp, portableLog, portableLog1p } from "../array/portable.ts";
import { Random } from "../array/random.ts";
import { newFloats } from "../errors.ts";

/**
 * How a Gaussian N(f, V) over the logits of an example becomes class probabilities; v is V's diagonal.
 *
 * - `"plugin"`: softmax(f), the covariance ignored.
 * - `"probit"`: softmax of f_k / √(1 + π v_k / 8), by MacKay's match of the sigmoid with a probit ("The evidence framework
 *   applied to classification networks", 1992), class by class; Lu, Ie & Sha (arXiv 2006.07584) call it MF-0. It
 *   depends on the level of the logits: a constant added to all of them changes it where the variances differ.
 * - `"meanField1"`, `"meanField2"`: p_k ∝ 1 / Σ_i exp(−(f_k − f_i) / √(1 + π s_ki / 8)), s_kk = 0, with the variance of
 *   the difference of two logits, s_ki = v_k + v_i for the first (covariances ignored) and v_k + v_i − 2 V_ki for the second
 *   (Lu, Ie & Sha, arXiv 2006.07584, MF-1 and MF-2). Their p_k sum to 1 for two classes only; here they are
 *   divided by their sum. A constant added to all logits changes nothing.
 * - `"bridge"`: the mean of the Dirichlet that the Laplace bridge of MacKay (1998) and Hobbhahn, Kristiadi & Hennig
 *   (arXiv 2003.01227) assigns to N(f, V) given Σ f = 0: f − V1 (1ᵀf)/(1ᵀV1) and V − V1 1ᵀV/(1ᵀV1), then
 *   α_k = (1 − 2/C + e^{f_k} Σ_j e^{−f_j} / C²) / v_k. Every α_k is positive where every corrected variance is;
 *   its domain is C ≥ 2 with variances that are alike. The mean α_k / Σ α depends on the variances by their ratios only: it
 *   does not see how uncertain the logits are, and from three classes on it does not tend to softmax(f) as V
 *   shrinks. A class whose corrected variance is 0 gets all the probability, whatever f is; where all are 0 within
 *   rounding, hence at V = 0, the result is the softmax of the corrected f, by definition rather than as a limit. Where
 *   V1 = 0 within rounding, Σ f cannot be conditioned on, and f is centred. It depends on the level of the logits.
 * - `"normalizedBridge"`: the bridge after the corrected f is divided by √c, c = mean(v) / √(C/2), v corrected, and V by
 *   c (as laplace-torch has it; Daxberger et al., arXiv 2106.14806). As V shrinks it tends to the most probable class
 *   alone; at V = 0 it is defined like the bridge.
 * - `"monteCarlo"`: the mean of softmax over Gaussian draws of the logits.
 */
export type ClassLink =
  | "probit"
  | "plugin"
  | "bridge"
  | "normalizedBridge"
  | "meanField1"
  | "meanField2"
  | "monteCarlo";

/** Every `ClassLink`. */
export const classLinks: readonly ClassLink[] = [
  "probit",
  "plugin",
  "bridge",
  "normalizedBridge",
  "meanField1",
  "meanField2",
  "monteCarlo",
];

/** Those that look at the variances of single logits, and at no covariances. */
export const marginalLinks: readonly string[] = ["probit", "meanField1"];

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

/** How many draws the link `"monteCarlo"` takes, and from which seed. The other links do not look at it. */
export interface LinkDraw {
  /** Draws, at least 1. */
  samples: number;
  /** Seed of the library's `Random`. */
  seed: number;
}

// Of the squared slope that matches sigmoid(x) with a probit at 0.
const PROBIT = Math.PI / 8;
// Sums of a few hundred entries of a covariance leave less than this of a zero, relative to its trace.
const ROUNDING = 1e-12;
// Logits beyond this are as good as infinite, and their sums and differences are still finite.
const HUGE = 1e300;

/** One example: its logits' mean [C], variances [C] and covariance [C, C], and where its probabilities go. */
interface Example {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly covariance: Float64Array;
  readonly out: Float64Array;
}

/**
 * Class probabilities [B, C] for logits with mean [B, C] and covariance [B, C, C], positive semi-definite up to rounding; for
 * "plugin" and `marginalLinks` the variances [B, C] do.
 * Rows are finite, at least 0, and sum to 1 within rounding. Where the covariance is zero every link is the plugin.
 * Monte Carlo draws the same base noise [samples, C] for every example, so that its error varies as smoothly from
 * one input to the next as the logits do; its rows are therefore no joint sample of several examples.
 */
export function classProbabilities(
  link: ClassLink,
  mean: Float64Array,
  covariance: Float64Array,
  batch: number,
  classes: number,
  draw: LinkDraw,
): Float64Array {
  const result = new Float64Array(batch * classes);
  const noise = link === "monteCarlo" ? normals(draw, classes) : new Float64Array(0);
  const each = covariance.length === batch * classes ? classes : classes ** 2;
  for (let b = 0; b < batch; b++) {
    const block = covariance.subarray(b * each, (b + 1) * each);
    const example: Example = {
      mean: mean.subarray(b * classes, (b + 1) * classes),
      variance: each === classes ? block : Float64Array.from({ length: classes }, (_, i) => block[i * (classes + 1)]),
      covariance: block,
      out: result.subarray(b * classes, (b + 1) * classes),
    };
    if (link === "plugin") softmax(example.mean, example.out);
    else if (link === "probit") probit(example);
    else if (link === "meanField1") meanField(example, false);
    else if (link === "meanField2") meanField(example, true);
    else if (link === "monteCarlo") monteCarlo(example, noise);
    else bridge(example, link === "normalizedBridge");
  }
  return result;
}

/** Probabilities of label 1 for logits with these means and variances, elementwise; a negative variance counts as 0. */
export function binaryProbabilities(
  link: BinaryLink,
  mean: Float64Array,
  variance: Float64Array,
  draw: LinkDraw,
): Float64Array {
  const noise = link === "monteCarlo" ? normals(draw, 1) : new Float64Array(0);
  return mean.map((m, i) => {
    const v = Math.max(variance[i], 0);
    if (link === "plugin" || v === 0) return sigmoid(m);
    if (link === "probit") return sigmoid(m / Math.sqrt(1 + PROBIT * v));
    if (link === "quadrature") return quadrature(m, v);
    let sum = 0;
    for (const z of noise) sum += sigmoid(m + Math.sqrt(v) * z);
    return sum / noise.length;
  });
}

/** Base noise of draws of C logits, [samples, C]. */
export function normals({ samples, seed }: LinkDraw, classes: number): Float64Array {
  const random = new Random(seed);
  const result = newFloats("Draws of logits", [samples, classes]);
  for (let i = 0; i < result.length; i++) result[i] = random.normal();
  return result;
}

/** By the exponential that cannot overflow, so that small probabilities keep their digits. */
export function sigmoid(x: number): number {
  const e = portableExp(-Math.abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

/** softmax(f) into `out`, which may be f itself. */
function softmax(f: Float64Array, out: Float64Array): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < f.length; i++) largest = Math.max(largest, f[i]);
  for (let i = 0; i < f.length; i++) out[i] = portableExp(f[i] - largest);
  normalise(out);
}

function normalise(row: Float64Array): void {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += row[i];
  for (let i = 0; i < row.length; i++) row[i] /= sum;
}

function probit({ mean, variance, out }: Example): void {
  for (let i = 0; i < mean.length; i++) out[i] = mean[i] / Math.sqrt(1 + PROBIT * Math.max(variance[i], 0));
  softmax(out, out);
}

function meanField({ mean, variance: v, covariance, out }: Example, covariances: boolean): void {
  const classes = mean.length;
  for (let k = 0; k < classes; k++) {
    let sum = 1;
    for (let i = 0; i < classes; i++) {
      if (i === k) continue;
      let variance = PROBIT * v[k] + PROBIT * v[i];
      if (covariances) variance -= PROBIT * covariance[k * classes + i] + PROBIT * covariance[i * classes + k];
      sum += portableExp((mean[i] - mean[k]) / Math.sqrt(1 + Math.max(variance, 0)));
    }
    // At least 1 / C for the largest logit; 0 where the sum overflows.
    out[k] = 1 / sum;
  }
  normalise(out);
}

function bridge({ mean, covariance, out }: Example, normalized: boolean): void {
  const classes = mean.length;
  let scale = 0;
  for (let i = 0; i < covariance.length; i++) scale = Math.max(scale, Math.abs(covariance[i]));
  if (classes === 1 || scale === 0) {
    softmax(mean, out);
    return;
  }
  // Everything about V/scale. Conditioning on Σ f = 0 takes its row sums V1, their total and its diagonal.
  const rows = new Float64Array(classes);
  const variances = new Float64Array(classes);
  let trace = 0;
  let total = 0;
  let level = 0;
  for (let i = 0; i < classes; i++) {
    for (let j = 0; j < classes; j++) rows[i] += covariance[i * classes + j] / scale;
    variances[i] = Math.max(covariance[i * classes + i], 0) / scale;
    trace += variances[i];
    total += rows[i];
    level += mean[i] / classes;
  }
  // The trace is at least 1, unless rounding is all there is.
  const rounding = ROUNDING * Math.max(trace, 1);
  const uncertain = total > classes * rounding;
  let largest = 0;
  for (let i = 0; i < classes; i++) {
    const share = uncertain ? rows[i] / total : 1 / classes;
    if (uncertain) variances[i] -= rows[i] * share;
    largest = Math.max(largest, variances[i]);
    out[i] = within(mean[i] - share * classes * level);
  }
  if (largest <= rounding) {
    softmax(out, out);
    return;
  }
  if (normalized) {
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += Math.max(variances[i], 0);
    const root = Math.sqrt(scale) * Math.sqrt(sum / classes / Math.sqrt(classes / 2));
    for (let i = 0; i < classes; i++) out[i] = within(out[i] / root);
  }
  // log α_i up to a constant; log Σ e^{−f} is taken at the smallest f, whose term is the largest.
  let smallest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < classes; i++) smallest = Math.min(smallest, out[i]);
  let sum = 0;
  for (let i = 0; i < classes; i++) sum += portableExp(smallest - out[i]);
  const offset = portableLog(sum) - 2 * portableLog(classes);
  for (let i = 0; i < classes; i++) {
    // log(1 − 2/C + e^a), a ≥ −2 log C
    const a = out[i] - smallest + offset;
    const numerator = a + portableLog1p((1 - 2 / classes) * portableExp(-a));
    out[i] = numerator - portableLog(Math.max(variances[i], ROUNDING * largest));
  }
  softmax(out, out);
}

const within = (x: number): number => Math.min(Math.max(x, -HUGE), HUGE);

function monteCarlo(example: Example, noise: Float64Array): void {
  const { out } = example;
  const samples = noise.length / out.length;
  eachDraw(example, noise, (row) => {
    for (let i = 0; i < out.length; i++) out[i] += row[i] / samples;
  });
}

/** Class probabilities of one Gaussian draw of the logits after the other; the row is used again. */
export function eachDraw(
  { mean, covariance }: Pick<Example, "mean" | "covariance">,
  noise: Float64Array,
  visit: (row: Float64Array) => void,
): void {
  const classes = mean.length;
  const root = semidefiniteRoot(covariance, classes);
  const row = new Float64Array(classes);
  const samples = noise.length / classes;
  for (let s = 0; s < samples; s++) {
    for (let i = 0; i < classes; i++) {
      let logit = mean[i];
      for (let j = 0; j <= i; j++) logit += root[i * classes + j] * noise[s * classes + j];
      row[i] = logit;
    }
    softmax(row, row);
    visit(row);
  }
}

/**
 * L, lower triangular, with L Lᵀ = V for a V that may be singular: a column whose pivot is nothing beside its variance is left
 * zero, as it would be in exact arithmetic. No pivoting, because L should vary smoothly with V.
 */
export function semidefiniteRoot(covariance: Float64Array, n: number): Float64Array {
  const root = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    const variance = covariance[j * n + j];
    let pivot = variance;
    for (let k = 0; k < j; k++) pivot -= root[j * n + k] ** 2;
    if (!(pivot > 1e-10 * variance)) continue;
    root[j * n + j] = Math.sqrt(pivot);
    for (let i = j + 1; i < n; i++) {
      let value = covariance[i * n + j];
      for (let k = 0; k < j; k++) value -= root[i * n + k] * root[j * n + k];
      // No entry of a semi-definite matrix's factor is larger than its row's deviation; rounding may have left it.
      const most = Math.sqrt(Math.max(covariance[i * n + i], 0));
      root[i * n + j] = Math.min(Math.max(value / root[j * n + j], -most), most);
    }
  }
  return root;
}

// Beyond this standard deviation the nodes would become too many, see below.
const WIDE = 100;
// The variance of the logistic distribution, whose distribution function is the sigmoid.
const LOGISTIC = Math.PI ** 2 / 3;

/**
 * ∫ sigmoid(m + s z) φ(z) dz by the trapezoidal rule, s² = v. The integrand is analytic up to the sigmoid's poles at
 * Im z = ±π/s, so the error falls like exp(−2π²/(s h)) for a step h (Trefethen & Weideman, SIAM Review 56, 2014):
 * with s h ≤ 0.6 it is below 1e-12, also relative to a small result. About 41 nodes for s ≤ 1.3, 30 s beyond.
 *
 * Sigmoid and Gaussian make the distribution function of a logistic plus a normal variable. For s > 100 that is
 * normal but for a fourth cumulant of 2π⁴/15, so m and s are scaled down together to s = 100: an error below 1e-8.
 */
function quadrature(mean: number, variance: number): number {
  let m = -Math.abs(mean);
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
  const tail = (sum * h) / Math.sqrt(2 * Math.PI);
  return mean > 0 ? 1 - tail : tail;
}
