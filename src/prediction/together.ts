// Probabilities of labels by several posteriors around one network's weights: passes, and what is turned into the basis of the curvature, are shared.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { checkBytes, checkNeed, newFloats, OptionError } from "../errors.ts";
import { copyOutWide, later } from "../kernels/memory.ts";
import { atOnce, type ExamplesReport, type Steps } from "../kernels/steps.ts";
import type { Contraction } from "../network/run.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { covariancesTogether } from "../structures/factored.ts";
import { cutFor, routeOf, unitsOf } from "./cuts.ts";
import { contract, meanOf, place, refuseOverflow } from "./functions.ts";
import type { Linearised } from "./linearised.ts";
import { labelLogs } from "./log-probabilities.ts";
import { type PredictOptions, readPredictOptions } from "./prediction.ts";

/**
 * The logarithms of the probabilities of labels by each of several posteriors, as their `logProbabilities` have them: those of one fit of
 * classes, such as `posterior.with({ temperature })` makes, take little longer than one of them.
 * @param x [B, ...inputs]
 * @returns of each [B, ...outputs]; of binary labels [B, ...outputs, 2]
 * @throws OptionError for likelihoods without labels, no posteriors, or bad options; ShapeError, ValueError; MemoryBudgetError
 */
export function logProbabilitiesOf(
  posteriors: readonly Linearised[],
  x: ArrayLike,
  options: PredictOptions = {},
): NDArray[] {
  return atOnce(steps(posteriors, x, options));
}

function* steps(
  posteriors: readonly Linearised[],
  x: ArrayLike,
  options: PredictOptions,
): Steps<NDArray[], ExamplesReport> {
  const where = "logProbabilitiesOf";
  if (!Array.isArray(posteriors) || posteriors.length === 0) {
    throw new OptionError(`${where}: expected a list of posteriors, one at least.`);
  }
  for (const [k, one] of posteriors.entries()) checkIsPosterior(where, `posterior ${k}`, one);
  const [first, ...others] = posteriors;
  const { approximation, memoryBudget, ...draw } = readPredictOptions(where, first.likelihood, options);
  const { net, likelihood } = first;
  const alike = others.every(({ net: own, curvature, likelihood: { name } }) => {
    return curvature !== undefined && curvature === first.curvature && own === net && name === likelihood.name;
  });
  const logsOf = likelihood.logProbabilities?.bind(likelihood);
  if (
    !alike ||
    logsOf === undefined ||
    approximation === "network" ||
    likelihood.needs(approximation) !== "covariance"
  ) {
    const found: NDArray[] = [];
    for (const one of posteriors) found.push(yield* labelLogs(where, one, x, options));
    return found;
  }
  const inputs = net.readInputs(where, x);
  const shape = [inputs.shape[0], ...net.outputShape];
  checkBytes(where, [posteriors.length, ...shape], memoryBudget, "Fewer inputs at once need less.");
  const logs = posteriors.map(() => newFloats(where, shape));
  const route = routeOf(net, first.selection, likelihood);
  const { group, width } = route;
  const { size, step } = group;
  const all = posteriors.length;
  const what = `the covariance of ${size} outputs of one input by each of ${all} posteriors`;
  const { one } = cutFor(first, route, "covariance");
  checkNeed(where, what, one * all, memoryBudget, 'The approximation "plugin" needs none.');
  for (const own of posteriors) yield* own.factoring("rows");
  const precisions = posteriors.map(({ factorised }) => factorised);
  let [f, start]: [Float64Array, number] = [new Float64Array(), 0];
  const contraction: Contraction<void> = {
    begin(part) {
      later(() => {
        f = meanOf(part);
        start = part.start;
      });
    },
    add(backward, column) {
      const { batch } = backward;
      const found =
        covariancesTogether(backward, precisions) ?? precisions.map((own) => own.functionCovariance(backward));
      const offset = step === 1 ? column : column / size;
      for (const [k, numbers] of found.entries()) {
        later(() => {
          const covariance = copyOutWide(numbers);
          refuseOverflow(where, covariance);
          const [mean, variance] = [new Float64Array(batch * size), new Float64Array(batch * size)];
          for (let i = 0; i < mean.length; i++) {
            const [b, c] = [Math.floor(i / size), i % size];
            mean[i] = f[b * width + offset + c * step];
            variance[i] = covariance[i * size + c];
          }
          const part = { batch, outputs: size, mean, variance, covariance, first: start, width, offset, step };
          place(part, logsOf(approximation, part, draw), logs[k]);
        });
      }
    },
    finish() {},
  };
  yield* contract(where, first, route, "covariance", { inputs }, unitsOf(group), contraction, all);
  return logs.map((own) => new NDArray(own, shape));
}
