// What conjugate gradients of a softmax regression are preconditioned by: M = Φᵀ R² Φ + δ, one matrix for all classes, R = diag(√(u_i λ_i)).

import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, copyTo, inMemory, type Pointer } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { choleskyInSteps } from "../linalg/in-steps.ts";
import { product } from "../network/product.ts";
import { solveBoth } from "./damped-steps.ts";

/** Φ [N, S], in the kernels' memory of the current scope, for so many classes and a penalty. */
export interface Features {
  readonly phi: Pointer;
  readonly n: number;
  /** S */
  readonly size: number;
  readonly classes: number;
  /** δ */
  readonly penalty: number;
}

export interface Preconditioner {
  /** Makes it for √(u_i λ_i) of each row; false where it has none. */
  factor(roots: Float64Array): Steps<boolean>;
  /** M⁻¹ r, of r [S, C], after `factor`. */
  solve(r: Float64Array): Float64Array;
}

/** What is added to the diagonal, in parts of it: Φ may have columns, or rows, that repeat each other. */
const JITTER = 1e-10;
/** Rows that are weighed at once. */
const ROWS = 512;
/** The smallest penalty, in parts of the longest row's square, of which an inverse by rows leaves enough digits. */
const LEAST_PENALTY = 1e-8;

/**
 * By the order of the features; by that of the rows where both matrices of these are no larger than one of the features, and the penalty is not
 * lost beside what rows add to it. @param longest max u_i ‖φ_i‖²
 */
export function preconditionerOf(features: Features, longest: number): Preconditioner {
  const { n, size, penalty } = features;
  const byRows = 2 * n * n <= size * size && penalty >= LEAST_PENALTY * longest && penalty > 0;
  return byRows ? new ByRows(features) : new ByFeatures(features);
}

/** By the Cholesky factor of M, of order S. */
class ByFeatures implements Preconditioner {
  readonly #given: Features;
  readonly #gram: Pointer;
  readonly #place: Pointer;

  constructor(given: Features) {
    this.#given = given;
    this.#gram = allocateFloats("float64", given.size ** 2);
    this.#place = allocateFloats("float64", given.size * given.classes);
  }

  *factor(roots: Float64Array): Steps<boolean> {
    const { phi, n, size: s, penalty } = this.#given;
    for (let first = 0; first < n; first += ROWS) {
      const count = Math.min(ROWS, n - first);
      yield* inPieces(() => {
        const kernels = kernelsFor("float64");
        const weighed = allocateFloats("float64", count * s);
        const own = copyIn("float64", roots.subarray(first, first + count));
        kernels.scaleRows(count, s, phi + 8 * first * s, own, 1, weighed);
        kernels.syrk(s, count, weighed, 1, s, this.#gram, s, 1, first > 0, false);
      });
    }
    inMemory("float64", (memory) => {
      for (let i = 0; i < s; i++) {
        const at = this.#gram / 8 + i * (s + 1);
        memory[at] = (1 + JITTER) * (memory[at] + penalty) + Number.MIN_VALUE;
      }
    });
    return (yield* choleskyInSteps(s, this.#gram, s)) === 0;
  }

  solve(r: Float64Array): Float64Array {
    const { size, classes } = this.#given;
    copyTo("float64", this.#place, r);
    solveBoth(size, this.#gram, this.#place, classes);
    return copyOut("float64", this.#place, size * classes) as Float64Array;
  }
}

/** By that of K = R Φ Φᵀ R + δ, of order N: M⁻¹ = (I − Φᵀ R K⁻¹ R Φ) / δ (Woodbury). Φ Φᵀ is made once. */
class ByRows implements Preconditioner {
  readonly #given: Features;
  readonly #gram: Pointer;
  readonly #factor: Pointer;
  readonly #rows: Pointer;
  readonly #columns: Pointer;
  #roots: Float64Array = new Float64Array();
  #begun = false;

  constructor(given: Features) {
    this.#given = given;
    const { n, size, classes } = given;
    this.#gram = allocateFloats("float64", n * n);
    this.#factor = allocateFloats("float64", n * n);
    this.#rows = allocateFloats("float64", n * classes);
    this.#columns = allocateFloats("float64", size * classes);
  }

  *factor(roots: Float64Array): Steps<boolean> {
    const { phi, n, size, penalty } = this.#given;
    if (!this.#begun)
      yield* inPieces(() => kernelsFor("float64").syrk(n, size, phi, size, 1, this.#gram, n, 1, false, false));
    this.#begun = true;
    this.#roots = roots;
    inMemory("float64", (memory) => {
      const [from, to] = [this.#gram / 8, this.#factor / 8];
      for (let i = 0; i < n; i++) {
        for (let j = 0; j <= i; j++) memory[to + i * n + j] = roots[i] * roots[j] * memory[from + i * n + j];
        memory[to + i * (n + 1)] = (1 + JITTER) * (memory[to + i * (n + 1)] + penalty);
      }
    });
    return (yield* choleskyInSteps(n, this.#factor, n)) === 0;
  }

  solve(r: Float64Array): Float64Array {
    const { phi, n, size, classes, penalty } = this.#given;
    const kernels = kernelsFor("float64");
    const [rows, columns] = [this.#rows, this.#columns];
    copyTo("float64", columns, r);
    const across = { at: phi, rows: n, columns: size };
    product(kernels, 1, { ...across, transposed: false }, { at: columns, rows: size, columns: classes }, rows, false);
    this.#scale();
    solveBoth(n, this.#factor, rows, classes);
    this.#scale();
    product(kernels, 1, { ...across, transposed: true }, { at: rows, rows: n, columns: classes }, columns, false);
    const along = copyOut("float64", columns, size * classes) as Float64Array;
    return r.map((one, k) => (one - along[k]) / penalty);
  }

  #scale(): void {
    const { n, classes } = this.#given;
    inMemory("float64", (memory) => {
      const at = this.#rows / 8;
      for (let i = 0; i < n; i++) for (let c = 0; c < classes; c++) memory[at + i * classes + c] *= this.#roots[i];
    });
  }
}
