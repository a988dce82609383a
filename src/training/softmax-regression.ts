// Softmax regression over features that stay as they are, to its minimum by Newton's method: the loss is convex. Steps are solved for by
// conjugate gradients on products with the exact Hessian, Φᵀ Λ Φ + δ, whose matrix over all classes is never made.

import { dot } from "../array/dot.ts";
import { conjugateGradients } from "../curvature/conjugate-gradients.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyOut, copyTo, openScope, type Pointer } from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { type Matrices, product } from "../network/product.ts";
import { notFinite } from "./minimiser.ts";
import { type Preconditioner, preconditionerOf } from "./softmax-preconditioner.ts";

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
/** The first damping ν, what it is multiplied by where a step gains nothing, and divided by where it gains. */
const [FIRST_DAMPING, MORE, LESS] = [1e-8, 100, 10];

/**
 * Minimises the objective, step by step. Conjugate gradients are preconditioned by one matrix for all classes,
 * Σ u_i λ_i φ_i φ_iᵀ + δ with λ_i = tr Λ_i / (C − 1): Böhning's bound (1992) with the curvature that there is in the place of its largest.
 * Where a step does not lower the objective, or there is none, as far away where Λ vanishes, a part ν of the bound ½ I is added to each Λ_i:
 * with all of it a step descends. The start is reported where no step leads further.
 * @returns whether the last point is the minimum
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
  const system = new NewtonSystem(given);
  yield* system.begin();
  let w: Float64Array = given.start.slice();
  // With a penalty the classes' weights sum to 0 at the minimum, and steps keep the sum.
  if (penalty > 0) centre(w, classes);
  let f = yield* system.forward(w);
  let p: Float64Array = new Float64Array(f.length);
  let value = objectiveAt(given, f, w, p);
  if (!Number.isFinite(value)) throw notFinite(value);
  let damping = 0;
  let [step, converged] = [0, false];
  while (step < given.steps && !converged) {
    const found = yield* system.step(w, p, value, damping);
    // Of what is damped, little may be left though the minimum is far.
    if (found === "minimum" && damping === 0) converged = true;
    let next: Place | undefined;
    if (typeof found === "object") {
      const within = (part: number) => damping === 0 && found.decrease <= part * Math.abs(value);
      const close = within(ROUNDING);
      next = lower(given, { w, f, p, value }, found, yield* system.forward(found.x), {
        close,
        damped: damping > 0,
      });
      // What is lost in rounding is a minimum.
      converged = next === undefined ? close : within(tolerance) || !(next.value < value);
    }
    if (next !== undefined) {
      const before = value;
      ({ w, f, p, value } = next);
      // Logits that were far larger leave their rounding.
      if (value < 0.5 * before) {
        f = yield* system.forward(w);
        value = objectiveAt(given, f, w, p);
      }
      // No objective is less.
      converged ||= value === 0;
      damping = damping > FIRST_DAMPING ? damping / LESS : 0;
      yield report({ weights: w, objective: value }, ++step);
    } else if (!converged) {
      if (damping >= 1) break;
      damping = damping === 0 ? FIRST_DAMPING : Math.min(1, damping * MORE);
    }
  }
  if (step === 0) yield report({ weights: w, objective: value }, ++step);
  return { converged, steps: step };
}

/** Weights, logits, probabilities and the objective there. */
interface Place {
  readonly w: Float64Array;
  readonly f: Float64Array;
  readonly p: Float64Array;
  readonly value: number;
}

/**
 * A direction, its slope, and by how much the model falls along it and about beyond: where M is far more than H in a direction, rᵀM⁻¹r says
 * too little of what is left, by as much as conjugate gradients' steps are longer than M's.
 */
interface Direction {
  readonly x: Float64Array;
  readonly slope: number;
  readonly decrease: number;
}

/**
 * A lower point along a direction, or one as low where that is `close`; undefined where none is found. What is `damped` may be too
 * short: it goes on as far as the objective falls.
 */
function lower(
  given: SoftmaxRegression,
  from: Place,
  { x, slope }: Direction,
  along: Float64Array,
  { close, damped }: { readonly close: boolean; readonly damped: boolean },
): Place | undefined {
  const at = (by: number): Place => {
    const w = from.w.map((one, k) => one + by * x[k]);
    const f = from.f.map((one, k) => one + by * along[k]);
    const p = new Float64Array(f.length);
    return { w, f, p, value: objectiveAt(given, f, w, p) };
  };
  for (let [halving, by] = [0, 1]; halving < HALVINGS; halving++, by /= 2) {
    let there = at(by);
    const { value } = there;
    if (!(value <= from.value + LEAST_GAIN * by * slope || (close && value <= from.value))) continue;
    while (damped && halving === 0) {
      by *= 2;
      const next = at(by);
      if (!(next.value < there.value)) break;
      there = next;
    }
    return there;
  }
  return undefined;
}

/** Rows of C numbers in the kernels' memory. */
type Rows = Pick<Matrices, "at" | "rows">;

/** The system of a Newton step, H x = −g with H = Φᵀ (Λ + ½ ν) Φ + δ, in the kernels' memory of the current scope. */
class NewtonSystem {
  readonly #given: SoftmaxRegression;
  readonly #n: number;
  /** S */
  readonly #size: number;
  readonly #phi: Pointer;
  readonly #rows: Pointer;
  readonly #columns: Pointer;
  readonly #before: Preconditioner;
  #p: Float64Array = new Float64Array();
  #damping = 0;
  /** rᵀM⁻¹r of the first step. */
  #first: number | undefined;

