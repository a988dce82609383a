// The largest eigenvalues with their vectors, from the products of the curvature with some random vectors.

import { ValueError } from "../../errors.ts";
import { dryBytes, keptMatrix, keptNumbers } from "../../kernels/dry-run.ts";
import { allocateFloats, scope } from "../../kernels/memory.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import { type Curvature, checkSame, multiple, sameNumbers, sum } from "../curvature.ts";
import { type Eigenpairs, EigenpairsCurvature } from "../eigenpairs.ts";
import { productInSteps, symmetrised } from "../products.ts";
import type { Selection } from "../selection.ts";
import { nystrom, productsOf } from "./nystrom.ts";
import { AUTO_SHARE, mostOf, directions as omega, PROBES, saysAll, sketchSize } from "./sketch.ts";

/** V diag(l) Vᵀ of the curvature's largest eigenvalues. Sums over examples are those of its products, which add exactly. */
export class LowRankCurvature extends EigenpairsCurvature {
  readonly structure = "lowRank";
  /** How many eigenvalues are kept; "auto": as many as leave out a hundredth of the trace. */
  readonly rank: number | "auto";
  /** Ω H, [b, S], with the directions Ω of `directions`; of an exact Hessian with those of `basis`. */
  readonly sketch: Float64Array;
  /** tr H, exactly, [1]; 0 of an exact Hessian, whose trace may cancel. */
  readonly trace: Float64Array;
  /** How many rows r of the Jacobian there were, of which H = Σ rᵀ r; Infinity where that is not known. */
  readonly rows: number;
  /** Of an exact Hessian, [b, S]: orthonormal rows, and some for what they leave out; empty where all of H is known. */
  readonly basis: Float64Array | undefined;
  /** ‖H‖² in the Frobenius norm, of an exact Hessian. */
  #squares = 0;

  constructor(
    selection: Selection,
    examples: number,
    rank: number | "auto",
    sketch: Float64Array,
    trace: Float64Array,
    rows = Number.POSITIVE_INFINITY,
    basis?: Float64Array,
  ) {
    super(selection, examples);
    this.rank = rank;
    this.sketch = sketch;
    this.trace = trace;
    this.rows = rows;
    this.basis = basis;
  }

  /** b */
  get directions(): number {
    return this.sketch.length / this.size;
  }

  /** @param most how many eigenvalues are kept at most; by default those of the rank */
  protected override *decomposed(most?: number): Steps<Eigenpairs> {
    const { size: n, sketch, directions: b } = this;
    if (dryBytes() !== undefined) {
      const k = Math.min(b, mostOf(this.rank));
      yield* eighInSteps(sketch, b, true);
      // The directions, and what the products with them become, are there at once, beside copies in the kernels' memory.
      if (b < n && this.basis === undefined) scope(() => allocateFloats("float64", 8 * b * n));
      return { values: keptNumbers(k), vectors: keptMatrix(k * n) };
    }
    if (b === n) {
      this.#squares = squaresOf(sketch);
      const { values, vectors } = yield* eighInSteps(sketch, n, true);
      return this.#largest(values, (k, i) => vectors[i * n + k], n, most);
    }
    if (this.basis !== undefined) return yield* this.#signed(this.basis, b);
    const { values, vectors: all } = yield* nystrom(omega(n, b), b, sketch, n);
    return this.#largest(values, (k, i) => all[k * n + i], n, most);
  }

