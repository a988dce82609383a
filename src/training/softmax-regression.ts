// Softmax regression over features that stay as they are, to its minimum by Newton's method: the loss is convex. Steps are solved for by
// conjugate gradients on products with the exact Hessian, Φᵀ Λ Φ + δ, whose matrix over all classes is never made.

import { dot } from "../array/dot.ts";
import { conjugateGradients } from "../curvature/conjugate-gradients.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { addToDiagonal, allocateFloats, copyIn, copyOut, copyTo, openScope, type Pointer } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { choleskyInSteps } from "../linalg/in-steps.ts";
import { solveBoth } from "./damped-steps.ts";
import { notFinite } from "./minimiser.ts";

/** The objective Σ_i u_i (Σ_c t_ic) log Σ_c exp f_ic − Σ_i u_i Σ_c t_ic f_ic + ½ δ ‖W‖² with f = Φ W. */
export interface SoftmaxRegression {
  /** Φ [N, S] */
  readonly features: Float64Array;
  /** t [N, C]: probabilities of the classes; a row of zeros does not count. */
  readonly targets: Float64Array;
  /** u [N], what an example counts in the objective. */
  readonly weights: Float64Array;
  readonly classes: number;
  /** δ */
  readonly penalty: number;
  /** W [S, C] at the beginning. */
  readonly start: Float64Array;
  /** It stops where a step is predicted to lower the objective by no more than this part of it. */
  readonly tolerance: number;
  /** Most steps. */
  readonly steps: number;
}

/** Where a step led. */
export interface SoftmaxPoint {
  /** W [S, C] */
  readonly weights: Float64Array;
  readonly objective: number;
}

/** Products with the Hessian at most in a step. */
const MOST_PRODUCTS = 500;
/** The part of rᵀM⁻¹r with which conjugate gradients may end, at most, and how much less than the tolerance may be left. */
const [FIRST_PART, SURE] = [0.1, 0.1];
/** The part of what a step promises that it must bring, and how often it is halved at most. */
const [LEAST_GAIN, HALVINGS] = [1e-4, 40];
/** Below this part of the objective its changes are lost in rounding. */
const ROUNDING = 1e-11;
/** What is added to the preconditioner's diagonal, in parts of its mean, beside the penalty: Φ may have columns that repeat each other. */
const JITTER = 1e-10;
/** Rows that are weighed at once. */
const ROWS = 512;

/**
 * Minimises the objective, step by step; at least one of its rows counts. Conjugate gradients are preconditioned by one matrix for
 * all classes, Σ u_i λ_i φ_i φ_iᵀ + δ with λ_i = tr Λ_i / (C − 1): Böhning's bound (1992) with the curvature that there is in the place of its
 * largest. @returns the last point, and whether it is the minimum
 */
export function* softmaxRegression<Report>(
  given: SoftmaxRegression,
  report: (point: SoftmaxPoint, step: number) => Report,
): Steps<{ readonly converged: boolean; readonly steps: number }, Report> {
  const end = openScope();
  try {
    return yield* descend(given, report);
  } finally {
    end();
  }
}

function* descend<Report>(
  given: SoftmaxRegression,
  report: (point: SoftmaxPoint, step: number) => Report,
): Steps<{ readonly converged: boolean; readonly steps: number }, Report> {
  const { classes, penalty, tolerance } = given;
  const n = given.weights.length;
  const s = given.features.length / n;
  const phi = allocateFloats("float64", n * s);
  yield* inPieces(() => copyTo("float64", phi, given.features, true));
  const [rows, columns] = [allocateFloats("float64", n * classes), allocateFloats("float64", s * classes)];
  const gram = allocateFloats("float64", s * s);
  /** Φ V, [N, C]. */
  function* forward(v: Float64Array): Steps<Float64Array, Report> {
    copyTo("float64", columns, v);
    yield* inPieces(() =>
      kernelsFor("float64").gemm(1, n, classes, s, phi, 0, s, 1, columns, 0, classes, 1, rows, 0, classes, 1, false),
    );
    return copyOut("float64", rows, n * classes) as Float64Array;
  }
  /** Φᵀ Z, [S, C]. */
  function* back(z: Float64Array): Steps<Float64Array, Report> {
    copyTo("float64", rows, z);
    yield* inPieces(() =>
      kernelsFor("float64").gemm(1, s, classes, n, phi, 0, 1, s, rows, 0, classes, 1, columns, 0, classes, 1, false),
    );
    return copyOut("float64", columns, s * classes) as Float64Array;
  }
  /** The preconditioner's Cholesky factor, in the place of the Gram matrix; false where it has none. */
  function* factor(p: Float64Array): Steps<boolean, Report> {
    for (let first = 0; first < n; first += ROWS) {
      const count = Math.min(ROWS, n - first);
      const roots = rootsOf(given, p, first, count);
      yield* inPieces(() => {
        const kernels = kernelsFor("float64");
        const weighed = allocateFloats("float64", count * s);
        kernels.scaleRows(count, s, phi + 8 * first * s, copyIn("float64", roots), 1, weighed);
        kernels.syrk(s, count, weighed, 1, s, gram, s, 1, first > 0, false);
      });
    }
    let trace = 0;
    for (const root of rootsSquared(given, p)) trace += root;
    addToDiagonal(s, penalty + JITTER * (trace * meanSquare(given.features) + penalty) + Number.MIN_VALUE, gram);
    return (yield* choleskyInSteps(s, gram, s)) === 0;
  }

  let w = given.start.slice();
  // With a penalty the classes' weights sum to 0 at the minimum, and steps keep the sum.
  if (penalty > 0) centre(w, classes);
  let f = yield* forward(w);
  let p = new Float64Array(n * classes);
  let value = objectiveAt(given, f, w, p);
  if (!Number.isFinite(value)) throw notFinite(value);
  /** rᵀM⁻¹r of the first step. */
  let first: number | undefined;
  for (let step = 1; step <= given.steps; step++) {
    const gradient = yield* back(residualsOf(given, p));
    for (let k = 0; k < w.length; k++) gradient[k] += penalty * w[k];
    if (!(yield* factor(p))) return { converged: false, steps: step - 1 };
    let enough: number | undefined;
    const { x, decrease, taken } = yield* conjugateGradients<Report>({
      *times(v) {
        const product = yield* back(curved(given, p, yield* forward(v)));
        for (let k = 0; k < v.length; k++) product[k] += penalty * v[k];
        return product;
      },
      b: gradient.map((g) => -g),
      before: (r) => solved(r, s, classes, gram, columns),
      products: MOST_PRODUCTS,
      enough: (_, rz) => {
        first ??= rz;
        // A part that becomes small with the gradient (Dembo, Eisenstat & Steihaug 1982), and no less than the tolerance asks for.
        enough ??= Math.max(rz * Math.min(FIRST_PART, Math.sqrt(rz / first)), SURE * tolerance * Math.abs(value));
        return !(rz > enough);
      },
    });
    if (taken === 0) return { converged: true, steps: step - 1 };
    const slope = dot(gradient, x);
    const along = yield* forward(x);
    const close = decrease <= ROUNDING * Math.abs(value);
    let [by, next] = [1, Number.NaN];
    const there = { w, f, p: new Float64Array(p.length) };
    for (let halving = 0; halving < HALVINGS; halving++, by /= 2) {
      there.w = w.map((one, k) => one + by * x[k]);
      there.f = f.map((one, k) => one + by * along[k]);
      next = objectiveAt(given, there.f, there.w, there.p);
      if (next <= value + LEAST_GAIN * by * slope || (close && next <= value)) break;
      next = Number.NaN;
    }
    // What is lost in rounding is a minimum.
    if (Number.isNaN(next)) return { converged: close, steps: step - 1 };
    const converged = decrease <= tolerance * Math.abs(value);
    ({ w, f, p } = there);
    value = next;
    yield report({ weights: w, objective: value }, step);
    if (converged) return { converged, steps: step };
  }
  return { converged: false, steps: given.steps };
}

