// Several posteriors as one prediction: their mixture, of seeds, folds or different networks.

import { type ArrayLike, asArray, inspect, NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import type { Dataset } from "../data/dataset.ts";
import { checkOptions, OptionError, refuseCopies, ShapeError, ValueError } from "../errors.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, reporting, type Steps } from "../kernels/steps.ts";
import type { LikelihoodKind } from "../likelihood/likelihood.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { WeightPosterior } from "../posterior/weight-posterior.ts";
import { labelLogs, predictDensities, predictLabels } from "../prediction/log-probabilities.ts";
import { predictAll } from "../prediction/predict-all.ts";
import { type Prediction, type PredictOptions, predict, predictOptionNames } from "../prediction/prediction.ts";
import { negativeLogDensities } from "./densities.ts";
import { type EvaluateOptions, metricsOf } from "./evaluate.ts";
import { mixtureCrps, mixtureQuantile } from "./gaussian-mixture.ts";
import { average, checkLevel, elementWeights } from "./metric-inputs.ts";
import { meanAbsoluteError, rootMeanSquaredError } from "./regression.ts";

/** A mixture's prediction: as one posterior's, with its variance in parts. */
export interface MixturePrediction extends Prediction {
  /** The mean of the posteriors' own variances of the target, shaped as the mean. */
  readonly within: NDArray;
  /** The variance of their means: where they disagree. `variance` is the sum of both. */
  readonly between: NDArray;
}

/** What `evaluate` of a mixture gives, by its own density; what does not fit the likelihood is absent. */
export interface MixtureEvaluation {
  readonly samples: number;
  readonly labels?: number;
  readonly negativeLogLikelihood: number;
  readonly rootMeanSquaredError?: number;
  readonly meanAbsoluteError?: number;
  readonly crps?: number;
  /** Of the mixture's own central intervals, between its quantiles. */
  readonly intervalCoverage?: number;
  readonly intervalWidth?: number;
  readonly accuracy?: number;
  readonly brierScore?: number;
  readonly expectedCalibrationError?: number;
  readonly auroc?: number;
}

/** Options of a mixture's `intervals`: those of `predict`, and their level (default 0.9). */
export interface MixtureIntervalOptions extends PredictOptions {
  readonly level?: number | undefined;
}

/** Bounds of intervals, shaped as the mean. */
export interface MixtureIntervals {
  readonly lower: NDArray;
  readonly upper: NDArray;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a mixture: saveMixture(mixture) makes bytes of it, which loadMixture reads";

/** Posteriors with weights, which predict together. Made by `mixture`. */
export class PosteriorMixture<Kind extends LikelihoodKind = LikelihoodKind> {
  readonly posteriors: readonly WeightPosterior<Kind>[];
  /** They sum to 1, [K]. */
  readonly weights: Float64Array;

  constructor(posteriors: readonly WeightPosterior<Kind>[], weights: Float64Array) {
    this.posteriors = posteriors;
    this.weights = weights;
    refuseCopies(this, copies);
  }

  /**
   * Mean and variance of the target and of the function at each input, of the mixture: means are averaged, variances are those
   * within and between the posteriors. Of classes, probabilities are averaged.
   * @param x [B, ...inputs] @throws as a posterior's `predict`
   */
  predict(x: ArrayLike, options: PredictOptions = {}): MixturePrediction {
    return atOnce(this.#predict("predict", x, options));
  }

  /** `predict` in bursts. @throws as `predict`; the signal's reason */
  async predictAsync(x: ArrayLike, options: InBursts<PredictOptions> = {}): Promise<MixturePrediction> {
    return asynchronously("predict", options, (rest) => this.#predict("predict", x, rest));
  }

  /** The logarithms of the mixture's probabilities of labels, as a posterior's. @throws as a posterior's `logProbabilities` */
  logProbabilities(x: ArrayLike, options: PredictOptions = {}): NDArray {
    return atOnce(this.#logProbabilities("logProbabilities", x, options));
  }

  /** `logProbabilities` in bursts. @throws as `logProbabilities`; the signal's reason */
  async logProbabilitiesAsync(x: ArrayLike, options: InBursts<PredictOptions> = {}): Promise<NDArray> {
    return asynchronously("logProbabilities", options, (rest) => this.#logProbabilities("logProbabilities", x, rest));
  }

  /**
   * Central intervals between quantiles of the mixture of Gaussians, which is not a Gaussian where the posteriors disagree.
   * @throws OptionError for a likelihood that is not normal, or a bad level; as `predict`
   */
  intervals(x: ArrayLike, options: MixtureIntervalOptions = {}): MixtureIntervals {
    return atOnce(this.#intervals(x, options));
  }

  /** `intervals` in bursts. @throws as `intervals`; the signal's reason */
  async intervalsAsync(x: ArrayLike, options: InBursts<MixtureIntervalOptions> = {}): Promise<MixtureIntervals> {
    return asynchronously("intervals", options, (rest) => this.#intervals(x, rest));
  }

  /**
   * Predictions held against data, scored by the mixture's own density, probabilities and intervals.
   * @param data { x, y }, or batches such as a DataLoader's @throws as `evaluate` of a posterior
   */
  evaluate(data: Data, options: EvaluateOptions = {}): MixtureEvaluation {
    return atOnce(this.#evaluate(data, options));
  }

  /** `evaluate` in bursts. @throws as `evaluate`; the signal's reason */
  async evaluateAsync(data: Data, options: InBursts<EvaluateOptions> = {}): Promise<MixtureEvaluation> {
    return asynchronously("evaluate", options, (rest) => this.#evaluate(data, rest));
  }

  /** What `of` gives of each posterior. */
  *#each<T>(of: (posterior: WeightPosterior<Kind>) => Steps<T, ExamplesReport>): Steps<T[], ExamplesReport> {
    const found: T[] = [];
    for (const posterior of this.posteriors) found.push(yield* reporting(of(posterior), () => undefined));
    return found;
  }

  *#predict(where: string, x: ArrayLike, options: PredictOptions): Steps<MixturePrediction, ExamplesReport> {
    const all = yield* this.#each((posterior) => predict(where, posterior, x, options));
    return this.#mixed(all);
  }

  /** Σ_k w_k of(what posterior k gave, i) for each number i of an array like this. */
  #average<One>(all: readonly One[], like: NDArray, of: (one: One, i: number) => number): NDArray {
    const { weights } = this;
    const values = Float64Array.from({ length: like.size }, (_, i) => {
      let total = 0;
      for (const [k, one] of all.entries()) if (weights[k] > 0) total += weights[k] * of(one, i);
      return total;
    });
    return new NDArray(values, like.shape);
  }

  #meanOf(all: readonly Pick<Prediction, "mean">[]): NDArray {
    return this.#average(all, all[0].mean, (one, i) => one.mean.data[i]);
  }

  #mixed(all: readonly Prediction[]): MixturePrediction {
    const sum = (of: (one: Prediction, i: number) => number, like: NDArray) => this.#average(all, like, of);
    const [{ mean: first, functionMean: output }] = all;
    const mean = this.#meanOf(all);
    const within = sum((one, i) => one.variance.data[i], first);
    const between = sum((one, i) => (one.mean.data[i] - mean.data[i]) ** 2, first);
    const functionMean = sum((one, i) => one.functionMean.data[i], output);
    let found: NDArray | undefined;
    return {
      mean,
      variance: sum((_, i) => within.data[i] + between.data[i], first),
      within,
      between,
      functionMean,
      get functionVariance() {
        found ??= sum(
          (one, i) => one.functionVariance.data[i] + (one.functionMean.data[i] - functionMean.data[i]) ** 2,
          output,
        );
        return found;
      },
    };
  }

  *#logProbabilities(where: string, x: ArrayLike, options: PredictOptions): Steps<NDArray, ExamplesReport> {
    return this.#logMean(yield* this.#each((posterior) => labelLogs(where, posterior, x, options)));
  }

  /** The logarithms of the mean of what is given by its logarithms. */
  #logMean(all: readonly NDArray[]): NDArray {
    const [{ shape, size }] = all;
    const logs = Float64Array.from({ length: size }, (_, i) => {
      let most = Number.NEGATIVE_INFINITY;
      for (const [k, { data }] of all.entries()) if (this.weights[k] > 0) most = Math.max(most, data[i]);
      if (Math.abs(most) === Number.POSITIVE_INFINITY) return most;
      let sum = 0;
      for (const [k, { data }] of all.entries()) sum += this.weights[k] * Math.exp(data[i] - most);
      return most + Math.log(sum);
    });
    return new NDArray(logs, shape);
  }

  *#intervals(x: ArrayLike, options: MixtureIntervalOptions): Steps<MixtureIntervals, ExamplesReport> {
    const where = "intervals";
    checkOptions(where, options, ["level", ...predictOptionNames]);
    const { level = 0.9, ...rest } = options;
    checkLevel(where, level);
    const [{ likelihood }] = this.posteriors;
    if (!likelihood.normal) {
      throw new OptionError(
        `${where}: a ${likelihood.name} likelihood has no quantiles here, only regressions have. foldIntervals and conformalIntervals take any predictions.`,
      );
    }
    const all = yield* this.#each((posterior) => predict(where, posterior, x, rest));
    return this.#bounds(all, level);
  }

  /** The mixture of Gaussians of number i. */
  #gaussians(all: readonly Prediction[], i: number) {
    return {
      weights: this.weights,
      means: all.map(({ mean }) => mean.data[i]),
      deviations: all.map(({ variance }) => Math.sqrt(variance.data[i])),
    };
  }

  #bounds(all: readonly Prediction[], level: number): MixtureIntervals {
    const [{ mean }] = all;
    const at = (p: number) =>
      new NDArray(
        Float64Array.from({ length: mean.size }, (_, i) => mixtureQuantile(this.#gaussians(all, i), p)),
        mean.shape,
      );
    return { lower: at((1 - level) / 2), upper: at((1 + level) / 2) };
  }

  *#evaluate(data: Data, options: EvaluateOptions): Steps<MixtureEvaluation, ExamplesReport> {
    const where = "evaluate";
    checkOptions(where, options, ["level", ...predictOptionNames]);
    const { level = 0.9, ...rest } = options;
    checkLevel(where, level);
    const [{ likelihood }] = this.posteriors;
    const { targets: kind, normal } = likelihood;
    const mixture = this;
    const found = yield* predictAll(where, data, function* ({ x, y }: Dataset) {
      if (kind !== "numbers") {
        const all = yield* mixture.#each((posterior) => predictLabels(where, posterior, x, rest));
        const mean = mixture.#meanOf(all);
        return { mean, logs: mixture.#logMean(all.map(({ logs }) => logs)), lower: mean, upper: mean, scores: mean };
      }
      const all = yield* mixture.#each((posterior) => predict(where, posterior, x, rest));
      const mean = mixture.#meanOf(all);
      const logs = mixture.#logMean(yield* mixture.#densities(where, x, y, all, rest));
      if (!normal) return { mean, logs, lower: mean, upper: mean, scores: mean };
      const targets = asArray(y);
      const scores = Float64Array.from({ length: mean.size }, (_, i) =>
        mixtureCrps(mixture.#gaussians(all, i), targets.data[i]),
      );
      return { mean, logs, ...mixture.#bounds(all, level), scores: new NDArray(scores, mean.shape) };
    });
    const { mean, logs, lower, upper, scores, targets: y, weights } = found;
    const [samples] = mean.shape;
    if (kind !== "numbers") {
      const predicted = { mean, variance: mean, functionMean: mean, functionVariance: mean, logs, y, weights };
      return (yield* metricsOf(where, likelihood, predicted, { ...rest, level })) as MixtureEvaluation;
    }
    const meanOf = (values: NDArray, at: (i: number) => number = (i) => values.data[i]) =>
      average(values.size, at, elementWeights(where, { weights }, samples, values.size));
    const errors = {
      samples,
      negativeLogLikelihood: meanOf(logs, (i) => -logs.data[i]),
      rootMeanSquaredError: rootMeanSquaredError(mean, y, { weights }),
      meanAbsoluteError: meanAbsoluteError(mean, y, { weights }),
    };
    if (!normal) return errors;
    return {
      ...errors,
      crps: meanOf(scores),
      intervalCoverage: meanOf(mean, (i) => Number(y.data[i] >= lower.data[i] && y.data[i] <= upper.data[i])),
      intervalWidth: meanOf(mean, (i) => upper.data[i] - lower.data[i]),
    };
  }

  /** The log densities of targets that are numbers under each posterior's prediction. */
  *#densities(
    where: string,
    x: NDArray,
    y: NDArray,
    all: readonly Prediction[],
    options: PredictOptions,
  ): Steps<NDArray[], ExamplesReport> {
    const logs: NDArray[] = [];
    for (const [k, posterior] of this.posteriors.entries()) {
      const { likelihood, net } = posterior;
      const { mean, variance, functionMean, functionVariance } = all[k];
      const shape = [x.shape[0], ...net.outputShape];
      if (likelihood.rows !== undefined && !likelihood.normal) {
        const targets = likelihood.readTargets(where, y, shape, "float64");
        logs.push(yield* reporting(predictDensities(where, posterior, x, targets, options), () => undefined));
        continue;
      }
      if (y.size !== mean.size) {
        throw new ShapeError(
          `${where}: the targets have shape ${shapeText(y.shape)}, but the predictions ${shapeText(mean.shape)}; they must agree.`,
        );
      }
      const density = (i: number) => {
        const v = variance.data[i];
        return -0.5 * (Math.log(2 * Math.PI * v) + (y.data[i] - mean.data[i]) ** 2 / v);
      };
      const own = likelihood.normal
        ? Float64Array.from({ length: mean.size }, (_, i) => density(i))
        : negativeLogDensities(
            likelihood,
            {
              mean: mean.data,
              variance: variance.data,
              functionMean: functionMean.data,
              functionVariance: functionVariance.data,
            },
            likelihood.readTargets(where, y, shape, "float64").data,
          ).map((one) => -one);
      logs.push(new NDArray(own, mean.shape));
    }
    return logs;
  }

  [inspect](): string {
    return this.toString();
  }

  /** A line of what this is. */
  toString(): string {
    return `PosteriorMixture(${this.posteriors.length} posteriors, ${this.posteriors[0].likelihood.name})`;
  }
}

/**
 * The mixture of posteriors: of several seeds (deep ensembles, Lakshminarayanan et al. 2017, each member with its own uncertainty:
 * Eschenhagen et al. 2021), of folds, or of different networks. They must take the same inputs and give the same targets by the
 * same likelihood; noise, prior and structure may differ.
 * @param weights [K], at least 0 (default: equal); they are divided by their sum
 * @throws ValueError for what are not posteriors, or do not go together; ShapeError
 */
export function mixture<Kind extends LikelihoodKind>(
  posteriors: readonly WeightPosterior<Kind>[],
  weights?: ArrayLike,
): PosteriorMixture<Kind> {
  const where = "mixture";
  if (!Array.isArray(posteriors) || posteriors.length === 0) {
    throw new ValueError(`${where}: expected a list of posteriors, at least one.`);
  }
  const list: readonly WeightPosterior<Kind>[] = Array.from(posteriors);
  list.forEach((one, k) => void checkIsPosterior(where, `posterior ${k}`, one, WeightPosterior));
  const [first] = list;
  const kindOf = ({ likelihood: { name, entry } }: WeightPosterior) => JSON.stringify([name, entry]);
  list.forEach((one, k) => {
    if (kindOf(one) !== kindOf(first)) {
      throw new ValueError(
        `${where}: posterior ${k} has a ${one.likelihood.name} likelihood, and the first a ${first.likelihood.name} one of other options or name; they must be the same, but for their noise.`,
      );
    }
    for (const name of ["inputShape", "outputShape"] as const) {
      if (sameShape(one.net[name], first.net[name])) continue;
      throw new ShapeError(
        `${where}: the network of posterior ${k} has an ${name} of ${shapeText(one.net[name])}, that of the first ${shapeText(first.net[name])}; they must agree.`,
      );
    }
  });
  const given =
    weights === undefined ? new Float64Array(list.length).fill(1) : Float64Array.from(asArray(weights).data);
  if (given.length !== list.length) {
    throw new ShapeError(`${where}: expected ${list.length} weights, one for each posterior, got ${given.length}.`);
  }
  const sum = given.reduce((total, weight) => total + weight, 0);
  if (!given.every((weight) => weight >= 0) || !(sum > 0 && sum < Number.POSITIVE_INFINITY)) {
    throw new ValueError(`${where}: weights must be at least 0, and not all 0; they are ${[...given].join(", ")}.`);
  }
  return new PosteriorMixture(
    list,
    given.map((weight) => weight / sum),
  );
}
