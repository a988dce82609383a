// `laplace`: by the names of tasks and structures.

import { inputSums } from "../curvature/input-sums.ts";
import { arriving } from "../data/arriving.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type KindOf, readLikelihood, type Task } from "../likelihood/tasks.ts";
import type { Network } from "../network/network.ts";
import { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { bringAll } from "../structures/all.ts";
import { Laplace } from "./fitting.ts";
import type { LaplaceOptions } from "./options.ts";
import { Posterior } from "./posterior.ts";
import { ofPosterior, overPlan } from "./posterior-prior.ts";

/**
 * A Laplace approximation of the posterior over a trained network's weights (MacKay 1992; Ritter et al. 2018; Daxberger
 * et al. 2021, arXiv:2106.14806): a Gaussian around them with precision P = H/(σ²T) + P₀, H the curvature of the summed loss:
 * `const posterior = (await laplace(net, { likelihood: "regression" }).fit(data)).optimizePrior();`
 * Options and frozen parameters are read here, the parameters' values by `fit`.
 * @throws OptionError, ShapeError, ValueError for bad options; LaplaceError for a network that ends in softmax or sigmoid
 */
export function laplace<Given extends Likelihood | Task>(
  net: Network,
  options: LaplaceOptions<Given>,
): Laplace<KindOf<Given>> {
  bringAll();
  return new Laplace(net, options, {
    likelihood: () => readLikelihood("laplace", options.likelihood, net),
    posterior: (parts) => new Posterior<KindOf<Given>>(parts),
    inputs: inputSums,
    arriving,
    prior: (given) => (given instanceof WeightGaussian ? { over: overPlan(ofPosterior("laplace", given)) } : given),
  });
}
