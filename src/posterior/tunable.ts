// A posterior as what is tuned: its evidence as a function of prior and noise, and the scales of its problem.

import type { Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Curvature, Structure } from "../structures/curvature.ts";
import type { Precision } from "../structures/precision.ts";
import type { Prior } from "../structures/prior.ts";
import { distancesOf, type EvidencePoint, evidenceGradientOf, evidenceOf, factorOf, scatterOf } from "./evidence.ts";
import type { PosteriorParts } from "./parts.ts";
import { scalesOf } from "./scales.ts";
import type { Scales, Tunable, Tuned } from "./tuning.ts";

/** A matrix that is decomposed anew at each point has small eigenvalues whose rounding differs from one to the next: by so much. */
const REPEATED = 1e4;

/** The evidence of a posterior's fit, at another prior and likelihood. */
export function* evidenceAt(
  { fit, temperature }: PosteriorParts,
  { likelihood, prior }: Tuned,
  precision: Precision,
  known?: Float64Array,
): Steps<EvidencePoint> {
  const distances = known ?? (yield* distancesOf(prior, fit.curvature.selection.take(fit.of.theta)));
  const outputs = fit.of.net.graph.output.size;
  const weights = fit.curvature.selection.size;
  return { likelihood, fit, outputs, temperature, prior, precision, weights, distances };
}

/** The evidence of a posterior, to be maximised. */
export class TunableEvidence implements Tunable {
  readonly prior: Prior;
  readonly likelihood: Likelihood;
  readonly structure: Structure;
  readonly apart: boolean;
  readonly #parts: PosteriorParts;
  readonly #factor: (curvature: Curvature, at: Tuned, inverse: boolean) => Steps<Precision>;
  readonly #curvatures: readonly Curvature[] | undefined;
  /** The distances to the prior's means, which stay where they are while its precisions move. */
  #known: { readonly prior: Prior; readonly distances: Float64Array } | undefined;

  /** @param factor gives the precision of a curvature at another prior and likelihood */
  constructor(parts: PosteriorParts, factor: (curvature: Curvature, at: Tuned, inverse: boolean) => Steps<Precision>) {
    this.prior = parts.prior;
    this.likelihood = parts.likelihood;
    this.structure = parts.fit.curvature.structure;
    this.#parts = parts;
    this.#factor = factor;
    this.#curvatures = tunedApart(parts);
    this.apart = this.#curvatures !== undefined;
  }

  *evaluate(next: Tuned) {
    const { fit, temperature } = this.#parts;
    const apart = this.#curvatures;
    const there = yield* fit.going(next.likelihood);
    const precision = yield* this.#factor(there.curvature, next, apart !== undefined);
    yield* precision.prepare(apart === undefined ? "gradient" : "traces");
    const h = factorOf(next.likelihood, temperature);
    const traces = apart === undefined ? undefined : yield* precision.traces(apart);
    const distances = yield* this.#distances(next.prior);
    const at = yield* evidenceAt({ ...this.#parts, fit: there }, next, precision, distances);
    const { logMarginalLikelihood: value, ...terms } = evidenceOf(at);
    const { logPriorPrecision, logNoise } = evidenceGradientOf(at);
    const largest = Object.values(terms).reduce((most, term) => Math.max(most, Math.abs(term)), 0);
    const magnitude = largest * (apart === undefined ? 1 : REPEATED);
    const noises = traces?.map((trace, c) => {
      const own = h * next.likelihood.hyper.weight(c);
      return own * (2 * (fit.losses?.[c] ?? 0) + trace) - fit.examples;
    });
    const one = Float64Array.from(logNoise === undefined ? [] : [logNoise]);
    const bend =
      next.prior.structure === "perWeight" ? bendOf(at, logPriorPrecision, h, noises?.length ?? 1) : undefined;
    return { value, magnitude, logPriorPrecision, logNoise: noises ?? one, bend };
  }

  scales(start: Prior, noise: boolean): Scales {
    return problemScales(this.#parts, start, noise);
  }

  *#distances(next: Prior): Steps<Float64Array> {
    const { fit } = this.#parts;
    if (this.#known?.prior.mean !== next.mean || this.#known.prior.structure !== next.structure) {
      const distances = yield* distancesOf(next, fit.curvature.selection.take(fit.of.theta));
      this.#known = { prior: next, distances };
    }
    return this.#known.distances;
  }
}

/**
 * How the evidence curves along each log precision and log noise. With t = δ (P⁻¹)_ii and s = δ (θ − μ₀)², its slope is
 * ½ (1 − t − s), and the curvature t (1 − t) + s, halved.
 */
function bendOf({ prior, distances, fit }: EvidencePoint, slopes: Float64Array, h: number, noises: number) {
  const logPriorPrecision = scatterOf(prior, distances).map((s, i) => {
    const t = Math.min(1, Math.max(0, 1 - s - 2 * slopes[i]));
    return 0.5 * (t * (1 - t) + s);
  });
  return { logPriorPrecision, logNoise: new Float64Array(noises).fill((4 * h * fit.loss) / noises) };
}

/** The curvatures of the outputs, where the noise of each is tuned by itself. The noise does not scale damped factors. */
export function tunedApart({ fit, damping }: PosteriorParts): readonly Curvature[] | undefined {
  return damping ? undefined : fit.apart;
}

/** The problem's own scales of a prior, and of the noise where it is tuned. */
export function problemScales(parts: PosteriorParts, prior: Prior, noise: boolean): Scales {
  const { fit, temperature, likelihood } = parts;
  const apart = noise ? tunedApart(parts) : undefined;
  const { hyper } = likelihood;
  // With a matrix the units are those of its diagonal.
  const unit = prior.matrix?.diagonal;
  const group = (one: Curvature, loss: number, count: number, value: number) => {
    const own = one.diagonal().data as Float64Array;
    const diagonal = unit === undefined ? own : own.map((x, i) => x / unit[i]);
    return { diagonal, loss, count, value, shownBy: (sum: number, many: number) => hyper.shownBy(sum, many) };
  };
  const { examples, losses, loss, curvature, of } = fit;
  const outputs = of.net.graph.output.size;
  const groups = apart?.map((one, c) => group(one, losses?.[c] ?? 0, examples, hyper.of(c))) ?? [
    group(curvature, loss, examples * outputs, hyper.value),
  ];
  const squares = curvature.selection.take(of.theta).map((x, i) => (x - prior.mean[i]) ** 2 * (unit?.[i] ?? 1));
  return scalesOf(prior, squares, groups, temperature, noise ? undefined : factorOf(likelihood, temperature));
}
