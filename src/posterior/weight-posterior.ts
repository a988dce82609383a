// The Laplace approximation's Gaussian over weights, as users ask it: immutable, factored once, asked often.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkNumber, checkOptions, OptionError } from "../errors.ts";
import { asynchronously, atOnce, type BurstOptions, type ExamplesReport, type Steps } from "../kernels/steps.ts";
import type { LikelihoodKind } from "../likelihood/likelihood.ts";
import { withNoise } from "../likelihood/noise.ts";
import { eachRows } from "../linalg/in-steps.ts";
import { type Curvature, checkSquare, readVectors } from "../structures/curvature.ts";
import { type Hyperparameters, Prior, readPrior } from "../structures/prior.ts";
import { sandwich } from "../structures/sandwich.ts";
import { broughtHessian } from "../structures/table.ts";
import { type Evidence, type EvidenceGradient, evidenceGradientOf } from "./evidence.ts";
import { outerProducts, refuseSandwich } from "./outer-products.ts";
import { type SampleOptions, sampling } from "./sampling.ts";
import { refuseSwag } from "./swag.ts";
import { evidenceAt } from "./tunable.ts";
import { evidenceIn, tuned } from "./tuned.ts";
import type { Tuning, TuningOptions, TuningReport } from "./tuning.ts";
import { checkIsPosterior, WeightGaussian } from "./weight-gaussian.ts";

/** The Gaussian over a network's weights, with precision P = H/(σ² T) + P₀ around the parameters it was fitted at. */
export class WeightPosterior<Kind extends LikelihoodKind = LikelihoodKind> extends WeightGaussian<Kind> {
  /** The negative log likelihood of those examples, summed, at unit noise (of the ratios of several) and without constants. */
  get loss(): number {
    return this.parts.fit.loss;
  }

  /** How many negative eigenvalues of an exact Hessian the option `clip` set to 0; of "diagonal", how many of its entries; of "lowRank", of those kept. */
  get clipped(): number {
    const { clip, fit } = this.parts;
    return clip === true ? atOnce(broughtHessian().clipped(fit.curvature)).count : 0;
  }

  /**
   * The same weights with the sandwich covariance P⁻¹ M P⁻¹, M = Σ g gᵀ / (σ² T)² over the gradients g of the examples' losses (Huber
   * 1967; White 1982): what the weights vary by where the likelihood is wrong, such as noise that is not the same everywhere.
   * Predictions, covariances and draws are by it; it has no evidence, density or precision, and stays as it is.
   * @param data those of the fit; of the structures "full" and "diagonal"
   * @throws OptionError for other structures; ShapeError, ValueError for bad or other data
   */
  sandwich(data: Data): this {
    return atOnce(this.#sandwich(data));
  }

  /** `sandwich` in bursts; progress in examples. @throws as `sandwich`; the signal's reason */
  async sandwichAsync(data: Data, options: BurstOptions<ExamplesReport> = {}): Promise<this> {
    return asynchronously("sandwich", options, () => this.#sandwich(data));
  }

  *#sandwich(data: Data): Steps<this, ExamplesReport> {
    refuseSwag("sandwich", this.parts);
    refuseSandwich("sandwich", this.parts);
    const outer = yield* outerProducts("sandwich", this, data);
    return yield* this.deriving({ around: (precision, h) => sandwich(precision, outer, h), tuning: undefined });
  }

  /** How its covariance is stored; of SWAG with deviations "lowRank", beside a diagonal. */
  override get structure(): Curvature["structure"] {
    return (this.parts.swag?.length ?? 0) > 0 ? "lowRank" : super.structure;
  }

  /** The mean of the weights: their values at the fit, [S]. */
  get mean(): NDArray {
    return new NDArray(this.selection.take(this.theta), [this.size]);
  }

  /** δ, [1], [parameters] or [S], as `with` takes it: in the order of the fit's option `weights`. */
  get priorPrecision(): NDArray {
    return this.#given(this.parts.prior.precision);
  }

  /** μ₀, [S], in the order of the fit's option `weights`. */
  get priorMean(): NDArray {
    return this.#given(this.parts.prior.mean);
  }

  /** Numbers that go with the prior, in the order of the option. */
  #given(values: Float64Array): NDArray {
    return new NDArray(this.parts.prior.selection.arrange(values, true).slice(), [values.length]);
  }

