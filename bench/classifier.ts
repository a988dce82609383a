// A classifier's gradients, fits, tuning and predictions, on data drawn at random.

import {
  adam,
  crossEntropy,
  DataLoader,
  gradient,
  kernelArray,
  type LaplaceOptions,
  NDArray,
  type Network,
  type Posterior,
  perSampleGradientNorms,
  perSampleGradients,
  Random,
  randomNormal,
  type TuningOptions,
  train,
} from "../src/index.ts";
import { now } from "./clock.ts";
import type { Way } from "./compare.ts";
import type { CurvatureJob, Torch } from "./peers/torch.ts";
import { asynchronous, type LaplaceCase, quietFit } from "./units.ts";

const POINTS = 128;

/** What the case is called, the most it should take in units, what is fitted, and whether PyTorch does it by hand. */
export type FitCase = readonly [
  name: string,
  units: number | undefined,
  options: Partial<LaplaceOptions>,
  peer?: CurvatureJob,
];

/** A network, and what is measured of it. */
export interface Classifier {
  /** "LeNet", "ResNet-20", "transformer", or sizes of dense layers with relu between them: the peers' name of it. */
  readonly name: string;
  readonly net: Network;
  readonly samples: number;
  readonly batch?: number;
  /** The most that each should take in units; what is not named is not measured, but the gradient. */
  readonly targets: {
    readonly gradient?: number;
    readonly perSample?: number;
    readonly functorch?: number;
    readonly norms?: number;
    readonly epoch?: number;
  };
  readonly fits: readonly FitCase[];
  /** A fit and the evidence that its factors give. */
  readonly evidences?: readonly FitCase[];
  readonly tunings?: readonly FitCase[];
  readonly predictions: readonly FitCase[];
  /** Inputs and labels other than normal numbers and classes. */
  readonly data?: { readonly x: NDArray; readonly y: NDArray; readonly points: NDArray };
  readonly loss?: typeof crossEntropy;
  readonly likelihood?: LaplaceOptions["likelihood"];
}

/** Normal numbers, and classes drawn at random. */
export function drawn(net: Network, samples: number) {
  const x = randomNormal([samples, ...net.inputShape], { seed: 1, dtype: "float32" });
  const random = new Random(2);
  const labels = Float32Array.from({ length: samples }, () => Math.floor(random.uniform() * net.outputShape[0]));
  const points = randomNormal([POINTS, ...net.inputShape], { seed: 3, dtype: "float32" });
  return { x, y: new NDArray(labels, [samples]), points };
}

