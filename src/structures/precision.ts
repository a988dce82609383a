// What every posterior structure must do with P = h H + P₀: factor it once, and answer.

import type { Numbers, Pointer } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Graph } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import type { Curvature } from "./curvature.ts";
import type { HeadVariance } from "./head.ts";

/** A posterior precision. Rows are [n, S] in the kernels' float64 memory, and are changed in place. */
export interface Precision {
  /** Computes once what an answer needs, in steps: then that takes no long. */
  prepare(what: Prepared): Steps<void>;
  /** log det P */
  readonly logDeterminant: number;
  /** Its standard error, where it is an estimate. */
  readonly logDeterminantError?: number;
  /** ∂ log det P / ∂ log δ for each of the prior's numbers: δ times the sum of the inverse's diagonal. */
  logPriorGradient(): Float64Array;
  /** tr(P⁻¹ H_c) of curvatures of the same structure, each the part of one output. */
  traces(parts: readonly Curvature[]): Steps<Float64Array>;
  /** The diagonal of P⁻¹, [S]. */
  variance(): Steps<Float64Array>;
  /** P, [S, S], the caller's own. */
  dense(): Steps<Float64Array>;
  /** P⁻¹, [S, S], the caller's own. */
  covariance(): Steps<Float64Array>;
  /** v becomes v R with R Rᵀ = P⁻¹: products of rows become quadratic forms in P⁻¹. */
  whiten(rows: Pointer, n: number): void;
  /** Standard normal ε becomes a deviation with the covariance P⁻¹. */
  colour(rows: Pointer, n: number): void;
  /** v becomes v P⁻¹; missing where that is `whiten`, and then `colour`, as of roots that are each other's transpose. */
  solve?(rows: Pointer, n: number): void;
  /** vᵀ P v of each row. */
  quadraticForm(rows: Float64Array, n: number): Steps<Float64Array>;
  /** J P⁻¹ Jᵀ of every example of a part, [B, C, C], for unit columns that were pulled back. */
  functionCovariance(backward: Backward): Numbers;
  /** cᵀ J P⁻¹ Jᵀ c of every example of a part and every column c that was pulled back, [B, K]. */
  functionVariance(backward: Backward): Numbers;
  /** J P⁻¹ Jᵀ's diagonal at the outputs of a layer that all weights are of, by its inputs; undefined where columns are pulled back. */
  head?(graph: Graph): HeadVariance | undefined;
}

/** Rows v become v P⁻¹. */
export function solveRows(precision: Precision, rows: Pointer, n: number): void {
  if (precision.solve !== undefined) precision.solve(rows, n);
  else {
    precision.whiten(rows, n);
    precision.colour(rows, n);
  }
}

/** What is asked next: the determinant alone; its gradient too; traces besides; what has to do with rows; or variances or covariances of a head. */
export type Prepared = "determinant" | "gradient" | "traces" | "rows" | "variance" | "covariance";

/** Options of the factorisation. */
export interface PrecisionOptions {
  /** Whether Kronecker factors are damped one by one (see the option of `laplace`). */
  readonly damping: boolean;
  /** Whether its whole inverse is asked for in any case, so that eigenvalues, which serve other priors too, do not pay. */
  readonly inverse?: boolean;
  /** Whether negative eigenvalues of a Hessian are 0. */
  readonly clip?: boolean | undefined;
  /** Whether the curvature is a Hessian, which may have some. */
  readonly signed?: boolean;
}
