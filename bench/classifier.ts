// A classifier's gradients, fits and predictions, on data drawn at random.

import {
  crossEntropy,
  DataLoader,
  gradient,
  kernelArray,
  type LaplaceOptions,
  NDArray,
  type Network,
  type Posterior,
  perSampleGradients,
  Random,
  randomNormal,
} from "../src/index.ts";
import type { Way } from "./compare.ts";
import type { Torch } from "./peers/torch.ts";
import { asynchronous, type LaplaceCase, quietFit } from "./units.ts";

const [BATCH, POINTS] = [128, 128];

/** What the case is called, the most it should take in units, and what is fitted. */
type FitCase = readonly [name: string, units: number, options: Partial<LaplaceOptions>];

/** A network, and what is measured of it. */
export interface Classifier {
  /** "LeNet", or sizes of dense layers with relu between them: the peers' name of it. */
  readonly name: string;
  readonly net: Network;
  readonly samples: number;
  readonly targets: { readonly gradient?: number; readonly perSample: number; readonly functorch?: number };
  readonly fits: readonly FitCase[];
  readonly predictions: readonly FitCase[];
}

/** The cases, after handing network and data to PyTorch. */
export function classifier({ name, net, samples, targets, fits, predictions }: Classifier) {
  return async function* (torch: Torch | undefined): AsyncGenerator<LaplaceCase> {
    const x = randomNormal([samples, ...net.inputShape], { seed: 1, dtype: "float32" });
    const random = new Random(2);
    const labels = Float32Array.from({ length: samples }, () => Math.floor(random.uniform() * net.outputShape[0]));
    const y = new NDArray(labels, [samples]);
    const loader = new DataLoader({ x, y }, { batchSize: BATCH });
    const points = randomNormal([POINTS, ...net.inputShape], { seed: 3, dtype: "float32" });
    await torch?.load({ network: name, batch: BATCH, theta: net.parameters.data, x: x.data, y: y.data });

    const job = (text: string) => `${name}: ${text}`;
    const sum = new Float64Array(net.parameterCount);
    const part = kernelArray([net.parameterCount], { dtype: "float32" });
    yield {
      name: job("summed gradient"),
      ours: asynchronous(() => {
        sum.fill(0);
        for (const batch of loader) {
          const { data } = gradient(net, crossEntropy, batch, { reduction: "sum", out: part });
          for (let i = 0; i < sum.length; i++) sum[i] += data[i];
        }
      }),
      ...(targets.gradient !== undefined && { target: { units: targets.gradient } }),
      gradient: () => sum,
    };
    const out = kernelArray([BATCH, net.parameterCount], { dtype: "float32" });
    yield {
      name: job("per-sample gradients"),
      ours: asynchronous(() => {
        for (const batch of loader) perSampleGradients(net, crossEntropy, batch, { out });
      }),
      target: { units: targets.perSample },
      ...(targets.functorch !== undefined && { fasterThanFunctorch: targets.functorch }),
      perSample: () => out.data.slice(0, net.parameterCount),
    };
    const fit = (options: Partial<LaplaceOptions>) =>
      quietFit(net, loader, { likelihood: "classification", ...options });
    for (const [text, units, options] of fits) {
      yield { name: job(text), ours: asynchronous(() => fit(options)), target: { units } };
    }
    for (const [text, units, options] of predictions) {
      // The first call factors, as it does in a program.
      let posterior: Posterior | undefined;
      const ours: Way = {
        ...asynchronous(() => posterior?.predict(points)),
        prepare: async () => {
          posterior = await fit(options);
        },
      };
      yield { name: job(`${POINTS} predictions, ${text}`), ours, target: { units } };
    }
    out.free();
    part.free();
  };
}
