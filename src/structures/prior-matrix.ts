// Priors of any precision: P₀ = δ M with M in the structure of the posterior, which adds to its curvature.

import { sumOfLogs } from "../array/logs.ts";
import { ValueError } from "../errors.ts";
import { allocateFloats, copyTo, inMemory, openScope } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { choleskyInSteps, eachRows } from "../linalg/in-steps.ts";
import type { Curvature } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { FullCurvature } from "./full/curvature.ts";
import { KroneckerCurvature } from "./kronecker/curvature.ts";
import { KroneckerPrior, priorOfFactors } from "./kronecker/prior.ts";
import type { Precision, PrecisionOptions, Prepared } from "./precision.ts";
import { Prior, type PriorMatrix } from "./prior.ts";
import type { SelectedParameter, Selection } from "./selection.ts";
import { broughtHessian, rowOf } from "./table.ts";

/** Curvatures of the structures whose precisions can be M of a prior. */
export type Added = FullCurvature | DiagonalCurvature | KroneckerCurvature;

/** That itself: what is made of it is not the next one's. */
const isKronecker = (curvature: Curvature): curvature is KroneckerCurvature =>
  curvature.constructor === KroneckerCurvature;

const isSummed = (curvature: Curvature): curvature is FullCurvature | DiagonalCurvature =>
  curvature instanceof FullCurvature || curvature instanceof DiagonalCurvature;

/** Whether precisions of a curvature's structure can be M of a prior. */
export const addsPriors = (curvature: Curvature): curvature is Added => isSummed(curvature) || isKronecker(curvature);

/** A curvature as M of a prior; undefined for a structure that has none. */
export function priorMatrixOf(curvature: Curvature): PriorMatrix | undefined {
  if (isKronecker(curvature)) return new KroneckerPrior(curvature);
  return isSummed(curvature) ? new AddedPrior(curvature) : undefined;
}

/** The whole matrix M, [S, S]. */
export const wholePrior = (selection: Selection, matrix: Float64Array): PriorMatrix =>
  new AddedPrior(new FullCurvature(selection, 1, matrix));

/** The factors of a parameter: B ⊗ A of a weight, B of a vector, [groups, n, n]. */
export interface FactorsOf {
  readonly selected: SelectedParameter;
  readonly b: Float64Array;
  readonly a: Float64Array | undefined;
}

/** The matrix M with these factors of each parameter, in their order. */
export const factorsPrior = (selection: Selection, factors: readonly FactorsOf[]): PriorMatrix =>
  new KroneckerPrior(
    new KroneckerCurvature(
      selection,
      1,
      factors.map((one) => ({ ...one, count: 1 })),
    ),
  );

/** What a posterior's precision is made of: P = h H + P₀. */
export interface Made {
  readonly precision: () => Precision;
  readonly h: number;
  readonly prior: Prior;
  readonly damping: boolean;
}

/** The precision of a posterior as M, of Kronecker factors the nearest product. @param curvature the posterior's, which says the structure */
export function* priorOfPrecision(curvature: Added, { precision, h, prior, damping }: Made): Steps<PriorMatrix> {
  const { selection, examples } = curvature;
  if (isKronecker(curvature)) return yield* priorOfFactors(curvature, h, prior, damping);
  if (curvature instanceof FullCurvature) {
    return new AddedPrior(new FullCurvature(selection, examples, yield* precision().dense()));
  }
  const values = (yield* precision().variance()).map((x) => 1 / x);
  return new AddedPrior(new DiagonalCurvature(selection, examples, values));
}

/** M of a prior, as a curvature that adds to others: the whole matrix or a diagonal. */
class AddedPrior implements PriorMatrix {
  readonly curvature: FullCurvature | DiagonalCurvature;
  readonly diagonal: Float64Array;
  #logDeterminant: number | undefined;

  constructor(curvature: FullCurvature | DiagonalCurvature) {
    this.curvature = curvature;
    this.diagonal = curvature.diagonal().data as Float64Array;
  }

  get logDeterminant(): number {
    return this.#logDeterminant as number;
  }

  *prepare(): Steps<void> {
    const { curvature } = this;
    this.#logDeterminant ??=
      curvature instanceof DiagonalCurvature ? sumOfLogs(curvature.values) : yield* logDeterminantOf(curvature);
  }

  *times(v: Float64Array): Steps<Float64Array> {
    const { curvature, diagonal } = this;
    if (curvature instanceof DiagonalCurvature) return v.map((x, i) => x * diagonal[i]);
    const n = v.length;
    const result = new Float64Array(n);
    yield* eachRows(n, (first, end) => {
      for (let i = first; i < end; i++) {
        let sum = 0;
        for (let j = 0; j < n; j++) sum += curvature.matrix[i * n + j] * v[j];
        result[i] = sum;
      }
    });
    return result;
  }

  /** As the precision of the curvature h H + δ M alone. */
  *precision(curvature: Curvature, h: number, prior: Prior, options: PrecisionOptions): Steps<Precision> {
    const { clip, signed } = options;
    const [delta] = prior.precision;
    const own = clip === true ? (yield* broughtHessian().clipped(curvature)).curvature : curvature;
    const row = rowOf(own);
    const theirs = row.columnSums(this.curvature);
    const sums: Float64Array[] = [];
    for (const [k, ours] of row.columnSums(own).entries()) {
      const sum = new Float64Array(ours.length);
      yield* eachRows(
        ours.length / own.size,
        (first, end) => {
          for (let i = first * own.size; i < end * own.size; i++) sum[i] = h * ours[i] + delta * theirs[k][i];
        },
        own.size,
      );
      sums.push(sum);
    }
    const { selection, examples } = own;
    const none = new Prior(selection, new Float64Array(own.size), prior.mean);
    const by = signed === true ? broughtHessian() : row;
    const precision = yield* by.precision(row.lift(own, selection, examples, sums), 1, none, {
      damping: false,
      inverse: true,
    });
    return withGradient(precision, this.curvature, delta);
  }
}

/** The same with the derivative of its log determinant in log δ, δ tr(P⁻¹ M). */
function withGradient(precision: Precision, matrix: Curvature, delta: number): Precision {
  let gradient: Float64Array | undefined;
  const prepare = precision.prepare.bind(precision);
  return Object.assign(precision, {
    *prepare(what: Prepared): Steps<void> {
      yield* prepare(what === "gradient" ? "traces" : what);
      if (what === "gradient" || what === "traces") {
        gradient ??= (yield* precision.traces([matrix])).map((trace) => delta * trace);
      }
    },
    logPriorGradient: () => gradient as Float64Array,
  });
}

/** @throws ValueError for a matrix that is not positive definite */
function* logDeterminantOf({ matrix, size: n }: FullCurvature): Steps<number> {
  const end = openScope();
  try {
    const l = allocateFloats("float64", n * n);
    yield* inPieces(() => copyTo("float64", l, matrix, true));
    const failed = yield* choleskyInSteps(n, l, n);
    if (failed !== 0) {
      throw new ValueError(
        `The matrix of the prior is not positive definite: a Cholesky factorisation stopped at its row ${failed - 1}.`,
      );
    }
    return inMemory(
      "float64",
      (memory) => 2 * sumOfLogs(Float64Array.from({ length: n }, (_, i) => memory[l / 8 + i * (n + 1)])),
    );
  } finally {
    end();
  }
}
