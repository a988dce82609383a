// Steps δ of Levenberg and Marquardt: (h H + P₀ + μ D) δ = −g with D the diagonal of h H, by a Cholesky factorisation of the whole matrix
// or by conjugate gradients on products.

import { dot } from "../array/dot.ts";
import { conjugateGradients, type Way } from "../curvature/conjugate-gradients.ts";
import type { Expansion } from "../curvature/expansion.ts";
import type { Plan } from "../curvature/plan.ts";
import { productInSteps } from "../curvature/products.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyOut, copyTo, inMemory, openScope, type Pointer } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { choleskyInSteps } from "../linalg/in-steps.ts";
import type { Batch } from "../network/run.ts";
import { spread } from "../structures/selection.ts";

/** A quadratic model of an objective h · loss + ½ θᵀ P₀ θ. */
export interface Model {
  readonly at: Expansion;
  /** H, [S, S], once it was needed. */
  matrix?: Float64Array;
  /** h */
  readonly factor: number;
  /** The diagonal of P₀, [S]. */
  readonly penalties: Float64Array;
  /** g, the gradient of the objective, [S]. */
  readonly gradient: Float64Array;
  /** D, [S] */
  readonly scale: Float64Array;
  /** The way to a step by the exact Hessian, once it was gone. */
  path?: Way;
}

/** A step, and by how much the model falls along it. */
export interface DampedStep {
  readonly step: Float64Array;
  readonly predicted: number;
}

/** How steps are solved for; undefined where the matrix is not positive definite. */
export type Solver = (model: Model, damping: number) => Steps<DampedStep | undefined>;

/** −gᵀδ − ½ δᵀ (h H + P₀) δ, of a step that leaves the residual r = −g − (h H + P₀ + μ D) δ. */
function predicted({ gradient, scale }: Model, damping: number, step: Float64Array, residual?: Float64Array): number {
  const along = dot(gradient, step);
  let damped = 0;
  for (let i = 0; i < step.length; i++) damped += scale[i] * step[i] ** 2;
  return 0.5 * (damping * damped - along + (residual === undefined ? 0 : dot(residual, step)));
}

/** The Cholesky factor of h H + P₀ + μ D in the current scope; undefined where that is not positive definite. */
export function* factor(model: Model, damping: number): Steps<Pointer | undefined> {
  const { at, factor, penalties, scale } = model;
  const n = penalties.length;
  model.matrix ??= at.curvature.dense({ memoryBudget: Number.POSITIVE_INFINITY }).data as Float64Array;
  const { matrix } = model;
  const l = allocateFloats("float64", n * n);
  yield* inPieces(() => {
    copyTo("float64", l, matrix, true);
    kernelsFor("float64").affine(n * n, factor, l, 0, l, false);
  });
  inMemory("float64", (memory) => {
    for (let i = 0; i < n; i++) memory[l / 8 + i * (n + 1)] += penalties[i] + damping * scale[i];
  });
  return (yield* choleskyInSteps(n, l, n)) === 0 ? l : undefined;
}

/** Solves L Lᵀ x = b in place, for right sides [n, columns]. */
export function solveBoth(n: number, l: Pointer, b: Pointer, columns = 1): void {
  const kernels = kernelsFor("float64");
  kernels.solveForward(n, columns, l, n, 1, b, columns, 1);
  kernels.solveBackward(n, columns, l, 1, n, b, columns, 1);
}

/** By a factorisation of the whole matrix. */
export const byCholesky: Solver = function* (model, damping) {
  const { gradient } = model;
  const n = gradient.length;
  const end = openScope();
  try {
    const l = yield* factor(model, damping);
    if (l === undefined) return undefined;
    const b = allocateFloats("float64", n);
    copyTo(
      "float64",
      b,
      gradient.map((g) => -g),
    );
    yield* inPieces(() => solveBoth(n, l, b));
    const step = copyOut("float64", b, n) as Float64Array;
    return step.every(Number.isFinite) ? { step, predicted: predicted(model, damping, step) } : undefined;
  } finally {
    end();
  }
};

/** Products at most in a step. */
const MOST_PRODUCTS = 250;

/**
 * By conjugate gradients on products with the curvature (Martens 2010), preconditioned by the diagonal.
 */
export function byConjugateGradients(where: string, plan: Plan, batch: Batch): Solver {
  const untilSmall = smallerAndSmaller();
  return function* (model, damping) {
    const { factor, penalties, gradient, scale } = model;
    const added = penalties.map((delta, i) => delta + damping * scale[i]);
    const diagonal = added.map((x, i) => x + scale[i]);
    const { x: step, residual } = yield* conjugateGradients({
      times: productsWith(where, plan, batch, factor, added),
      b: gradient.map((g) => -g),
      before: (r) => r.map((one, i) => one / diagonal[i]),
      products: MOST_PRODUCTS,
      enough: untilSmall(),
    });
    return step.every(Number.isFinite) ? { step, predicted: predicted(model, damping, step, residual) } : undefined;
  };
}

/** Products with h H + diag(added), H the curvature of a plan. */
function productsWith(where: string, plan: Plan, batch: Batch, h: number, added: Float64Array) {
  return function* (d: Float64Array): Steps<Float64Array> {
    const product = yield* productInSteps(where, plan, [batch], spread(plan.selection, d));
    for (let k = 0; k < d.length; k++) product[k] = h * product[k] + added[k] * d[k];
    return product;
  };
}

/**
 * For each step, when its residual, in the norm of M⁻¹, is a part of the gradient that becomes small with it, a tenth at first (Dembo,
 * Eisenstat & Steihaug 1982).
 */
export function smallerAndSmaller() {
  let first: number | undefined;
  return () => {
    let enough: number | undefined;
    return (_: Float64Array, rz: number): boolean => {
      first ??= rz;
      enough ??= rz * Math.min(0.1, Math.sqrt(rz / first)) ** 2;
      return !(rz > enough);
    };
  };
}

/** h times the loss's gradient, and P₀ θ: that of the objective. */
export function gradientOf(
  loss: Float64Array,
  theta: Float64Array,
  factor: number,
  penalties: Float64Array,
): Float64Array {
  return loss.map((g, i) => factor * g + penalties[i] * theta[i]);
}

/** The model of an objective around an expansion, at the selected weights θ. */
export function modelOf(at: Expansion, theta: Float64Array, factor: number, penalties: Float64Array): Model {
  const gradient = gradientOf(at.gradient, theta, factor, penalties);
  const diagonal = Float64Array.from(at.curvature.diagonal().data);
  const largest = diagonal.reduce((most, x) => Math.max(most, x), 0);
  const scale = diagonal.map((x) => factor * Math.max(x, 1e-10 * largest, 1e-300));
  return { at, factor, penalties, gradient, scale };
}
