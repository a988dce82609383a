// Data as a diagnosis looks at them: predictions, targets, and what the weights leave open.

import { NDArray } from "../array/ndarray.ts";
import { lossOf } from "../curvature/losses-and-norms.ts";
import type { Data } from "../data/batches.ts";
import { largest } from "../evaluation/classification.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { copyIn, scope } from "../kernels/memory.ts";
import type { ExamplesReport, Steps } from "../kernels/steps.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { sumVariances } from "../prediction/functions.ts";
import { labelLogs, predictDensities, rowInformation } from "../prediction/log-probabilities.ts";
import { predictAll } from "../prediction/predict-all.ts";
import { functionMoments, type PredictOptions, predict } from "../prediction/prediction.ts";
import type { Finding } from "./findings.ts";

/** What rounding of float32 leaves of a function's square. */
const ROUNDING = 1e-6;

const meanSquare = (values: Float64Array) => values.reduce((sum, x) => sum + x * x, 0) / values.length;

/** Data as a diagnosis looks at them: N examples, or labels of positions, with C outputs each. */
export interface Diagnosed {
  readonly samples: number;
  readonly outputs: number;
  /** Whether they are the data of the fit. */
  readonly training: boolean;
  /** [B, ...inputs], the examples' inputs. */
  readonly x: NDArray;
  /** Targets shaped like the outputs, [N C]; labels as rows of one 1. */
  readonly y: Float64Array;
  /** Of the target, [N C]. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** Of the function, [N C]. */
  readonly functionMean: Float64Array;
  readonly functionVariance: Float64Array;
  /** Of outputs that stand each for itself the function's variance, [N C]; of logits its sum, without that of a constant added to all, [N]. */
  readonly spread: Float64Array;
  /**
   * tr(Λ V) / (σ² T), V the function's covariance: of each output that stands for itself, [N C], or of a label's logits
   * together, [N]. Summed over outputs it has the mean γ / N over the training data.
   */
  readonly information: Float64Array;
  /** Whether the outputs of a sample belong together: classes, and rows. */
  readonly together: boolean;
  /** Of labels: log of the probability, [N C], of binary ones also of the other label's; of rows of their densities; empty otherwise. */
  readonly logs: Float64Array;
  readonly otherLogs: Float64Array;
  /** Whether the predictions ignore the function's variance. */
  readonly plugin: boolean;
}

