// Functions of a positive matrix times a vector, f(A) v, and vᵀ f(A) v, by its products alone: the matrix within the span of v, A v,
// A² v, … (Golub & Meurant 2010, Matrices, Moments and Quadrature; for roots Chow & Saad 2014, SIAM J. Sci. Comput. 36).

import { dot } from "../../array/dot.ts";
import { LaplaceError } from "../../errors.ts";
import type { DType, FloatArray } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import { decomposed, orthogonalise } from "../../linalg/lanczos.ts";
import type { Times } from "../structure.ts";

/** When to end. */
export interface KrylovOptions {
  readonly tolerance: number;
  readonly products: number;
  /** Of the basis that is kept. */
  readonly dtype: DType;
}

/** A's eigenvalues θ within the span, and the share of v along each: v = ‖v‖ Σ_j q_j (w_j)_1. */
export class Krylov {
  readonly #size: number;
  readonly #basis: readonly FloatArray[];
  readonly #vectors: ArrayLike<number>;
  /** θ, ascending, [m] */
  readonly values: ArrayLike<number>;

  constructor(size: number, basis: readonly FloatArray[], alpha: readonly number[], beta: readonly number[]) {
    this.#size = size;
    this.#basis = basis;
    const { values, vectors } = decomposed(alpha, beta);
    this.values = values;
    this.#vectors = vectors;
  }

  /** vᵀ f(A) v */
  quadrature(f: (value: number) => number): number {
    let sum = 0;
    for (let j = 0; j < this.values.length; j++) sum += this.#vectors[j] ** 2 * f(this.values[j]);
    return this.#size ** 2 * sum;
  }

  /** f(A) v, to an array that may be v's. */
  write(f: (value: number) => number, to: Float64Array): void {
    const m = this.values.length;
    to.fill(0);
    for (let i = 0; i < m; i++) {
      let share = 0;
      for (let j = 0; j < m; j++) share += this.#vectors[i * m + j] * f(this.values[j]) * this.#vectors[j];
      const q = this.#basis[i];
      for (let at = 0; at < to.length; at++) to[at] += this.#size * share * q[at];
    }
  }
}

/**
 * The span of v under A, as large as a solution of A x = v needs: the residual of any shifted system (A + t) x = v, t ≥ 0, and so of
 * roots, is no larger. @param v is not changed
 * @throws LaplaceError where the products do not reach the tolerance, or A is not positive
 */
export function* krylov(where: string, times: Times, v: Float64Array, options: KrylovOptions): Steps<Krylov> {
  const { tolerance, products, dtype } = options;
  const size = Math.sqrt(dot(v, v));
  const basis: FloatArray[] = [];
  const [alpha, beta]: [number[], number[]] = [[], []];
  const next = v.slice();
  if (size === 0) return new Krylov(0, [next], [1], []);
  // T = L D Lᵀ: its last pivot, and the last entry of L⁻¹ e₁.
  let [pivot, last, length] = [0, 1, size];
  for (;;) {
    for (let i = 0; i < next.length; i++) next[i] /= length;
    basis.push(dtype === "float32" ? new Float32Array(next) : next.slice());
    const w = yield* times(next);
    const curve = dot(w, next);
    if (alpha.length > 0) {
      const ratio = beta[beta.length - 1] / pivot;
      last *= -ratio;
      pivot = curve - ratio * beta[beta.length - 1];
    } else pivot = curve;
    if (!(pivot > 0)) {
      throw new LaplaceError(
        `${where}: the precision is not positive along a direction (pᵀPp = ${pivot}). Likely cause: a prior precision so small beside the curvature that rounding hides it.`,
      );
    }
    alpha.push(curve);
    const before = Math.sqrt(dot(w, w));
    orthogonalise(w, basis, dtype === "float32" ? 1 : 2);
    length = Math.sqrt(dot(w, w));
    // What is left after all directions is rounding.
    if (!(length > 1e-12 * before) || alpha.length === v.length) break;
    const residual = Math.abs((length * last) / pivot);
    if (residual <= tolerance) break;
    if (alpha.length >= products) {
      throw new LaplaceError(
        `${where}: ${products} products did not reach the tolerance ${tolerance}, the residual is ${residual.toPrecision(2)}. Raise products or tolerance of the solver, or priorPrecision.`,
      );
    }
    beta.push(length);
    next.set(w);
  }
  return new Krylov(size, basis, alpha, beta);
}
