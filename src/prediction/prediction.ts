// Predictions: the posterior pushed through the linearised network, or through the network itself.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { unit } from "../derivatives/cotangents.ts";
import {
  checkBoolean,
  checkBytes,
  checkChoice,
  checkInteger,
  checkOptions,
  newFloats,
  OptionError,
  readBudget,
  ValueError,
} from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, copyOutTo, copyOutWide, copyTo, later, scope } from "../kernels/memory.ts";
import { atOnce, type ExamplesReport, type Steps } from "../kernels/steps.ts";
import { type Likelihood, Mixture } from "../likelihood/likelihood.ts";
import type { BinaryLink, ClassLink } from "../likelihood/links.ts";
import { labelShape } from "../losses/classes.ts";
import { eachPanel, panels } from "../network/panels.ts";
import { type Contraction, none, runInSteps } from "../network/run.ts";
import { float64Rows } from "../structures/jacobian-rows.ts";
import { cutFor, moved, routeOf, wholeRoute } from "./cuts.ts";
import { eachFunction, place } from "./functions.ts";
import type { Linearised } from "./linearised.ts";

/** How a Gaussian over function values becomes a distribution of targets; which there are depends on the likelihood. */
export type Approximation = ClassLink | BinaryLink | "exact" | "network";

/** Options of `predict`. The likelihoods' docstrings say more of the approximations. */
export interface PredictOptions {
  /**
   * How the Gaussian over function values becomes a distribution of targets. Regression: "exact". Classes: "meanField2"
   * (default), "probit", "plugin", "bridge", "normalizedBridge", "meanField1", "monteCarlo". One logit: "probit",
   * "plugin", "quadrature", "monteCarlo". Counts: "exact", "plugin". Everywhere: "network", which draws weights and runs
   * the network itself.
   */
  readonly approximation?: Approximation | undefined;
  /** Draws of "monteCarlo", where an odd number counts as the next one, and of "network" (default 100). */
  readonly samples?: number | undefined;
  /** Seed of the draws (default 0). */
  readonly seed?: number | undefined;
  /**
   * Bytes that an array of the result may need, the draws of "network", or the covariances of one input on their way
   * (default 1 GiB). Everything else passes in parts.
   */
  readonly memoryBudget?: number | undefined;
}

/** A prediction for B inputs, in float64; variances are in squared units of what they are of. */
export interface Prediction {
  /** The mean of the target, [B, ...outputs]: of classes, their probabilities; of a likelihood of rows [B, ...targets]. */
  readonly mean: NDArray;
  /** The variance of the target, noise included, shaped alike: of classes p (1 − p). */
  readonly variance: NDArray;
  /** The network's output: the mean of the function's value, [B, ...outputs]. */
  readonly functionMean: NDArray;
  /**
   * The variance of the function's value: what the weights leave open, without noise, [B, ...outputs]. An approximation that
   * does not look at it ("plugin") is a pass forward; then this is computed where it is first read.
   */
  readonly functionVariance: NDArray;
}

/** The names of the options of `predict`. */
export const predictOptionNames: readonly string[] = ["approximation", "samples", "seed", "memoryBudget"];

const unbounded = Number.POSITIVE_INFINITY;
export const FEWER = "Fewer inputs at once need less.";

/** The options of a prediction, with what is not given. @throws OptionError */
export function readPredictOptions(where: string, { links }: Likelihood, options: PredictOptions) {
  checkOptions(where, options, predictOptionNames);
  const { approximation = links[0], samples = 100, seed = 0 } = options;
  checkChoice(where, "approximation", approximation, [...links, "network"]);
  checkInteger(where, "samples", samples, 1);
  checkInteger(where, "seed", seed, 0);
  return { approximation, samples, seed, memoryBudget: readBudget(where, options.memoryBudget) };
}

