// How much of a label's entropy is doubt about the logits. Numbers in, numbers out, as in links.ts.

import { portableExp, portableLog, portableLog1p } from "../array/portable.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, copyTo, inMemory, scope } from "../kernels/memory.ts";
import { binaryProbabilities } from "./binary-links.ts";
import { differenceRoot, type LinkDraw, normals } from "./draws.ts";

/** Entropies of predicted labels in nats, of each example. */
export interface Entropies {
  /** Of the mean probabilities: H[E p]. */
  readonly total: Float64Array;
  /** What is left once the logits are known: E H[p], at most the total. */
  readonly aleatoric: Float64Array;
}

/** −Σ p log p, with 0 log 0 = 0. */
function entropy(p: Float64Array): number {
  let sum = 0;
  for (const x of p) if (x > 0) sum -= x * portableLog(x);
  return Math.max(sum, 0);
}

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
    const spread = (v: Float64Array) => v[0] - v[1] - (v[2] - v[3]);
    return binaryEntropies(
      Float64Array.from({ length: batch }, (_, b) => mean[2 * b + 1] - mean[2 * b]),
      Float64Array.from({ length: batch }, (_, b) => spread(covariance.subarray(4 * b, 4 * b + 4))),
    );
  }
  const { samples } = draw;
  const n = classes - 1;
  const [total, aleatoric] = [new Float64Array(batch), new Float64Array(batch)];
  const kernels = kernelsFor("float64");
  scope(() => {
    const noise = copyIn("float64", normals(draw, n));
    const [f, p] = [0, 1].map(() => allocateFloats("float64", samples * classes));
    const root = allocateFloats("float64", n * n);
    const probabilities = new Float64Array(classes);
    for (let b = 0; b < batch; b++) {
      const m = mean.subarray(b * classes, (b + 1) * classes);
      const block = covariance.subarray(b * classes ** 2, (b + 1) * classes ** 2);
      copyTo("float64", root, differenceRoot(block, classes));
      // Into the columns after the first, whose logit all others are differences from.
      kernels.gemm(1, samples, n, n, noise, 0, n, 1, root, 0, 1, n, f + 8, 0, classes, 1, false);
      probabilities.fill(0);
      let sum = 0;
      inMemory("float64", (memory) => {
        for (let i = 0; i < samples * classes; i++) {
          if (i % classes === 0) memory[f / 8 + i] = 0;
          else memory[f / 8 + i] += m[i % classes] - m[0];
        }
      });
      kernels.softmax(samples, classes, f, p);
      inMemory("float64", (memory) => {
        for (let s = 0; s < samples; s++) {
          const [logits, row] = [f / 8 + s * classes, p / 8 + s * classes];
          let largest = logits;
          for (let c = 1; c < classes; c++) if (memory[logits + c] > memory[largest]) largest = logits + c;
          // −Σ p log p = −log p_max + Σ p (f_max − f), which has no term below 0, and one logarithm.
          sum -= portableLog(memory[row + largest - logits]);
          for (let c = 0; c < classes; c++) {
            const share = memory[row + c];
            probabilities[c] += share;
            if (share > 0) sum += share * (memory[largest] - memory[logits + c]);
          }
        }
      });
      total[b] = entropy(probabilities.map((p) => p / samples));
      aleatoric[b] = Math.min(Math.max(sum / samples, 0), total[b]);
    }
  });
  return { total, aleatoric };
}

// Beyond this a logit's entropy is below every float64 number.
const END = 745;
const STEP = 0.5;
/** e^(−x²/2) at the steps up to 10, the farthest that a deviation of 1 asks for. */
const weights = Float64Array.from({ length: 10 / STEP + 1 }, (_, j) => portableExp(-0.5 * (j * STEP) ** 2));

/**
 * Entropies of binary labels for logits N(m, v), elementwise. The mean entropy is a trapezoidal rule over the logit x: its
 * integrand is analytic up to Im x = ±π, and a step of 0.5, or of 0.5 deviations, leaves less than 1e-12 (Trefethen & Weideman, SIAM
 * Review 56, 2014). A negative variance counts as 0.
 */
export function binaryEntropies(mean: Float64Array, variance: Float64Array): Entropies {
  // Of the less likely label, which keeps its digits.
  const below = mean.map((m) => -Math.abs(m));
  const total = binaryProbabilities("quadrature", below, variance, { samples: 1, seed: 0 }).map((p) =>
    p > 0 ? -p * portableLog(p) - (1 - p) * portableLog1p(-p) : 0,
  );
  const aleatoric = below.map((m, i) => {
    const v = Math.max(variance[i], 0);
    const s = Math.sqrt(v);
    if (s === 0) return total[i];
    // In deviations from the mean. Towards 0 the entropy grows as an exponential at most, which moves the peak by v.
    const h = STEP * Math.min(1, 1 / s);
    const first = Math.ceil(Math.max(-9, (-END - m) / s) / h);
    const last = Math.floor(Math.min(9 + s, (END - m) / s) / h);
    let sum = 0;
    for (let j = first; j <= last; j++) {
      const weight = h === STEP ? weights[Math.abs(j)] : portableExp(-0.5 * (j * h) ** 2);
      sum += weight * logitEntropy(m + s * j * h);
    }
    return Math.min((sum * h) / Math.sqrt(2 * Math.PI), total[i]);
  });
  return { total, aleatoric };
}

/** The entropy of a label with the probability σ(x): log(1 + e^(−|x|)) + |x| σ(−|x|), which does not cancel. */
function logitEntropy(x: number): number {
  const size = Math.abs(x);
  const e = portableExp(-size);
  return portableLog1p(e) + (size * e) / (1 + e);
}
