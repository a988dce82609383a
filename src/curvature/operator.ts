// A curvature by its products alone: traces, diagonals, eigenvalues, densities of the spectrum and solutions, for matrices that do
// not fit into memory.

import { dot } from "../array/dot.ts";
import { meanOf } from "../array/mean.ts";
import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkData, type Data, isIterator } from "../data/batches.ts";
import { checkChoice, checkInteger, checkNumber, checkOptions, ValueError } from "../errors.ts";
import { copyIn, copyOut, scope } from "../kernels/memory.ts";
import { atOnce, oneStep } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/tasks.ts";
import { Lanczos, orthogonalise, scaled } from "../linalg/lanczos.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { type Curvature, readVectors } from "../structures/curvature.ts";
import { solveRows } from "../structures/precision.ts";
import { Prior } from "../structures/prior.ts";
import { select } from "../structures/selection.ts";
import { rowOf } from "../structures/table.ts";
import { conjugateGradients } from "./conjugate-gradients.ts";
import {
  checkProducts,
  type Estimate,
  type RandomVectorsOptions,
  type Solution,
  type SolveOptions,
  type TraceOptions,
} from "./estimates.ts";
import { type CurvatureProductOptions, curvatureProduct } from "./products.ts";
import { checkSame } from "./same-products.ts";

/** Options of `eigenvalues`. */
export interface EigenOptions {
  /** Which end of the spectrum (default "largest"). */
  which?: "largest" | "smallest" | undefined;
  /** The residual ‖H v − λ v‖ at which a pair counts as found, relative to the largest eigenvalue by size (default 1e-8). */
  tolerance?: number | undefined;
  /** At most so many products (default: as many as there are weights, and at most 1000). */
  products?: number | undefined;
  /** Seed of the first vector (default 0). */
  seed?: number | undefined;
}

/** Eigenvalues of a curvature that is known by products. */
export interface Eigenpairs {
  /** Those asked for, from the end of the spectrum on, [k]. */
  readonly values: NDArray;
  /** Their vectors in rows, [k, S]. */
  readonly vectors: NDArray;
  /** The residual of each, [k]. */
  readonly residuals: NDArray;
  readonly converged: boolean;
  /** Products taken. */
  readonly products: number;
}

/** A curvature at unit noise, known by its products. Made by `curvatureOperator`. */
export class CurvatureOperator {
  /** S, the number of weights. */
  readonly size: number;
  readonly #times: (v: Float64Array) => Float64Array;
  readonly #precondition: (curvature: Curvature, shift: number) => (v: Float64Array) => Float64Array;

  /** @internal */
  constructor(
    size: number,
    times: (v: Float64Array) => Float64Array,
    precondition: (curvature: Curvature, shift: number) => (v: Float64Array) => Float64Array,
  ) {
    this.size = size;
    this.#times = times;
    this.#precondition = precondition;
  }

  /** The product with a vector [S], or with each row of [n, S], in float64. @throws ShapeError */
  times(v: ArrayLike): NDArray {
    const { data, shape } = readVectors("times", v, this.size);
    const result = new Float64Array(data.length);
    for (let at = 0; at < data.length; at += this.size) {
      result.set(this.#times(data.slice(at, at + this.size) as Float64Array), at);
    }
    return new NDArray(result, shape);
  }

  /** Random signs. */
  #signs(random: Random): Float64Array {
    return Float64Array.from({ length: this.size }, () => (random.uniform() < 0.5 ? -1 : 1));
  }

