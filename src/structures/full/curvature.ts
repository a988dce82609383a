// The whole matrix, [S, S].

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { dryBytes } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import { GRADED } from "../../linalg/graded.ts";
import { spectrumOf } from "../../linalg/spectrum.ts";
import { type Curvature, checkSame, checkSquare, multiple, readVectors, SelectedCurvature, sum } from "../curvature.ts";
import type { Selection } from "../selection.ts";

/** The curvature as one symmetric matrix. */
export class FullCurvature extends SelectedCurvature implements Curvature {
  readonly structure = "full";
  /** [S, S] */
  readonly matrix: Float64Array;
  #eigenvalues: Float64Array | undefined;
  #rounding: number | undefined;

  constructor(selection: Selection, examples: number, matrix: Float64Array) {
    super(selection, examples);
    this.matrix = matrix;
  }

  /** Its eigenvalues, computed once, where they were brought. Those that rounding made negative are 0. */
  *eigenvalues(): Steps<Float64Array | undefined> {
    const spectrum = spectrumOf();
    if (this.#eigenvalues === undefined && spectrum !== undefined) {
      const { values } = yield* spectrum(this.matrix, this.size, false);
      this.#eigenvalues = values.map((x) => Math.max(x, 0));
    }
    return this.#eigenvalues;
  }

  /**
   * About what rounding changes in the eigenvalues but not in the matrix: 0 where its rows are of one size, of which a
   * factorisation knows no more.
   */
  get rounding(): number {
    if (this.#rounding !== undefined) return this.#rounding;
    if (dryBytes() !== undefined) return 0;
    let most = 0;
    for (let i = 0; i < this.size; i++) most = Math.max(most, this.matrix[i * (this.size + 1)]);
    let least = most;
    for (let i = 0; i < this.size; i++) least = Math.min(least, this.matrix[i * (this.size + 1)]);
    this.#rounding = most > GRADED * least ? 2 ** -52 * most : 0;
    return this.#rounding;
  }

  diagonal(): NDArray {
    const n = this.size;
    const result = new Float64Array(n);
    for (let i = 0; i < n; i++) result[i] = this.matrix[i * n + i];
    return new NDArray(result, [n]);
  }

  dense(options: MemoryOptions = {}): NDArray {
    checkSquare("dense", this.size, options);
    return new NDArray(this.matrix.slice(), [this.size, this.size]);
  }

  times(v: ArrayLike): NDArray {
    const x = readVectors("times", v, this.size);
    const n = this.size;
    return scope(() => {
      const y = allocateFloats("float64", x.size);
      const [a, b] = [copyIn("float64", x.data), copyIn("float64", this.matrix)];
      kernelsFor("float64").gemm(1, x.size / n, n, n, a, 0, n, 1, b, 0, n, 1, y, 0, n, 1, false);
      return new NDArray(copyOut("float64", y, x.size), x.shape);
    });
  }

  merge(other: Curvature): FullCurvature {
    checkSame(this, other);
    const matrix = sum(this.matrix, other.matrix);
    return new FullCurvature(this.selection, this.examples + other.examples, matrix);
  }

  scale(factor: number): FullCurvature {
    return new FullCurvature(this.selection, this.examples, multiple(this.matrix, factor));
  }
}
