// Factorisations of large symmetric matrices in steps of a few milliseconds: the same bits as those at once.

import { LaplaceError } from "../errors.ts";
import { dryBytes, keptMatrix } from "../kernels/dry-run.ts";
import { withEigh } from "../kernels/eigh.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocate,
  allocateFloats,
  copyOut,
  copyOutTo,
  copyTo,
  inMemory,
  openScope,
  type Pointer,
} from "../kernels/memory.ts";
import { inBurst, inPieces, type Steps } from "../kernels/steps.ts";

/** The order up to which a factorisation is one step. */
const SMALL = 384;

/** The kernel `cholesky` of a matrix [n, n], row stride ra. */
export function* choleskyInSteps(n: number, a: Pointer, ra: number): Steps<number> {
  if (!inBurst() || n < SMALL) {
    const failed = kernelsFor("float64").cholesky(n, a, ra);
    yield;
    return failed;
  }
  // Halves as assembly/symmetric.ts does, so that every element is the same sum.
  const half = Math.floor((n + 15) / 16) * 8;
  const below = a + 8 * half * ra;
  const rest = below + 8 * half;
  const failed = yield* choleskyInSteps(half, a, ra);
  if (failed !== 0) return failed;
  yield* inPieces(() => {
    const kernels = kernelsFor("float64");
    kernels.solveForward(half, n - half, a, ra, 1, below, 1, ra);
    kernels.syrk(n - half, half, below, ra, 1, rest, ra, -1, true, false);
  });
  const later = yield* choleskyInSteps(n - half, rest, ra);
  return later === 0 ? 0 : later + half;
}

/** The largest order: a matrix and a workspace of three times its size lie at addresses of 32 bits. */
const LARGEST = 11569;

/** @throws LaplaceError for an order whose eigenvalues need more memory than there is */
export function checkOrder(n: number): void {
  if (n > LARGEST && dryBytes() === undefined)
    throw new LaplaceError(`eigh: a matrix of order ${n} needs more than 4 GiB.`);
}

/**
 * Decomposes the symmetric matrix [n, n] at `v` in place: eigenvalues, ascending, at `w`, and where they are asked for, vectors
 * in columns in its place. @param rest what was kept of a workspace: its eigenvalues are known, only vectors are left
 * @returns the workspace @throws LaplaceError for an eigenvalue that does not converge
 */
export function* decompose(n: number, v: Pointer, w: Pointer, vectors: boolean, rest?: Float64Array): Steps<Pointer> {
  const kernels = withEigh(kernelsFor("float64"));
  // The kernel counts in 32 bits: of what only dry runs have, the squares matter.
  const work = allocate(n > LARGEST ? 3 * 8 * n * n : kernels.eighWorkspace(n) >>> 0);
  let status = 0;
  if (rest !== undefined) yield* inPieces(() => copyTo("float64", stateAt(work), rest, true));
  else status = inBurst() ? kernels.eighBegin(n, v, w, work) : kernels.eigh(n, v, w, work, vectors) + 1;
  while (status === 0 && dryBytes() === undefined) {
    yield;
    status = kernels.eighNext(n, v, w, work, vectors);
  }
  if (status > 1) throw new LaplaceError(`eigh: eigenvalue ${status - 2} did not converge.`);
  return work;
}

/** Where the numbers begin in a workspace that outlast values without vectors. */
const stateAt = (work: Pointer): Pointer => Math.ceil(work / 64) * 64;

/** Copies a symmetric matrix [n, n] times a factor to `v`. */
function* bring(matrix: Float64Array, n: number, factor: number, v: Pointer): Steps<void> {
  yield* inPieces(() => copyTo("float64", v, matrix, true));
  if (factor === 1) return;
  yield* eachRows(n, (first, end) =>
    inMemory("float64", (memory) => {
      for (let i = v / 8 + first * n; i < v / 8 + end * n; i++) memory[i] *= factor;
    }),
  );
}

/** Eigenvalues of a symmetric matrix [n, n] times a factor, ascending, and vectors [n, n] in columns where they are asked for. */
export function* eighInSteps(
  matrix: Float64Array,
  n: number,
  vectors: boolean,
  factor = 1,
): Steps<{ readonly values: Float64Array; readonly vectors: Float64Array }> {
  checkOrder(n);
  const end = openScope();
  try {
    const [v, w] = [allocateFloats("float64", n * n), allocateFloats("float64", n)];
    yield* bring(matrix, n, factor, v);
    yield* decompose(n, v, w, vectors);
    const values = copyOut("float64", w, n) as Float64Array;
    return { values, vectors: vectors ? yield* copyOutInSteps(v, n * n) : values };
  } finally {
    end();
  }
}

/** Eigenvalues of a symmetric matrix [n, n] times a factor, ascending, and what `vectorsInSteps` makes their vectors of. */
export function* eigenvaluesInSteps(
  matrix: Float64Array,
  n: number,
  factor: number,
): Steps<{ readonly values: Float64Array; readonly rest: Float64Array }> {
  checkOrder(n);
  const end = openScope();
  try {
    const [v, w] = [allocateFloats("float64", n * n), allocateFloats("float64", n)];
    yield* bring(matrix, n, factor, v);
    const work = yield* decompose(n, v, w, false);
    const values = copyOut("float64", w, n) as Float64Array;
    // A row's stride is at most 15 numbers more than n.
    return { values, rest: yield* copyOutInSteps(stateAt(work), 16 + (n + 3) * (n + 15)) };
  } finally {
    end();
  }
}

/** Eigenvectors [n, n] in columns. @param rest what `eigenvaluesInSteps` gave */
export function* vectorsInSteps(rest: Float64Array, n: number): Steps<Float64Array> {
  const end = openScope();
  try {
    const [v, w] = [allocateFloats("float64", n * n), allocateFloats("float64", n)];
    yield* decompose(n, v, w, true, rest);
    return yield* copyOutInSteps(v, n * n);
  } finally {
    end();
  }
}

/** Numbers that are copied in one step. */
const AT_ONCE = 2 ** 18;

/** A copy of so many numbers of float64. */
export function* copyOutInSteps(from: Pointer, length: number): Steps<Float64Array> {
  const result = keptMatrix(length);
  for (let first = 0; first < length && dryBytes() === undefined; first += AT_ONCE) {
    copyOutTo("float64", from + 8 * first, Math.min(AT_ONCE, length - first), result, first);
    yield;
  }
  return result;
}

/** Visits rows of a matrix [n, n], some in a step. */
export function* eachRows(n: number, visit: (first: number, end: number) => void, width = n): Steps<void> {
  const some = Math.max(1, Math.floor(AT_ONCE / Math.max(1, width)));
  for (let first = 0; first < n; first += some) {
    visit(first, Math.min(n, first + some));
    yield;
  }
}
