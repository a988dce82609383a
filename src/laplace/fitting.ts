// From a trained network to a fit, and to a posterior over its weights.

import { inspect } from "../array/ndarray.ts";
import { type PlaceOptions, type Plan, readPlace, readPlan, withOwn } from "../curvature/plan.ts";
import { summarise } from "../curvature/rounds.ts";
import type { AsyncData, arriving } from "../data/arriving.ts";
import type { Data } from "../data/batches.ts";
import type { FarData } from "../data/far-data.ts";
import { stationarityWarning } from "../diagnosis/minimum.ts";
import {
  checkBoolean,
  checkNumber,
  checkOptions,
  OptionError,
  readBudget,
  refuseCopies,
  ValueError,
} from "../errors.ts";
import { type ExamplesReport, inBursts, readBursts, reportingExamples, type StopSignal } from "../kernels/steps.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import { checkTrained } from "../network/running.ts";
import { checkIsFit, checkSameOf, Fit, type FitOf } from "../posterior/fit.ts";
import type { PosteriorParts } from "../posterior/parts.ts";
import { checkIsPosterior, type WeightGaussian } from "../posterior/weight-gaussian.ts";
import { type Executor, readExecutor } from "../shards/executor.ts";
import { type Prior, readPrior } from "../structures/prior.ts";
import { checkPrior, rowOf } from "../structures/table.ts";
import { checkMemory } from "./memory-estimate.ts";
import { type LaplaceOptions, laplaceOptionNames, optionsElsewhere } from "./options.ts";
import type { Posterior } from "./posterior.ts";
import type { OverPlan } from "./posterior-prior.ts";

/** Options of `fit`. */
export interface FitOptions extends PlaceOptions {
  /** Called after each part of the data with the number of examples done; of several passes, as those of "ekfac", each counts from 0. */
  onProgress?: ((report: ExamplesReport) => void) | undefined;
  /**
   * Who does the shards of the data, such as `workers()`; the bits do not depend on it. Default: this thread, in Node with others
   * beside it where the fit takes long; `workers({ count: 1 })` is this thread alone.
   */
  on?: Executor | undefined;
  /**
   * A posterior of an earlier fit, as before the network was trained further: Kronecker factors that are the same to the bit, as those
   * of the inputs are on the same data, have its eigenvectors, which are not computed again. The bits do not depend on it.
   */
  after?: WeightGaussian | undefined;
  /** Stops the fit where it gives the event loop a turn; `fit` throws the signal's reason. */
  signal?: StopSignal | undefined;
}

