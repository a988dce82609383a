// What every curvature structure must do: it is a sum over examples, an operator, and adds to others of its kind.

import { type ArrayLike, asArray, type NDArray, shapeText } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkBytes, checkNumber, checkOptions, readBudget, ShapeError, ValueError, valueText } from "../errors.ts";
import type { DType, Pointer } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import { firstDifference } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import type { Part } from "../network/run.ts";
import { labelOf } from "../network/summary.ts";
import type { Selection } from "./selection.ts";

/**
 * How the curvature is stored: the whole matrix; its diagonal; for each weight matrix a Kronecker product B ⊗ A, outputs
 * by inputs, and for a bias B alone (Martens & Grosse 2015, arXiv:1503.05671); these factors' eigenbasis with the
 * curvature's own diagonal in it (George et al. 2018, arXiv:1806.03884); the Kronecker product that is nearest to each block
 * ("kfoc", Koroko et al. 2022, arXiv:2201.10285); its largest eigenvalues with their vectors; the matrix within the span of the
 * functions at some points, a Gaussian process with the tangent kernel; or not at all, but by products with vectors, for which the
 * data are kept.
 */
export type Structure = "full" | "diagonal" | "kronecker" | "ekfac" | "kfoc" | "lowRank" | "functional" | "operator";

export const structures: readonly Structure[] = [
  "full",
  "diagonal",
  "kronecker",
  "ekfac",
  "kfoc",
  "lowRank",
  "functional",
  "operator",
];

/**
 * How many eigenvalues "lowRank" keeps; "auto": as many as leave out at most a hundredth of the trace, of an exact Hessian of its norm,
 * and at most 100. How many
 * features "functional" keeps of its points; "auto": all.
 */
export type Rank = number | "auto";

/** The largest eigenvalues of a curvature, V diag(values) Vᵀ; of an exact Hessian those largest by their size, of "functional" all of its own. */
export interface LowRank {
  /** The eigenvalues, largest first, [k]. */
  readonly values: NDArray;
  /** Their vectors in rows, [k, S]. */
  readonly vectors: NDArray;
  /**
   * The share of the whole curvature's trace that they leave out, from 0 to 1; of an exact Hessian, whose trace may cancel,
   * ‖H − V diag(values) Vᵀ‖ / ‖H‖ in the Frobenius norm, estimated beyond 1024 weights.
   */
  readonly leftOut: number;
}

/** How positions that share a weight count. */
export type Sharing = "expand" | "reduce";

/**
 * The Kronecker factors of a parameter: its block is B ⊗ A, index output · inputs + input, or B alone for a vector. Where a
 * weight falls into groups (a grouped convolution) the arrays have an axis of groups first.
 */
export interface Factors {
  /** The parameter's name. */
  readonly parameter: string;
  /** B, [outputs, outputs], in float64: a sum over examples. */
  readonly b: NDArray;
  /** A, [inputs, inputs], in float64: a mean over examples, and over positions for "expand"; undefined for a vector. */
  readonly a: NDArray | undefined;
}

/**
 * The block of a parameter in its eigenbasis, Q diag(values) Qᵀ with Q = Q_B ⊗ Q_A, or Q_B for a vector. Where a weight falls
 * into groups the arrays have an axis of groups first.
 */
export interface Eigenbasis {
  /** The parameter's name. */
  readonly parameter: string;
  /**
   * [outputs, inputs], or [outputs] for a vector: of "kronecker" the products of the factors' eigenvalues, of "ekfac" the
   * corrected ones, in the order of the vectors.
   */
  readonly values: NDArray;
  /** Q_B, [outputs, outputs]: column i belongs to row i of the values. */
  readonly b: NDArray;
  /** Q_A, [inputs, inputs]: column j belongs to column j of the values; undefined for a vector. */
  readonly a: NDArray | undefined;
}

/**
 * The curvature of a summed loss at unit noise, over selected weights: Σ_n Σ_k (Jᵀc_k)(Jᵀc_k)ᵀ or an approximation of
 * it. Immutable.
 */
export interface Curvature {
  readonly structure: Structure;
  readonly selection: Selection;
  /** S, the number of weights. */
  readonly size: number;
  /** The number of examples it sums over. */
  readonly examples: number;
  /** @internal From how many draws variances of functions come, where they do. */
  readonly draws?: number | undefined;
  /** The diagonal, [S], in float64; this and all below in the order of `net.parameters`, whatever the option `weights` named first. */
  diagonal(): NDArray;
  /** The matrix, [S, S], in float64: 8 S² bytes, whatever the structure. */
  dense(options?: MemoryOptions): NDArray;
  /** The product with a vector [S], or with each row of [n, S], in float64 and that shape. @throws ShapeError */
  times(v: ArrayLike): NDArray;
  /** The factors of "kronecker" and "kfoc", a block for each parameter in order. @throws ValueError for other structures */
  factors(): readonly Factors[];
  /** The eigenbases of "kronecker", "ekfac" and "kfoc", a block for each parameter in order. @throws ValueError for other structures */
  eigenbases(): readonly Eigenbasis[];
  /** The eigenvalues and vectors of "lowRank" and "functional". @throws ValueError for other structures */
  lowRank(): LowRank;
  /** The curvature over both sets of examples. @throws ValueError for curvatures that do not add */
  merge(other: Curvature): Curvature;
  /** A multiple of it, over as many examples. */
  scale(factor: number): Curvature;
  /** @internal Itself with another's factors in the place of its own that are the same to the bit: it has their eigenvectors, then. */
  withFactorsOf?(other: Curvature): Curvature;
}

/** What every structure's curvature has, and does not have unless it says so. */
export abstract class SelectedCurvature {
  abstract readonly structure: Structure;
  readonly selection: Selection;
  readonly examples: number;

