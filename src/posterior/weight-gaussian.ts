// A fit with a prior: the Gaussian over weights, with what predictions and tuning need of it. What users ask of it is above.

import { isPromise } from "../array/entries.ts";
import { NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { newFloats, refuseCopies, ValueError } from "../errors.ts";
import { copyIn, copyOutTo, later } from "../kernels/memory.ts";
import { atOnce, type Steps } from "../kernels/steps.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import { eachPanel } from "../network/panels.ts";
import type { Curvature } from "../structures/curvature.ts";
import type { Precision, Prepared } from "../structures/precision.ts";
import type { Selection } from "../structures/selection.ts";
import { broughtHessian, checkPrior, rowOf } from "../structures/table.ts";
import { factorOf } from "./evidence.ts";
import type { Fit } from "./fit.ts";
import type { PosteriorParts } from "./parts.ts";
import type { Tuned, Tuning } from "./tuning.ts";

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a posterior: savePosterior(posterior) makes bytes of it, which loadPosterior reads";

/** The Gaussian over a network's weights, with precision P = H/(σ² T) + P₀ around the parameters it was fitted at. */
export class WeightGaussian<Kind extends LikelihoodKind = LikelihoodKind> {
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
    this.#precision ??= yield* this.factor(this.curvature, this.#parts);
    if (what !== undefined) yield* this.#precision.prepare(what);
    return this.#precision;
  }

  /** @internal The precision of a curvature at another prior and likelihood. */
  *factor(curvature: Curvature, { prior, likelihood }: Tuned, inverse = false): Steps<Precision> {
    const { temperature, damping, clip, fit, around } = this.#parts;
    checkPrior("laplace", curvature.structure, prior);
    const h = factorOf(likelihood, temperature);
    const signed = fit.of.kind === "hessian";
    const by = prior.matrix ?? (signed ? broughtHessian() : rowOf(curvature));
    const precision = yield* by.precision(curvature, h, prior, { damping, inverse, clip, signed });
    return around === undefined ? precision : yield* around(precision, h);
  }

  /** @internal The same with other parts. */
  derive(changes: Partial<PosteriorParts>): this {
    return atOnce(this.deriving(changes));
  }

  /** @internal `derive` in steps. */
  *deriving(changes: Partial<PosteriorParts>): Steps<this> {
    const { likelihood = this.likelihood, fit = this.fit } = changes;
    const Own = this.constructor as new (parts: PosteriorParts) => this;
    return new Own({ ...this.#parts, ...changes, fit: yield* fit.going(likelihood) });
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

/** @param kind the class that it must be of @throws ValueError for what is not a posterior */
export function checkIsPosterior<P extends WeightGaussian = WeightGaussian>(
  where: string,
  name: string,
  value: unknown,
  kind: new (parts: PosteriorParts) => P = WeightGaussian as never,
): asserts value is P {
  if (value instanceof kind) return;
  const promise = isPromise(value) ? "It is a promise: write await before it." : "";
  const unfitted = typeof (value as { fit?: unknown } | undefined)?.fit === "function";
  const advice = unfitted ? "It is still to be fitted: await laplace(…).fit(data)." : promise;
  throw new ValueError(
    `${where}: ${name} must be a posterior, such as await laplace(…).fit(data) gives.${advice === "" ? "" : ` ${advice}`}`,
  );
}