/** A⁻¹ r by the factor of A. */
function solved(r: Float64Array, s: number, classes: number, l: Pointer, place: Pointer): Float64Array {
  copyTo("float64", place, r);
  solveBoth(s, l, place, classes);
  return copyOut("float64", place, s * classes) as Float64Array;
}

/** Takes the mean over the classes from each row. */
function centre(w: Float64Array, classes: number): void {
  for (let k = 0; k < w.length; k += classes) {
    let mean = 0;
    for (let c = 0; c < classes; c++) mean += w[k + c] / classes;
    for (let c = 0; c < classes; c++) w[k + c] -= mean;
  }
}

const meanSquare = (values: Float64Array) => dot(values, values) / Math.max(1, values.length);

/** The objective at logits f; writes softmax(f) to p, zeros where a row does not count. */
function objectiveAt(
  { targets, weights, classes, penalty }: SoftmaxRegression,
  f: Float64Array,
  w: Float64Array,
  p: Float64Array,
): number {
  let sum = 0.5 * penalty * dot(w, w);
  for (let i = 0; i < weights.length; i++) {
    const at = i * classes;
    let [most, total, counted, along] = [Number.NEGATIVE_INFINITY, 0, 0, 0];
    for (let k = at; k < at + classes; k++) most = Math.max(most, f[k]);
    for (let k = at; k < at + classes; k++) {
      p[k] = Math.exp(f[k] - most);
      total += p[k];
      counted += targets[k];
      along += targets[k] * (f[k] - most);
    }
    for (let k = at; k < at + classes; k++) p[k] *= counted / total;
    sum += weights[i] * (counted * Math.log(total) - along);
  }
  return sum;
}

/** u (p − t), [N, C]. */
function residualsOf({ targets, weights, classes }: SoftmaxRegression, p: Float64Array): Float64Array {
  return p.map((one, k) => weights[Math.floor(k / classes)] * (one - targets[k]));
}

/** u Λ z of each row, Λ = diag(p) − p pᵀ. */
function curved({ weights, classes }: SoftmaxRegression, p: Float64Array, z: Float64Array): Float64Array {
  for (let i = 0; i < weights.length; i++) {
    const at = i * classes;
    let mean = 0;
    for (let k = at; k < at + classes; k++) mean += p[k] * z[k];
    for (let k = at; k < at + classes; k++) z[k] = weights[i] * p[k] * (z[k] - mean);
  }
  return z;
}

/** √(u λ) of some rows. */
function rootsOf(given: SoftmaxRegression, p: Float64Array, first: number, count: number): Float64Array {
  return rootsSquared(given, p, first, count).map(Math.sqrt);
}

/** u λ of some rows, λ = tr Λ / (C − 1). */
function rootsSquared(
  { weights, classes }: SoftmaxRegression,
  p: Float64Array,
  first = 0,
  count: number = weights.length,
): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const at = (first + i) * classes;
    let trace = 0;
    for (let k = at; k < at + classes; k++) trace += p[k] * (1 - p[k]);
    return (weights[first + i] * Math.max(trace, 0)) / (classes - 1);
  });
}
