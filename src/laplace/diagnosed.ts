// Data as a diagnosis looks at them: predictions, targets, and what the weights leave open.

import type { NDArray } from "../array/ndarray.ts";
import { type Data, lossOf } from "../curvature/accumulate.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { copyIn, scope } from "../kernels/memory.ts";
import type { Posterior } from "./posterior.ts";
import { predictAll } from "./predicted.ts";
import type { PredictOptions } from "./prediction.ts";

/** Data as a diagnosis looks at them: N examples with C outputs each. */
export interface Diagnosed {
  readonly samples: number;
  readonly outputs: number;
  /** Whether they are the data of the fit. */
  readonly training: boolean;
  /** [N, ...inputs] */
  readonly x: NDArray;
  /** Targets shaped like the outputs, [N C]; labels as rows of one 1. */
  readonly y: Float64Array;
  /** Of the target, [N C]. */
  readonly mean: Float64Array;
  readonly variance: Float64Array;
  /** Of the function, [N C]. */
  readonly functionMean: Float64Array;
  readonly functionVariance: Float64Array;
  /** What of the function's variance matters: without that of a constant added to all logits, summed over outputs, [N]. */
  readonly spread: Float64Array;
  /** tr(Λ V), V the function's covariance: of the training data it has the mean γ T / N (at unit noise σ² T γ / N), [N]. */
  readonly information: Float64Array;
  /** Whether the predictions ignore the function's variance. */
  readonly plugin: boolean;
}

/** Predicts the inputs of data, and finds out whether they are those of the fit. @throws ShapeError, ValueError, OptionError */
export function readDiagnosed(where: string, posterior: Posterior, data: Data, options: PredictOptions): Diagnosed {
  const { likelihood, net, temperature } = posterior;
  const outputs = net.graph.output.size;
  const noise = likelihood.noise === undefined ? undefined : posterior.noise?.data;
  const classes = likelihood.name === "categorical";
  const all = predictAll(where, data, ({ x, y }) => {
    const { mean, variance, functionMean, functionVariance } = posterior.predict(x, options);
    const targets = likelihood.readTargets(where, y, [x.shape[0], ...net.outputShape], "float64");
    const covariance = classes ? posterior.functionCovariance(x) : functionVariance;
    // The network's own outputs, from which the loss of the fit was computed.
    const own = options.approximation === "network" ? posterior.predict(x).functionMean : functionMean;
    return { x, mean, variance, functionMean, functionVariance, own, y: targets, covariance };
  });
  const numbers = (array: NDArray) => Float64Array.from(array.data);
  const [mean, functionMean, functionVariance] = [all.mean, all.functionMean, all.functionVariance].map(numbers);
  const [y, own] = [numbers(all.y), numbers(all.own)];
  const samples = y.length / outputs;
  const loss = scope(() => {
    const f = { kernels: kernelsFor("float64"), dtype: "float64", batch: samples, outputs } as const;
    return lossOf(likelihood, { ...f, f: copyIn("float64", own) }, copyIn("float64", y));
  });
  const [spread, information] = [new Float64Array(samples), new Float64Array(samples)];
  const rates = likelihood.name === "poisson" ? likelihood.targetAt(functionMean, outputs, undefined).mean : mean;
  for (let i = 0; i < samples; i++) {
    for (let c = 0; c < outputs; c++) {
      const at = i * outputs + c;
      const v = functionVariance[at];
      if (!classes) {
        spread[i] += v / (noise?.[c] ?? 1) ** 2;
        const curvature =
          noise !== undefined ? noise[c] ** -2 : likelihood.name === "poisson" ? rates[at] : mean[at] * (1 - mean[at]);
        information[i] += (v * curvature) / temperature;
        continue;
      }
      spread[i] += v;
      information[i] += (mean[at] * v) / temperature;
      for (let d = 0; d < outputs; d++) {
        const between = all.covariance.data[at * outputs + d];
        spread[i] -= between / outputs;
        information[i] -= (mean[at] * mean[i * outputs + d] * between) / temperature;
      }
    }
  }
  const same =
    samples === posterior.examples && Math.abs(loss - posterior.loss) <= 1e-5 * Math.abs(loss) + 1e-6 * samples;
  return {
    samples,
    outputs,
    training: same,
    x: all.x,
    y,
    mean,
    variance: numbers(all.variance),
    functionMean,
    functionVariance,
    spread,
    information,
    plugin: options.approximation === "plugin",
  };
}
