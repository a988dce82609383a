// Eigenbases of factors. Where eigenvalues are equal, as all of a null space are, any rotation of their vectors is as good for
// the factor, but not for eigenvalues that are corrected in it: there the basis is defined, so that it depends neither on the
// order of the examples nor on the runtime.

import { keptMatrix } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../kernels/memory.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import { gradedEigh, isGraded } from "../../linalg/graded.ts";
import { eigenvaluesInSteps, eighInSteps, vectorsInSteps } from "../../linalg/in-steps.ts";
import { multiple } from "../curvature.ts";

/** Eigenvalues, ascending, and eigenvectors in columns. */
export interface Basis {
  readonly values: Float64Array;
  readonly vectors: Float64Array;
  /** Computes vectors in steps that are not there yet. */
  complete?(): Steps<void>;
}

/** The order from which on vectors wait until they are asked for: determinants and evidences do without them. */
const LATER = 128;

/** A basis whose vectors are computed at first use. */
class LaterBasis implements Basis {
  readonly values: Float64Array;
  #make: (() => Steps<Float64Array>) | undefined;
  #vectors: Float64Array | undefined;

  constructor(values: Float64Array, make: () => Steps<Float64Array>) {
    this.values = values;
    this.#make = make;
  }

  get vectors(): Float64Array {
    atOnce(this.complete());
    return this.#vectors as Float64Array;
  }

  *complete(): Steps<void> {
    if (this.#make === undefined) return;
    const made = yield* this.#make();
    this.#vectors ??= made;
    this.#make = undefined;
  }
}

/** Of a positive semidefinite matrix [n, n], times a factor. Eigenvalues that rounding made negative are 0. */
export function* eigenbasis(matrix: Float64Array, n: number, factor: number): Steps<Basis> {
  if (isGraded(matrix, n)) return yield* gradedEigh(multiple(matrix, factor), n);
  const live = liveRows(matrix, n);
  if (live.length === n) return n < LATER ? yield* usual(matrix, n, factor) : yield* later(matrix, n, factor);
  // Rows of zeros, as of inputs that are always 0, are eigenvectors as they stand.
  const m = live.length;
  const rest = new Float64Array(m * m);
  for (let i = 0; i < m; i++) for (let j = 0; j < m; j++) rest[i * m + j] = matrix[live[i] * n + live[j]];
  const basis = m < LATER ? yield* usual(rest, m, factor) : yield* later(rest, m, factor);
  const values = new Float64Array(n);
  values.set(basis.values, n - m);
  return new LaterBasis(values, () => amongZeros(basis, n, live));
}

/** The rows of a symmetric matrix that have other numbers than 0. */
function liveRows(matrix: Float64Array, n: number): number[] {
  const live: number[] = [];
  for (let i = 0; i < n; i++) {
    let j = matrix[i * (n + 1)] === 0 ? 0 : n;
    while (j < n && matrix[i * n + j] === 0) j++;
    if (matrix[i * (n + 1)] !== 0 || j < n) live.push(i);
  }
  return live;
}

/** The vectors [m, m] of a basis at the live rows of [n, n], behind unit vectors of the others. */
function* amongZeros(basis: Basis, n: number, live: readonly number[]): Steps<Float64Array> {
  yield* basis.complete?.() ?? [];
  const { vectors } = basis;
  const m = live.length;
  const result = keptMatrix(n * n);
  for (let i = 0, next = 0; i < n; i++) {
    if (live[next] === i) result.set(vectors.subarray(next * m, ++next * m), i * n + n - m);
    else result[i * n + i - next] = 1;
  }
  return result;
}

/** As `usual`, but with vectors that wait. */
function* later(matrix: Float64Array, n: number, factor: number): Steps<Basis> {
  const { values, rest } = yield* eigenvaluesInSteps(matrix, n, factor);
  return new LaterBasis(
    values.map((x) => Math.max(x, 0)),
    () => vectorsInSteps(rest, n),
  );
}

function* usual(matrix: Float64Array, n: number, factor = 1): Steps<Basis> {
  if (n === 0) return { values: new Float64Array(), vectors: new Float64Array() };
  if (n === 1) return { values: Float64Array.of(Math.max(matrix[0] * factor, 0)), vectors: Float64Array.of(1) };
  const { values, vectors } = yield* eighInSteps(matrix, n, true, factor);
  return { values: values.map((x) => Math.max(x, 0)), vectors };
}

/**
 * As `eigenbasis`, of a matrix times a factor, but vectors of equal eigenvalues are those of a finer matrix [n, n], if there is one, that tells apart what
 * the factor does not; and where these are equal too, those of a fixed one.
 * @param rounding of the sums that made the factor: 2⁻⁵² or 2⁻²³
 */
export function definedBasis(
  matrix: Float64Array,
  n: number,
  factor: number,
  finer: Float64Array | undefined,
  rounding: number,
): Steps<Basis> {
  return decided(matrix, n, [...(finer === undefined ? [] : [finer]), places(n)], rounding, factor);
}

/** Different numbers, the diagonal of a matrix. */
const places = (n: number) => new Float64Array(n).map((_, i) => (i + 1) / n);

/** The eigenbasis of a matrix; where eigenvalues are equal, that of the next ones. */
function* decided(
  matrix: Float64Array,
  n: number,
  next: readonly Float64Array[],
  rounding: number,
  factor = 1,
): Steps<Basis> {
  if (next.length === 0) return yield* usual(matrix, n);
  // Eigenvalues this far apart, by the larger, have vectors that rounding does not turn.
  const apart = Math.sqrt(rounding);
  // What is all but null where positions were reduced is not so in the curvature: its directions must not be left to rounding.
  const none = Math.max(8 * n * rounding, next.length > 1 ? apart : 0);
  const graded = isGraded(matrix, n);
  const { values, vectors } = yield* graded ? gradedEigh(multiple(matrix, factor), n, none) : usual(matrix, n, factor);
  const floor = graded ? 0 : none * values[n - 1];
  const same = (j: number) => values[j] <= floor || values[j] - values[j - 1] <= apart * values[j];
  for (let first = 0, end = 1; first < n; first = end++) {
    while (end < n && same(end)) end++;
    const m = end - first;
    if (m === 1) continue;
    const own = columnsOf(vectors, n, first, m);
    const [now, ...rest] = next.map((other) => restricted(other, n, own, m));
    const rotated = product(own, (yield* decided(now, m, rest, rounding)).vectors, n, m, m);
    for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) vectors[i * n + first + j] = rotated[i * m + j];
  }
  return { values, vectors };
}

