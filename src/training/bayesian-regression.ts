// The evidence of a linear model with a Gaussian prior and Gaussian noise, exactly, with its derivatives: Bishop 2006, section 3.5.

import { batchedMatmul, batchedTranspose } from "../array/batched.ts";
import { type NDArray, zeros } from "../array/ndarray.ts";
import type { Steps } from "../kernels/steps.ts";
import { cholesky } from "../linalg/cholesky.ts";
import { syrk } from "../linalg/triangular.ts";

/** y_c = Φ w_c + noise, w_c ~ N(0, diag(1 / δ_c)). */
export interface Regression {
  /** Φ [N, S], of weighted examples times the root of the weight. */
  readonly features: NDArray;
  /** Y [N, C], likewise. */
  readonly targets: NDArray;
  /** The number of examples, or the sum of their weights. */
  readonly examples: number;
  /** δ_c, [S] of each output; one array for several where they agree. */
  readonly precisions: readonly Float64Array[];
  /** 1 / σ_c² */
  readonly noises: readonly number[];
  /** Where Φ and Y are those of calls before (default: they are summed). */
  readonly sums?: RegressionSums | undefined;
  /** Whether the derivative in Φ is asked for (default true). */
  readonly inFeatures?: boolean | undefined;
}

/** What neither precisions nor noises change. */
export interface RegressionSums {
  /** Φᵀ Φ [S, S] */
  readonly gram: NDArray;
  /** Φᵀ Y [S, C] */
  readonly products: NDArray;
}

/** The sums over examples of Φ [N, S] and Y [N, C]. */
export function* regressionSums(features: NDArray, targets: NDArray): Steps<RegressionSums> {
  const transposed = batchedTranspose(features);
  const gram = syrk(transposed);
  yield;
  return { gram, products: batchedMatmul(transposed, targets) };
}

/** What is known of one: log evidence in nats, and derivatives. */
export interface RegressionEvidence {
  readonly value: number;
  /** The posterior's means of the weights, [S, C]. */
  readonly means: NDArray;
  /** In Φ, [N, S], where it was asked for. */
  readonly features: NDArray | undefined;
  /** In log δ, [S] of each output. */
  readonly precisions: readonly Float64Array[];
  /** In log σ, of all outputs together. */
  readonly noise: number;
}

/**
 * log N(y_c; 0, σ_c² I + Φ diag(1/δ_c) Φᵀ) summed over the outputs. With A = diag(δ) + β ΦᵀΦ, m = β A⁻¹ Φᵀ y and e = y − Φ m it is
 * ½ (N log(β / 2π) − β ‖e‖² − mᵀ diag(δ) m − log det A + Σ log δ), its derivative in Φ β (e mᵀ − Φ A⁻¹).
 * @throws NotPositiveDefiniteError
 */
export function* regressionEvidence(regression: Regression): Steps<RegressionEvidence> {
  const { features, targets, examples, precisions, noises, inFeatures = true } = regression;
  const [n, s] = features.shape;
  const outputs = noises.length;
  const { gram, products } = regression.sums ?? (yield* regressionSums(features, targets));
  const means = zeros([s, outputs], { dtype: "float64" });
  const slopesIn = inFeatures ? zeros([n, s], { dtype: "float64" }) : undefined;
  const inPrecisions: Float64Array[] = [];
  let [value, noise] = [0, 0];
  for (let first = 0; first < outputs; ) {
    const [delta, beta] = [precisions[first], noises[first]];
    let end = first + 1;
    while (end < outputs && precisions[end] === delta && noises[end] === beta) end++;
    const matrix = gram.clone();
    for (let i = 0; i < s * s; i++) matrix.data[i] *= beta;
    for (let i = 0; i < s; i++) matrix.data[i * s + i] += delta[i];
    const factor = cholesky(matrix, { out: matrix });
    const inverse = factor.inverse();
    yield;
    let constant = examples * Math.log(beta / (2 * Math.PI)) - factor.logDeterminant();
    for (const one of delta) constant += Math.log(one);
    // The traces are those of one output.
    let determined = s;
    for (let i = 0; i < s; i++) determined -= delta[i] * inverse.data[i * s + i];
    if (slopesIn !== undefined) {
      const spread = batchedMatmul(features, inverse);
      yield;
      for (let i = 0; i < n * s; i++) slopesIn.data[i] -= (end - first) * beta * spread.data[i];
    }
    const some = zeros([s, end - first], { dtype: "float64" });
    for (let i = 0; i < s; i++)
      for (let c = first; c < end; c++)
        some.data[i * (end - first) + c - first] = beta * products.data[i * outputs + c];
    const m = factor.solve(some);
    const fitted = batchedMatmul(features, m);
    for (let c = first; c < end; c++) {
      const at = (i: number) => m.data[i * (end - first) + c - first];
      let squares = 0;
      for (let b = 0; b < n; b++) {
        const e = targets.data[b * outputs + c] - fitted.data[b * (end - first) + c - first];
        squares += e * e;
        if (slopesIn !== undefined) for (let i = 0; i < s; i++) slopesIn.data[b * s + i] += beta * e * at(i);
      }
      let scatter = 0;
      const slopes = new Float64Array(s);
      for (let i = 0; i < s; i++) {
        means.data[i * outputs + c] = at(i);
        const own = delta[i] * at(i) ** 2;
        scatter += own;
        slopes[i] = 0.5 * (1 - own - delta[i] * inverse.data[i * s + i]);
      }
      value += 0.5 * (constant - beta * squares - scatter);
      noise += beta * squares + determined - examples;
      inPrecisions.push(slopes);
    }
    yield;
    first = end;
  }
  return { value, means, features: slopesIn, precisions: inPrecisions, noise };
}
