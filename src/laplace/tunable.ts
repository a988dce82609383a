// A posterior as what is tuned: its evidence as a function of prior and noise, and the scales of its problem.

import { weightedSum } from "../curvature/outputs.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Curvature } from "../structures/curvature.ts";
import type { Precision } from "../structures/precision.ts";
import type { Prior } from "../structures/prior.ts";
import { evidenceGradientOf, evidenceOf, factorOf } from "./evidence.ts";
import type { PosteriorParts } from "./posterior.ts";
import { scalesOf } from "./scales.ts";
import type { Scales, Tunable, Tuned } from "./tuning.ts";

/**
 * Curvature and loss at a likelihood's ratios of the noises: sums of what the outputs' own curvatures and losses are at unit noise,
 * where these are kept apart.
 */
export function weighted(parts: PosteriorParts, likelihood: Likelihood): Pick<PosteriorParts, "curvature" | "fitted"> {
  const { fitted, curvature } = parts;
  const { apart, losses } = fitted;
  const same = apart?.every((_, c) => (likelihood.ratios?.[c] ?? 1) === (parts.likelihood.ratios?.[c] ?? 1)) ?? true;
  if (apart === undefined || losses === undefined || same) return { curvature, fitted };
  const weights = losses.map((_, c) => (likelihood.ratios?.[c] ?? 1) ** -2);
  const loss = losses.reduce((sum, one, c) => sum + weights[c] * one, 0);
  return { curvature: weightedSum(apart, weights), fitted: { ...fitted, loss } };
}

/** A matrix that is decomposed anew at each point has small eigenvalues whose rounding differs from one to the next: by so much. */
const REPEATED = 1e4;

/** What the evidence and its derivatives are functions of. */
export function evidenceAt(parts: PosteriorParts, at: Tuned, precision: Precision): Parameters<typeof evidenceOf> {
  const { fitted, temperature, plan, curvature, theta } = parts;
  const outputs = plan.net.graph.output.size;
  return [at.likelihood, fitted, outputs, temperature, at.prior, precision, curvature.selection.take(theta)];
}

/** The evidence of a posterior, to be maximised; `factor` gives the precision of a curvature at another prior and likelihood. */
export function tunableOf(
  parts: PosteriorParts,
  factor: (curvature: Curvature, at: Tuned, inverse: boolean) => Precision,
): Tunable {
  const { prior, likelihood, curvature, fitted, temperature, damping } = parts;
  // Of damped factors the noise is no factor.
  const apart = damping ? undefined : fitted.apart;
  return {
    prior,
    likelihood,
    structure: curvature.structure,
    apart: apart !== undefined,
    evaluate(next) {
      const there = weighted(parts, next.likelihood);
      const precision = factor(there.curvature, next, apart !== undefined);
      const h = factorOf(next.likelihood, temperature);
      const traces = apart === undefined ? undefined : precision.traces(apart);
      const at = evidenceAt({ ...parts, ...there }, next, precision);
      const { logMarginalLikelihood: value, ...terms } = evidenceOf(...at);
      const { logPriorPrecision, logNoise } = evidenceGradientOf(...at);
      const largest = Object.values(terms).reduce((most, term) => Math.max(most, Math.abs(term)), 0);
      const magnitude = largest * (apart === undefined ? 1 : REPEATED);
      const noises = traces?.map((trace, c) => {
        const own = h * (next.likelihood.ratios?.[c] ?? 1) ** -2;
        return own * (2 * (fitted.losses?.[c] ?? 0) + trace) - fitted.examples;
      });
      const one = Float64Array.from(logNoise === undefined ? [] : [logNoise]);
      return { value, magnitude, logPriorPrecision, logNoise: noises ?? one };
    },
    scales: (start, noise) => scales(parts, start, noise, noise ? apart : undefined),
  };
}

function scales(
  { fitted, temperature, likelihood, curvature, theta, plan }: PosteriorParts,
  prior: Prior,
  noise: boolean,
  apart: readonly Curvature[] | undefined,
): Scales {
  const group = (one: Curvature, loss: number, count: number, ratio: number) => {
    const diagonal = one.diagonal().data as Float64Array;
    return { diagonal, loss, count, noise: (likelihood.noise ?? 1) * ratio };
  };
  const { examples, losses, loss } = fitted;
  const outputs = plan.net.graph.output.size;
  const groups = apart?.map((one, c) => group(one, losses?.[c] ?? 0, examples, likelihood.ratios?.[c] ?? 1)) ?? [
    group(curvature, loss, examples * outputs, 1),
  ];
  const squares = curvature.selection.take(theta).map((x, i) => (x - prior.mean[i]) ** 2);
  return scalesOf(prior, squares, groups, temperature, noise ? undefined : factorOf(likelihood, temperature));
}