  /**
   * Of an exact Hessian, whose eigenvalues have either sign: those of Q H Qᵀ with their vectors (Halko, Martinsson & Tropp 2011, SIAM
   * Review 53, algorithm 5.3). What its products with random directions say by themselves is right for positive matrices only.
   */
  *#signed(basis: Float64Array, b: number): Steps<Eigenpairs> {
    const { size: n, sketch } = this;
    const q = b - PROBES;
    // What the products have along Q: Q H Qᵀ, and below that of the other directions.
    const along = yield* productInSteps(b, q, n, [sketch, n, 1], [basis, 1, n]);
    const core = symmetrised(along.subarray(0, q * q), q);
    // ‖QHQᵀ‖² + 2 ‖QH(1 − QᵀQ)‖², and of the rest the mean square of its products with normal directions.
    const rest = squaresOf(sketch.subarray(q * n)) - squaresOf(along.subarray(q * q));
    this.#squares = 2 * squaresOf(sketch.subarray(0, q * n)) - squaresOf(core) + rest / PROBES;
    const { values, vectors } = yield* eighInSteps(core, q, true);
    const kept = this.#largest(values, (k, i) => vectors[i * q + k], q);
    const k = kept.values.length;
    return { ...kept, vectors: yield* productInSteps(k, n, q, [kept.vectors, q, 1], [basis, n, 1]) };
  }

  /** The eigenvalues that are kept, largest first, of an exact Hessian by their size. */
  #largest(
    values: Float64Array,
    entry: (k: number, i: number) => number,
    n = this.size,
    most: number | undefined = undefined,
  ): Eigenpairs {
    const { basis } = this;
    const rank = most ?? this.rank;
    const signed = basis !== undefined;
    const share = (k: number) => (signed ? values[k] ** 2 : values[k]);
    const order = [...values.keys()].sort((i, j) => share(j) - share(i));
    const least = Math.max(0, (signed ? 1e-26 : 1e-15) * share(order[0]));
    const whole = signed ? this.#squares : this.trace[0];
    const enough = (1 - AUTO_SHARE ** (signed ? 2 : 1)) * whole;
    let sum = 0;
    const kept = order.slice(0, mostOf(rank)).filter((k) => {
      const keep = share(k) > least && (rank !== "auto" || sum < enough);
      sum += share(k);
      return keep;
    });
    const vectors = new Float64Array(kept.length * n);
    kept.forEach((k, at) => {
      for (let i = 0; i < n; i++) vectors[at * n + i] = entry(k, i);
    });
    return { values: Float64Array.from(kept, (k) => values[k]), vectors };
  }

  protected override leftOut(values: Float64Array): number {
    if (this.basis === undefined) return super.leftOut(values);
    return Math.sqrt(Math.max(0, 1 - squaresOf(values) / (this.#squares || 1)));
  }

  /** Their products add: the eigenpairs are those of all examples. */
  merge(other: Curvature): LowRankCurvature {
    checkSame<LowRankCurvature>(this, other);
    if (this.rank !== other.rank) {
      throw new ValueError(`merge: a curvature of rank ${other.rank} does not add to one of rank ${this.rank}.`);
    }
    if (!sameNumbers(this.basis, other.basis)) {
      throw new ValueError(
        "merge: exact Hessians of low rank over more than 1024 weights do not add: fit all data at once.",
      );
    }
    const { selection, rank, basis, size } = this;
    const rows = this.rows + other.rows;
    // All is kept of as many rows as may be; what is not known whole has the directions that it has.
    const partly = [this, other].filter(({ directions, rows }) => !saysAll(directions, size, rows));
    const b =
      partly.length > 0
        ? Math.min(...partly.map(({ directions }) => directions))
        : Math.max(this.directions, other.directions, sketchSize(rank, size, rows));
    const sketch = sum(atOnce(this.#along(b)), atOnce(other.#along(b)));
    return new LowRankCurvature(
      selection,
      this.examples + other.examples,
      rank,
      sketch,
      sum(this.trace, other.trace),
      rows,
      basis,
    );
  }

  /** Its products with b directions; with more than it has where it is known whole. */
  *#along(b: number): Steps<Float64Array> {
    const { size: n, sketch, directions: own } = this;
    if (b === own) return sketch;
    if (b < own && own < n) return sketch.subarray(0, b * n);
    return yield* productsOf(yield* this.decomposed(n), b === n ? "all" : omega(n, b), n);
  }

  scale(factor: number): LowRankCurvature {
    const [sketch, trace] = [multiple(this.sketch, factor), multiple(this.trace, factor)];
    return new LowRankCurvature(this.selection, this.examples, this.rank, sketch, trace, this.rows, this.basis);
  }
}

const squaresOf = (values: Float64Array) => values.reduce((sum, x) => sum + x * x, 0);
