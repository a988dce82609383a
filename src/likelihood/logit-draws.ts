// Gaussian draws of logits, and means over draws.

import { portableExp, portableLog } from "../array/portable.ts";
import { Random } from "../array/random.ts";
import { newFloats } from "../errors.ts";

/** How many draws the link `"monteCarlo"` takes, and from which seed. The other links do not look at it. */
export interface LinkDraw {
  /** Draws, at least 1; an odd number counts as the next one. */
  samples: number;
  /** Seed of the library's `Random`. */
  seed: number;
}

/** Draws come in pairs of opposite signs, so there are as many as asked for or one more. */
export const drawCount = ({ samples }: LinkDraw): number => samples + (samples % 2);

/**
 * Base noise of draws of that many numbers, [drawCount, size]: each row is followed by its opposite (antithetic draws,
 * Hammersley & Morton 1956). So means over draws have no side: turning the sign of a logit swaps the two labels.
 */
export function normals(draw: LinkDraw, size: number): Float64Array {
  const random = new Random(draw.seed);
  const result = newFloats("Draws of logits", [drawCount(draw), size]);
  for (let start = 0; start < result.length; start += 2 * size) {
    for (let i = start; i < start + size; i++) {
      result[i] = random.normal();
      result[i + size] = -result[i];
    }
  }
  return result;
}

/**
 * Logits of one Gaussian draw after the other, up to a constant that all of them share; the row is used again. Of
 * differences from the first logit: what softmax ignores is not drawn.
 */
export function eachDraw(
  { mean, covariance }: { readonly mean: Float64Array; readonly covariance: Float64Array },
  noise: Float64Array,
  samples: number,
  visit: (row: Float64Array) => void,
): void {
  const classes = mean.length;
  const n = classes - 1;
  const root = differenceRoot(covariance, classes);
  const row = new Float64Array(classes);
  for (let s = 0; s < samples; s++) {
    row[0] = 0;
    for (let i = 0; i < n; i++) {
      let logit = mean[i + 1] - mean[0];
      for (let j = 0; j <= i; j++) logit += root[i * n + j] * noise[s * n + j];
      row[i + 1] = logit;
    }
    visit(row);
  }
}

/** L, lower triangular, with L Lᵀ the covariance of the logits' differences from the first one, [C − 1, C − 1]. */
export function differenceRoot(covariance: Float64Array, classes: number): Float64Array {
  const n = classes - 1;
  const differences = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const below = covariance[(i + 1) * classes + j + 1] - covariance[(i + 1) * classes];
      differences[i * n + j] = below - (covariance[(j + 1) * classes] - covariance[0]);
    }
  }
  return semidefiniteRoot(differences, n);
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

/** Logarithms of means of what is given by its logarithms. */
export class LogMean {
  #count = 0;
  readonly #largest: Float64Array;
  readonly #sum: Float64Array;

  constructor(size: number) {
    this.#largest = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
    this.#sum = new Float64Array(size);
  }

  add(logs: Float64Array, weight = 1): void {
    this.#count += weight;
    logs.forEach((log, i) => {
      if (log <= this.#largest[i]) {
        // −∞ adds nothing, also where there was nothing else.
        this.#sum[i] += log === Number.NEGATIVE_INFINITY ? 0 : weight * portableExp(log - this.#largest[i]);
        return;
      }
      this.#sum[i] = this.#sum[i] * portableExp(this.#largest[i] - log) + weight;
      this.#largest[i] = log;
    });
  }

  /** @param most what is above is rounding: of probabilities what is above 0 */
  finish(most = 0): Float64Array {
    return this.#largest.map((largest, i) =>
      this.#sum[i] > 0 ? Math.min(most, largest + portableLog(this.#sum[i] / this.#count)) : largest,
    );
  }
}