/** Predicts the inputs of data, and finds out whether they are those of the fit. @throws ShapeError, ValueError, OptionError */
export function* readDiagnosed(
  where: string,
  posterior: WeightPosterior,
  data: Data,
  options: PredictOptions,
): Steps<Diagnosed, ExamplesReport> {
  const { likelihood, net, temperature } = posterior;
  const classes = likelihood.targets === "classes";
  const all = yield* predictAll(where, data, function* ({ x, y }) {
    const prediction = yield* predict(where, posterior, x, options);
    const { mean, variance, functionMean } = prediction;
    const targets = likelihood.readTargets(where, y, [x.shape[0], ...net.outputShape], "float64");
    const inputs = net.readInputs(where, x);
    const shaped = (values: Float64Array) => new NDArray(values, [x.shape[0], values.length / x.shape[0]]);
    // Where the approximation needs none, the variances are another pass.
    const { approximation = "network" } = options;
    const another = approximation !== "network" && likelihood.needs(approximation) === "mean";
    const functionVariance = another
      ? new NDArray(yield* functionMoments(where, posterior, inputs, "variance"), functionMean.shape)
      : prediction.functionVariance;
    // The network's own outputs, from which the loss of the fit was computed.
    const own =
      options.approximation === "network"
        ? shaped(yield* functionMoments(where, posterior, inputs, "mean"))
        : functionMean;
    const labels = likelihood.logProbabilities !== undefined;
    const logs = labels
      ? yield* labelLogs(where, posterior, x, options)
      : new NDArray(new Float64Array(0), [x.shape[0], 0]);
    const common = { x, mean, variance, functionMean, functionVariance, own, y: targets, logs };
    if (likelihood.rows !== undefined) {
      const found = yield* rowInformation(where, posterior, inputs);
      const densities = yield* predictDensities(where, posterior, x, targets, options);
      return { ...common, logs: densities, level: found.spread, weighted: found.information };
    }
    if (!classes) return { ...common, level: functionVariance, weighted: functionVariance };
    // Of a label's logits all that is looked at are the variances of their sum and of their mean over the probabilities.
    const sums = yield* sumVariances(where, posterior, inputs, mean);
    return { ...common, level: shaped(sums.all), weighted: shaped(sums.weighted) };
  });
  yield;
  const numbers = (array: NDArray) => Float64Array.from(array.data);
  const { size, shape } = net.graph.output;
  const examples = all.y.size / size;
  const weights = all.weights?.data as Float64Array | undefined;
  const counted = weights === undefined ? examples : weights.reduce((sum, weight) => sum + weight, 0);
  let loss = 0;
  scope(() => {
    const f = { kernels: kernelsFor("float64"), dtype: "float64", batch: examples, outputs: size, shape } as const;
    const [own, y] = [numbers(all.own), numbers(all.y)].map((values) => copyIn("float64", values));
    lossOf(likelihood, { ...f, f: own }, y, weights, undefined, (found) => {
      loss = found;
    });
  });
  // A loss of nats has a size of its own; one that σ² divides has that of its function, which rounds.
  const unit = !likelihood.hyper.any ? 1 : ROUNDING * meanSquare(numbers(all.own));
  const training =
    Math.abs(counted - posterior.examples) <= 1e-9 * counted &&
    Math.abs(loss - posterior.loss) <= 1e-5 * Math.abs(loss) + 1e-6 * examples * unit;
  const common = { training, x: all.x, plugin: options.approximation === "plugin" };
  if (likelihood.rows !== undefined) {
    const { numbers: kept } = likelihood.rows;
    const { size: row } = likelihood.group(shape);
    return {
      ...common,
      samples: examples,
      outputs: all.mean.size / examples,
      together: true,
      y: numbers(all.y).filter((_, i) => i % row < kept),
      mean: numbers(all.mean),
      variance: numbers(all.variance),
      functionMean: numbers(all.functionMean),
      functionVariance: numbers(all.functionVariance),
      spread: numbers(all.level),
      information: numbers(all.weighted).map((x) => x / temperature),
      logs: numbers(all.logs),
      otherLogs: new Float64Array(0),
    };
  }
  yield;
  // Every label that counts is a sample of its own.
  const outputs = classes ? likelihood.group(shape).size : size;
  const rows = rowsOf(numbers(all.y), outputs, classes ? likelihood.group(shape).step : 1, size, classes);
  const samples = rows.length;
  const taken = (array: NDArray) => {
    const result = new Float64Array(samples * outputs);
    rows.forEach(({ start, step }, i) => {
      for (let c = 0; c < outputs; c++) result[i * outputs + c] = array.data[start + c * step];
    });
    return result;
  };
  const [y, mean, variance, functionMean] = [all.y, all.mean, all.variance, all.functionMean].map(taken);
  const functionVariance = taken(all.functionVariance);
  const together = classes ? outputs : 1;
  const [spread, information] = [0, 1].map(() => new Float64Array((samples * outputs) / together));
  functionVariance.forEach((v, at) => {
    const predicted = {
      mean: mean[at],
      variance: variance[at],
      functionMean: functionMean[at],
      functionVariance: v,
    };
    const i = Math.floor(at / together);
    spread[i] += v;
    information[i] += (v * likelihood.information(predicted, at % outputs)) / temperature;
  });
  if (classes) {
    // Differences of what is positive: rounding may leave less than nothing.
    rows.forEach(({ group }, i) => {
      spread[i] = Math.max(spread[i] - all.level.data[group] / outputs, 0);
      information[i] = Math.max(information[i] - all.weighted.data[group] / temperature, 0);
    });
  }
  return {
    ...common,
    samples,
    outputs,
    together: classes,
    y,
    mean,
    variance,
    functionMean,
    functionVariance,
    spread,
    information,
    logs: classes ? taken(all.logs) : numbers(all.logs).filter((_, i) => i % 2 === 1),
    otherLogs: classes ? new Float64Array(0) : numbers(all.logs).filter((_, i) => i % 2 === 0),
  };
}