/** See `Posterior.predict`. @param before how many others are before the inputs in messages */
export function* predict(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: PredictOptions,
  before?: number,
): Steps<Prediction, ExamplesReport> {
  const { net, likelihood } = posterior;
  const { approximation, samples, seed, memoryBudget } = readPredictOptions(where, likelihood, options);
  const inputs = net.readInputs(where, x);
  const shape = [inputs.shape[0], ...net.outputShape];
  checkBytes(where, shape, memoryBudget, FEWER);
  if (approximation === "monteCarlo") {
    checkBytes(where, [samples, likelihood.group(net.outputShape).size], memoryBudget, "Fewer samples need less.");
  }
  const shaped = (data: Float64Array) => new NDArray(data, shape);
  const targetShape = [inputs.shape[0], ...(likelihood.rows?.targetShape(net.outputShape) ?? net.outputShape)];
  const [mean, variance] = [0, 1].map(() => newFloats(where, targetShape));
  const functionMean = newFloats(where, shape);
  const known = {
    mean: new NDArray(mean, targetShape),
    variance: new NDArray(variance, targetShape),
    functionMean: shaped(functionMean),
  };
  if (approximation === "network") {
    const functionVariance = newFloats(where, shape);
    const draw = { samples, seed, memoryBudget };
    yield* eachNetworkPart(where, posterior, inputs, draw, (start, size) => {
      const share = mean.length / functionMean.length;
      const [targets, values, none] = [new Mixture(size * share), new Mixture(size), new Float64Array(size)];
      const add = (f: Float64Array) => {
        targets.add(likelihood.targetAt(f, net.outputShape));
        values.add({ mean: f, variance: none });
      };
      const finish = () => {
        const [target, value] = [targets.finish(), values.finish()];
        mean.set(target.mean, start * share);
        variance.set(target.variance, start * share);
        functionMean.set(value.mean, start);
        functionVariance.set(value.variance, start);
      };
      return { add, finish };
    });
    return { ...known, functionVariance: shaped(functionVariance) };
  }
  const needs = likelihood.needs(approximation);
  const functionVariance = needs === "mean" ? undefined : newFloats(where, shape);
  yield* eachFunction(where, posterior, inputs, { needs, memoryBudget, before }, (part) => {
    const target = likelihood.target(approximation, part, { samples, seed });
    place(part, target.mean, mean);
    place(part, target.variance, variance);
    place(part, part.mean, functionMean);
    if (functionVariance !== undefined) place(part, part.variance, functionVariance);
  });
  if (functionVariance !== undefined) return { ...known, functionVariance: shaped(functionVariance) };
  // Computed where it is read, at the inputs as they are now.
  const kept = new NDArray(inputs.data.slice(), inputs.shape);
  let found: NDArray | undefined;
  return {
    ...known,
    get functionVariance() {
      found ??= shaped(atOnce(functionMoments(where, posterior, kept, "variance")));
      return found;
    },
  };
}

/** The means or variances of the function's values at all inputs, [B, C]. */
export function* functionMoments(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
  needs: "mean" | "variance",
): Steps<Float64Array, ExamplesReport> {
  const result = newFloats(where, [inputs.shape[0], posterior.net.graph.output.size]);
  yield* eachFunction(where, posterior, inputs, { needs, memoryBudget: unbounded }, (part) =>
    place(part, part[needs], result),
  );
  return result;
}

/** Options of a posterior's `functionCovariance`. */
export interface FunctionCovarianceOptions {
  /** Whether it is over all outputs of all inputs (default false). */
  readonly joint?: boolean | undefined;
  /** Whether it is over the classes of one position at a time (default false). */
  readonly perPosition?: boolean | undefined;
  /** Bytes that the result may need, or the rows that the joint one is made of (default 1 GiB). */
  readonly memoryBudget?: number | undefined;
}

/** J P⁻¹ Jᵀ over the outputs of each input, of each of its positions, or of all inputs together. */
export function* functionCovariance(
  posterior: Linearised,
  x: ArrayLike,
  options: FunctionCovarianceOptions,
): Steps<NDArray, ExamplesReport> {
  const where = "functionCovariance";
  checkOptions(where, options, ["joint", "perPosition", "memoryBudget"]);
  const { joint = false, perPosition = false } = options;
  checkBoolean(where, "joint", joint);
  checkBoolean(where, "perPosition", perPosition);
  const memoryBudget = readBudget(where, options.memoryBudget);
  if (joint && perPosition) throw new OptionError(`${where}: joint is over all positions, perPosition over one.`);
  const { net, likelihood, selection } = posterior;
  if (joint) return yield* jointCovariance(where, posterior, net.readInputs(where, x), memoryBudget);
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  if (perPosition && likelihood.targets !== "classes") {
    throw new OptionError(
      `${where}: perPosition is for a categorical likelihood, with classes at every position, not a ${likelihood.name} one.`,
    );
  }
  const route = perPosition ? routeOf(net, selection, likelihood) : wholeRoute(outputs);
  const { size } = route.group;
  const positions = perPosition ? labelShape(net.outputShape, likelihood.classAxis) : [];
  const shape = [inputs.shape[0], ...positions, size, size];
  checkBytes(where, shape, memoryBudget, "Fewer inputs at once need less, or perPosition where there is one.");
  const covariance = newFloats(where, shape);
  yield* eachFunction(where, posterior, inputs, { needs: "covariance", route, memoryBudget: unbounded }, (part) => {
    const { batch, first, width, step, offset } = part;
    const blocks = part.covariance as Float64Array;
    // Groups of a row follow on each other.
    const [each, group] = [width / size, step === 1 ? offset / size : offset];
    for (let i = 0; i < batch; i++) {
      const block = blocks.subarray(i * size * size, (i + 1) * size * size);
      covariance.set(block, ((first + i) * each + group) * size * size);
    }
  });
  return new NDArray(covariance, shape);
}

