// A Gaussian prior over the selected weights with a diagonal precision: one number, one for each parameter, or one for
// each weight.

import { checkFinite } from "../array/arguments.ts";
import { sumOfLogs } from "../array/logs.ts";
import { type ArrayLike, asArray, shapeText } from "../array/ndarray.ts";
import { OptionError, ShapeError, ValueError } from "../errors.ts";
import { keptNumbers } from "../kernels/dry-run.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Curvature } from "./curvature.ts";
import type { Precision, PrecisionOptions } from "./precision.ts";
import type { Selection } from "./selection.ts";

/** How many numbers a prior precision has: one, one for each selected parameter array, or one for each weight. */
export type PriorStructure = "scalar" | "perParameter" | "perWeight";

/** What `with` changes. */
export interface Hyperparameters {
  /** One number, one for each parameter, or one for each weight, in the order of the fit's option `weights`. */
  readonly priorPrecision?: ArrayLike | undefined;
  /** One number, one for each parameter, or one for each weight, in the order of the fit's option `weights`. */
  readonly priorMean?: ArrayLike | undefined;
  /** Standard deviation of a Gaussian's noise: one number, or one for each output, with the ratios of the fit. */
  readonly noise?: ArrayLike | undefined;
  /** T of P = H/(σ² T) + P₀. */
  readonly temperature?: number | undefined;
}

/** The factors of a parameter's precision, B ⊗ A or B of a vector, as `Factors` of a curvature are. */
export interface KroneckerFactors {
  /** The parameter's name. */
  readonly parameter: string;
  /** B, symmetric positive definite, [outputs, outputs]; with an axis of groups first where there are several. */
  readonly b: ArrayLike;
  /** A, [inputs, inputs], of a weight; left out for a vector. */
  readonly a?: ArrayLike | undefined;
}

/** M, a precision that the prior's one number δ multiplies: in the structure of the posteriors that it is for. */
export interface PriorMatrix {
  /** M, in that structure. */
  readonly curvature: Curvature;
  /** Its diagonal, [S]. */
  readonly diagonal: Float64Array;
  /** log det M, once it is `prepared`. */
  readonly logDeterminant: number;
  /** Factors M once. @throws ValueError for one that is not positive definite */
  prepare(): Steps<void>;
  /** M v of a vector [S]. */
  times(v: Float64Array): Steps<Float64Array>;
  /** Factors P = h H + δ M. @throws NotPositiveDefiniteError */
  precision(curvature: Curvature, h: number, prior: Prior, options: PrecisionOptions): Steps<Precision>;
}

/** Mean and precision of the prior. */
export class Prior {
  readonly selection: Selection;
  readonly structure: PriorStructure;
  /** The precisions δ, [1], [number of parameters] or [S], in the order of the network. */
  readonly precision: Float64Array;
  /** [S] */
  readonly mean: Float64Array;
  /** M of P₀ = δ M; undefined where that is 1. */
  readonly matrix: PriorMatrix | undefined;

  constructor(selection: Selection, precision: Float64Array, mean: Float64Array, matrix?: PriorMatrix) {
    this.selection = selection;
    this.precision = precision;
    this.mean = mean;
    this.matrix = matrix;
    const { length } = precision;
    this.structure = length === 1 ? "scalar" : length === selection.parameters.length ? "perParameter" : "perWeight";
  }

  /** δ of every weight, [S]. */
  spread(precision: Float64Array = this.precision): Float64Array {
    const result = keptNumbers(this.selection.size);
    if (this.structure === "perWeight") result.set(precision);
    else {
      this.selection.parameters.forEach(({ at, size }, i) => {
        result.fill(precision[this.structure === "scalar" ? 0 : i], at, at + size);
      });
    }
    return result;
  }

  /** Sums of values [S] over the weights that share a precision. */
  sums(values: Float64Array): Float64Array {
    if (this.structure === "perWeight") return values.slice();
    const result = new Float64Array(this.precision.length);
    this.selection.parameters.forEach(({ at, size }, i) => {
      let sum = 0;
      for (let p = at; p < at + size; p++) sum += values[p];
      result[this.structure === "scalar" ? 0 : i] += sum;
    });
    return result;
  }

  /** The number of weights that share each precision. */
  counts(): Float64Array {
    if (this.structure === "scalar") return Float64Array.of(this.selection.size);
    if (this.structure === "perParameter") return Float64Array.from(this.selection.parameters, ({ size }) => size);
    return new Float64Array(this.selection.size).fill(1);
  }

  /** This prior with other precisions, of this or another structure. */
  with(precision: Float64Array): Prior {
    return new Prior(this.selection, precision, this.mean, this.matrix);
  }
}

/** log det P₀ */
export function logDeterminantOf(prior: Prior): number {
  if (prior.structure === "perWeight") return sumOfLogs(prior.precision);
  const counts = prior.counts();
  const start = prior.matrix?.logDeterminant ?? 0;
  return prior.precision.reduce((sum, delta, i) => sum + counts[i] * Math.log(delta), start);
}

/** The same precisions in another structure: numbers that come together are averaged in the logarithm. @throws OptionError for that of a matrix */
export function restructured(where: string, prior: Prior, structure: PriorStructure): Prior {
  const { selection, matrix } = prior;
  const length =
    structure === "scalar" ? 1 : structure === "perParameter" ? selection.parameters.length : selection.size;
  if (length === prior.precision.length) return prior;
  if (matrix !== undefined)
    throw new OptionError(
      `${where}: with the option prior one number is tuned, its scale: priorStructure is "scalar".`,
    );
  const target = prior.with(new Float64Array(length).fill(1));
  const logs = target.sums(prior.spread().map(Math.log));
  const counts = target.counts();
  return target.with(logs.map((log, i) => Math.exp(log / counts[i])));
}

/** Reads the options `priorPrecision` and `priorMean`, whose numbers are in the order of the option `weights`. @throws ShapeError, ValueError, OptionError */
export function readPrior(where: string, selection: Selection, precision: ArrayLike, mean: ArrayLike): Prior {
  const lengths = [1, selection.parameters.length, selection.size];
  const read = (name: string, given: ArrayLike) => {
    const { data, rank, size, shape } = asArray(given);
    if (rank < 2 && lengths.includes(size)) return new Float64Array(data);
    throw new ShapeError(
      `${where}: the prior ${name} must be one number, one for each of the ${lengths[1]} parameters or one for each of the ${lengths[2]} weights, not of shape ${shapeText(shape)}.`,
    );
  };
  const [values, centres] = [read("precision", precision), read("mean", mean)];
  const bad = values.findIndex((delta) => !(delta > 0 && Number.isFinite(delta)));
  if (bad >= 0) {
    throw new ValueError(`${where}: the prior precision must be positive, but number ${bad} is ${values[bad]}.`);
  }
  checkFinite(where, "the prior mean", asArray(centres));
  const means = new Prior(selection, selection.arrange(centres), centres).spread();
  return new Prior(selection, selection.arrange(values), means);
}
