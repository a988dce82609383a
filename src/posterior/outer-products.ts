// The sum of the outer products of the examples' gradients, over the data of a fit.

import type { Plan } from "../curvature/plan.ts";
import { summarise } from "../curvature/rounds.ts";
import { checkData, type Data } from "../data/batches.ts";
import { OptionError, ValueError } from "../errors.ts";
import { type ExamplesReport, reportingExamples, type Steps } from "../kernels/steps.ts";
import type { Curvature } from "../structures/curvature.ts";
import { hasSandwich } from "../structures/sandwich.ts";
import type { PosteriorParts } from "./parts.ts";
import type { WeightGaussian } from "./weight-gaussian.ts";

/** By how much the loss of the same data may differ, relatively: by rounding. */
const SAME = 1e-4;

/** Σ g gᵀ at unit noise, in the posterior's structure. @throws OptionError, ShapeError, ValueError */
export function* outerProducts(where: string, posterior: WeightGaussian, data: Data): Steps<Curvature, ExamplesReport> {
  const { curvature: own, structure, selection, likelihood, fit } = posterior;
  if (!hasSandwich(own)) {
    throw new OptionError(
      `${where}: the structure must be "full" or "diagonal", not "${structure}", whose sum of outer products does not lie in it.`,
    );
  }
  checkData(where, data);
  const net = posterior.net.clone();
  net.setParameters(posterior.theta);
  const plan: Plan = {
    ...{ net, likelihood, selection, structure, kind: "empiricalFisher", samples: 1, seed: 0 },
    ...{ sharing: "expand", rank: "auto", basis: undefined },
  };
  const { curvature, examples, loss } = yield* reportingExamples(summarise(where, plan, data));
  const near = (a: number, b: number) => Math.abs(a - b) <= SAME * (Math.abs(a) + Math.abs(b)) + 1e-12;
  if (!near(examples, fit.examples) || !near(loss, fit.loss)) {
    throw new ValueError(
      `${where}: the data must be those of the fit, which had ${fit.examples} examples with the loss ${fit.loss}, not ${examples} with ${loss}.`,
    );
  }
  return curvature;
}

/** @throws ValueError for a sandwich, which stays as it is */
export function refuseSandwich(where: string, { around }: PosteriorParts): void {
  if (around === undefined) return;
  throw new ValueError(
    `${where}: a sandwich posterior stays as it is, and no file has it. Call ${where} of the posterior that it was made of.`,
  );
}
