// The posterior precision P = h H + P₀ by products alone. With its own diagonal M = R⁻² all that is asked of P is asked
// of A = R P R, whose diagonal is 1: P⁻¹ = R A⁻¹ R, a root of it is R A^-½, and
// log det P = log det M + tr log A, where the trace is estimated by random vectors (Ubaru, Chen & Saad 2017, SIAM J. Matrix Anal. 38;
// Wenger et al. 2022, arXiv:2107.00243). Draws R A^-½ ε are what sample-then-optimise (Antorán et al. 2023, arXiv:2210.04994) has in
// distribution, from as many products; their noise is that of every other structure, and the matrix may be any.

import { meanOf } from "../../array/mean.ts";
import { Random } from "../../array/random.ts";
import { OptionError } from "../../errors.ts";
import { dryBytes, keptNumbers } from "../../kernels/dry-run.ts";
import { allocateFloats, copyIn, copyOut, copyTo, type Numbers, type Pointer, scope } from "../../kernels/memory.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import type { Backward } from "../../network/passes.ts";
import type { Curvature } from "../curvature.ts";
import { diagonalPrecision } from "../diagonal/precision.ts";
import { rowsCovariance, rowsVariance } from "../jacobian-rows.ts";
import type { Precision, Prepared } from "../precision.ts";
import type { Prior } from "../prior.ts";
import { alone } from "./alone.ts";
import type { OperatorCurvature } from "./curvature.ts";
import { Draws } from "./draws.ts";
import { type Krylov, krylov } from "./krylov.ts";

/** Vectors of the basis that a dry run counts. */
const COUNTED = 32;
/** Weights up to which each variance is a solution of its own. */
const SOLVED_UP_TO = 1024;

/** Factors what is near P = h H + P₀: its diagonal. */
export function operatorPrecision(curvature: OperatorCurvature, h: number, prior: Prior): Precision {
  return new OperatorPrecision(curvature, h, prior, diagonalPrecision(curvature.near, h, prior));
}

const root = (value: number) => 1 / Math.sqrt(value);
const inverse = (value: number) => 1 / value;

/** An estimate, with its standard error. */
interface Determinant {
  readonly value: number;
  readonly error: number;
}

class OperatorPrecision implements Precision {
  readonly #curvature: OperatorCurvature;
  readonly #h: number;
  readonly #prior: Prior;
  readonly #delta: Float64Array;
  /** M */
  readonly #near: Precision;
  /** R's diagonal. */
  #roots: Float64Array | undefined;
  #determinant: Determinant | undefined;
  #variance: Float64Array | undefined;
  #draws: Draws | undefined;

  constructor(curvature: OperatorCurvature, h: number, prior: Prior, near: Precision) {
    this.#curvature = curvature;
    this.#h = h;
    this.#prior = prior;
    this.#delta = prior.spread();
    this.#near = near;
  }

