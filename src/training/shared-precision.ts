// The evidence of a linear model, as `regressionEvidence` gives it, where most columns share one prior precision: in the eigenvectors of
// their Gram matrix, which are found once, that block of A is diagonal at every precision and noise, and the few others are a Schur complement.

import { batchedMatmul, batchedTranspose } from "../array/batched.ts";
import { array, zeros } from "../array/ndarray.ts";
import type { Steps } from "../kernels/steps.ts";
import { cholesky } from "../linalg/cholesky.ts";
import { eigh } from "../linalg/eigh.ts";
import type { Regression, RegressionEvidence, RegressionSums } from "./bayesian-regression.ts";

/** The columns that share a precision in their eigenvectors, and the others: G = ΦᵀΦ in parts. */
export interface Spectrum {
  /** Places of the columns that share a precision, [F], and of the others, [R]. */
  readonly shared: readonly number[];
  readonly others: readonly number[];
  /** λ, the eigenvalues of the shared columns' block, [F], and its vectors Q, [F, F]. */
  readonly values: Float64Array;
  readonly vectors: Float64Array;
  /** Qᵀ G of shared and others, [F, R], and the others' own block, [R, R]. */
  readonly cross: Float64Array;
  readonly rest: Float64Array;
  /** Qᵀ Φᵀ Y of the shared columns, [F, C]. */
  readonly products: Float64Array;
}

/** Fewest columns that it pays for, and how many times as many as the others they are at least. */
const [FEWEST, TIMES] = [16, 4];

/** Whether the eigenvectors of so many columns that share a precision pay. */
export const worthSharing = (shared: number, columns: number): boolean =>
  shared >= FEWEST && shared >= TIMES * (columns - shared);

/** @param shared places of the columns that share a precision, of S */
export function* spectrumOf({ gram, products }: RegressionSums, shared: readonly number[]): Steps<Spectrum> {
  const [s] = gram.shape;
  const outputs = products.shape[1];
  const own = new Set(shared);
  const others = Array.from({ length: s }, (_, i) => i).filter((i) => !own.has(i));
  const [f, r] = [shared.length, others.length];
  const block = zeros([f, f], { dtype: "float64" });
  shared.forEach((i, k) => {
    shared.forEach((j, l) => {
      block.data[k * f + l] = gram.data[i * s + j];
    });
  });
  const { values, vectors } = eigh(block);
  yield;
  const right = zeros([f, r + outputs], { dtype: "float64" });
  shared.forEach((i, k) => {
    others.forEach((j, l) => {
      right.data[k * (r + outputs) + l] = gram.data[i * s + j];
    });
    for (let c = 0; c < outputs; c++) right.data[k * (r + outputs) + r + c] = products.data[i * outputs + c];
  });
  const { data } = batchedMatmul(batchedTranspose(vectors), right);
  return {
    shared,
    others,
    // None is negative but by rounding.
    values: Float64Array.from(values.data, (value: number) => Math.max(value, 0)),
    vectors: vectors.data as Float64Array,
    cross: Float64Array.from({ length: f * r }, (_, k) => data[Math.floor(k / r) * (r + outputs) + (k % r)]),
    rest: Float64Array.from({ length: r * r }, (_, k) => gram.data[others[Math.floor(k / r)] * s + others[k % r]]),
    products: Float64Array.from(
      { length: f * outputs },
      (_, k) => data[Math.floor(k / outputs) * (r + outputs) + r + (k % outputs)],
    ),
  };
}

/**
 * `regressionEvidence` without the derivative in Φ. With a_k = δ + β λ_k, B = Qᵀ G of shared and others and S = D_R + β G_R − β² Bᵀ diag(1/a) B it is
 * log det A = Σ log a + log det S. Of the shared columns' derivatives in log δ each is their mean: their sum is that of all.
 * @throws NotPositiveDefiniteError
 */
