// The posterior as users meet it: the Gaussian over weights, and what is asked of it about functions and data.

import { type ArrayLike, inspect, type NDArray } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import { type DiagnoseOptions, diagnose } from "../diagnosis/diagnose.ts";
import type { Diagnosis } from "../diagnosis/findings.ts";
import { checkBoolean, checkInteger, checkOptions, readBudget } from "../errors.ts";
import { type HeldOutOptions, type HeldOutReport, tuneOnHeldOut, type WithWorkers } from "../evaluation/held-out.ts";
import {
  asynchronously,
  atOnce,
  type BurstOptions,
  type ExamplesReport,
  type InBursts,
  type Steps,
} from "../kernels/steps.ts";
import type { LikelihoodKind } from "../likelihood/likelihood.ts";
import type { TuningOptions, TuningReport } from "../posterior/tuning.ts";
import { WeightPosterior } from "../posterior/weight-posterior.ts";
import { type FunctionSampleOptions, functionSamples, sharedFunctionSamples } from "../prediction/function-samples.ts";
import { labelLogs } from "../prediction/log-probabilities.ts";
import {
  type FunctionCovarianceOptions,
  functionCovariance,
  type Prediction,
  type PredictOptions,
  predict,
} from "../prediction/prediction.ts";
import { type RowSharing, rowSharing } from "../prediction/sharing.ts";
import { type Executor, type OnExecutor, onExecutor, readExecutor } from "../shards/executor.ts";

type EvidenceOptions = TuningOptions & { readonly on?: undefined };

const isHeldOut = (options: object) => (Object(options) as { on?: unknown }).on !== undefined;

/** A Gaussian over a network's weights, with precision P = H/(σ² T) + P₀ around the parameters it was fitted at. */
export class Posterior<Kind extends LikelihoodKind = LikelihoodKind> extends WeightPosterior<Kind> {
  /**
   * The posterior with the best prior, for a Gaussian with the best noise: those that maximise the evidence, or with `on` those
   * that predict held-out data best. @throws OptionError, ValueError; what a function `score` throws
   */
  override optimizePrior(options: EvidenceOptions | HeldOutOptions<this> = {}): this {
    if (isHeldOut(options)) return atOnce(this.#tuned(options as HeldOutOptions<this>));
    return super.optimizePrior(options as TuningOptions);
  }

  *#tuned(options: HeldOutOptions<this>, by?: Executor): Steps<this, HeldOutReport> {
    const { hyper, tuning } = yield* tuneOnHeldOut(this, options, by);
    return yield* this.changing(hyper, tuning);
  }

  /** `optimizePrior` in bursts, candidates also by `workers`; progress in steps of the climb, or in candidates. @throws as `optimizePrior`; the signal's reason */
  override async optimizePriorAsync(
    options:
      | (EvidenceOptions & BurstOptions<TuningReport>)
      | (HeldOutOptions<this> & WithWorkers & BurstOptions<HeldOutReport>) = {},
  ): Promise<this> {
    if (!isHeldOut(options)) return super.optimizePriorAsync(options as TuningOptions);
    return asynchronously("optimizePrior", options as HeldOutOptions<this> & WithWorkers, ({ workers, ...rest }) =>
      this.#tuned(rest as HeldOutOptions<this>, readExecutor("optimizePrior", workers, "workers")),
    );
  }

  /**
   * Mean and variance of the target at each input, and of the function's value.
   * @param x [B, ...inputs] @throws ShapeError, ValueError for bad inputs; OptionError; MemoryBudgetError
   */
  predict(x: ArrayLike, options: PredictOptions = {}): Prediction {
    return atOnce(predict("predict", this, x, options));
  }

  /**
   * `predict` in bursts, with turns of the event loop between them, or by workers: the same numbers.
   * @throws as `predict`; the signal's reason
   */
  async predictAsync(x: ArrayLike, options: OnExecutor<InBursts<PredictOptions>> = {}): Promise<Prediction> {
    const where = "predict";
    return onExecutor(where, options, (rest, on) => {
      const sharing = rowSharing(on);
      return sharing === undefined
        ? predict(where, this, x, rest)
        : sharing.predictOn(where, this, x, rest, on as Executor);
    });
  }

