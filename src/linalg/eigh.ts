// Eigenvalues and eigenvectors of symmetric matrices. Always in float64.

import { checkOut } from "../array/arguments.ts";
import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { takeResult, workPlace } from "../array/operands.ts";
import { checkBoolean, checkOptions } from "../errors.ts";
import { allocateFloats, copyOut, scope } from "../kernels/memory.ts";
import { atOnce } from "../kernels/steps.ts";
import { readSymmetric } from "./cholesky.ts";
import { checkOrder, decompose } from "./in-steps.ts";

/** A = V diag(values) Vᵀ. */
export interface Eigh {
  /** Eigenvalues, ascending, [n]. */
  readonly values: NDArray;
  /** Orthonormal eigenvectors, [n, n]: column j belongs to values[j]. */
  readonly vectors: NDArray;
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix, in float64, by Householder reduction and divide and conquer
 * (Gu & Eisenstat 1995). With `{ vectors: false }`, the eigenvalues alone. The vectors are written into `out`, which may
 * be the matrix itself.
 * @throws ShapeError, ValueError for a matrix that is not square, finite or symmetric; OptionError
 */
export function eigh(matrix: ArrayLike, options: { vectors: false }): { readonly values: NDArray };
export function eigh(matrix: ArrayLike, options?: { vectors?: true; out?: NDArray | undefined }): Eigh;
export function eigh(
  matrix: ArrayLike,
  options: { vectors?: boolean; out?: NDArray | undefined } = {},
): Partial<Eigh> & { values: NDArray } {
  checkOptions("eigh", options, ["vectors", "out"]);
  const { vectors = true, out } = options;
  checkBoolean("eigh", "vectors", vectors);
  const a = readSymmetric("eigh", matrix);
  const n = a.shape[0];
  checkOut("eigh", out, a.shape, "float64");
  checkOrder(n);
  return scope(() => {
    const v = workPlace(vectors ? out : undefined, a, "float64");
    const w = allocateFloats("float64", n);
    atOnce(decompose(n, v, w, vectors));
    const values = new NDArray(copyOut("float64", w, n), [n]);
    return vectors ? { values, vectors: takeResult(out, a.shape, "float64", v) } : { values };
  });
}
