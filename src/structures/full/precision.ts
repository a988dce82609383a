// The posterior precision as a whole matrix. P = U Uᵀ with U upper triangular, so that the root U⁻ᵀ of the covariance is
// the lower triangular one.

import { NotPositiveDefiniteError } from "../../errors.ts";
import { dryBytes, keptMatrix } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import {
  addToDiagonal,
  allocateFloats,
  bringOut,
  copyIn,
  copyOut,
  copyOutTo,
  inMemory,
  type Numbers,
  openScope,
  type Pointer,
} from "../../kernels/memory.ts";
import { atOnce, inPieces, oneStep, type Steps } from "../../kernels/steps.ts";
import { choleskyInSteps, eachRows } from "../../linalg/in-steps.ts";
import type { Backward } from "../../network/passes.ts";
import { type ReadSums, symmetric } from "../curvature.ts";
import { rowsCovariance, rowsVariance } from "../jacobian-rows.ts";
import type { Precision, PrecisionOptions, Prepared } from "../precision.ts";
import type { Prior } from "../prior.ts";
import type { FullCurvature } from "./curvature.ts";

/** Rounding of the eigenvalues beside δ that leaves their logarithms right; a large matrix takes long to factor anew. */
const enough = (n: number) => (n <= 256 ? 1e-10 : 1e-8);

/** Factors P = h H + P₀. */
export function fullPrecision(
  curvature: FullCurvature,
  h: number,
  prior: Prior,
  { inverse = false }: PrecisionOptions,
): Steps<Precision> {
  return oneStep(() => new FullPrecision(curvature, h, prior, inverse));
}

/** P and its factor. */
export class FullPrecision implements Precision {
  readonly #curvature: FullCurvature;
  readonly #h: number;
  readonly #prior: Prior;
  readonly #inverse: boolean;
  #upper: Float64Array | undefined;
  #covariance: Float64Array | undefined;
  #variance: Float64Array | undefined;
  /** Its eigenvalues. */
  #shifted: Float64Array | undefined;

  constructor(curvature: FullCurvature, h: number, prior: Prior, inverse: boolean) {
    this.#inverse = inverse;
    this.#curvature = curvature;
    this.#h = h;
    this.#prior = prior;
  }

