// The Laplace approximation's Gaussian over weights: immutable, factored once, asked often.

import { isPromise } from "../array/entries.ts";
import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import {
  checkBytes,
  checkInteger,
  checkNumber,
  checkOptions,
  newFloats,
  readBudget,
  refuseCopies,
  ValueError,
} from "../errors.ts";
import { copyIn, copyOutTo, later } from "../kernels/memory.ts";
import { asynchronously, atOnce, type BurstOptions, type Steps } from "../kernels/steps.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import { withNoise } from "../likelihood/tasks.ts";
import { eachRows } from "../linalg/in-steps.ts";
import type { Network } from "../network/network.ts";
import { eachPanel, panels } from "../network/panels.ts";
import { type Curvature, checkSquare, readVectors } from "../structures/curvature.ts";
import type { Precision, Prepared } from "../structures/precision.ts";
import { type Hyperparameters, readPrior } from "../structures/prior.ts";
import type { Selection } from "../structures/selection.ts";
import { checkPrior, rowOf } from "../structures/table.ts";
import { type Evidence, type EvidenceGradient, evidenceGradientOf, evidenceOf, factorOf } from "./evidence.ts";
import type { Fit } from "./fit.ts";
import type { PosteriorParts } from "./parts.ts";
import { evidenceAt, tunableOf } from "./tunable.ts";
import { type Tuned, type Tuning, type TuningOptions, type TuningReport, tune } from "./tuning.ts";

/** Options of what draws: the seed (default 0), and bytes that the draws may need (default 1 GiB). */
export interface SampleOptions extends MemoryOptions {
  readonly seed?: number | undefined;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a posterior: savePosterior(posterior) makes bytes of it, which loadPosterior reads";

/** The Gaussian over a network's weights, with precision P = H/(σ² T) + P₀ around the parameters it was fitted at. */
export class WeightPosterior<Kind extends LikelihoodKind = LikelihoodKind> {
  readonly #parts: PosteriorParts;
  #precision: Precision | undefined;

  constructor(parts: PosteriorParts) {
    this.#parts = parts;
    refuseCopies(this, copies);
  }

  get net(): Network {
    return this.#parts.fit.of.net;
  }

  /** The sums over the examples that were fitted. */
  get fit(): Fit {
    return this.#parts.fit;
  }

  get likelihood(): Likelihood<Kind> {
    return this.#parts.likelihood as Likelihood<Kind>;
  }

  /** The curvature of the loss at unit noise; posteriors that differ in prior or noise share it. */
  get curvature(): Curvature {
    return this.#parts.fit.curvature;
  }

  get structure(): Curvature["structure"] {
    return this.curvature.structure;
  }

  get selection(): Selection {
    return this.curvature.selection;
  }

  /** S, the number of weights. */
  get size(): number {
    return this.selection.size;
  }

  /** Positions of the weights in the network's flat parameters, ascending, [S]. */
  get indices(): Uint32Array {
    return this.selection.indices();
  }

  /** The number of examples that were fitted. */
  get examples(): number {
    return this.#parts.fit.examples;
  }

  /** The negative log likelihood of those examples, summed, at unit noise (of the ratios of several) and without constants. */
  get loss(): number {
    return this.#parts.fit.loss;
  }

  /** The mean of the weights: their values at the fit, [S]. */
  get mean(): NDArray {
    return new NDArray(this.selection.take(this.theta), [this.size]);
  }

  /** δ, [1], [parameters] or [S], as `with` takes it: in the order of the fit's option `weights`. */
  get priorPrecision(): NDArray {
    return this.#given(this.#parts.prior.precision);
  }

  /** μ₀, [S], in the order of the fit's option `weights`. */
  get priorMean(): NDArray {
    return this.#given(this.#parts.prior.mean);
  }

  /** Numbers that go with the prior, in the order of the option. */
  #given(values: Float64Array): NDArray {
    return new NDArray(this.#parts.prior.selection.arrange(values, true).slice(), [values.length]);
  }

  /** Standard deviation of the noise of each output, [C]; undefined unless the likelihood is Gaussian. */
  get noise(): Kind extends "normal" ? NDArray : undefined {
    const { hyper } = this.likelihood;
    const outputs = this.net.graph.output.size;
    const values = () => Float64Array.from({ length: outputs }, (_, c) => hyper.of(c));
    return (hyper.any ? new NDArray(values(), [outputs]) : undefined) as Kind extends "normal" ? NDArray : undefined;
  }

  get temperature(): number {
    return this.#parts.temperature;
  }

  /** What `optimizePrior` reports, if it made this posterior. */
  get tuning(): Tuning | undefined {
    return this.#parts.tuning;
  }

  /** P, factored at first use. */
  get factorised(): Precision {
    return atOnce(this.factoring());
  }

  /** @internal P, and computed what is asked of it next. */
  *factoring(what?: Prepared): Steps<Precision> {
    this.#precision ??= yield* this.#factor(this.curvature, this.#parts);
    if (what !== undefined) yield* this.#precision.prepare(what);
    return this.#precision;
  }

  *#factor(curvature: Curvature, { prior, likelihood }: Tuned, inverse = false): Steps<Precision> {
    const { temperature, damping } = this.#parts;
    checkPrior("laplace", curvature.structure, prior);
    const h = factorOf(likelihood, temperature);
    return yield* rowOf(curvature).precision(curvature, h, prior, { damping, inverse });
  }

  /** The same curvature with another prior, noise or temperature. @throws OptionError, ShapeError, ValueError */
  with(changes: Hyperparameters): this {
    return atOnce(this.changing(changes));
  }