/** Where a sample's outputs begin, how far apart they are, and its number among all, ignored ones included. */
interface Row {
  readonly start: number;
  readonly step: number;
  readonly group: number;
}

/** The samples: examples, or of classes the labels that are not ignored, whose targets are not all 0. */
function rowsOf(y: Float64Array, width: number, step: number, size: number, classes: boolean): Row[] {
  const each = size / width;
  const rows = Array.from({ length: y.length / width }, (_, group): Row => {
    const position = group % each;
    return { start: Math.floor(group / each) * size + (step === 1 ? position * width : position), step, group };
  });
  if (!classes) return rows;
  return rows.filter(({ start }) => Array.from({ length: width }, (_, c) => y[start + c * step]).some((p) => p !== 0));
}

/** Samples fewer than which say nothing. */
export const FEW = 10;

/** What data show of all outputs, or of one of them. */
export type Find = (posterior: WeightPosterior, given: Diagnosed, output: number | undefined) => Finding[];

/** Outputs of an image or a sequence beyond which they are looked at together: nobody reads a finding for each pixel. */
const MOST_OUTPUTS = 64;

/** What each output shows by itself; where none shows anything, what all of them show together. */
export function perOutput(find: Find, posterior: WeightPosterior, given: Diagnosed): Finding[] {
  const { outputs } = given;
  const many = outputs > MOST_OUTPUTS && posterior.net.outputShape.length > 1;
  if (outputs === 1 || many || given.together) return find(posterior, given, undefined);
  const found = Array.from({ length: outputs }, (_, c) => find(posterior, outputOf(given, c), c)).flat();
  return found.length > 0 ? found : find(posterior, given, undefined);
}

/** One output of data. */
function outputOf(given: Diagnosed, c: number): Diagnosed {
  const { outputs, y, mean, variance, functionMean, functionVariance, spread, information, logs, otherLogs } = given;
  const column = (values: Float64Array) =>
    Float64Array.from({ length: values.length / outputs }, (_, n) => values[n * outputs + c]);
  return {
    ...given,
    outputs: 1,
    y: column(y),
    mean: column(mean),
    variance: column(variance),
    functionMean: column(functionMean),
    functionVariance: column(functionVariance),
    spread: column(spread),
    information: column(information),
    logs: column(logs),
    otherLogs: column(otherLogs),
  };
}

/** Of outputs that stand each for itself, and of rows, the sum of these numbers; of labels themselves, [N]. */
export function summed({ samples }: Diagnosed, values: Float64Array): Float64Array {
  const each = values.length / samples;
  return Float64Array.from({ length: samples }, (_, n) =>
    values.subarray(n * each, (n + 1) * each).reduce((a, b) => a + b, 0),
  );
}

/** Numbers of each example from those of its outputs. */
export function perSample({ samples, outputs }: Diagnosed, at: (i: number, c: number) => number): Float64Array {
  return Float64Array.from({ length: samples }, (_, n) => {
    let sum = 0;
    for (let c = 0; c < outputs; c++) sum += at(n * outputs + c, c);
    return sum;
  });
}

/** The probability of the predicted label, of each example or of each of its labels, and which it is. */
export function confidences(p: Float64Array, outputs: number, classes: boolean) {
  const width = classes ? outputs : 1;
  const n = p.length / width;
  const [confidence, label] = [new Float64Array(n), new Int32Array(n)];
  for (let i = 0; i < n; i++) {
    if (!classes) {
      label[i] = p[i] > 0.5 ? 1 : 0;
      confidence[i] = Math.max(p[i], 1 - p[i]);
      continue;
    }
    label[i] = largest(p, i, width);
    confidence[i] = Math.min(p[i * width + label[i]], 1);
  }
  return { confidence, label };
}