/** What one `laplace` does differently from another. */
interface Making<Made> extends Pick<Plan, "inputs"> {
  /** Takes data that come in time, where the program brings it. */
  readonly arriving?: typeof arriving;
  /** Reads the option. @throws OptionError, ShapeError */
  likelihood(): Likelihood;
  posterior(parts: PosteriorParts): Made;
  /** Makes a prior of the option, where that is a posterior. */
  prior?(given: LaplaceOptions["prior"]): { readonly over: OverPlan } | undefined;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy what laplace gives: copy the bytes that savePosterior makes of its fit";

/** A Laplace approximation that is still to be fitted. Made by `laplace`. */
export class Laplace<
  Kind extends LikelihoodKind = LikelihoodKind,
  Made extends WeightGaussian<Kind> = Posterior<Kind>,
> {
  readonly #make: (parts: PosteriorParts) => Made;
  readonly #plan: Plan;
  readonly #arriving: typeof arriving | undefined;
  readonly #options: LaplaceOptions;
  readonly #prior: Prior;

  /** @internal */
  constructor(net: Network, options: LaplaceOptions, { likelihood, posterior, inputs, prior, arriving }: Making<Made>) {
    const where = "laplace";
    this.#make = posterior;
    this.#arriving = arriving;
    refuseCopies(this, copies);
    checkOptions(where, options, laplaceOptionNames, optionsElsewhere);
    this.#options = options;
    this.#plan = withOwn(where, readPlan(where, net, likelihood, options, inputs), options);
    const { priorPrecision, priorMean } = options;
    if (options.prior === undefined) {
      this.#prior = readPrior(where, this.#plan.selection, priorPrecision ?? 1, priorMean ?? 0);
    } else {
      const given = (prior === undefined ? options.prior : prior(options.prior)) as { readonly over: OverPlan };
      if (typeof given?.over !== "function" || priorPrecision !== undefined || priorMean !== undefined) {
        throw new OptionError(`${where}: prior must be gaussianPrior(…), without priorPrecision and priorMean.`);
      }
      this.#prior = given.over(where, this.#plan);
    }
    checkPrior(where, this.#plan.structure, this.#prior);
    checkNumber(where, "temperature", options.temperature ?? 1, 0, true);
    checkBoolean(where, "damping", options.damping ?? false);
    checkBoolean(where, "clip", options.clip ?? false);
    checkBoolean(where, "checks", options.checks ?? true);
    const { memoryBudget, onWarning } = options;
    readBudget(where, memoryBudget);
    if (onWarning !== undefined && typeof onWarning !== "function") {
      throw new OptionError(`${where}: onWarning must be a function, not ${typeof onWarning}.`);
    }
    if (options.damping === true && !rowOf(this.#plan).options.includes("damping")) {
      throw new OptionError(`laplace: damping is for the structure "kronecker", not "${this.#plan.structure}".`);
    }
    if (options.clip === true && this.#plan.kind !== "hessian") {
      throw new OptionError(`laplace: clip is for the curvature "hessian", not "${this.#plan.kind}".`);
    }
  }

  /**
   * A posterior: `posterior(await sum(data))`. The network is not changed, and changing it later does not change the posterior.
   * @param data { x, y }, batches such as a DataLoader's, or a function that gives batches; an async iterable, or a function that gives
   *   one, of which no more is in memory than is summed at once; or data that lie elsewhere, which are read where they are summed
   * @throws ShapeError, ValueError for bad data, or data that change between two passes; LaplaceError while the network is
   *   trained; MemoryBudgetError before anything is computed; the signal's reason
   */
  async fit(data: Data | AsyncData | FarData, options: FitOptions = {}): Promise<Made> {
    const { matrix } = this.#prior;
    if (matrix !== undefined) await inBursts(matrix.prepare(), { signal: options.signal });
    return this.#posterior(await this.#sum("fit", data, options));
  }

  /**
   * The sums over data at the network's parameters: one pass, two for "ekfac". Sums of shards of the data add (`merge`), those
   * of "ekfac" in a common `basis`, those of "monteCarlo" where each was told its place (`first`). Whether they are near a minimum is asked by `posterior`.
   * @throws as `fit`
   */
  async sum(data: Data | AsyncData | FarData, options: FitOptions = {}): Promise<Fit> {
    return this.#sum("sum", data, options);
  }

  /**
   * The posterior of sums that this or a `laplace` of the same options gave, on this machine or another.
   * @throws ValueError for sums of other parameters, weights or options
   */
  posterior(fit: Fit): Made {
    const where = "posterior";
    checkIsFit(where, fit);
    const { net, structure, selection } = this.#plan;
    const { curvature } = fit;
    if (curvature.structure !== structure) {
      throw new ValueError(`${where}: the fit has the structure "${curvature.structure}", not "${structure}".`);
    }
    if (!curvature.selection.equals(selection)) throw new ValueError(`${where}: the fit is over other weights.`);
    checkSameOf(where, this.#of(net, Float64Array.from(net.parameters.data)), fit.of, fit.apart !== undefined);
    return this.#posterior(fit.at(this.#plan.likelihood));
  }

  /** What a fit of this is of. */
  #of(net: Network, theta: Float64Array): FitOf {
    const { likelihood, kind, samples, seed, sharing, basis } = this.#plan;
    return { net, theta, likelihood, kind, samples, seed, sharing, basis: basis !== undefined };
  }

  async #sum(where: string, data: Data | AsyncData | FarData, options: FitOptions): Promise<Fit> {
    checkOptions(where, options, ["onProgress", "signal", "first", "on", "after"]);
    const { after } = options;
    if (after !== undefined) checkIsPosterior(where, "after", after);
    const on = readExecutor(where, options.on);
    const shared = { on, first: readPlace(where, options), adds: where === "sum", arriving: this.#arriving };
    const bursts = readBursts(where, options);
    const plan = this.#plan;
    checkTrained(where, plan.net);
    checkMemory(where, plan, readBudget(where, this.#options.memoryBudget), this.#prior.matrix !== undefined);
    // A copy, because others may train the network between two parts of the data.
    const net = plan.net.clone();
    const theta = new Float64Array(net.parameters.data);
    const sums = await inBursts(reportingExamples(summarise(where, { ...plan, net }, data as Data, shared)), bursts);
    const curvature = after && sums.curvature.withFactorsOf?.(after.curvature);
    // Training updates buffers too.
    const of = this.#of(net.graph.bufferCount > 0 ? net : plan.net, theta);
    return new Fit(of, curvature === undefined ? sums : { ...sums, curvature });
  }

  #posterior(fit: Fit): Made {
    const { temperature = 1, damping = false, clip, checks = true } = this.#options;
    if (checks) this.#check(fit);
    const { likelihood } = this.#plan;
    return this.#make({ fit, likelihood, prior: this.#prior, temperature, damping, clip, tuning: undefined });
  }

  [inspect](): string {
    const { likelihood, structure, selection } = this.#plan;
    return `Laplace(${likelihood.name}, ${structure}, ${selection.size} weights, to be fitted)`;
  }

  #check(fit: Fit): void {
    const warning = stationarityWarning(fit, this.#prior);
    if (warning === undefined) return;
    const warn =
      this.#options.onWarning ??
      ((message: string) => (globalThis as unknown as { console: { warn(text: string): void } }).console.warn(message));
    warn(`laplace: ${warning}`);
  }
}
