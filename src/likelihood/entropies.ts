// How much of a label's entropy is uncertainty about the logits. Numbers in, numbers out, as in links.ts. Functions of many
// numbers are the kernels', in their memory.

import { portableLog, portableLog1p } from "../array/portable.ts";
import { activationCode, kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, type FloatArray, inMemory, scope } from "../kernels/memory.ts";
import { binaryProbabilities } from "./binary-links.ts";
import { differenceRoot, drawCount, type LinkDraw, normals } from "./logit-draws.ts";

/** Entropies of predicted labels in nats, of each example. */
export interface Entropies {
  /** Of the mean probabilities: H[E p]. */
  readonly total: Float64Array;
  /** What is left once the logits are known: E H[p], at most the total. */
  readonly aleatoric: Float64Array;
}

/** Beyond this difference of logits the entropy of two labels is below every float64 number. */
const END = 745;
/** Numbers that are worked on at once, about: they stay in the cache. */
const TOGETHER = 2 ** 14;

/**
 * Entropies of class labels for logits with mean [B, C] and covariance [B, C, C], [B]: of two classes those of their
 * difference as of one logit, of more over Gaussian draws of the differences, those of "monteCarlo". Both are of the same
 * draws, whose mutual information is therefore not negative (Jensen). What is added to all logits changes nothing.
 */
export function classEntropies(
  mean: Float64Array,
  covariance: Float64Array,
  batch: number,
  classes: number,
  draw: LinkDraw,
): Entropies {
  if (classes === 2) {
    const v = covariance;
    return binaryEntropies(
      Float64Array.from({ length: batch }, (_, b) => mean[2 * b + 1] - mean[2 * b]),
      Float64Array.from({ length: batch }, (_, b) => v[4 * b] - v[4 * b + 1] - (v[4 * b + 2] - v[4 * b + 3])),
    );
  }
  const samples = drawCount(draw);
  const result: Entropies = { total: new Float64Array(batch), aleatoric: new Float64Array(batch) };
  const most = Math.max(1, Math.floor(TOGETHER / (samples * classes)));
  scope(() => {
    const noise = copyIn("float64", noiseAndOne(draw, classes));
    for (let first = 0; first < batch; first += most) {
      scope(() =>
        drawnEntropies(mean, covariance, classes, samples, noise, first, Math.min(first + most, batch), result),
      );
    }
  });
  return result;
}

/** Base noise of the differences, [C, samples], and a last row of ones for their means. */
function noiseAndOne(draw: LinkDraw, classes: number): Float64Array {
  const samples = drawCount(draw);
  const n = classes - 1;
  const noise = normals(draw, n);
  const result = new Float64Array(classes * samples).fill(1, n * samples);
  for (let s = 0; s < samples; s++) {
    for (let j = 0; j < n; j++) result[j * samples + s] = noise[s * n + j];
  }
  return result;
}

/** Entropies of the examples from `first` to before `end`, over draws that lie side by side, [examples, C, samples]. */
function drawnEntropies(
  mean: Float64Array,
  covariance: Float64Array,
  classes: number,
  samples: number,
  noise: number,
  first: number,
  end: number,
  { total, aleatoric }: Entropies,
): void {
  const n = classes - 1;
  const count = end - first;
  // Roots and means of the differences from the first logit, whose own row is 0.
  const maps = new Float64Array(count * classes * classes);
  for (let b = first; b < end; b++) {
    const root = differenceRoot(covariance.subarray(b * classes ** 2, (b + 1) * classes ** 2), classes);
    for (let i = 0; i < n; i++) {
      const row = ((b - first) * classes + i + 1) * classes;
      for (let j = 0; j <= i; j++) maps[row + j] = root[i * n + j];
      maps[row + n] = mean[b * classes + i + 1] - mean[b * classes];
    }
  }
  const kernels = kernelsFor("float64");
  const [rows, size] = [count * classes, classes * samples];
  const [f, e] = [0, 1].map(() => allocateFloats("float64", rows * samples));
  const map = copyIn("float64", maps);
  kernels.gemm(1, rows, samples, classes, map, 0, classes, 1, noise, 0, samples, 1, f, 0, samples, 1, false);
  inMemory("float64", (memory) => {
    for (let b = 0; b < count; b++) shift(memory, f / 8 + b * size, classes, samples);
  });
  kernels.activation(activationCode.exp, rows * samples, f, e, 0);
  inMemory("float64", (memory) => {
    const share = new Float64Array(samples);
    for (let b = 0; b < count; b++) {
      const at = b * size;
      // −Σ p log p = log Σ e^(f − f_max) + Σ p (f_max − f), which has no term below 0.
      let inner = sumsInverse(memory, e / 8 + at, classes, share);
      let outer = 0;
      for (let c = 0; c < classes; c++) {
        const row = at + c * samples;
        let sum = 0;
        for (let s = 0; s < samples; s++) {
          const p = memory[e / 8 + row + s] * share[s];
          sum += p;
          inner -= p * memory[f / 8 + row + s];
        }
        const p = sum / samples;
        if (p > 0) outer -= p * portableLog(p);
      }
      total[first + b] = Math.max(outer, 0);
      aleatoric[first + b] = Math.min(Math.max(inner / samples, 0), total[first + b]);
    }
  });
}

