// The diagonal alone, [S].

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { type Curvature, checkSame, checkSquare, multiple, notMadeOf, readVectors, sum } from "../curvature.ts";
import type { Selection } from "../selection.ts";

/** The diagonal of the curvature. */
export class DiagonalCurvature implements Curvature {
  readonly structure = "diagonal";
  readonly selection: Selection;
  readonly examples: number;
  /** [S] */
  readonly values: Float64Array;

  constructor(selection: Selection, examples: number, values: Float64Array) {
    this.selection = selection;
    this.examples = examples;
    this.values = values;
  }

  get size(): number {
    return this.selection.size;
  }

  diagonal(): NDArray {
    return new NDArray(this.values.slice(), [this.size]);
  }

  dense({ memoryBudget }: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, memoryBudget);
    const matrix = new NDArray(new Float64Array(n * n), [n, n]);
    this.values.forEach((x, i) => {
      matrix.data[i * n + i] = x;
    });
    return matrix;
  }

  times(v: ArrayLike): NDArray {
    const x = readVectors("times", v, this.size);
    const product = Float64Array.from(x.data, (entry, i) => entry * this.values[i % this.size]);
    return new NDArray(product, x.shape);
  }

  factors(): never {
    throw notMadeOf("factors", this);
  }

  eigenbases(): never {
    throw notMadeOf("eigenbases", this);
  }

  merge(other: Curvature): DiagonalCurvature {
    checkSame(this, other);
    const values = sum(this.values, (other as DiagonalCurvature).values);
    return new DiagonalCurvature(this.selection, this.examples + other.examples, values);
  }

  scale(factor: number): DiagonalCurvature {
    return new DiagonalCurvature(this.selection, this.examples, multiple(this.values, factor));
  }
}
