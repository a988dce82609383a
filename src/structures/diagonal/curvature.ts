// The diagonal alone, [S].

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { type Curvature, checkSame, checkSquare, multiple, readVectors, SelectedCurvature, sum } from "../curvature.ts";
import type { Selection } from "../selection.ts";

/** The diagonal of the curvature. */
export class DiagonalCurvature extends SelectedCurvature implements Curvature {
  readonly structure = "diagonal";
  /** [S] */
  readonly values: Float64Array;

  constructor(selection: Selection, examples: number, values: Float64Array) {
    super(selection, examples);
    this.values = values;
  }

  diagonal(): NDArray {
    return new NDArray(this.values.slice(), [this.size]);
  }

  dense(options: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, options);
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

  merge(other: Curvature): DiagonalCurvature {
    checkSame(this, other);
    const values = sum(this.values, other.values);
    return new DiagonalCurvature(this.selection, this.examples + other.examples, values);
  }

  scale(factor: number): DiagonalCurvature {
    return new DiagonalCurvature(this.selection, this.examples, multiple(this.values, factor));
  }
}