  constructor(selection: Selection, examples: number) {
    this.selection = selection;
    this.examples = examples;
  }

  get size(): number {
    return this.selection.size;
  }

  factors(): readonly Factors[] {
    throw this.notMadeOf("factors", '"kronecker" or "kfoc"');
  }

  eigenbases(): readonly Eigenbasis[] {
    throw this.notMadeOf("eigenbases", '"kronecker", "ekfac" or "kfoc"');
  }

  lowRank(): LowRank {
    throw this.notMadeOf("lowRank", '"lowRank" or "functional"');
  }

  /** The error for parts that it does not have. */
  protected notMadeOf(where: string, makers: string, instead = "dense() and diagonal() have its numbers."): ValueError {
    return new ValueError(`${where}: the structure "${this.structure}" has none, only ${makers} has. ${instead}`);
  }
}

/** Sums the curvature of one pass through data, in the kernels' memory. */
export interface Accumulator<C extends Curvature = Curvature> {
  /** The type of its sums. */
  readonly dtype: DType;
  /** Numbers it needs there, beginning at 0. */
  readonly length: number;
  /** How many of them, the first, are sums (default: all). */
  readonly sums?: number;
  /** Numbers of what `finish` makes of them (default: as many), and those that it takes for that beside them (default: 0). */
  readonly made?: number;
  readonly finishing?: number;
  /** Sees each part before its columns. */
  begin?(part: Part): void;
  /**
   * Adds the examples of a part, whose columns were pulled back: all of them, or some at a time. Then the same examples come
   * `again` with others, and what sums over examples alone has them already. Columns have the roots of the examples' `weights`,
   * if there are any; what has no columns counts by them.
   */
  add(backward: Backward, to: Pointer, again: boolean, weights?: Float64Array): void;
  /** Adds what `add` left for later. */
  flush?(to: Pointer): void;
  /** The curvature, from the numbers in memory. */
  finish(sums: ReadSums, examples: number): Steps<C>;
}

/** Copies sums from one up to but not another to an array, from a place on. */
export type ReadSums = (start: number, end: number, to: Float64Array, at: number) => void;

/** @throws MemoryBudgetError for a matrix [n, n] over the budget */
export function checkSquare(where: string, n: number, options: MemoryOptions): void {
  checkOptions(where, options, ["memoryBudget"]);
  checkBytes(where, [n, n], readBudget(where, options.memoryBudget), "diagonal() needs less, and times(v) nothing.");
}

/** Equal numbers will do: a basis that was read from a file is another array. */
export function sameNumbers(a: Float64Array | undefined, b: Float64Array | undefined): boolean {
  return a === b || (a?.length === b?.length && a?.every((x, i) => x === b?.[i]) === true);
}

/** @throws ValueError unless two curvatures add */
export function checkSame<C extends Curvature>(a: C, b: Curvature): asserts b is C {
  if (!(b instanceof SelectedCurvature)) {
    throw new ValueError(`merge: expected a curvature, such as curvatureOf gives, got ${valueText(b)}.`);
  }
  if (a.structure !== b.structure) {
    throw new ValueError(`merge: a ${a.structure} curvature does not add to a ${b.structure} one.`);
  }
  if (!a.selection.equals(b.selection)) throw new ValueError("merge: the curvatures are over different weights.");
  const [ours, theirs] = [a.selection.graph, b.selection.graph];
  const place = firstDifference(ours, theirs);
  if (place < 0) return;
  const [one, other] = [ours, theirs].map(({ nodes }) =>
    place < nodes.length ? `"${labelOf(nodes[place])}"` : "nothing",
  );
  throw new ValueError(
    `merge: the curvatures are of different networks, which have ${one} and ${other} at node ${place}.`,
  );
}

/** A symmetric matrix in float64 from its lower triangle, some rows at a time; `result` may have been another. */
export function* symmetric(
  sums: ReadSums,
  n: number,
  start = 0,
  result: Float64Array = new Float64Array(n * n),
): Steps<Float64Array> {
  const block = 32; // of rows and columns that stay in the first cache
  for (let top = 0; top < n; top += block) {
    const end = Math.min(n, top + block);
    sums(start + top * n, start + end * n, result, top * n);
    for (let left = 0; left <= top; left += block) {
      for (let i = top; i < end; i++) {
        for (let j = left; j < Math.min(i, left + block); j++) result[j * n + i] = result[i * n + j];
      }
    }
    yield;
  }
  return result;
}

/** The sum of two arrays. */
export function sum(a: Float64Array, b: Float64Array): Float64Array {
  const result = new Float64Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = a[i] + b[i];
  return result;
}

/** Gives sums of arrays, each of which is made once: what shares an array, as a bias that of its weight, shares the sum. */
export function sharedSums(): typeof sum {
  const known = new Map<Float64Array, Float64Array>();
  return (a, b) => {
    const found = known.get(a) ?? sum(a, b);
    known.set(a, found);
    return found;
  };
}

/** A multiple of an array. */
export function multiple(a: Float64Array, factor: number): Float64Array {
  checkNumber("scale", "factor", factor);
  const result = new Float64Array(a.length);
  for (let i = 0; i < result.length; i++) result[i] = factor * a[i];
  return result;
}

/** A vector [S] or rows [n, S], in float64. @throws ShapeError */
export function readVectors(where: string, v: ArrayLike, size: number): NDArray {
  const x = asArray(v).as("float64");
  if ((x.rank !== 1 && x.rank !== 2) || x.shape[x.rank - 1] !== size) {
    throw new ShapeError(
      `${where}: expected a vector [${size}] or rows [n, ${size}], got shape ${shapeText(x.shape)}.`,
    );
  }
  return x;
}
