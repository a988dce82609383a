// Classes by a network of which the last dense layers alone are free: a softmax regression over what goes into them, which is computed once.

import type { Steps } from "../kernels/steps.ts";
import { weightOf } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import { likelihoodOf } from "./likelihood-of.ts";
import { featuresOf, freeHeads, type LinearHeads } from "./linear-heads.ts";
import { inFloat64, type Problem } from "./minimiser.ts";
import type { EpochReport, TrainingResult } from "./results.ts";
import { softmaxRegression } from "./softmax-regression.ts";

interface Settings {
  readonly tolerance: number;
  /** Bytes that the features of all examples may take, with their copy and a matrix. */
  readonly memoryBudget: number;
}

/**
 * The training; undefined where more than last layers is free, where targets are not classes, where the prior is learned, and where the features
 * take too much memory.
 */
export function overFixedFeatures(
  problem: Problem,
  { tolerance, memoryBudget }: Settings,
): Steps<TrainingResult, EpochReport> | undefined {
  const { net, rule, data, evidence } = problem;
  if (evidence !== undefined || likelihoodOf(rule, "gaussNewton()").likelihood.targets !== "classes") return undefined;
  const inner = inFloat64(net);
  const heads = freeHeads("train", inner);
  if (heads === undefined) return undefined;
  // The features are there twice, as an array and in the kernels' memory, beside one matrix of them.
  const columns = heads.columns.length;
  if (8 * columns * (2 * data.inputs.shape[0] + columns) > memoryBudget) return undefined;
  return train(problem, inner, heads, tolerance);
}

function* train(
  { net, rule, data, epochs, weightDecay }: Problem,
  inner: Network,
  heads: LinearHeads,
  tolerance: number,
): Steps<TrainingResult, EpochReport> {
  const { likelihood, scale } = likelihoodOf(rule, "gaussNewton()");
  const features = yield* featuresOf(heads, data.inputs.as("float64"));
  const [n] = features.shape;
  const classes = net.graph.output.size;
  const targets = data.targets.as("float64").data as Float64Array;
  const given = data.weights && Float64Array.from(data.weights.data);
  const unit = scale / (weightOf(likelihood, net.outputShape, targets, given) || 1);
  const weights = (given ?? new Float64Array(n).fill(1)).map((one) => one * unit);
  /** Calls with the places of W in the parameters. */
  const places = (visit: (place: number, k: number) => void) =>
    heads.columns.forEach(({ at, step }, s) => {
      for (let c = 0; c < classes; c++) visit(at + step * c, s * classes + c);
    });
  const start = new Float64Array(heads.columns.length * classes);
  places((place, k) => {
    start[k] = inner.parameters.data[place];
  });
  const history: { epoch: number; loss: number }[] = [];
  const phi = features.data as Float64Array;
  const { converged, steps } = yield* softmaxRegression(
    { features: phi, targets, weights, classes, penalty: weightDecay, start, tolerance, steps: epochs },
    ({ weights, objective: loss }, epoch): EpochReport => {
      places((place, k) => {
        net.parameters.data[place] = weights[k];
      });
      history.push({ epoch, loss });
      return { epoch, epochs, loss };
    },
  );
  return { history, steps, converged };
}
