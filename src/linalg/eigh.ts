// Eigenvalues and eigenvectors of symmetric matrices. Always in float64.

import { checkOut } from "../array/arguments.ts";
import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { takeResult, workPlace } from "../array/operands.ts";
import { checkBoolean, checkOptions, LaplaceError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocate, allocateFloats, copyOut, scope } from "../kernels/memory.ts";
import { readSymmetric } from "./cholesky.ts";

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
  // The matrix and a workspace of three times its size; the kernels' addresses have 32 bits.
  if (32 * n * (n + 32) > 2 ** 32) throw new LaplaceError(`eigh: a matrix of order ${n} needs more than 4 GiB.`);
  return scope(() => {
    const kernels = kernelsFor("float64");
    const v = workPlace(vectors ? out : undefined, a, "float64");
    const w = allocateFloats("float64", n);
    const work = allocate(kernels.eighWorkspace(n) >>> 0);
    const failed = kernels.eigh(n, v, w, work, vectors);
    if (failed !== 0) throw new LaplaceError(`eigh: eigenvalue ${failed - 1} did not converge.`);
    const values = new NDArray(copyOut("float64", w, n), [n]);
    return vectors ? { values, vectors: takeResult(out, a.shape, "float64", v) } : { values };
  });
}