/** Columns [n, m] of a matrix [n, n]. */
function columnsOf(matrix: Float64Array, n: number, first: number, m: number): Float64Array {
  const result = new Float64Array(n * m);
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) result[i * m + j] = matrix[i * n + first + j];
  return result;
}

/** Uᵀ M U, symmetric to the last bit, of a symmetric matrix [n, n], or a diagonal [n], and columns [n, m]. */
function restricted(matrix: Float64Array, n: number, u: Float64Array, m: number): Float64Array {
  return scope(() => {
    const { gemm, gemmt, mirror, scaleRows } = kernelsFor("float64");
    const [x, y] = [copyIn("float64", matrix), copyIn("float64", u)];
    const [product, to] = [allocateFloats("float64", n * m), allocateFloats("float64", m * m)];
    if (matrix.length === n) scaleRows(n, m, y, x, 1, product);
    else gemm(1, n, m, n, x, 0, n, 1, y, 0, m, 1, product, 0, m, 1, false);
    gemmt(m, n, y, 1, m, product, m, 1, to, m, 1, false);
    mirror(m, to, m);
    return copyOut("float64", to, m * m) as Float64Array;
  });
}

/** [m, k] · [k, n] */
function product(a: Float64Array, b: Float64Array, m: number, k: number, n: number): Float64Array {
  return scope(() => {
    const [x, y, to] = [copyIn("float64", a), copyIn("float64", b), allocateFloats("float64", m * n)];
    kernelsFor("float64").gemm(1, m, n, k, x, 0, k, 1, y, 0, n, 1, to, 0, n, 1, false);
    return copyOut("float64", to, m * n) as Float64Array;
  });
}