/** The covariance of all function values at once, [B C, B C]. */
function* jointCovariance(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
  memoryBudget: number,
): Steps<NDArray, ExamplesReport> {
  const { net, selection } = posterior;
  const [batch, outputs, s] = [inputs.shape[0], net.graph.output.size, selection.size];
  const n = batch * outputs;
  for (const shape of [
    [n, n],
    [n, s],
  ]) {
    checkBytes(where, shape, memoryBudget, "Fewer inputs at once need less, without `joint` one at a time.");
  }
  const covariance = newFloats(where, [n, n]);
  const rows = newFloats(where, [n, s]);
  let start = 0;
  const kept: Contraction<void> = {
    begin: (part) => {
      start = part.start;
    },
    add(backward) {
      const [at, from] = [float64Rows(backward, selection), start * outputs * s];
      later(() => copyOutTo("float64", at, backward.batch * outputs * s, rows, from));
    },
    finish() {},
  };
  const factorised = yield* posterior.factoring("rows");
  const { length } = cutFor(posterior, wholeRoute(outputs), "rows");
  yield* runInSteps(where, posterior.model, [{ inputs }], unit(), kept, selection.reaches, { length });
  yield* eachPanel(n, s, (first, count) => {
    const v = copyIn("float64", rows.subarray(first * s, (first + count) * s));
    factorised.whiten(v, count);
    later(() => copyOutTo("float64", v, count * s, rows, first * s));
  });
  // Panels of rows times panels of rows: the kernels' memory holds two of them.
  yield* eachPanel(n, s, (first, count) => {
    const a = copyIn("float64", rows.subarray(first * s, (first + count) * s));
    for (const [from, columns] of panels(first + count, Math.max(s, count))) {
      scope(() => {
        const b = copyIn("float64", rows.subarray(from * s, (from + columns) * s));
        const c = allocateFloats("float64", count * columns);
        kernelsFor("float64").gemm(1, count, columns, s, a, 0, s, 1, b, 0, 1, s, c, 0, columns, 1, false);
        later(() => {
          const block = copyOut("float64", c, count * columns);
          for (let i = 0; i < count; i++) {
            for (let j = 0; j < columns && from + j <= first + i; j++) {
              const value = block[i * columns + j];
              covariance[(first + i) * n + from + j] = value;
              covariance[(from + j) * n + first + i] = value;
            }
          }
        });
      });
    }
  });
  return new NDArray(covariance, [n, n]);
}

/** How many draws, from which seed, and what they may need. */
export interface Draws {
  readonly samples: number;
  readonly seed: number;
  readonly memoryBudget: number;
}

/** What becomes of a part's function values, one drawn network after the other. */
interface NetworkPart {
  add(f: Float64Array): void;
  finish(): void;
}

/** The function values of networks drawn from the posterior, some inputs at a time; they begin at `start` of all. */
export function* eachNetworkPart(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
  { samples: n, seed, memoryBudget }: Draws,
  begin: (start: number, size: number) => NetworkPart,
): Steps<void, ExamplesReport> {
  const { net, selection } = posterior;
  const outputs = net.graph.output.size;
  checkBytes(where, [n, posterior.size], memoryBudget, "Fewer samples need less.");
  const draws = yield* posterior.deviations(n, new Random(seed));
  const drawn: Contraction<void> = {
    begin(part) {
      const { start, count } = part;
      const size = count * outputs;
      const { add, finish } = begin(start * outputs, size);
      for (let s = 0; s < n; s++) {
        scope(() => {
          const theta = allocateFloats(net.dtype, net.parameterCount);
          later(() => copyTo(net.dtype, theta, posterior.embed(draws, s, posterior.theta)));
          const { outputs: at } = moved(part, selection, theta);
          later(() => {
            const f = copyOutWide({ dtype: net.dtype, at, length: size });
            if (f.every(Number.isFinite)) return add(f);
            throw new ValueError(
              `${where}: a network drawn from the posterior has values that overflow ${net.dtype}. Likely causes: a prior so wide that drawn weights mean nothing (raise priorPrecision, or let optimizePrior() choose it), or an activation such as exp. Other approximations than "network" draw no weights.`,
            );
          });
        });
      }
      later(finish);
    },
    finish() {},
  };
  const { length } = cutFor(posterior, wholeRoute(outputs), "network");
  yield* runInSteps(where, posterior.model, [{ inputs }], none, drawn, "parameters", { length });
}
