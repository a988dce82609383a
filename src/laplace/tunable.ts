// A posterior as what is tuned: its evidence as a function of prior and noise, and the scales of its problem.

import { evidenceGradientOf, evidenceOf, factorOf } from "./evidence.ts";
import type { PosteriorParts } from "./posterior.ts";
import type { Precision } from "./precision.ts";
import type { Prior } from "./prior.ts";
import { scalesOf } from "./scales.ts";
import type { Scales, Tunable, Tuned } from "./tuning.ts";

/** What the evidence and its derivatives are functions of. */
export function evidenceAt(parts: PosteriorParts, at: Tuned, precision: Precision): Parameters<typeof evidenceOf> {
  const { fitted, temperature, plan, curvature, theta } = parts;
  const outputs = plan.net.graph.output.size;
  return [at.likelihood, fitted, outputs, temperature, at.prior, precision, curvature.selection.take(theta)];
}

/** The evidence of a posterior, to be maximised; `factor` gives the precision at another prior and likelihood. */
export function tunableOf(parts: PosteriorParts, factor: (at: Tuned) => Precision): Tunable {
  const { prior, likelihood, curvature } = parts;
  return {
    prior,
    likelihood,
    structure: curvature.structure,
    apart: false,
    evaluate(next) {
      const at = evidenceAt(parts, next, factor(next));
      const { logMarginalLikelihood: value, ...terms } = evidenceOf(...at);
      const { logPriorPrecision, logNoise } = evidenceGradientOf(...at);
      const magnitude = Object.values(terms).reduce((most, term) => Math.max(most, Math.abs(term)), 0);
      return {
        value,
        magnitude,
        logPriorPrecision,
        logNoise: Float64Array.from(logNoise === undefined ? [] : [logNoise]),
      };
    },
    scales: (start, noise) => scales(parts, start, noise),
  };
}

function scales(
  { fitted, temperature, likelihood, curvature, theta, plan }: PosteriorParts,
  prior: Prior,
  noise: boolean,
): Scales {
  const diagonal = curvature.diagonal().data as Float64Array;
  const count = fitted.examples * plan.net.graph.output.size;
  const group = { diagonal, loss: fitted.loss, count, noise: likelihood.noise ?? 1 };
  const squares = curvature.selection.take(theta).map((x, i) => (x - prior.mean[i]) ** 2);
  return scalesOf(prior, squares, [group], temperature, noise ? undefined : factorOf(likelihood, temperature));
}