export function* evidenceBySpectrum(
  { features, targets, examples, precisions, noises, sums }: Regression & { readonly sums: RegressionSums },
  { shared, others, values, vectors, cross, rest, products }: Spectrum,
): Steps<RegressionEvidence> {
  const [n, s] = features.shape;
  const outputs = noises.length;
  const [f, r] = [shared.length, others.length];
  const means = zeros([s, outputs], { dtype: "float64" });
  const inPrecisions: Float64Array[] = [];
  let [value, noise] = [0, 0];
  for (let c = 0; c < outputs; c++) {
    const [delta, beta] = [precisions[c], noises[c]];
    const own = delta[shared[0]];
    let [logDeterminant, trace] = [0, 0];
    const inverse = values.map((lambda) => 1 / (own + beta * lambda));
    for (const one of inverse) {
      logDeterminant -= Math.log(one);
      trace += one;
    }
    // S, Bᵀ diag(1/a²) B, and what is left of Φᵀ y for the others.
    const schur = new Float64Array(r * r);
    const squares = new Float64Array(r * r);
    const left = new Float64Array(r);
    for (let k = 0; k < f; k++) {
      for (let i = 0; i < r; i++) {
        const at = inverse[k] * cross[k * r + i];
        left[i] += at * products[k * outputs + c];
        for (let j = 0; j <= i; j++) {
          schur[i * r + j] += at * cross[k * r + j];
          squares[i * r + j] += at * inverse[k] * cross[k * r + j];
        }
      }
    }
    const m = new Float64Array(s);
    const slopes = new Float64Array(s);
    let [scatter, determined, crossed] = [0, s, 0];
    if (r > 0) {
      for (let i = 0; i < r; i++) {
        for (let j = 0; j <= i; j++) {
          const entry = beta * (rest[i * r + j] - beta * schur[i * r + j]) + (i === j ? delta[others[i]] : 0);
          schur[i * r + j] = entry;
          schur[j * r + i] = entry;
        }
      }
      const factor = cholesky(array(Array.from(schur), { dtype: "float64" }).reshape(r, r));
      logDeterminant += factor.logDeterminant();
      const solved = factor.solve(
        array(
          others.map((place, i) => beta * (sums.products.data[place * outputs + c] - beta * left[i])),
          { dtype: "float64" },
        ),
      ).data;
      const spread = factor.inverse().data;
      for (let i = 0; i < r; i++) {
        const [place, variance] = [others[i], spread[i * r + i]];
        m[place] = solved[i];
        const inward = delta[place] * solved[i] ** 2;
        scatter += inward;
        determined -= delta[place] * variance;
        slopes[place] = 0.5 * (1 - inward - delta[place] * variance);
        for (let j = 0; j <= i; j++) crossed += (i === j ? 1 : 2) * spread[i * r + j] * squares[i * r + j];
      }
    }
    const turned = Float64Array.from(inverse, (one, k) => {
      let by = products[k * outputs + c];
      for (let i = 0; i < r; i++) by -= cross[k * r + i] * m[others[i]];
      return one * beta * by;
    });
    let inward = 0;
    for (let k = 0; k < f; k++) inward += own * turned[k] ** 2;
    for (let j = 0; j < f; j++) {
      let sum = 0;
      for (let k = 0; k < f; k++) sum += vectors[j * f + k] * turned[k];
      m[shared[j]] = sum;
    }
    const variances = trace + beta ** 2 * crossed;
    scatter += inward;
    determined -= own * variances;
    for (const place of shared) slopes[place] = 0.5 * (1 - (inward + own * variances) / f);
    yield;
    const fitted = batchedMatmul(features, array(Array.from(m), { dtype: "float64" }).reshape(s, 1)).data;
    let errors = 0;
    for (let b = 0; b < n; b++) errors += (targets.data[b * outputs + c] - fitted[b]) ** 2;
    for (let i = 0; i < s; i++) means.data[i * outputs + c] = m[i];
    let constant = examples * Math.log(beta / (2 * Math.PI)) - logDeterminant;
    for (const one of delta) constant += Math.log(one);
    value += 0.5 * (constant - beta * errors - scatter);
    noise += beta * errors + determined - examples;
    inPrecisions.push(slopes);
  }
  return { value, means, features: undefined, precisions: inPrecisions, noise };
}
