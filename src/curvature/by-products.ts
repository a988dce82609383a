// What products of a symmetric matrix with vectors say of it: traces, diagonals, eigenvalues, densities of the spectrum, solutions.

import { dot } from "../array/dot.ts";
import { meanOf } from "../array/mean.ts";
import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkChoice, checkInteger, checkNumber, checkOptions, ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { Lanczos, orthogonalise, scaled } from "../linalg/lanczos.ts";
import { type Curvature, readVectors } from "../structures/curvature.ts";
import { conjugateGradients } from "./conjugate-gradients.ts";
import {
  checkProducts,
  type EigenOptions,
  type Eigenpairs,
  type Estimate,
  type ProductsReport,
  type RandomVectorsOptions,
  type Solution,
  type SolveOptions,
  type Spectrum,
  type SpectrumOptions,
  type TraceOptions,
} from "./estimates.ts";

/** A step reports how many products were taken. */
export type ProductSteps<Result> = Steps<Result, ProductsReport>;

/** A symmetric matrix [S, S]. */
export interface Matrix {
  readonly size: number;
  /** H v, the caller's own. */
  times(v: Float64Array): ProductSteps<Float64Array>;
  /** The inverse of a curvature with a shift. */
  inverse(curvature: Curvature, shift: number): Steps<(v: Float64Array) => Float64Array>;
}

/** Random signs. */
function signs(size: number, random: Random): Float64Array {
  return Float64Array.from({ length: size }, () => (random.uniform() < 0.5 ? -1 : 1));
}

/** The product with a vector [S], or with each row of [n, S]. @throws ShapeError */
export function* timesOf(matrix: Matrix, v: ArrayLike): ProductSteps<NDArray> {
  const { data, shape } = readVectors("times", v, matrix.size);
  const result = new Float64Array(data.length);
  for (let at = 0; at < data.length; at += matrix.size) {
    result.set(yield* matrix.times(data.slice(at, at + matrix.size) as Float64Array), at);
  }
  return new NDArray(result, shape);
}

/** @throws OptionError */
export function* traceOf(matrix: Matrix, options: TraceOptions): ProductSteps<Estimate> {
  const where = "trace";
  checkOptions(where, options, ["method", "products", "seed"]);
  const { method = "hutch++", products = 30, seed = 0 } = options;
  checkChoice(where, "method", method, ["hutch++", "hutchinson"]);
  checkProducts(where, "products", products, method === "hutch++" ? 6 : 2);
  const { size } = matrix;
  const random = new Random(seed);
  const basis: Float64Array[] = [];
  let known = 0;
  const found = method === "hutch++" ? Math.min(size, Math.floor(products / 3)) : 0;
  for (let i = 0; i < found; i++) {
    const y = yield* matrix.times(signs(size, random));
    const length = Math.sqrt(dot(y, y));
    orthogonalise(y, basis);
    const left = Math.sqrt(dot(y, y));
    // Beyond the rank there is rounding only.
    if (left > 1e-12 * length) basis.push(scaled(y, 1 / left));
  }
  for (const q of basis) known += dot(q, yield* matrix.times(q));
  const samples: number[] = [];
  for (let i = 0; i < products - 2 * found; i++) {
    const g = signs(size, random);
    orthogonalise(g, basis);
    samples.push(dot(g, yield* matrix.times(g)));
  }
  const { mean, error } = meanOf(samples);
  return { value: known + mean, standardError: error };
}

/** Bekas et al. 2007. @throws OptionError */
export function* diagonalOf(matrix: Matrix, options: RandomVectorsOptions): ProductSteps<Estimate<NDArray>> {
  const where = "diagonal";
  checkOptions(where, options, ["products", "seed"]);
  const { products = 30, seed = 0 } = options;
  checkProducts(where, "products", products, 2);
  const { size } = matrix;
  const random = new Random(seed);
  const all: Float64Array[] = [];
  for (let i = 0; i < products; i++) {
    const v = signs(size, random);
    all.push((yield* matrix.times(v)).map((x, at) => x * v[at]));
  }
  const each = Array.from({ length: size }, (_, i) => meanOf(all.map((one) => one[i])));
  const array = (values: number[]) => new NDArray(Float64Array.from(values), [size]);
  return { value: array(each.map(({ mean }) => mean)), standardError: array(each.map(({ error }) => error)) };
}

