// From a Gaussian over logits to probabilities. Numbers in, numbers out: nothing here knows of networks.

import { portableExp, portableLog, portableLog1p } from "../array/portable.ts";
import { drawCount, eachDraw, type LinkDraw, LogMean, normals } from "./logit-draws.ts";

export { type BinaryLink, binaryLinks, binaryProbabilities } from "./binary-links.ts";

/**
 * How a Gaussian N(f, V) over the logits of an example becomes class probabilities; v is V's diagonal. Softmax ignores a
 * constant added to all logits, and no data ever fix it: its variance is the prior's alone. "plugin", "meanField2" and
 * "monteCarlo" ignore it as well, whatever it is: they see differences of logits only, f + c 1 and V + 1 aᵀ + a 1ᵀ are the
 * same to them, and two logits give what one gives. The others are kept as their papers and laplace-torch have them, and
 * take that variance for uncertainty.
 *
 * - `"meanField2"` (default), `"meanField1"`: p_k ∝ 1 / Σ_i exp(−(f_k − f_i) / √(1 + π s_ki / 8)), s_kk = 0, with the variance
 *   of the difference of two logits, s_ki = v_k + v_i − 2 V_ki for the first and v_k + v_i (covariances ignored) for the
 *   second (Lu, Ie & Sha, arXiv 2006.07584, MF-2 and MF-1). Their p_k sum to 1 for two classes only, where MF-2 is
 *   MacKay's probit of the difference, off by up to 0.02; here they are divided by their sum.
 * - `"plugin"`: softmax(f), the covariance ignored.
 * - `"probit"`: softmax of f_k / √(1 + π v_k / 8), by MacKay's match of the sigmoid with a probit ("The evidence framework
 *   applied to classification networks", 1992), class by class; Lu, Ie & Sha call it MF-0. It depends on the level of the
 *   logits: a constant added to all of them changes it where the variances differ, and one added to V always.
 * - `"bridge"`: the mean of the Dirichlet that the Laplace bridge of MacKay (1998) and Hobbhahn, Kristiadi & Hennig
 *   (arXiv 2003.01227) assigns to N(f, V) given Σ f = 0: f − V1 (1ᵀf)/(1ᵀV1) and V − V1 1ᵀV/(1ᵀV1), then
 *   α_k = (1 − 2/C + e^{f_k} Σ_j e^{−f_j} / C²) / v_k. Every α_k is positive where every corrected variance is;
 *   its domain is C ≥ 2 with variances that are alike. The mean α_k / Σ α depends on the variances by their ratios only: it
 *   does not see how uncertain the logits are, so that of two classes it is the softmax of the corrected f, and from three
 *   on it does not tend to softmax(f) as V shrinks. A class whose corrected variance is 0 gets all the probability,
 *   whatever f is; where all are 0 within rounding, hence at V = 0, the result is the softmax of the corrected f, by
 *   definition rather than as a limit. Where V1 = 0 within rounding, Σ f cannot be conditioned on, and f is centred. To
 *   condition on the level is not to ignore it: it depends on both unless V1 is a multiple of 1.
 * - `"normalizedBridge"`: the bridge after the corrected f is divided by √c, c = mean(v) / √(C/2), v corrected, and V by
 *   c (as laplace-torch has it; Daxberger et al., arXiv 2106.14806). As V shrinks it tends to the most probable class
 *   alone; at V = 0 it is defined like the bridge.
 * - `"monteCarlo"`: the mean of softmax over Gaussian draws of the logits' differences from the first one.
 */
export type ClassLink =
  | "meanField2"
  | "probit"
  | "plugin"
  | "bridge"
  | "normalizedBridge"
  | "meanField1"
  | "monteCarlo";

/** Every `ClassLink`, the default first. */
export const classLinks: readonly ClassLink[] = [
  "meanField2",
  "probit",
  "plugin",
  "bridge",
  "normalizedBridge",
  "meanField1",
  "monteCarlo",
];

// Of the squared slope that matches sigmoid(x) with a probit at 0.
const PROBIT = Math.PI / 8;
// Sums of a few hundred entries of a covariance leave less than this of a zero, relative to its trace.
const ROUNDING = 1e-12;
// Logits beyond this are as good as infinite, and their sums and differences are still finite.
const HUGE = 1e300;

/** Those that look at the variances of single logits, and at no covariances. */
export const marginalLinks: readonly string[] = ["probit", "meanField1"];

/** One example: its logits' mean [C], variances [C] and covariance [C, C]. */
interface Example {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  readonly covariance: Float64Array;
}

/** Logits of a batch, with mean [B, C] and covariance [B, C, C], and how their probabilities are found. */
type OfLogits = readonly [
  link: ClassLink,
  mean: Float64Array,
  covariance: Float64Array,
  batch: number,
  classes: number,
  draw: LinkDraw,
];

/**
 * Class probabilities [B, C] for logits with mean [B, C] and covariance [B, C, C], positive semi-definite up to rounding; for
 * "plugin" and `marginalLinks` the variances [B, C] do.
 * Entries are from 0 to 1, and rows sum to 1 within rounding. Where the covariance is zero every link is the plugin.
 * Monte Carlo draws the same base noise [samples, C − 1], in pairs of opposite signs, for every example, so that its error varies as smoothly from
 * one input to the next as the logits do; its rows are therefore no joint sample of several examples.
 */