  get #size(): number {
    return this.#curvature.size;
  }

  /** Whether the random vectors are as many as there are weights, so that a basis takes their place. */
  get #exact(): boolean {
    return this.#size <= this.#curvature.solver.probes;
  }

  *prepare(what: Prepared): Steps<void> {
    yield* this.#near.prepare(what === "rows" ? "rows" : "determinant");
    if (what === "rows") {
      if (this.#curvature.solver.draws !== undefined) yield* this.#drawn();
      return;
    }
    if (what === "variance" || what === "covariance") return;
    if (what !== "determinant" && !this.#exact && dryBytes() === undefined) {
      throw new OptionError(
        `laplace: the structure "operator" estimates its determinant (by ${this.#curvature.solver.probes} random vectors), and a prior precision or noise that follows an estimate's gradient follows its error. Tune those of the structure "kronecker", and give them to this one: priorPrecision, or gaussian({ noise }); or give optimizePrior data (on) to be predicted; or as many probes (solver) as there are weights.`,
      );
    }
    this.#determinant ??= yield* this.#logDeterminant();
    if (what !== "determinant") yield* this.variance();
  }

  // Products.

  /** P v */
  *#times(v: Float64Array): Steps<Float64Array> {
    const result = yield* this.#curvature.product(v);
    const [h, delta] = [this.#h, this.#delta];
    for (let i = 0; i < result.length; i++) result[i] = h * result[i] + delta[i] * v[i];
    return result;
  }

  /** R v, to `to`. */
  #scale(v: Float64Array, to: Float64Array): Float64Array {
    this.#roots ??= scope(() => {
      const at = copyIn("float64", new Float64Array(this.#size).fill(1));
      this.#near.colour(at, 1);
      return copyOut("float64", at, this.#size) as Float64Array;
    });
    const roots = this.#roots;
    for (let i = 0; i < to.length; i++) to[i] = roots[i] * v[i];
    return to;
  }

  /** R v */
  #scaled(v: Float64Array): Float64Array {
    return this.#scale(v, new Float64Array(v.length));
  }

  /** The span of v under A, which is all that its functions need. */
  *#span(where: string, v: Float64Array): Steps<Krylov> {
    const { solver, dtype } = this.#curvature;
    return yield* krylov(where, this.#product(), v, { ...solver, dtype });
  }

  /** A = R P R. */
  #product() {
    const precision = this;
    return function* (v: Float64Array): Steps<Float64Array> {
      const result = yield* precision.#times(precision.#scaled(v));
      return precision.#scale(result, result);
    };
  }

  /** f(A) of each row, in the kernels' memory. */
  #each(where: string, rows: Pointer, n: number, f: (value: number) => number): void {
    const size = this.#size;
    if (dryBytes() !== undefined) {
      scope(() => allocateFloats("float64", Math.min(COUNTED, size) * size));
      return;
    }
    const precision = this;
    alone(function* () {
      for (let i = 0; i < n; i++) {
        const at = rows + 8 * i * size;
        const v = copyOut("float64", at, size) as Float64Array;
        (yield* precision.#span(where, v)).write(f, v);
        copyTo("float64", at, v);
      }
    });
  }

  whiten(rows: Pointer, n: number): void {
    this.#near.whiten(rows, n);
    this.#each("solve", rows, n, root);
  }

  colour(rows: Pointer, n: number): void {
    this.#each("sample", rows, n, root);
    this.#near.colour(rows, n);
  }

  solve(rows: Pointer, n: number): void {
    this.#near.whiten(rows, n);
    this.#each("solve", rows, n, inverse);
    this.#near.colour(rows, n);
  }

  // The determinant.

  *#logDeterminant(): Steps<Determinant> {
    const near = this.#near.logDeterminant;
    const size = this.#size;
    if (dryBytes() !== undefined) {
      this.#each("evidence", 0, 1, Math.log);
      return { value: near, error: 0 };
    }
    const { probes, seed } = this.#curvature.solver;
    const random = new Random(seed);
    const samples: number[] = [];
    for (let i = 0; i < (this.#exact ? size : probes); i++) {
      const v = new Float64Array(size);
      if (this.#exact) v[i] = 1;
      else toSphere(v, random);
      samples.push((yield* this.#span("evidence", v)).quadrature(Math.log));
      yield;
    }
    if (this.#exact) return { value: near + samples.reduce((all, x) => all + x, 0), error: 0 };
    const { mean, error } = meanOf(samples);
    return { value: near + mean, error };
  }

  get logDeterminant(): number {
    this.#determinant ??= atOnce(this.#logDeterminant());
    return this.#determinant.value;
  }

  get logDeterminantError(): number {
    this.#determinant ??= atOnce(this.#logDeterminant());
    return this.#determinant.error;
  }

  logPriorGradient(): Float64Array {
    const variance = atOnce(this.variance());
    return this.#prior.sums(variance.map((one, i) => this.#delta[i] * one));
  }

  *traces(parts: readonly Curvature[]): Steps<Float64Array> {
    const covariance = yield* this.covariance();
    return Float64Array.from(parts, (part) => {
      const { data } = part.dense({ memoryBudget: Number.MAX_SAFE_INTEGER });
      return covariance.reduce((sum, x, i) => sum + x * data[i], 0);
    });
  }

  // Whole matrices, one vector after the other.

  /** What `of` makes of each unit vector. */
  *#units(of: (unit: Float64Array, i: number) => Steps<void>): Steps<void> {
    for (let i = 0; i < this.#size; i++) {
      const unit = new Float64Array(this.#size);
      unit[i] = 1;
      yield* of(unit, i);
      yield;
    }
  }

  *variance(): Steps<Float64Array> {
    this.#variance ??= yield* this.#variances();
    return this.#variance.slice();
  }

  *#variances(): Steps<Float64Array> {
    const result = new Float64Array(this.#size);
    if (dryBytes() !== undefined) return result;
    if (this.#size > SOLVED_UP_TO) {
      const near = yield* this.#near.variance();
      return (yield* this.#drawn()).ratios().map((ratio, i) => ratio * near[i]);
    }
    const precision = this;
    yield* this.#units(function* (unit, i) {
      result[i] = (yield* precision.#span("variance", precision.#scaled(unit))).quadrature(inverse);
    });
    return result;
  }

  dense(): Steps<Float64Array> {
    return this.#rows((unit) => this.#times(unit));
  }

  covariance(): Steps<Float64Array> {
    return this.#rows((unit) => this.#solved(unit));
  }

  *#solved(unit: Float64Array): Steps<Float64Array> {
    const v = this.#scaled(unit);
    (yield* this.#span("covariance", v)).write(inverse, v);
    return this.#scaled(v);
  }

  /** What comes of each unit vector, in rows. */
  *#rows(of: (unit: Float64Array) => Steps<Float64Array>): Steps<Float64Array> {
    const n = this.#size;
    const result = new Float64Array(n * n);
    yield* this.#units(function* (unit, i) {
      result.set(yield* of(unit), i * n);
    });
    return result;
  }

  *quadraticForm(rows: Float64Array, n: number): Steps<Float64Array> {
    const result = new Float64Array(n);
    const size = this.#size;
    for (let i = 0; i < n; i++) {
      const v = rows.slice(i * size, (i + 1) * size);
      const pulled = yield* this.#times(v);
      for (let j = 0; j < size; j++) result[i] += v[j] * pulled[j];
      yield;
    }
    return result;
  }

  // Functions.

  /** Draws of P⁻¹, and of M⁻¹ from the same noise, made once. */
  *#drawn(): Steps<Draws> {
    if (this.#draws !== undefined) return this.#draws;
    const { solver, selection, dtype } = this.#curvature;
    const draws = new Draws(selection, dtype, solver.draws ?? solver.probes);
    if (dryBytes() !== undefined) {
      // Of two bytes each where they are of four.
      keptNumbers(draws.count * this.#size);
      scope(() => allocateFloats("float64", Math.min(COUNTED, this.#size) * this.#size));
      return draws;
    }
    const random = new Random(solver.seed);
    for (let s = 0; s < draws.count; s++) {
      const noise = Float64Array.from({ length: this.#size }, () => random.normal());
      const own = noise.slice();
      (yield* this.#span("predict", noise)).write(root, own);
      draws.push(this.#scaled(own), this.#scaled(noise));
      yield;
    }
    this.#draws = draws;
    return draws;
  }

  functionCovariance(backward: Backward): Numbers {
    const { solver, selection } = this.#curvature;
    if (solver.draws === undefined) return rowsCovariance(backward, selection, this);
    const near = this.#near.functionCovariance(backward);
    return atOnce(this.#drawn()).covariance(backward, near);
  }

  functionVariance(backward: Backward): Numbers {
    const { solver, selection } = this.#curvature;
    if (solver.draws !== undefined) {
      const near = this.#near.functionVariance(backward);
      return atOnce(this.#drawn()).variance(backward, near);
    }
    if (dryBytes() !== undefined) return rowsVariance(backward, selection, this);
    const length = backward.batch * backward.columns;
    return this.#forms(backward, length);
  }

  /** cᵀ J P⁻¹ Jᵀ c by the rows of J, which need no root. */
  #forms(backward: Backward, length: number): Numbers {
    const { selection } = this.#curvature;
    const precision = this;
    return rowsVariance(backward, selection, this, (rows, to) => {
      this.#near.whiten(rows, length);
      alone(function* () {
        const size = precision.#size;
        const result = new Float64Array(length);
        for (let i = 0; i < length; i++) {
          const v = copyOut("float64", rows + 8 * i * size, size) as Float64Array;
          result[i] = (yield* precision.#span("predict", v)).quadrature(inverse);
        }
        copyTo("float64", to, result);
      });
    });
  }
}

/** A vector of the length √n in a random direction. */
function toSphere(v: Float64Array, random: Random): void {
  let square = 0;
  for (let i = 0; i < v.length; i++) {
    v[i] = random.normal();
    square += v[i] ** 2;
  }
  const factor = Math.sqrt(v.length / square);
  for (let i = 0; i < v.length; i++) v[i] *= factor;
}