  /** Standard deviation of the noise of each output, [C]; undefined unless the likelihood is Gaussian. */
  get noise(): Kind extends "normal" ? NDArray : undefined {
    const { hyper } = this.likelihood;
    const outputs = this.net.graph.output.size;
    const values = () => Float64Array.from({ length: outputs }, (_, c) => hyper.of(c));
    return (hyper.any ? new NDArray(values(), [outputs]) : undefined) as Kind extends "normal" ? NDArray : undefined;
  }

  /** The same curvature with another prior, noise or temperature. @throws OptionError, ShapeError, ValueError */
  with(changes: Hyperparameters): this {
    return atOnce(this.changing(changes));
  }

  /** @internal `with` in steps, and how it was found to be changed so. */
  *changing(changes: Hyperparameters, tuning?: Tuning): Steps<this> {
    checkOptions("with", changes, ["priorPrecision", "priorMean", "noise", "temperature"]);
    if (Object.keys(changes).some((name) => name !== "noise")) refuseSwag("with", this.parts);
    if (this.parts.swag === undefined) refuseSandwich("with", this.parts);
    const { prior, likelihood, temperature, fit } = this.parts;
    const { priorPrecision = this.priorPrecision, priorMean = this.priorMean } = changes;
    const read = readPrior("with", prior.selection, priorPrecision, priorMean);
    if (prior.matrix !== undefined && read.structure !== "scalar") {
      throw new OptionError("with: priorPrecision must be one number, the scale of the option prior.");
    }
    const next = new Prior(read.selection, read.precision, read.mean, prior.matrix);
    checkNumber("with", "temperature", changes.temperature ?? temperature, 0, true);
    return yield* this.deriving({
      prior: next,
      temperature: changes.temperature ?? temperature,
      likelihood:
        changes.noise === undefined
          ? likelihood
          : withNoise("with", likelihood, changes.noise, this.net.graph.output.size, fit.apart !== undefined),
      tuning,
    });
  }

  /**
   * The posterior over the examples of both fits, of the same network with the same options; prior, noise and temperature
   * are this one's. @throws ValueError for posteriors that do not add
   */
  merge(other: WeightPosterior): this {
    checkIsPosterior("merge", "the other", other);
    refuseSwag("merge", this.parts);
    refuseSwag("merge", other.parts);
    refuseSandwich("merge", this.parts);
    return this.derive({ fit: this.fit.merge(other.fit), tuning: undefined });
  }

  /** The log marginal likelihood and its parts. @throws NotPositiveDefiniteError */
  evidence(): Evidence {
    return atOnce(this.#evidence());
  }

  *#evidence(): Steps<Evidence> {
    refuseSwag("evidence", this.parts);
    return yield* evidenceIn(this);
  }

  /** log p(data), up to the Laplace approximation: what `optimizePrior` maximises. */
  logMarginalLikelihood(): number {
    return this.evidence().logMarginalLikelihood;
  }

