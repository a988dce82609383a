// A curvature by its products with vectors, for which the data are gone through again, beside its diagonal.

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { ValueError } from "../../errors.ts";
import type { DType } from "../../kernels/memory.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import { type Curvature, checkSame, checkSquare, readVectors, SelectedCurvature } from "../curvature.ts";
import type { DiagonalCurvature } from "../diagonal/curvature.ts";
import { Solver } from "../solver.ts";
import type { Times } from "../structure.ts";

/** Some data's part of the products, and by what it is multiplied. */
export interface Term {
  readonly times: Times;
  readonly factor: number;
  /** The network's type, in which products are. */
  readonly dtype: DType;
}

export class OperatorCurvature extends SelectedCurvature {
  readonly structure = "operator";
  /** Its diagonal, which is summed. */
  readonly near: DiagonalCurvature;
  readonly terms: readonly Term[];
  readonly solver: Solver;

  constructor(near: DiagonalCurvature, terms: readonly Term[] = [], solver: Solver = new Solver({})) {
    super(near.selection, near.examples);
    this.near = near;
    this.terms = terms;
    this.solver = solver;
  }

  /** The same by the products of its data. */
  with(times: Times, dtype: DType, solver: Solver): OperatorCurvature {
    return new OperatorCurvature(this.near, [{ times, factor: 1, dtype }], solver);
  }

  /** The same over a view of the selection, or with other sums beside it. */
  beside(near: DiagonalCurvature): OperatorCurvature {
    return new OperatorCurvature(near, this.terms, this.solver);
  }

  /** The type of its numbers' digits. */
  get dtype(): DType {
    return this.terms.every(({ dtype }) => dtype === "float32") ? "float32" : "float64";
  }

  /** From how many draws variances come, if they do. */
  get draws(): number | undefined {
    return this.solver.draws;
  }

  /** H v, the caller's own. */
  *product(v: Float64Array): Steps<Float64Array> {
    if (this.terms.length === 0) {
      throw new ValueError(
        'The curvature has no data, which "operator" goes through for each product: fit it to them.',
      );
    }
    const [first, ...rest] = this.terms;
    const result = yield* first.times(v);
    if (first.factor !== 1) for (let i = 0; i < result.length; i++) result[i] *= first.factor;
    for (const { times, factor } of rest) {
      const one = yield* times(v);
      for (let i = 0; i < result.length; i++) result[i] += factor * one[i];
    }
    return result;
  }

  times(v: ArrayLike): NDArray {
    const { data, shape } = readVectors("times", v, this.size);
    const result = new Float64Array(data.length);
    for (let at = 0; at < data.length; at += this.size) {
      result.set(atOnce(this.product(data.slice(at, at + this.size) as Float64Array)), at);
    }
    return new NDArray(result, shape);
  }

  dense(options: MemoryOptions = {}): NDArray {
    checkSquare("dense", this.size, options);
    const result = new Float64Array(this.size ** 2);
    for (let i = 0; i < this.size; i++) {
      const unit = new Float64Array(this.size);
      unit[i] = 1;
      result.set(atOnce(this.product(unit)), i * this.size);
    }
    return new NDArray(result, [this.size, this.size]);
  }

  diagonal(): NDArray {
    return this.near.diagonal();
  }

  /** @throws ValueError */
  merge(other: Curvature): OperatorCurvature {
    checkSame<OperatorCurvature>(this, other);
    return new OperatorCurvature(this.near.merge(other.near), [...this.terms, ...other.terms], this.solver);
  }

  scale(factor: number): OperatorCurvature {
    const terms = this.terms.map((term) => ({ ...term, factor: factor * term.factor }));
    return new OperatorCurvature(this.near.scale(factor), terms, this.solver);
  }
}
