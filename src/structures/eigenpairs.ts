// Curvatures that are known by eigenvalues and vectors, V diag(l) Vᵀ.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { atOnce, type Steps } from "../kernels/steps.ts";
import { type Curvature, checkSquare, type LowRank, readVectors, SelectedCurvature } from "./curvature.ts";
import { multiplied } from "./products.ts";

/** Eigenvalues, and vectors [k, S] in rows. */
export interface Eigenpairs {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
}

/** What is computed of eigenpairs. */
export abstract class EigenpairsCurvature extends SelectedCurvature implements Curvature {
  /** tr H, exactly, [1]. */
  abstract readonly trace: Float64Array;
  #eigen: Eigenpairs | undefined;

  /** Its eigenpairs, largest first. */
  protected abstract decomposed(): Steps<Eigenpairs>;

  /** They, computed once. */
  *eigen(): Steps<Eigenpairs> {
    this.#eigen ??= yield* this.decomposed();
    return this.#eigen;
  }

  abstract merge(other: Curvature): Curvature;
  abstract scale(factor: number): Curvature;

  override lowRank(): LowRank {
    const { values, vectors } = atOnce(this.eigen());
    return {
      values: new NDArray(values.slice(), [values.length]),
      vectors: new NDArray(vectors.slice(), [values.length, this.size]),
      leftOut: this.leftOut(values),
    };
  }

  /** The share of the whole that its eigenvalues leave out. */
  protected leftOut(values: Float64Array): number {
    const kept = values.reduce((total, value) => total + value, 0);
    return this.trace[0] > 0 ? Math.max(0, 1 - kept / this.trace[0]) : 0;
  }

  diagonal(): NDArray {
    const { values, vectors } = atOnce(this.eigen());
    const result = new Float64Array(this.size);
    for (let k = 0; k < values.length; k++) {
      for (let i = 0; i < this.size; i++) result[i] += values[k] * vectors[k * this.size + i] ** 2;
    }
    return new NDArray(result, [this.size]);
  }

  dense(options: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, options);
    const { values, vectors } = atOnce(this.eigen());
    const weighed = vectors.map((entry, i) => values[Math.floor(i / n)] * entry);
    const columns = transposed(weighed, n);
    return new NDArray(multiplied(columns, n, transposed(vectors, n), n, values.length), [n, n]);
  }

  times(v: ArrayLike): NDArray {
    const x = readVectors("times", v, this.size);
    const { values, vectors } = atOnce(this.eigen());
    const [n, k, rows] = [this.size, values.length, x.size / this.size];
    const along = multiplied(Float64Array.from(x.data), rows, vectors, k, n).map((entry, i) => entry * values[i % k]);
    return new NDArray(multiplied(along, rows, transposed(vectors, n), n, k), x.shape);
  }
}

/** The transpose of a matrix of rows of `width`, whose columns are multiplied. */
export function transposed(x: Float64Array, width: number, factors?: Float64Array): Float64Array {
  const rows = x.length / width;
  const result = new Float64Array(x.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < width; j++) result[j * rows + i] = x[i * width + j] * (factors?.[j] ?? 1);
  }
  return result;
}
