// The Lanczos process with full reorthogonalisation (Golub & Van Loan, Matrix Computations, 10.1): an orthonormal basis in which a
// symmetric matrix that is known by its products alone is tridiagonal.

import { dot } from "../array/dot.ts";
import { NDArray } from "../array/ndarray.ts";
import type { Random } from "../array/random.ts";
import type { FloatArray } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import { eigh } from "./eigh.ts";

/** A product with the matrix, the caller's own, in steps. */
type Times<Report> = (v: Float64Array) => Steps<Float64Array, Report>;

/** T, and the basis in rows: H q_j = β_{j−1} q_{j−1} + α_j q_j + β_j q_{j+1}. */
export class Lanczos<Report> {
  readonly alpha: number[] = [];
  /** β_j; 0 where the basis spans what the matrix makes of it, and goes on with another vector. */
  readonly beta: number[] = [];
  readonly basis: Float64Array[] = [];
  readonly #times: Times<Report>;
  readonly #random: Random;
  #next: Float64Array;

  constructor(times: Times<Report>, start: Float64Array, random: Random) {
    this.#times = times;
    this.#random = random;
    this.#next = scaled(start, 1 / Math.sqrt(dot(start, start)));
  }

  /** One product more. */
  *step(): Steps<void, Report> {
    const q = this.#next;
    this.basis.push(q);
    const w = yield* this.#times(q);
    const size = Math.sqrt(dot(w, w));
    this.alpha.push(dot(w, q));
    orthogonalise(w, this.basis);
    const beta = Math.sqrt(dot(w, w));
    const ended = !(beta > 1e-13 * size);
    this.beta.push(ended ? 0 : beta);
    this.#next = ended ? this.#another() : scaled(w, 1 / beta);
  }

  /** A random direction that the basis does not have. */
  #another(): Float64Array {
    const v = Float64Array.from(this.#next, () => this.#random.normal());
    orthogonalise(v, this.basis);
    return scaled(v, 1 / Math.sqrt(dot(v, v)));
  }

  /** Eigenvalues of T, ascending, and its vectors in columns, [m, m]. */
  decompose(): Decomposed {
    return decomposed(this.alpha, this.beta);
  }
}

/** Eigenvalues, ascending, and vectors in columns. */
export interface Decomposed {
  readonly values: ArrayLike<number>;
  readonly vectors: ArrayLike<number>;
}

/** Those of a tridiagonal matrix, [m, m]. */
export function decomposed(alpha: readonly number[], beta: readonly number[]): Decomposed {
  const m = alpha.length;
  const t = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    t[i * (m + 1)] = alpha[i];
    if (i + 1 < m) t[i * m + i + 1] = t[(i + 1) * m + i] = beta[i];
  }
  const { values, vectors } = eigh(new NDArray(t, [m, m]));
  return { values: values.data, vectors: vectors.data };
}

/** Takes from w what it has along orthonormal vectors: twice is enough (Parlett, The Symmetric Eigenvalue Problem, 6.9). */
export function orthogonalise(w: Float64Array, basis: readonly FloatArray[], times = 2): void {
  for (const q of Array.from({ length: times }, () => basis).flat()) {
    const share = dot(w, q);
    for (let i = 0; i < w.length; i++) w[i] -= share * q[i];
  }
}

/** A multiple of a vector. */
export function scaled(v: Float64Array, factor: number): Float64Array {
  return v.map((x) => factor * x);
}
