// Eigenvalues of graded matrices, D M D with D of very different numbers: of a positive semidefinite one, each to the digits
// that the scaled matrix M has, by one-sided Jacobi rotations of a pivoted Cholesky factor (Demmel & Veselić 1992). The usual
// methods know every eigenvalue only to the digits of the largest.

import { withJacobi } from "../kernels/jacobi.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, copyOutTo, openScope } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";

const EPSILON = 2 ** -52;
const SWEEPS = 40;

/** Where two entries of the diagonal are this far apart, the eigenvalues of a small matrix are computed this way. */
export const GRADED = 1e4;
/** It takes some 40 n³ steps: a larger matrix must be as bad as this, and the largest are left to the usual method. */
const BADLY_GRADED = 1e10;
const SMALL = 128;
const LARGEST = 1024;

/** Whether the small eigenvalues of a matrix [n, n] would be lost beside the large ones, by its diagonal alone. */
export function isGraded(matrix: Float64Array, n: number): boolean {
  const spread = spreadOf(matrix, n);
  return (n <= SMALL && spread > GRADED) || (n <= LARGEST && spread > BADLY_GRADED);
}

/** The largest number on the diagonal of a matrix [n, n] over the smallest that is not 0. */
function spreadOf(matrix: Float64Array, n: number): number {
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (let i = 0; i < n; i++) {
    const x = matrix[i * (n + 1)];
    if (!(x > 0)) continue;
    least = Math.min(least, x);
    most = Math.max(most, x);
  }
  return most === 0 ? 1 : most / least;
}

/**
 * Eigenvalues, ascending, and eigenvectors in columns of a positive semidefinite matrix [n, n]. What is left of a row beside
 * the others counts as 0 from that share of its diagonal down: as what rounding leaves, unless it is given.
 */
export function* gradedEigh(
  matrix: Float64Array,
  n: number,
  share: number = 8 * n * EPSILON,
): Steps<{ values: Float64Array; vectors: Float64Array }> {
  // A power of two away from what overflows or vanishes when squared.
  let most = 0;
  for (let i = 0; i < n; i++) most = Math.max(most, matrix[i * (n + 1)]);
  const unit = most > 0 ? 2 ** Math.floor(Math.log2(most)) : 1;
  const scaled = new Float64Array(matrix.length);
  for (let i = 0; i < scaled.length; i++) scaled[i] = matrix[i] / unit;
  const { columns, rank, least } = yield* pivotedFactor(scaled, n, share);
  const norms = yield* orthogonalise(columns, n, rank);
  const zero = (1e-15 * least) ** 2;
  const order = Array.from({ length: rank }, (_, j) => j).sort((a, b) => norms[a] - norms[b]);
  const [values, vectors] = [new Float64Array(n), new Float64Array(n * n)];
  const none = n - rank;
  order.forEach((from, j) => {
    values[none + j] = norms[from] <= zero ? 0 : norms[from] * unit;
    const scale = 1 / Math.sqrt(norms[from]);
    for (let i = 0; i < n; i++) {
      const x = columns[from * n + i] * scale;
      columns[from * n + i] = x;
      vectors[i * n + none + j] = x;
    }
  });
  if (none > 0) yield* completeBasis(columns, n, rank, vectors);
  return { values, vectors };
}

/**
 * The columns of L with L Lᵀ = A, one after the other, the largest pivot first, as many as the rank: until only rounding is left
 * of every row. `least` is the smallest pivot.
 */
function* pivotedFactor(
  a: Float64Array,
  n: number,
  share: number,
): Steps<{ columns: Float64Array; rank: number; least: number }> {
  const columns = new Float64Array(n * n);
  const enough = Float64Array.from({ length: n }, (_, i) => share * Math.max(a[i * (n + 1)], 0));
  // Rows that are left, in their order: of the matrix only what is right of the diagonal is kept up.
  const rest = Int32Array.from({ length: n }, (_, i) => i);
  let least = 1;
  for (let rank = 0; ; rank++) {
    const left = n - rank;
    let pivot = -1;
    for (let p = 0; p < left; p++) {
      const i = rest[p];
      const x = a[i * (n + 1)];
      if (x > enough[i] && (pivot < 0 || x > a[pivot * (n + 1)])) pivot = i;
    }
    if (pivot < 0) return { columns, rank, least: Math.max(least, 1e-100) };
    const root = Math.sqrt(a[pivot * (n + 1)]);
    least = Math.min(least, root);
    const column = columns.subarray(rank * n, (rank + 1) * n);
    column[pivot] = root;
    rest.copyWithin(rest.indexOf(pivot), rest.indexOf(pivot) + 1, left);
    for (let p = 0; p < left - 1; p++) {
      const i = rest[p];
      column[i] = a[i < pivot ? i * n + pivot : pivot * n + i] / root;
    }
    for (let p = 0; p < left - 1; p++) {
      const i = rest[p];
      const x = column[i];
      if (x === 0) continue;
      for (let q = p; q < left - 1; q++) a[i * n + rest[q]] -= x * column[rest[q]];
    }
    yield;
  }
}

/** Turns pairs of the first columns, which lie one after the other, until all are orthogonal. Gives their squared norms. */
function* orthogonalise(columns: Float64Array, n: number, count: number): Steps<Float64Array> {
  if (count === 0) return new Float64Array(0);
  const tolerance = Math.sqrt(n) * EPSILON;
  const end = openScope();
  try {
    const kernels = withJacobi(kernelsFor("float64"));
    const at = copyIn("float64", columns.subarray(0, count * n));
    const norms = allocateFloats("float64", count);
    for (let sweep = 0, turned = true; turned && sweep < SWEEPS; sweep++) {
      turned = false;
      for (let p = 0; p < count; p++) {
        if (kernels.turnRow(n, p, count, at, norms, tolerance) === 1) turned = true;
        yield;
      }
    }
    copyOutTo("float64", at, count * n, columns, 0);
    return copyOut("float64", norms, count) as Float64Array;
  } finally {
    end();
  }
}

/** Vectors orthogonal to the first `rank` columns, which are orthonormal: the first of `vectors`, by Householder's reflections. */
function* completeBasis(columns: Float64Array, n: number, rank: number, vectors: Float64Array): Steps<void> {
  // A reflection for each column, which takes what those before left of it to a multiple of a unit vector.
  const reflect = (x: Float64Array, at: number, v: number) => {
    const row = v * n;
    let product = 0;
    for (let i = v; i < n; i++) product += columns[row + i] * x[at + i];
    for (let i = v; i < n; i++) x[at + i] -= product * columns[row + i];
  };
  for (let k = 0; k < rank; k++) {
    const at = k * n;
    for (let before = 0; before < k; before++) reflect(columns, at, before);
    let square = 0;
    for (let i = k; i < n; i++) square += columns[at + i] ** 2;
    const norm = Math.sqrt(square);
    const first = columns[at + k];
    const sign = first < 0 ? -1 : 1;
    // So that the reflection is x − v (v · x): v · v is 2.
    const scale = 1 / Math.sqrt(norm * (norm + Math.abs(first)));
    columns[at + k] = first + sign * norm;
    for (let i = k; i < n; i++) columns[at + i] *= scale;
    yield;
  }
  const vector = new Float64Array(n);
  for (let j = 0; j < n - rank; j++) {
    vector.fill(0);
    vector[rank + j] = 1;
    for (let k = rank - 1; k >= 0; k--) reflect(vector, 0, k);
    for (let i = 0; i < n; i++) vectors[i * n + j] = vector[i];
    yield;
  }
}