  /**
   * The logarithms of the probabilities of labels, also where those round to 1 or to 0: what log scores are computed from. Of
   * classes [B, ...outputs], of binary labels those of label 0 and of label 1, [B, ...outputs, 2].
   * @param x [B, ...inputs] @throws OptionError for a likelihood without labels, or bad options; ShapeError, ValueError
   */
  logProbabilities(x: ArrayLike, options: PredictOptions = {}): NDArray {
    return atOnce(this.#logProbabilities(x, options));
  }

  *#logProbabilities(x: ArrayLike, options: PredictOptions): Steps<NDArray, ExamplesReport> {
    return yield* labelLogs("logProbabilities", this, x, options);
  }

  /** `logProbabilities` in bursts, or by workers. @throws as `logProbabilities`; the signal's reason */
  async logProbabilitiesAsync(x: ArrayLike, options: OnExecutor<InBursts<PredictOptions>> = {}): Promise<NDArray> {
    const where = "logProbabilities";
    return onExecutor(where, options, (rest, on) =>
      rowSharing(on) === undefined
        ? this.#logProbabilities(x, rest)
        : (rowSharing(on) as RowSharing).logProbabilitiesOn(where, this, x, rest, on as Executor),
    );
  }

  /**
   * What is wrong with this posterior, if something is, in plain words, with the option to change. What only data can show
   * is left out without them; calibration needs data that were not trained on.
   * @param data { x, y }, or batches such as a DataLoader's @throws ShapeError, ValueError for bad data; OptionError
   */
  diagnose(data?: Data, options: DiagnoseOptions = {}): Diagnosis {
    return atOnce(diagnose(this, data, options));
  }

  /** `diagnose` in bursts. @throws as `diagnose`; the signal's reason */
  async diagnoseAsync(data?: Data, options: InBursts<DiagnoseOptions> = {}): Promise<Diagnosis> {
    return asynchronously("diagnose", options, (rest) => diagnose(this, data, rest));
  }

  /**
   * The covariance of the function's values under the linearised network: [B, C, C] over all C outputs of each input; with
   * `perPosition` [B, ...positions, classes, classes], over the classes of one position at a time; with `joint` [B C, B C]
   * over all outputs of all inputs (index: input · C + output). @throws ShapeError, ValueError, OptionError, MemoryBudgetError
   */
  functionCovariance(x: ArrayLike, options: FunctionCovarianceOptions = {}): NDArray {
    return atOnce(functionCovariance(this, x, options));
  }

  /** `functionCovariance` in bursts. @throws as `functionCovariance`; the signal's reason */
  async functionCovarianceAsync(x: ArrayLike, options: InBursts<FunctionCovarianceOptions> = {}): Promise<NDArray> {
    return asynchronously("functionCovariance", options, (rest) => functionCovariance(this, x, rest));
  }

  /**
   * Draws of the function's values under the linearised network, [n, B, ...outputs]: at all inputs together, as its covariance
   * over inputs has them; with `shared` at each input alone, from one base noise for all, as laplace-torch draws.
   * @throws ShapeError, ValueError, OptionError; MemoryBudgetError for results, or draws of the weights [n, S], beyond the budget
   */
  functionSamples(x: ArrayLike, n: number, options: FunctionSampleOptions = {}): NDArray {
    return atOnce(this.#functionSamples(x, n, options));
  }

  *#functionSamples(x: ArrayLike, n: number, options: FunctionSampleOptions): Steps<NDArray, ExamplesReport> {
    const where = "functionSamples";
    checkInteger(where, "n", n, 0);
    checkOptions(where, options, ["seed", "shared", "memoryBudget"]);
    const { seed = 0, shared = false } = options;
    checkBoolean(where, "shared", shared);
    const draw = { samples: n, seed, memoryBudget: readBudget(where, options.memoryBudget) };
    return yield* shared ? sharedFunctionSamples(where, this, x, draw) : functionSamples(where, this, x, draw);
  }

  /** `functionSamples` in bursts. @throws as `functionSamples`; the signal's reason */
  async functionSamplesAsync(x: ArrayLike, n: number, options: InBursts<FunctionSampleOptions> = {}): Promise<NDArray> {
    return asynchronously("functionSamples", options, (rest) => this.#functionSamples(x, n, rest));
  }

  [inspect](): string {
    return this.toString();
  }

  /** A line of what this is. */
  override toString(): string {
    const { precision } = this.parts.prior;
    const prior = precision.length === 1 ? precision[0].toPrecision(4) : `${precision.length} numbers`;
    return `Posterior(${this.likelihood.name}, ${this.structure}, ${this.size} weights, ${this.examples} examples, prior precision ${prior}${this.parts.prior.matrix === undefined ? "" : " times a matrix"}${this.likelihood.hyper.text})`;
  }
}
