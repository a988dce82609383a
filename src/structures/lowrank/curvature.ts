// The largest eigenvalues with their vectors, from the products of the curvature with some random vectors.

import { ValueError } from "../../errors.ts";
import { dryBytes, keptMatrix, keptNumbers } from "../../kernels/dry-run.ts";
import type { Steps } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import { type Curvature, checkSame, multiple, sum } from "../curvature.ts";
import { type Eigenpairs, EigenpairsCurvature, transposed } from "../eigenpairs.ts";
import { sameNumbers } from "../ekfac/curvature.ts";
import { multiplied } from "../products.ts";
import type { Selection } from "../selection.ts";
import { leftOutOf, signedPairs } from "./signed.ts";
import { AUTO_SHARE, directions, mostOf, sketchSize } from "./sketch.ts";

/** Eigenvalues below this part of the largest are rounding. */
const ROUNDING = 1e-12;

/** V diag(l) Vᵀ of the curvature's largest eigenvalues. Sums over examples are those of its products, which add exactly. */
export class LowRankCurvature extends EigenpairsCurvature {
  readonly structure = "lowRank";
  /** How many eigenvalues are kept; "auto": as many as leave out a hundredth of the trace. */
  readonly rank: number | "auto";
  /** Ω H, [b, S], with the directions Ω of `directions`; of an exact Hessian Q H, or H itself. */
  readonly sketch: Float64Array;
  /** tr H, exactly, [1]; of an exact Hessian, whose trace may cancel, 0. */
  readonly trace: Float64Array;
  /** Of an exact Hessian Q, [b, S]: orthonormal directions, and behind them some for what these leave out; none where H is known. */
  readonly basis: Float64Array | undefined;
  #eigen: Eigenpairs | undefined;
  #squares = 0;

  constructor(
    selection: Selection,
    examples: number,
    rank: number | "auto",
    sketch: Float64Array,
    trace: Float64Array,
    basis?: Float64Array,
  ) {
    super(selection, examples);
    this.rank = rank;
    this.sketch = sketch;
    this.trace = trace;
    this.basis = basis;
  }

  *eigen(): Steps<Eigenpairs> {
    this.#eigen ??= yield* this.#decomposed();
    return this.#eigen;
  }

  *#decomposed(): Steps<Eigenpairs> {
    const { size: n, sketch } = this;
    const b = sketchSize(this.rank, n);
    if (dryBytes() !== undefined) {
      const k = Math.min(b, mostOf(this.rank));
      yield* eighInSteps(sketch, b, true);
      return { values: keptNumbers(k), vectors: keptMatrix(k * n) };
    }
    if (this.basis !== undefined) {
      const { squares, ...pairs } = yield* signedPairs(n, this.rank, this.sketch, this.basis);
      this.#squares = squares;
      return pairs;
    }
    if (b === n) {
      const { values, vectors } = yield* eighInSteps(sketch, n, true);
      return this.#largest(values, (k, i) => vectors[i * n + k]);
    }
    // H ≈ Yᵀ (Ω Yᵀ)⁻¹ Y of Y = Ω H (Tropp, Yurtsever, Udell & Cevher 2017, arXiv:1706.05736, algorithm 3).
    const core = multiplied(directions(n, b), b, sketch, b, n);
    for (let i = 0; i < b; i++) {
      for (let j = 0; j < i; j++) core[i * b + j] = core[j * b + i] = 0.5 * (core[i * b + j] + core[j * b + i]);
    }
    const inner = yield* eighInSteps(core, b, true);
    const least = ROUNDING * inner.values[b - 1];
    const roots = inner.values.map((value) => (value > least && value > 0 ? 1 / Math.sqrt(value) : 0));
    const rows = multiplied(transposed(inner.vectors, b, roots), b, transposed(sketch, n), n, b);
    const { values, vectors } = yield* eighInSteps(multiplied(rows, b, rows, b, n), b, true);
    const scales = values.map((value) => (value > least && value > 0 ? 1 / Math.sqrt(value) : 0));
    const all = multiplied(transposed(vectors, b, scales), b, transposed(rows, n), n, b);
    return this.#largest(values, (k, i) => all[k * n + i]);
  }

  /** Of ascending eigenvalues the last that are kept, largest first. */
  #largest(values: Float64Array, entry: (k: number, i: number) => number): Eigenpairs {
    const { size: n, rank } = this;
    const most = Math.min(values.length, mostOf(rank));
    const last = values.length - 1;
    const least = Math.max(0, ROUNDING * 1e-3 * values[last]);
    const enough = rank === "auto" ? (1 - AUTO_SHARE) * this.trace[0] : Number.POSITIVE_INFINITY;
    let count = 0;
    for (let sum = 0; count < most && values[last - count] > least && sum < enough; count++)
      sum += values[last - count];
    const vectors = new Float64Array(count * n);
    for (let k = 0; k < count; k++) for (let i = 0; i < n; i++) vectors[k * n + i] = entry(last - k, i);
    return { values: values.slice(values.length - count).reverse(), vectors };
  }

  /** Their products add: the eigenpairs are those of all examples. */
  merge(other: Curvature): LowRankCurvature {
    checkSame<LowRankCurvature>(this, other);
    if (this.rank !== other.rank) {
      throw new ValueError(`merge: a curvature of rank ${other.rank} does not add to one of rank ${this.rank}.`);
    }
    if (!sameNumbers(this.basis, other.basis)) {
      throw new ValueError(
        "merge: these curvatures of low rank have different directions, so they do not add: of an exact Hessian over more than 1024 weights each fit finds its own. Fit the data of both at once, in batches.",
      );
    }
    const [sketch, trace] = [sum(this.sketch, other.sketch), sum(this.trace, other.trace)];
    return new LowRankCurvature(this.selection, this.examples + other.examples, this.rank, sketch, trace, this.basis);
  }

  scale(factor: number): LowRankCurvature {
    const [sketch, trace] = [multiple(this.sketch, factor), multiple(this.trace, factor)];
    return new LowRankCurvature(this.selection, this.examples, this.rank, sketch, trace, this.basis);
  }

  protected override leftOut(values: Float64Array): number {
    return this.basis === undefined ? super.leftOut(values) : leftOutOf(values, this.#squares);
  }
}