/** The cases, after handing network and data to PyTorch. */
export function classifier(setting: Classifier) {
  const { name, net, samples, batch = 128, targets, fits, evidences = [], tunings = [], predictions } = setting;
  const { loss = crossEntropy, likelihood = "classification" } = setting;
  return async function* (torch: Torch | undefined): AsyncGenerator<LaplaceCase> {
    const { x, y, points } = setting.data ?? drawn(net, samples);
    const loader = new DataLoader({ x, y }, { batchSize: batch });
    await torch?.load({
      network: name,
      batch,
      theta: net.parameters.data,
      buffers: net.buffers.data,
      x: x.data,
      y: Float32Array.from(y.data),
      points: points.data,
    });

    const job = (text: string) => `${name}: ${text}`;
    const most = (units: number | undefined) => (units === undefined ? {} : { target: { units } });
    const sum = new Float64Array(net.parameterCount);
    const part = kernelArray([net.parameterCount], { dtype: "float32" });
    yield {
      name: job("summed gradient"),
      ours: asynchronous(() => {
        sum.fill(0);
        for (const each of loader) {
          const { data } = gradient(net, loss, each, { reduction: "sum", out: part });
          for (let i = 0; i < sum.length; i++) sum[i] += data[i];
        }
      }),
      ...most(targets.gradient),
      gradient: () => sum,
    };
    part.free();
    if (targets.epoch !== undefined) {
      const before = net.parameters.data.slice();
      let learned: ArrayLike<number> = [];
      yield {
        name: job("an epoch of Adam"),
        ours: asynchronous(async () => {
          const optimizer = adam({ learningRate: 1e-3 });
          await train(net, { x, y }, { loss, optimizer, epochs: 1, batchSize: batch, shuffle: false });
          learned = net.parameters.data.slice();
          net.parameters.data.set(before);
        }),
        ...most(targets.epoch),
        peer: { job: "epoch", result: () => learned },
      };
    }
    if (targets.perSample !== undefined) {
      const out = kernelArray([batch, net.parameterCount], { dtype: "float32" });
      yield {
        name: job("per-sample gradients"),
        ours: asynchronous(() => {
          for (const each of loader) perSampleGradients(net, loss, each, { out });
        }),
        ...most(targets.perSample),
        ...(targets.functorch !== undefined && { fasterThanPeer: targets.functorch }),
        peer: { job: "per-sample gradients", result: () => out.data.slice(0, net.parameterCount), warmUp: 0 },
      };
      out.free();
    }
    if (targets.norms !== undefined) {
      let norms: number[] = [];
      yield {
        name: job("norms of per-sample gradients"),
        ours: asynchronous(() => {
          norms = [...loader].flatMap((each) => Array.from(perSampleGradientNorms(net, loss, each).data));
        }),
        ...most(targets.norms),
        peer: { job: "norms", result: () => norms },
      };
    }
    const fit = (options: Partial<LaplaceOptions>) => quietFit(net, loader, { likelihood, ...options });
    for (const [text, units, options, peer] of fits) {
      let fitted: Posterior | undefined;
      yield {
        name: job(text),
        ours: asynchronous(async () => {
          fitted = await fit(options);
        }),
        ...most(units),
        // What is drawn is drawn by each for itself.
        ...(peer !== undefined && {
          peer: {
            job: peer,
            ...(options.curvature !== "monteCarlo" && {
              result: () => (fitted as Posterior).curvature.diagonal().data,
            }),
          },
        }),
      };
    }
    for (const [text, units, options, peer] of evidences) {
      let evidence = 0;
      yield {
        name: job(`${text} with its evidence`),
        ours: asynchronous(async () => {
          evidence = (await fit(options)).logMarginalLikelihood();
        }),
        ...most(units),
        ...(peer !== undefined && { peer: { job: peer, result: () => [evidence] } }),
      };
    }
    for (const [text, , options, peer] of tunings) {
      for (const [how, tuning] of [
        ["100 steps of Adam", { method: "adam", steps: 100, learningRate: 0.1 }],
        ["to convergence, our default", {}],
      ] as const satisfies readonly (readonly [string, TuningOptions])[]) {
        // What a posterior finds out about its curvature is kept: another fit for every repetition, factored before.
        const fresh: Posterior[] = [];
        let tuned: Posterior | undefined;
        const ours: Way = {
          name: "laplace-ts",
          async run(repetitions) {
            while (fresh.length < repetitions) {
              const one = await fit(options);
              one.logMarginalLikelihood();
              fresh.push(one);
            }
            const start = now();
            for (let i = 0; i < repetitions; i++) tuned = fresh.pop()?.optimizePrior(tuning);
            return (now() - start) / 1000;
          },
        };
        const result = "method" in tuning && { result: () => (tuned as Posterior).priorPrecision.data };
        yield {
          name: job(`tuning of ${text}, ${how}`),
          ours,
          ...(peer !== undefined && { peer: { job: peer, ...result } }),
          ...("method" in tuning && { fasterThanPeer: 1 }),
        };
      }
    }
    for (const [text, units, options, peer] of predictions) {
      // The first call factors, as it does in a program.
      let posterior: Posterior | undefined;
      let found: NDArray | undefined;
      const ours: Way = {
        ...asynchronous(() => {
          found = posterior?.predict(points).functionVariance;
        }),
        prepare: async () => {
          posterior = await fit(options);
        },
      };
      yield {
        name: job(`${points.shape[0]} predictions, ${text}`),
        ours,
        ...most(units),
        ...(peer !== undefined && { peer: { job: peer, result: () => (found as NDArray).data } }),
      };
    }
  };
}