  /** @internal `with` in steps, and how it was found to be changed so. */
  *changing(changes: Hyperparameters, tuning?: Tuning): Steps<this> {
    checkOptions("with", changes, ["priorPrecision", "priorMean", "noise", "temperature"]);
    const { prior, likelihood, temperature, fit } = this.#parts;
    const { priorPrecision = this.priorPrecision, priorMean = this.priorMean } = changes;
    const next = readPrior("with", prior.selection, priorPrecision, priorMean);
    checkNumber("with", "temperature", changes.temperature ?? temperature, 0, true);
    return yield* this.#deriving({
      prior: next,
      temperature: changes.temperature ?? temperature,
      likelihood:
        changes.noise === undefined
          ? likelihood
          : withNoise("with", likelihood, changes.noise, this.net.graph.output.size, fit.apart !== undefined),
      tuning,
    });
  }

  #derive(changes: Partial<PosteriorParts>): this {
    return atOnce(this.#deriving(changes));
  }

  *#deriving(changes: Partial<PosteriorParts>): Steps<this> {
    const { likelihood = this.likelihood, fit = this.fit } = changes;
    const Own = this.constructor as new (parts: PosteriorParts) => this;
    return new Own({ ...this.#parts, ...changes, fit: yield* fit.going(likelihood) });
  }

  /**
   * The posterior over the examples of both fits, of the same network with the same options; prior, noise and temperature
   * are this one's. @throws ValueError for posteriors that do not add
   */
  merge(other: WeightPosterior): this {
    checkIsPosterior("merge", "the other", other);
    return this.#derive({ fit: this.fit.merge(other.fit), tuning: undefined });
  }

  /** The log marginal likelihood and its parts. @throws NotPositiveDefiniteError */
  evidence(): Evidence {
    return atOnce(this.#evidence());
  }

  *#evidence(): Steps<Evidence> {
    return evidenceOf(evidenceAt(this.#parts, this.#parts, yield* this.factoring("determinant")));
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
    const at = evidenceAt(this.#parts, this.#parts, yield* this.factoring("gradient"));
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
    const tunable = tunableOf(this.#parts, (curvature, at, inverse) => this.#factor(curvature, at, inverse));
    return yield* this.#deriving(yield* tune(tunable, options));
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
    return asynchronously("sample", options, (rest) => this.#sampling(n, rest));
  }

  /** Draws of the network's parameters, [n, P], weights that are not selected as they are. @throws OptionError, MemoryBudgetError */
  sample(n: number, options: SampleOptions = {}): NDArray {
    return atOnce(this.#sampling(n, options));
  }

  *#sampling(n: number, options: SampleOptions): Steps<NDArray> {
    checkInteger("sample", "n", n, 0);
    checkOptions("sample", options, ["seed", "memoryBudget"]);
    const count = this.net.parameterCount;
    const budget = readBudget("sample", options.memoryBudget);
    checkBytes("sample", [n, count], budget, "Draw fewer at a time, with other seeds.");
    const result = newFloats("sample", [n, count]);
    const random = new Random(options.seed);
    for (const [first, some] of panels(n, this.size)) {
      const draws = yield* this.deviations(some, random);
      for (let s = 0; s < some; s++) {
        result.set(this.embed(draws, s, this.theta), (first + s) * count);
        yield;
      }
    }
    return new NDArray(result, [n, count]);
  }

  /** @internal n deviations of the weights from their mean, [n, S]; from given standard normal numbers if any. */
  *deviations(n: number, noise: Random | Float64Array): Steps<Float64Array> {
    const { size } = this;
    const result = noise instanceof Random ? newFloats("deviations", [n, size]) : noise.slice();
    for (let s = 0; s < n && noise instanceof Random; s++) {
      for (let i = s * size; i < (s + 1) * size; i++) result[i] = noise.normal();
      yield;
    }
    const precision = yield* this.factoring("rows");
    yield* eachPanel(n, size, (first, count) => {
      const rows = copyIn("float64", result.subarray(first * size, (first + count) * size));
      precision.colour(rows, count);
      later(() => copyOutTo("float64", rows, count * size, result, first * size));
    });
    return result;
  }

  /** @internal Row s of deviations at its places among all parameters, added to `base` or to zeros. */
  embed(draws: Float64Array, s: number, base?: Float64Array): Float64Array {
    const result = base?.slice() ?? new Float64Array(this.net.parameterCount);
    const { indices, size } = this;
    for (let i = 0; i < size; i++) result[indices[i]] += draws[s * size + i];
    return result;
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

  /** @internal Everything it is made of, for files. */
  get parts(): PosteriorParts {
    return this.#parts;
  }

  /** @internal The network's flat parameters at the fit. */
  get theta(): Float64Array {
    return this.#parts.fit.of.theta;
  }

  /** @internal The network as it was at the fit: training it further does not change a posterior. */
  get model() {
    const { graph, dtype, buffers } = this.net;
    return { graph, dtype, buffers, parameters: new NDArray(this.theta, [this.theta.length]) };
  }
}

/** @throws ValueError for what is not a posterior */
export function checkIsPosterior(where: string, name: string, value: unknown): asserts value is WeightPosterior {
  if (value instanceof WeightPosterior) return;
  const kind = isPromise(value) ? "It is a promise: write await before it." : "";
  const unfitted = typeof (value as { fit?: unknown } | undefined)?.fit === "function";
  const advice = unfitted ? "It is still to be fitted: await laplace(…).fit(data)." : kind;
  throw new ValueError(
    `${where}: ${name} must be a posterior, such as await laplace(…).fit(data) gives.${advice === "" ? "" : ` ${advice}`}`,
  );
}