/** By Lanczos. @throws OptionError */
export function* eigenvaluesOf(matrix: Matrix, k: number, options: EigenOptions): ProductSteps<Eigenpairs> {
  const where = "eigenvalues";
  checkInteger(where, "k", k, 1);
  checkOptions(where, options, ["which", "tolerance", "products", "seed"]);
  const n = matrix.size;
  const { which = "largest", tolerance = 1e-8, products = Math.min(n, 1000), seed = 0 } = options;
  checkChoice(where, "which", which, ["largest", "smallest"]);
  checkNumber(where, "tolerance", tolerance, 0);
  checkInteger(where, "products", products, 1);
  const most = Math.min(n, products);
  const wanted = Math.min(k, most);
  const random = new Random(seed);
  const start = Float64Array.from({ length: n }, () => random.normal());
  const lanczos = new Lanczos((v: Float64Array) => matrix.times(v), start, random);
  for (;;) {
    yield* lanczos.step();
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
      for (const [j, q] of lanczos.basis.entries()) {
        const share = vectors[j * m + place(i)];
        for (let at = 0; at < n; at++) rows[i * n + at] += share * q[at];
      }
      yield;
    }
    const found = Float64Array.from({ length: wanted }, (_, i) => values[place(i)]);
    return {
      values: new NDArray(found, [wanted]),
      vectors: new NDArray(rows, [wanted, n]),
      residuals: new NDArray(Float64Array.from(residuals), [wanted]),
      converged: converged && wanted === k,
      products: m,
    };
  }
}

/** Stochastic Lanczos quadrature (Ubaru et al. 2017). @throws OptionError */
export function* spectrumOf(matrix: Matrix, options: SpectrumOptions): ProductSteps<Spectrum> {
  const where = "spectrum";
  checkOptions(where, options, ["products", "vectors", "seed"]);
  const { products = 30, vectors: count = 1, seed = 0 } = options;
  checkInteger(where, "products", products, 1);
  checkProducts(where, "vectors", count, 1);
  const { size } = matrix;
  const random = new Random(seed);
  const nodes: { value: number; weight: number }[] = [];
  for (let i = 0; i < count; i++) {
    const lanczos = new Lanczos((v: Float64Array) => matrix.times(v), signs(size, random), random);
    const steps = Math.max(1, Math.min(size, Math.floor(products / count)));
    for (let step = 0; step < steps && (step === 0 || lanczos.beta[step - 1] !== 0); step++) yield* lanczos.step();
    const { values, vectors } = lanczos.decompose();
    for (let j = 0; j < values.length; j++) {
      nodes.push({ value: values[j], weight: (vectors[j] ** 2 * size) / count });
    }
  }
  nodes.sort((a, b) => a.value - b.value);
  const array = (of: (one: { value: number; weight: number }) => number) =>
    new NDArray(Float64Array.from(nodes, of), [nodes.length]);
  return { values: array(({ value }) => value), weights: array(({ weight }) => weight) };
}

/** By conjugate gradients. @throws OptionError, ShapeError; ValueError where the matrix is not positive along a direction */
export function* solutionOf(matrix: Matrix, b: ArrayLike, options: SolveOptions): ProductSteps<Solution> {
  const where = "solve";
  checkOptions(where, options, ["shift", "tolerance", "products", "preconditioner"]);
  const { shift = 0, tolerance = 1e-8, products = 1000, preconditioner } = options;
  checkNumber(where, "shift", shift, 0);
  checkNumber(where, "tolerance", tolerance, 0, true);
  checkInteger(where, "products", products, 1);
  const { size } = matrix;
  const before = preconditioner === undefined ? (v: Float64Array) => v : yield* matrix.inverse(preconditioner, shift);
  const { data, shape } = readVectors(where, b, size);
  const result = new Float64Array(data.length);
  let [residual, taken, converged] = [0, 0, true];
  for (let at = 0; at < data.length; at += size) {
    const right = data.slice(at, at + size) as Float64Array;
    const length = Math.sqrt(dot(right, right)) || 1;
    const one = yield* conjugateGradients({
      *times(v) {
        const moved = yield* matrix.times(v);
        for (let i = 0; i < moved.length; i++) moved[i] += shift * v[i];
        return moved;
      },
      b: right,
      before,
      products,
      enough: (r) => !(Math.sqrt(dot(r, r)) > tolerance * length),
    });
    if (one.notPositive !== undefined) {
      throw new ValueError(
        `solve: the matrix with the shift ${shift} is not positive along a direction (pᵀHp = ${one.notPositive}). Likely cause: a curvature without full rank, or an exact Hessian with negative eigenvalues. Raise the shift.`,
      );
    }
    const left = Math.sqrt(dot(one.residual, one.residual)) / length;
    result.set(one.x, at);
    residual = Math.max(residual, left);
    taken += one.taken;
    converged &&= left <= tolerance;
  }
  return { x: new NDArray(result, shape), residual, converged, products: taken };
}
