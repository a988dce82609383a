// A posterior of what `ivon()` learned.

import { asArray } from "../array/ndarray.ts";
import { checkNumber, checkOptions, ValueError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { KindOf, Task } from "../likelihood/tasks.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import type { VariationalState } from "../training/variational.ts";
import { type Along, posteriorAlong } from "./along.ts";
import type { Posterior } from "./posterior.ts";

/** Options of `ivonPosterior`. */
export interface IvonPosteriorOptions<Given extends Likelihood | Task = Likelihood | Task> extends Along<Given> {}

/**
 * The posterior that `ivon()` trained (Shen et al. 2024, arXiv:2402.17641): N(m, diag(1 / (λ (h + δ)))) around the network at the means m. It
 * predicts, draws and goes into files as other posteriors do. Its prior is in it, so it cannot be changed or tuned, and it has no evidence.
 * @param net the network that was trained; running statistics are those that it has now
 * @param state `variational` of what `train` gave
 * @throws ValueError for what is not a state; OptionError, ShapeError
 */
export function ivonPosterior<Given extends Likelihood | Task>(
  net: Network,
  state: VariationalState | undefined,
  options: IvonPosteriorOptions<Given>,
): Posterior<KindOf<Given>> {
  const where = "ivonPosterior";
  checkIsNetwork(where, net);
  if (typeof state !== "object" || state === null || !("precision" in state && "mean" in state)) {
    throw new ValueError(
      `${where}: the second argument must be \`variational\` of what train gave with the optimizer ivon().`,
    );
  }
  checkOptions(where, options, ["likelihood", "weights"]);
  const mean = net.readVector(where, "state.mean", state.mean);
  net.readVector(where, "state.precision", state.precision);
  const precision = Float64Array.from(asArray(state.precision).data);
  if (!precision.every((one) => one > 0)) throw new ValueError(`${where}: state.precision must be above 0.`);
  checkNumber(where, "state.examples", state.examples, 0, true);
  const { examples } = state;
  return posteriorAlong(where, net.clone(mean), options, { precision, columns: [], examples });
}