  get #size(): number {
    return this.#curvature.size;
  }

  *dense(): Steps<Float64Array> {
    const n = this.#size;
    const { matrix } = this.#curvature;
    const delta = this.#prior.spread();
    const p = new Float64Array(n * n);
    yield* eachRows(n, (first, end) => {
      for (let i = first * n; i < end * n; i++) p[i] = this.#h * matrix[i];
      for (let i = first; i < end; i++) p[i * n + i] += delta[i];
    });
    return p;
  }

  /** U, by a Cholesky factorisation of the matrix read backwards. */
  *factor(): Steps<Float64Array> {
    if (this.#upper !== undefined) return this.#upper;
    const n = this.#size;
    const { matrix } = this.#curvature;
    const delta = this.#prior.spread();
    const end = openScope();
    try {
      const l = allocateFloats("float64", n * n);
      const last = l / 8 + n * n - 1;
      yield* eachRows(n, (first, end) =>
        inMemory("float64", (memory) => {
          for (let i = first * n; i < end * n; i++) memory[last - i] = this.#h * matrix[i];
          for (let i = first; i < end; i++) memory[last - i * (n + 1)] += delta[i];
        }),
      );
      const failed = yield* choleskyInSteps(n, l, n);
      if (failed !== 0) {
        const pivot = inMemory("float64", (memory) => memory[l / 8 + (failed - 1) * (n + 1)]);
        throw new NotPositiveDefiniteError(n - failed, pivot);
      }
      const upper = keptMatrix(n * n);
      yield* eachRows(n, (first, end) =>
        inMemory("float64", (memory) => {
          for (let i = first; i < end; i++) {
            for (let j = i; j < n; j++) upper[i * n + j] = memory[last - i * n - j];
          }
        }),
      );
      this.#upper = upper;
      return upper;
    } finally {
      end();
    }
  }

  *prepare(what: Prepared): Steps<void> {
    const known = what === "determinant" || what === "gradient" ? yield* this.#eigenvalues() : undefined;
    if (known !== undefined) return;
    if (what === "determinant" || what === "rows") yield* this.factor();
    else if (what === "gradient") yield* this.#variances();
    else yield* this.#inverted();
  }

  get logDeterminant(): number {
    const eigenvalues = atOnce(this.#eigenvalues());
    if (eigenvalues !== undefined) return eigenvalues.reduce((sum, x) => sum + Math.log(x), 0);
    const n = this.#size;
    const upper = atOnce(this.factor());
    let sum = 0;
    for (let i = 0; i < n; i++) sum += Math.log(upper[i * n + i]);
    return 2 * sum;
  }

  /**
   * With one prior precision the eigenvalues of H say everything, for any prior, and are computed once. They are known to the
   * digits of the largest: where that is too little for δ, a factorisation says more, unless δ is lost in H itself.
   */
  *#eigenvalues(): Steps<Float64Array | undefined> {
    const { precision, structure } = this.#prior;
    if (structure !== "scalar" || this.#inverse) return undefined;
    const [delta] = precision;
    const lost = this.#curvature.rounding * this.#h > enough(this.#size) * delta;
    if (lost && (yield* this.#factors())) return undefined;
    this.#shifted ??= (yield* this.#curvature.eigenvalues())?.map((x) => this.#h * x + delta);
    return this.#shifted;
  }

  *#factors(): Steps<boolean> {
    try {
      return (yield* this.factor()).length >= 0;
    } catch (error) {
      if (error instanceof NotPositiveDefiniteError) return false;
      throw error;
    }
  }

  logPriorGradient(): Float64Array {
    const { precision } = this.#prior;
    const eigenvalues = atOnce(this.#eigenvalues());
    if (eigenvalues !== undefined) {
      const [delta] = precision;
      return Float64Array.of(eigenvalues.reduce((total, x) => total + delta / x, 0));
    }
    return this.#prior.sums(atOnce(this.variance())).map((trace, i) => precision[i] * trace);
  }

  *traces(parts: readonly FullCurvature[]): Steps<Float64Array> {
    const covariance = yield* this.#inverted();
    const sums = new Float64Array(parts.length);
    for (const [c, { matrix }] of parts.entries()) {
      yield* eachRows(this.#size, (first, end) => {
        for (let i = first * this.#size; i < end * this.#size; i++) sums[c] += covariance[i] * matrix[i];
      });
    }
    return sums;
  }

  *variance(): Steps<Float64Array> {
    return (yield* this.#variances()).slice();
  }

  /** The diagonal of U⁻ᵀ U⁻¹: squares of the columns of U⁻¹. */
  *#variances(): Steps<Float64Array> {
    if (this.#variance !== undefined) return this.#variance;
    const n = this.#size;
    const upper = yield* this.factor();
    const end = openScope();
    try {
      const x = allocateFloats("float64", n * n);
      const at = allocateFloats("float64", n);
      yield* inPieces(() => {
        invertUpper(n, upper, x);
        const kernels = kernelsFor("float64");
        kernels.fill(n, 0, at);
        kernels.addSquares(n, n, x, at);
      });
      this.#variance = copyOut("float64", at, n) as Float64Array;
      return this.#variance;
    } finally {
      end();
    }
  }

  *covariance(): Steps<Float64Array> {
    const n = this.#size;
    const covariance = yield* this.#inverted();
    const copy = new Float64Array(n * n);
    yield* eachRows(n, (first, end) => copy.set(covariance.subarray(first * n, end * n), first * n));
    return copy;
  }

  *#inverted(): Steps<Float64Array> {
    if (this.#covariance !== undefined) return this.#covariance;
    const n = this.#size;
    const upper = yield* this.factor();
    const end = openScope();
    try {
      // P⁻¹ = U⁻ᵀ U⁻¹
      const x = allocateFloats("float64", n * n);
      const result = allocateFloats("float64", n * n);
      yield* inPieces(() => {
        invertUpper(n, upper, x);
        kernelsFor("float64").syrk(n, n, x, 1, n, result, n, 1, false, false);
      });
      const rows: ReadSums = (start, end, to, at) => copyOutTo("float64", result + 8 * start, end - start, to, at);
      this.#covariance = dryBytes() === undefined ? yield* symmetric(rows, n) : keptMatrix(n * n);
      return this.#covariance;
    } finally {
      end();
    }
  }

  whiten(rows: Pointer, n: number): void {
    // R = U⁻ᵀ: each row v becomes (U⁻¹ vᵀ)ᵀ.
    const size = this.#size;
    const upper = copyIn("float64", atOnce(this.factor()), true);
    kernelsFor("float64").solveBackward(size, n, upper, size, 1, rows, 1, size);
  }

  colour(rows: Pointer, n: number): void {
    const size = this.#size;
    const upper = copyIn("float64", atOnce(this.factor()), true);
    kernelsFor("float64").solveForward(size, n, upper, 1, size, rows, 1, size);
  }

  *quadraticForm(rows: Float64Array, n: number): Steps<Float64Array> {
    const size = this.#size;
    const dense = yield* this.dense();
    const result = new Float64Array(n);
    yield* inPieces(() => {
      const kernels = kernelsFor("float64");
      const [x, p] = [copyIn("float64", rows, true), copyIn("float64", dense, true)];
      const y = allocateFloats("float64", n * size);
      kernels.gemm(1, n, size, size, x, 0, size, 1, p, 0, size, 1, y, 0, size, 1, false);
      const forms = allocateFloats("float64", n);
      kernels.dotRows(n, size, x, y, forms, false);
      bringOut("float64", forms, n, result, 0);
    });
    return result;
  }

  functionCovariance(backward: Backward): Numbers {
    return rowsCovariance(backward, this.#curvature.selection, this);
  }

  functionVariance(backward: Backward): Numbers {
    return rowsVariance(backward, this.#curvature.selection, this);
  }
}

/** Writes U⁻¹, [n, n]. */
function invertUpper(n: number, upper: Float64Array, x: Pointer): void {
  const kernels = kernelsFor("float64");
  kernels.fill(n * n, 0, x);
  addToDiagonal(n, 1, x);
  kernels.solveBackward(n, n, copyIn("float64", upper), n, 1, x, n, 1);
}