  /** The trace: unbiased, and exact where "hutch++" may take as many products as the matrix has rank, three times. @throws OptionError */
  trace(options: TraceOptions = {}): Estimate {
    const where = "trace";
    checkOptions(where, options, ["method", "products", "seed"]);
    const { method = "hutch++", products = 30, seed = 0 } = options;
    checkChoice(where, "method", method, ["hutch++", "hutchinson"]);
    checkProducts(where, "products", products, method === "hutch++" ? 6 : 2);
    const random = new Random(seed);
    const basis: Float64Array[] = [];
    let known = 0;
    const found = method === "hutch++" ? Math.min(this.size, Math.floor(products / 3)) : 0;
    for (let i = 0; i < found; i++) {
      const y = Float64Array.from(this.#times(this.#signs(random)));
      const size = Math.sqrt(dot(y, y));
      orthogonalise(y, basis);
      const left = Math.sqrt(dot(y, y));
      // Beyond the rank there is rounding only.
      if (left > 1e-12 * size) basis.push(scaled(y, 1 / left));
    }
    for (const q of basis) known += dot(q, this.#times(q));
    const samples: number[] = [];
    for (let i = 0; i < products - 2 * found; i++) {
      const g = this.#signs(random);
      orthogonalise(g, basis);
      samples.push(dot(g, this.#times(g)));
    }
    const { mean, error } = meanOf(samples);
    return { value: known + mean, standardError: error };
  }

  /** The diagonal, [S], by random signs (Bekas et al. 2007): unbiased. @throws OptionError */
  diagonal(options: RandomVectorsOptions = {}): Estimate<NDArray> {
    const where = "diagonal";
    checkOptions(where, options, ["products", "seed"]);
    const { products = 30, seed = 0 } = options;
    checkProducts(where, "products", products, 2);
    const random = new Random(seed);
    const all = Array.from({ length: products }, () => {
      const v = this.#signs(random);
      return this.#times(v).map((x, i) => x * v[i]);
    });
    const each = Array.from({ length: this.size }, (_, i) => meanOf(all.map((one) => one[i])));
    const array = (values: number[]) => new NDArray(Float64Array.from(values), [this.size]);
    return { value: array(each.map(({ mean }) => mean)), standardError: array(each.map(({ error }) => error)) };
  }

  /** The k eigenvalues at an end of the spectrum, with their vectors, by Lanczos. @throws OptionError */
  eigenvalues(k: number, options: EigenOptions = {}): Eigenpairs {
    const where = "eigenvalues";
    checkInteger(where, "k", k, 1);
    checkOptions(where, options, ["which", "tolerance", "products", "seed"]);
    const n = this.size;
    const { which = "largest", tolerance = 1e-8, products = Math.min(n, 1000), seed = 0 } = options;
    checkChoice(where, "which", which, ["largest", "smallest"]);
    checkNumber(where, "tolerance", tolerance, 0);
    checkInteger(where, "products", products, 1);
    const most = Math.min(n, products);
    const wanted = Math.min(k, most);
    const random = new Random(seed);
    const lanczos = new Lanczos(
      this.#times,
      Float64Array.from({ length: n }, () => random.normal()),
      random,
    );
    for (;;) {
      lanczos.step();
      const m = lanczos.alpha.length;
      // Decomposing T costs little beside products, but not nothing.
      if (m < most && (m < wanted || m % 5 !== 0)) continue;
      const { values, vectors } = lanczos.decompose();
      const size = Math.max(Math.abs(values[0]), Math.abs(values[m - 1]));
      const place = (i: number) => (which === "largest" ? m - 1 - i : i);
      const last = m === n ? 0 : lanczos.beta[m - 1];
      const residuals = Array.from({ length: wanted }, (_, i) => Math.abs(last * vectors[(m - 1) * m + place(i)]));
      // Where the basis ended, an eigenvalue that comes twice may have been seen once.
      const converged = last !== 0 || m === n ? residuals.every((one) => one <= tolerance * size) : false;
      if (m < most && !converged) continue;
      const rows = new Float64Array(wanted * n);
      for (let i = 0; i < wanted; i++) {
        lanczos.basis.forEach((q, j) => {
          const share = vectors[j * m + place(i)];
          for (let at = 0; at < n; at++) rows[i * n + at] += share * q[at];
        });
      }
      return {
        values: new NDArray(
          Float64Array.from({ length: wanted }, (_, i) => values[place(i)]),
          [wanted],
        ),
        vectors: new NDArray(rows, [wanted, n]),
        residuals: new NDArray(Float64Array.from(residuals), [wanted]),
        converged: converged && wanted === k,
        products: m,
      };
    }
  }

  /**
   * The density of the spectrum by stochastic Lanczos quadrature (Ubaru et al. 2017): Σ weights f(values) estimates tr f(H), and the
   * weights sum to S. @throws OptionError
   */
  spectrum(options: RandomVectorsOptions & { vectors?: number | undefined } = {}): {
    readonly values: NDArray;
    readonly weights: NDArray;
  } {
    const where = "spectrum";
    checkOptions(where, options, ["products", "vectors", "seed"]);
    const { products = 30, vectors: count = 1, seed = 0 } = options;
    checkInteger(where, "products", products, 1);
    checkProducts(where, "vectors", count, 1);
    const random = new Random(seed);
    const nodes: { value: number; weight: number }[] = [];
    for (let i = 0; i < count; i++) {
      const lanczos = new Lanczos(this.#times, this.#signs(random), random);
      const steps = Math.max(1, Math.min(this.size, Math.floor(products / count)));
      for (let step = 0; step < steps && (step === 0 || lanczos.beta[step - 1] !== 0); step++) lanczos.step();
      const { values, vectors } = lanczos.decompose();
      for (let j = 0; j < values.length; j++) {
        nodes.push({ value: values[j], weight: (vectors[j] ** 2 * this.size) / count });
      }
    }
    nodes.sort((a, b) => a.value - b.value);
    const array = (of: (one: { value: number; weight: number }) => number) =>
      new NDArray(Float64Array.from(nodes, of), [nodes.length]);
    return { values: array(({ value }) => value), weights: array(({ weight }) => weight) };
  }

  /**
   * x with (H + shift) x = b, by conjugate gradients (Hestenes & Stiefel 1952), for a vector [S] or each row of [n, S].
   * @throws OptionError, ShapeError; ValueError where the matrix is not positive along a direction
   */
  solve(b: ArrayLike, options: SolveOptions = {}): Solution {
    const where = "solve";
    checkOptions(where, options, ["shift", "tolerance", "products", "preconditioner"]);
    const { shift = 0, tolerance = 1e-8, products = 1000, preconditioner } = options;
    checkNumber(where, "shift", shift, 0);
    checkNumber(where, "tolerance", tolerance, 0, true);
    checkInteger(where, "products", products, 1);
    const before = preconditioner === undefined ? (v: Float64Array) => v : this.#precondition(preconditioner, shift);
    const { data, shape } = readVectors(where, b, this.size);
    const result = new Float64Array(data.length);
    let [residual, taken, converged] = [0, 0, true];
    for (let at = 0; at < data.length; at += this.size) {
      const right = data.slice(at, at + this.size) as Float64Array;
      const size = Math.sqrt(dot(right, right)) || 1;
      const one = atOnce(
        conjugateGradients({
          times: (v) => oneStep(() => this.#times(v).map((entry, i) => entry + shift * v[i])),
          b: right,
          before,
          products,
          enough: (r) => !(Math.sqrt(dot(r, r)) > tolerance * size),
        }),
      );
      if (one.notPositive !== undefined) {
        throw new ValueError(
          `solve: the matrix with the shift ${shift} is not positive along a direction (pᵀHp = ${one.notPositive}). Likely cause: a curvature without full rank, or an exact Hessian with negative eigenvalues. Raise the shift.`,
        );
      }
      const left = Math.sqrt(dot(one.residual, one.residual)) / size;
      result.set(one.x, at);
      residual = Math.max(residual, left);
      taken += one.taken;
      converged &&= left <= tolerance;
    }
    return { x: new NDArray(result, shape), residual, converged, products: taken };
  }
}

/**
 * A curvature of the summed loss at unit noise by its products: the generalised Gauss-Newton matrix, a Fisher matrix or the exact
 * Hessian, over data that are gone through at each product. The network is copied. Two products with one vector are compared first:
 * data that come in another order to draws of "monteCarlo", or are augmented at random, are refused.
 * @param options those of `curvatureProduct` @param data as for that, but no iterator, which can be gone through only once
 * @throws as `curvatureProduct`; ValueError for data that are not the same each time
 */
export function curvatureOperator(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: CurvatureProductOptions = {},
): CurvatureOperator {
  const where = "curvatureOperator";
  checkIsNetwork(where, net);
  checkOptions(where, options, ["curvature", "monteCarloSamples", "seed", "weights", "first", "memoryBudget"]);
  checkData(where, data);
  if (isIterator(data)) {
    throw new ValueError(
      `${where}: every product goes through the data, and an iterator can be gone through only once: give { x, y }, a list of batches, a DataLoader, or the generator function itself.`,
    );
  }
  const model = net.clone();
  const selection = options.weights === undefined ? undefined : select(where, net, options.weights);
  const size = selection?.size ?? net.parameterCount;
  const times = (v: Float64Array) => Float64Array.from(curvatureProduct(model, likelihood, data, v, options).data);
  atOnce(checkSame(where, (v) => oneStep(() => times(v)), size));
  return new CurvatureOperator(size, times, (curvature, shift) => {
    const own = selection ?? select(where, net.clone().unfreeze(), "all");
    if (!curvature.selection.equals(own)) throw new ValueError("solve: the preconditioner is over other weights.");
    checkNumber("solve", "shift", shift, 0, true);
    const prior = new Prior(curvature.selection, Float64Array.of(shift), new Float64Array(size));
    const precision = atOnce(rowOf(curvature).precision(curvature, 1, prior, { damping: false }));
    atOnce(precision.prepare("rows"));
    return (v) =>
      scope(() => {
        const rows = copyIn("float64", own.arrange(v));
        solveRows(precision, rows, 1);
        return own.arrange(copyOut("float64", rows, size) as Float64Array, true);
      });
  });
}