/** Takes the largest of each draw's logits [C, samples] from all of them. */
function shift(memory: FloatArray, start: number, classes: number, samples: number): void {
  const end = start + classes * samples;
  for (let s = 0; s < samples; s++) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = start + s; i < end; i += samples) largest = Math.max(largest, memory[i]);
    for (let i = start + s; i < end; i += samples) memory[i] = Math.max(memory[i] - largest, -END);
  }
}

/** 1 / Σ_c e_c of each draw, and the sum of the logarithms of Σ_c e_c, which are from 1 to C. */
function sumsInverse(memory: FloatArray, start: number, classes: number, inverse: Float64Array): number {
  const samples = inverse.length;
  const end = start + classes * samples;
  let logs = 0;
  let product = 1;
  for (let s = 0; s < samples; s++) {
    let sum = 0;
    for (let i = start + s; i < end; i += samples) sum += memory[i];
    inverse[s] = 1 / sum;
    product *= sum;
    if (product < LARGE) continue;
    logs += portableLog(product);
    product = 1;
  }
  return logs + portableLog(product);
}

// Times any number of classes it is still a number; one logarithm serves many sums.
const LARGE = 1e200;
const STEP = 0.5;
// Beyond this deviation the probability is that of a normal variable but for 1e-8, as `binaryProbabilities` has it.
const WIDE = 100;

/**
 * Entropies of binary labels for logits N(m, v), elementwise. The mean probability and the mean entropy are one trapezoidal
 * rule over the logit x: both integrands are analytic up to Im x = ±π, and a step of 0.5, or of 0.5 deviations, leaves less
 * than 1e-12 (Trefethen & Weideman, SIAM Review 56, 2014). A negative variance counts as 0.
 */
export function binaryEntropies(mean: Float64Array, variance: Float64Array): Entropies {
  const rules = Array.from(mean, (m, i) => ruleOf(m, variance[i]));
  const result: Entropies = { total: new Float64Array(mean.length), aleatoric: new Float64Array(mean.length) };
  for (let first = 0, end = 0; first < rules.length; first = end) {
    let size = 0;
    while (end < rules.length && (end === first || size + rules[end].count <= TOGETHER)) size += rules[end++].count;
    integrate(rules, first, end, size, result);
  }
  return result;
}

/** Nodes m + s z of the logit of the less likely label, whose entropy keeps its digits: z = (from + j) h. */
interface Rule {
  readonly m: number;
  readonly s: number;
  readonly h: number;
  readonly from: number;
  readonly count: number;
}

function ruleOf(mean: number, variance: number): Rule {
  const m = -Math.abs(mean);
  const s = Math.sqrt(Math.max(variance, 0));
  if (s === 0) return { m, s, h: 1, from: 0, count: 1 };
  const h = STEP * Math.min(1, 1 / s);
  // Towards 0 both integrands grow as an exponential at most, which moves the peak by v.
  const [start, end] = [-9, 9 + Math.min(s, -m / s)];
  const wide = s > WIDE;
  const from = Math.ceil((wide ? Math.max(start, (-END - m) / s) : start) / h);
  const last = Math.floor((wide ? Math.min(end, (END - m) / s) : end) / h);
  return { m, s, h, from, count: Math.max(0, last - from + 1) };
}

function integrate(
  rules: readonly Rule[],
  first: number,
  end: number,
  size: number,
  { total, aleatoric }: Entropies,
): void {
  const kernels = kernelsFor("float64");
  scope(() => {
    const [x, w, log, p] = [0, 1, 2, 3].map(() => allocateFloats("float64", size));
    inMemory("float64", (memory) => {
      let at = 0;
      for (let i = first; i < end; i++) {
        const { m, s, h, from, count } = rules[i];
        for (let j = 0; j < count; j++, at++) {
          const z = (from + j) * h;
          memory[x / 8 + at] = -Math.abs(m + s * z);
          memory[w / 8 + at] = -0.5 * z * z;
        }
      }
    });
    kernels.activation(activationCode.exp, size, w, w, 0);
    kernels.activation(activationCode.softplus, size, x, log, 0);
    kernels.activation(activationCode.sigmoid, size, x, p, 0);
    inMemory("float64", (memory) => {
      let at = 0;
      for (let i = first; i < end; i++) {
        const { m, s, h, from, count } = rules[i];
        let [probability, entropy] = [0, 0];
        for (let j = 0; j < count; j++, at++) {
          const [weight, below] = [memory[w / 8 + at], memory[p / 8 + at]];
          probability += weight * (m + s * (from + j) * h < 0 ? below : 1 - below);
          // log(1 + e^−|x|) + |x| σ(−|x|), which does not cancel.
          entropy += weight * (memory[log / 8 + at] - memory[x / 8 + at] * below);
        }
        const scale = s === 0 ? 1 : h / Math.sqrt(2 * Math.PI);
        total[i] = s > WIDE ? entropyOf(wideProbability(m, s)) : entropyOf(probability * scale);
        aleatoric[i] = s === 0 ? total[i] : Math.min(entropy * scale, total[i]);
      }
    });
  });
}

const wideProbability = (m: number, s: number): number =>
  binaryProbabilities("quadrature", Float64Array.of(m), Float64Array.of(s * s), { samples: 1, seed: 0 })[0];

/** The entropy of two labels, of which one has the probability p, at most ½ within rounding. */
function entropyOf(p: number): number {
  return p > 0 ? -p * portableLog(p) - (1 - p) * portableLog1p(-p) : 0;
}
