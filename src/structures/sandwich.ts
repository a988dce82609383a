// The sandwich covariance C = P⁻¹ M P⁻¹ with M = h² Σ g gᵀ, g the gradient of an example's loss (Huber 1967; White 1982): what the
// weights' estimate varies by where the likelihood is wrong. Its rank is at most the number of examples, so C has no inverse in
// general: what needs one is refused.

import { ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  addToDiagonal,
  allocateFloats,
  copyIn,
  type Numbers,
  openScope,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { copyOutInSteps, eighInSteps } from "../linalg/in-steps.ts";
import type { Backward } from "../network/passes.ts";
import type { Curvature } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { FullCurvature } from "./full/curvature.ts";
import { rowsCovariance, rowsVariance } from "./jacobian-rows.ts";
import { type Precision, solveRows } from "./precision.ts";

/** Whether the outer products' sum lies in a curvature's structure. */
export const hasSandwich = (curvature: Curvature): boolean =>
  curvature instanceof DiagonalCurvature || curvature instanceof FullCurvature;

/** @param precision P @param outer Σ g gᵀ at unit noise, in the same structure @param h 1 / (σ² T) */
export function* sandwich(precision: Precision, outer: Curvature, h: number): Steps<Precision> {
  yield* precision.prepare("rows");
  if (outer instanceof DiagonalCurvature) {
    return new Sandwich(
      precision,
      outer,
      outer.values.map((x) => h * Math.sqrt(x)),
      true,
    );
  }
  const n = outer.size;
  const { values, vectors } = yield* eighInSteps((outer as FullCurvature).matrix, n, true);
  // L = V Λ^½, whose columns are eigenvectors.
  const scales = values.map((x) => h * Math.sqrt(Math.max(x, 0)));
  return new Sandwich(
    precision,
    outer,
    vectors.map((x, i) => x * scales[i % n]),
    false,
  );
}

class Sandwich implements Precision {
  readonly #precision: Precision;
  readonly #outer: Curvature;
  /** L with L Lᵀ = M: [S], or [S, S]. */
  readonly #root: Float64Array;
  readonly #diagonal: boolean;

  constructor(precision: Precision, outer: Curvature, root: Float64Array, diagonal: boolean) {
    this.#precision = precision;
    this.#outer = outer;
    this.#root = root;
    this.#diagonal = diagonal;
  }

  *prepare(): Steps<void> {}

  #refuse(): never {
    throw new ValueError(
      "A sandwich posterior has a covariance, but no evidence, density or precision: it is not the Gaussian of a likelihood and a prior. Ask the posterior that it was made of.",
    );
  }

  get logDeterminant(): number {
    return this.#refuse();
  }

  logPriorGradient(): Float64Array {
    return this.#refuse();
  }

  traces(): Steps<Float64Array> {
    return this.#refuse();
  }

  dense(): Steps<Float64Array> {
    return this.#refuse();
  }

  quadraticForm(): Steps<Float64Array> {
    return this.#refuse();
  }

  *variance(): Steps<Float64Array> {
    const n = this.#outer.size;
    if (this.#diagonal) return (yield* this.#precision.variance()).map((v, i) => (v * this.#root[i]) ** 2);
    const covariance = yield* this.covariance();
    return Float64Array.from({ length: n }, (_, i) => covariance[i * (n + 1)]);
  }

  /** R Rᵀ of the rows R = I whitened. */
  *covariance(): Steps<Float64Array> {
    const n = this.#outer.size;
    const end = openScope();
    try {
      const [x, result] = [allocateFloats("float64", n * n), allocateFloats("float64", n * n)];
      yield* inPieces(() => {
        const kernels = kernelsFor("float64");
        kernels.fill(n * n, 0, x);
        addToDiagonal(n, 1, x);
        this.whiten(x, n);
        kernels.syrk(n, n, x, n, 1, result, n, 1, false, true);
      });
      return yield* copyOutInSteps(result, n * n);
    } finally {
      end();
    }
  }

  /** Rows times L, or times Lᵀ. */
  #times(rows: Pointer, n: number, transposed: boolean): void {
    const size = this.#outer.size;
    const kernels = kernelsFor("float64");
    scope(() => {
      const root = copyIn("float64", this.#root, true);
      if (this.#diagonal) {
        kernels.multiply(n, size, rows, root, rows, false);
        return;
      }
      const product = allocateFloats("float64", n * size);
      const [r, c] = transposed ? [1, size] : [size, 1];
      kernels.gemm(1, n, size, size, rows, 0, size, 1, root, 0, r, c, product, 0, size, 1, false);
      kernels.copyRows(1, n * size, product, 0, rows, 0, false);
    });
  }

  whiten(rows: Pointer, n: number): void {
    solveRows(this.#precision, rows, n);
    this.#times(rows, n, false);
  }

  colour(rows: Pointer, n: number): void {
    this.#times(rows, n, true);
    solveRows(this.#precision, rows, n);
  }

  functionCovariance(backward: Backward): Numbers {
    return rowsCovariance(backward, this.#outer.selection, this);
  }

  functionVariance(backward: Backward): Numbers {
    return rowsVariance(backward, this.#outer.selection, this);
  }
}
