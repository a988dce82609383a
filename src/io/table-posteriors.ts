// The posteriors of a table's model: one, or several with weights, whose likelihoods the target takes.

import type { TableEncoding } from "../data/encoding.ts";
import { ValueError } from "../errors.ts";
import type { PosteriorMixture } from "../evaluation/mixture.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { WeightPosterior } from "../posterior/weight-posterior.ts";
import type { Approximation } from "../prediction/prediction.ts";

/** Posteriors with weights that sum to 1. */
export interface TableMixture {
  readonly posteriors: PosteriorMixture["posteriors"];
  readonly weights: Float64Array;
}

/** @throws ValueError for a posterior that does not go with the encoding */
export function checkPosterior(
  { net, likelihood }: Posterior,
  encoding: TableEncoding,
  approximation: Approximation,
): void {
  const { target } = encoding;
  const classes = target.kind === "number" ? 0 : target.classes.length;
  const kind = classes === 0 ? "numbers" : classes === 2 ? "labels" : "classes";
  const { name, targets, normal, links, hyper, dispersion } = likelihood;
  const counts = target.kind === "number" && target.counts === true;
  // Noise that is not a number beside the outputs is an output of its own.
  const outputs = classes > 2 ? classes : classes === 0 && !counts && !hyper.any ? 2 : 1;
  const { input, output } = net.graph;
  if (input.size !== encoding.inputs.length || input.shape.length !== 1) {
    throw new ValueError(`tableModel: the encoding has ${encoding.inputs.length} inputs, the network ${input.size}.`);
  }
  const fits = targets === kind && normal === (kind === "numbers" && !counts) && (dispersion !== undefined) === counts;
  if (!fits || output.size !== outputs) {
    const needed = `a likelihood of ${counts ? "counts" : kind === "numbers" ? "normal numbers" : kind} with ${outputs} outputs`;
    throw new ValueError(
      `tableModel: the target "${target.name}" needs ${needed}; the posterior has ${name} with ${output.size}.`,
    );
  }
  if (approximation !== "network" && !links.some((link) => link === approximation)) {
    throw new ValueError(`tableModel: a ${name} likelihood has no approximation "${approximation}".`);
  }
}

/** The posterior of the greatest weight, the first of equals. */
export function heaviestOf(mixture: TableMixture): Posterior {
  const { weights, posteriors } = mixture ?? {};
  const sum = weights instanceof Float64Array ? weights.reduce((all, one) => all + one, 0) : 0;
  const known = Array.isArray(posteriors) && posteriors.length === weights?.length;
  if (!known || !posteriors.every((one) => one instanceof WeightPosterior) || !(Math.abs(sum - 1) < 1e-9)) {
    throw new ValueError("tableModel: mixture: expected a mixture, such as mixture(posteriors) gives.");
  }
  return posteriors[weights.indexOf(Math.max(...weights))] as Posterior;
}

/** Whether all have one likelihood; those of counts have a dispersion each. */
export const alike = (posteriors: TableMixture["posteriors"]) =>
  new Set(posteriors.map((one) => one.likelihood.name)).size === 1 &&
  posteriors.every((one) => one.likelihood.dispersion === undefined);
