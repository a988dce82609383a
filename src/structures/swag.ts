// The Gaussian of weights along a training (Maddox et al. 2019, arXiv:1902.02476): Σ = D + L Lᵀ, with variances D and as many
// columns L as there are deviations. With D^-½ L = Σ √λ_k w_k e_kᵀ its inverse is D^-½ (I + Σ μ_k w_k w_kᵀ) D^-½, μ = −λ / (1 + λ).

import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { eighInSteps } from "../linalg/in-steps.ts";
import type { Curvature } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { transposed } from "./eigenpairs.ts";
import { LowRankPrecision } from "./lowrank/precision.ts";
import type { Prior } from "./prior.ts";
import { multiplied } from "./products.ts";
import type { Selection } from "./selection.ts";

/** The curvature of no data, from so many snapshots. */
export const noCurvature = (selection: Selection, snapshots: number): Curvature =>
  new DiagonalCurvature(selection, snapshots, new Float64Array(selection.size));

/** Eigenvalues that rounding may have made. */
const LEAST = 1e-14;

/**
 * The precision of N(θ, D + L Lᵀ).
 * @param curvature of the same weights @param inverse with the precisions 1 / D @param columns Lᵀ, [K, S]
 */
export function* swagPrecision(curvature: Curvature, inverse: Prior, columns: Float64Array): Steps<LowRankPrecision> {
  const n = curvature.size;
  const k = columns.length / n;
  if (k === 0) return new SwagPrecision(curvature, inverse, { values: columns, vectors: columns });
  const precision = inverse.spread();
  const rows = columns.map((x, i) => x * Math.sqrt(precision[i % n]));
  const inner = yield* eighInSteps(multiplied(rows, k, rows, k, n), k, true);
  const least = LEAST * inner.values[k - 1];
  const lambda = inner.values.map((value) => (value > least ? value : 0));
  const scales = lambda.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
  const vectors = multiplied(transposed(inner.vectors, k, scales), k, transposed(rows, n), n, k);
  return new SwagPrecision(curvature, inverse, { values: lambda.map((value) => -value / (1 + value)), vectors });
}

class SwagPrecision extends LowRankPrecision {
  #refuse(): never {
    throw new ValueError("A posterior of SWAG or IVON has no prior, and so no evidence to be tuned by.");
  }

  override logPriorGradient(): Float64Array {
    return this.#refuse();
  }

  override traces(): Steps<Float64Array> {
    return this.#refuse();
  }
}