export function classProbabilities(...of: OfLogits): Float64Array {
  const [, , , , classes, draw] = of;
  return eachExample(of, softmax, (example, noise, out) => {
    eachDraw(example, noise, drawCount(draw), (row) => {
      softmax(row);
      for (let i = 0; i < classes; i++) out[i] += row[i];
    });
    // Divided once: a sum of terms up to 1 is at most their number, in floating point too.
    for (let i = 0; i < classes; i++) out[i] /= drawCount(draw);
  });
}

/** The logarithms of `classProbabilities`, also where those round to 1 or to 0. */
export function classLogProbabilities(...of: OfLogits): Float64Array {
  const [, , , , classes, draw] = of;
  return eachExample(of, logSoftmax, (example, noise, out) => {
    const average = new LogMean(classes);
    eachDraw(example, noise, drawCount(draw), (row) => {
      logSoftmax(row);
      average.add(row);
    });
    out.set(average.finish());
  });
}

/** Rows [B, C], each finished from its scores, or drawn. */
function eachExample(
  [link, mean, covariance, batch, classes, draw]: OfLogits,
  finish: (scores: Float64Array) => void,
  drawn: (example: Example, noise: Float64Array, out: Float64Array) => void,
): Float64Array {
  const result = new Float64Array(batch * classes);
  const noise = link === "monteCarlo" ? normals(draw, classes - 1) : new Float64Array(0);
  const each = covariance.length === batch * classes ? classes : classes ** 2;
  for (let b = 0; b < batch; b++) {
    const block = covariance.subarray(b * each, (b + 1) * each);
    const example = {
      mean: mean.subarray(b * classes, (b + 1) * classes),
      variance: each === classes ? block : Float64Array.from({ length: classes }, (_, i) => block[i * (classes + 1)]),
      covariance: block,
    };
    const out = result.subarray(b * classes, (b + 1) * classes);
    if (link === "monteCarlo") drawn(example, noise, out);
    else {
      scores(link, example, out);
      finish(out);
    }
  }
  return result;
}

/** Logarithms of one example's probabilities, up to a constant. */
function scores(link: Exclude<ClassLink, "monteCarlo">, example: Example, out: Float64Array): void {
  if (link === "plugin") out.set(example.mean);
  else if (link === "probit") probit(example, out);
  else if (link === "meanField1") meanField(example, false, out);
  else if (link === "meanField2") meanField(example, true, out);
  else bridge(example, link === "normalizedBridge", out);
}

/** softmax(f) in its place. */
export function softmax(f: Float64Array): void {
  const largest = largestOf(f);
  let sum = 0;
  for (let i = 0; i < f.length; i++) {
    f[i] = portableExp(f[i] - largest);
    sum += f[i];
  }
  for (let i = 0; i < f.length; i++) f[i] /= sum;
}

/** log softmax(f) in its place: of the largest as log(1 + the others), which keeps its digits. */
function logSoftmax(f: Float64Array): void {
  const largest = largestOf(f);
  const at = f.indexOf(largest);
  let others = 0;
  for (let i = 0; i < f.length; i++) if (i !== at) others += portableExp(f[i] - largest);
  const rest = portableLog1p(others);
  for (let i = 0; i < f.length; i++) f[i] = f[i] - largest - rest;
}

function largestOf(f: Float64Array): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < f.length; i++) largest = Math.max(largest, f[i]);
  return largest;
}

function probit({ mean, variance }: Example, out: Float64Array): void {
  for (let i = 0; i < mean.length; i++) out[i] = mean[i] / Math.sqrt(1 + PROBIT * Math.max(variance[i], 0));
}

function meanField({ mean, variance, covariance }: Example, covariances: boolean, out: Float64Array): void {
  const classes = mean.length;
  const scaled = new Float64Array(classes);
  for (let k = 0; k < classes; k++) {
    let largest = 0;
    for (let i = 0; i < classes; i++) {
      let spread = PROBIT * variance[k] + PROBIT * variance[i];
      if (covariances) spread -= PROBIT * covariance[k * classes + i] + PROBIT * covariance[i * classes + k];
      scaled[i] = i === k ? 0 : (mean[i] - mean[k]) / Math.sqrt(1 + Math.max(spread, 0));
      largest = Math.max(largest, scaled[i]);
    }
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += portableExp(scaled[i] - largest);
    out[k] = -largest - portableLog(sum);
  }
}

function bridge({ mean, covariance }: Example, normalized: boolean, out: Float64Array): void {
  const classes = mean.length;
  let scale = 0;
  for (let i = 0; i < covariance.length; i++) scale = Math.max(scale, Math.abs(covariance[i]));
  if (classes === 1 || scale === 0) {
    out.set(mean);
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
  if (largest <= rounding) return;
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
}

const within = (x: number): number => Math.min(Math.max(x, -HUGE), HUGE);