  constructor(given: SoftmaxRegression) {
    const { features, weights, classes, penalty } = given;
    this.#given = given;
    this.#n = weights.length;
    this.#size = features.length / this.#n;
    this.#phi = allocateFloats("float64", features.length);
    this.#rows = allocateFloats("float64", this.#n * classes);
    this.#columns = allocateFloats("float64", this.#size * classes);
    const own = { phi: this.#phi, n: this.#n, size: this.#size, classes, penalty };
    this.#before = preconditionerOf(own, longestOf(given, this.#size));
  }

  *begin(): Steps<void> {
    yield* inPieces(() => copyTo("float64", this.#phi, this.#given.features, true));
  }

  /** Φ V, [N, C]. */
  forward(v: Float64Array): Steps<Float64Array> {
    return this.#product(v, { at: this.#columns, rows: this.#size }, { at: this.#rows, rows: this.#n }, false);
  }

  /** Φᵀ Z, [S, C]. */
  #back(z: Float64Array): Steps<Float64Array> {
    return this.#product(z, { at: this.#rows, rows: this.#n }, { at: this.#columns, rows: this.#size }, true);
  }

  /** Φ, or its transpose, times values, which are brought to one place; the result is copied out of the other. */
  *#product(values: Float64Array, from: Rows, to: Rows, transposed: boolean): Steps<Float64Array> {
    const { classes } = this.#given;
    copyTo("float64", from.at, values);
    const phi = { at: this.#phi, rows: this.#n, columns: this.#size, transposed };
    yield* inPieces(() => product(kernelsFor("float64"), 1, phi, { ...from, columns: classes }, to.at, false));
    return copyOut("float64", to.at, to.rows * classes) as Float64Array;
  }

  /** H V; tells tr VᵀHV. */
  *#times(v: Float64Array, tell: (curve: number) => void): Steps<Float64Array> {
    const found = yield* this.#back(curved(this.#given, this.#p, this.#damping, yield* this.forward(v)));
    for (let k = 0; k < v.length; k++) found[k] += this.#given.penalty * v[k];
    tell(dot(v, found));
    return found;
  }

  /** Where a step leads from W with probabilities p, by so much damping ν; undefined where there is none that descends. */
  *step(w: Float64Array, p: Float64Array, value: number, damping: number): Steps<Direction | "minimum" | undefined> {
    const { classes, penalty, tolerance } = this.#given;
    [this.#p, this.#damping] = [p, damping];
    const gradient = yield* this.#back(residualsOf(this.#given, p));
    for (let k = 0; k < w.length; k++) gradient[k] += penalty * w[k];
    if (!(yield* this.#before.factor(rootsOf(this.#given, p, damping)))) return undefined;
    if (penalty > 0) centre(gradient, classes);
    let [last, enough, stretch] = [Number.NaN, Number.NaN, 1];
    const { x, decrease, taken } = yield* conjugateGradients({
      times: (v) => this.#times(v, (curve) => (stretch = Math.max(stretch, last / curve))),
      b: gradient.map((g) => -g),
      before: (r) => this.#before.solve(r),
      products: MOST_PRODUCTS,
      enough: (_, rz) => {
        last = rz;
        if (!Number.isFinite(rz)) return true;
        if (!Number.isNaN(enough)) return !(rz > enough) || stretch * rz <= SURE * tolerance * Math.abs(value);
        this.#first ??= rz;
        // A part that becomes small with the gradient (Dembo, Eisenstat & Steihaug 1982).
        enough = rz * Math.min(FIRST_PART, Math.sqrt(rz / this.#first));
        return !(rz > 0);
      },
    });
    if (taken === 0) return last === 0 ? "minimum" : undefined;
    if (penalty > 0) centre(x, classes);
    const slope = dot(gradient, x);
    if (!(decrease > 0 && slope < 0 && x.every(Number.isFinite))) return undefined;
    return { x, slope, decrease: decrease + stretch * last };
  }
}

/** Takes the mean over the classes from each row. */
function centre(w: Float64Array, classes: number): void {
  for (let k = 0; k < w.length; k += classes) {
    let mean = 0;
    for (let c = 0; c < classes; c++) mean += w[k + c] / classes;
    for (let c = 0; c < classes; c++) w[k + c] -= mean;
  }
}

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

/** u (Λ + ½ ν) z of each row, Λ = diag(p) − p pᵀ. */
function curved(
  { weights, classes }: SoftmaxRegression,
  p: Float64Array,
  damping: number,
  z: Float64Array,
): Float64Array {
  for (let i = 0; i < weights.length; i++) {
    const at = i * classes;
    let [mean, counted] = [0, 0];
    for (let k = at; k < at + classes; k++) {
      mean += p[k] * z[k];
      counted += p[k];
    }
    const added = 0.5 * damping * counted;
    for (let k = at; k < at + classes; k++) z[k] = weights[i] * (p[k] * (z[k] - mean) + added * z[k]);
  }
  return z;
}

/** √(u (λ + ½ ν)) of each row, λ = tr Λ / (C − 1). */
function rootsOf({ weights, classes }: SoftmaxRegression, p: Float64Array, damping: number): Float64Array {
  return weights.map((weight, i) => {
    const at = i * classes;
    let [trace, counted] = [0, 0];
    for (let k = at; k < at + classes; k++) {
      trace += p[k] * (1 - p[k]);
      counted += p[k];
    }
    return Math.sqrt(weight * (Math.max(trace, 0) / (classes - 1) + 0.5 * damping * counted));
  });
}

/** max u_i ‖φ_i‖² */
function longestOf({ features, weights }: SoftmaxRegression, size: number): number {
  let most = 0;
  for (let i = 0; i < weights.length; i++) {
    let square = 0;
    for (let k = i * size; k < (i + 1) * size; k++) square += features[k] ** 2;
    most = Math.max(most, weights[i] * square);
  }
  return most;
}