  /** Exact derivatives of the log marginal likelihood in log δ, shaped as `priorPrecision`, and in log σ. */
  evidenceGradient(): EvidenceGradient<Kind> {
    return atOnce(this.#evidenceGradient());
  }

  *#evidenceGradient(): Steps<EvidenceGradient<Kind>> {
    refuseSwag("evidenceGradient", this.parts);
    const at = yield* evidenceAt(this.parts, this.parts, yield* this.factoring("gradient"));
    const { logPriorPrecision, logNoise } = evidenceGradientOf(at);
    return { logPriorPrecision: this.#given(logPriorPrecision), logNoise: logNoise as never };
  }

  /** `evidenceGradient` in bursts. @throws as `evidenceGradient`; the signal's reason */
  async evidenceGradientAsync(options: BurstOptions<never> = {}): Promise<EvidenceGradient<Kind>> {
    return asynchronously("evidenceGradient", options, () => this.#evidenceGradient());
  }

  /**
   * The posterior whose prior precision, and for a Gaussian whose noise, maximise the evidence.
   * @throws OptionError
   */
  optimizePrior(options: TuningOptions = {}): this {
    return atOnce(this.#tuned(options));
  }

  *#tuned(options: TuningOptions): Steps<this, TuningReport> {
    refuseSwag("optimizePrior", this.parts);
    return yield* tuned(this, options);
  }

  /** `evidence` in bursts, with turns of the event loop between them. @throws as `evidence`; the signal's reason */
  async evidenceAsync(options: BurstOptions<never> = {}): Promise<Evidence> {
    return asynchronously("evidence", options, () => this.#evidence());
  }

  /** `optimizePrior` in bursts; progress in steps of the climb. @throws as `optimizePrior`; the signal's reason */
  async optimizePriorAsync(options: TuningOptions & BurstOptions<TuningReport> = {}): Promise<this> {
    return asynchronously("optimizePrior", options, (rest) => this.#tuned(rest));
  }

  /** `sample` in bursts. @throws as `sample`; the signal's reason */
  async sampleAsync(n: number, options: SampleOptions & BurstOptions<never> = {}): Promise<NDArray> {
    return asynchronously("sample", options, (rest) => sampling(this, n, rest));
  }

  /** Draws of the network's parameters, [n, P], weights that are not selected as they are. @throws OptionError, MemoryBudgetError */
  sample(n: number, options: SampleOptions = {}): NDArray {
    return atOnce(sampling(this, n, options));
  }

  /** P⁻¹, [S, S]: 8 S² bytes, whatever the structure. */
  covariance(options: MemoryOptions = {}): NDArray {
    return atOnce(this.#square("covariance", options));
  }

  /** P, [S, S]: 8 S² bytes, whatever the structure. */
  precision(options: MemoryOptions = {}): NDArray {
    return atOnce(this.#square("precision", options));
  }

  *#square(name: "covariance" | "precision", options: MemoryOptions): Steps<NDArray> {
    checkSquare(name, this.size, options);
    const factorised = yield* this.factoring();
    const numbers = yield* name === "covariance" ? factorised.covariance() : factorised.dense();
    return new NDArray(numbers, [this.size, this.size]);
  }

  /** `covariance` in bursts. @throws as `covariance`; the signal's reason */
  async covarianceAsync(options: MemoryOptions & BurstOptions<never> = {}): Promise<NDArray> {
    return asynchronously("covariance", options, (rest) => this.#square("covariance", rest));
  }

  /** `precision` in bursts. @throws as `precision`; the signal's reason */
  async precisionAsync(options: MemoryOptions & BurstOptions<never> = {}): Promise<NDArray> {
    return asynchronously("precision", options, (rest) => this.#square("precision", rest));
  }

  /** The diagonal of P⁻¹, [S]. */
  variance(): NDArray {
    return atOnce(this.#variance());
  }

  *#variance(): Steps<NDArray> {
    return new NDArray(yield* (yield* this.factoring()).variance(), [this.size]);
  }

  /** `variance` in bursts. @throws as `variance`; the signal's reason */
  async varianceAsync(options: BurstOptions<never> = {}): Promise<NDArray> {
    return asynchronously("variance", options, () => this.#variance());
  }

  /** The log density of weights [S], a number, or of rows [n, S], an array [n]. @throws ShapeError */
  logProb(weights: ArrayLike): NDArray {
    return atOnce(this.#logProb(weights));
  }

  *#logProb(weights: ArrayLike): Steps<NDArray> {
    const { size } = this;
    const x = readVectors("logProb", weights, size);
    const mean = this.selection.take(this.theta);
    const n = x.size / Math.max(1, size);
    const deviations = new Float64Array(x.size);
    const deviate = (first: number, end: number) => {
      for (let i = first * size; i < end * size; i++) deviations[i] = x.data[i] - mean[i % size];
    };
    yield* eachRows(n, deviate, size);
    const factorised = yield* this.factoring("determinant");
    const constant = 0.5 * (factorised.logDeterminant - size * Math.log(2 * Math.PI));
    const forms = yield* factorised.quadraticForm(deviations, n);
    return new NDArray(
      forms.map((form) => constant - 0.5 * form),
      x.shape.slice(0, -1),
    );
  }

  /** `logProb` in bursts. @throws as `logProb`; the signal's reason */
  async logProbAsync(weights: ArrayLike, options: BurstOptions<never> = {}): Promise<NDArray> {
    return asynchronously("logProb", options, () => this.#logProb(weights));
  }
}
