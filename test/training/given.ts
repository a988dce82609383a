// Trainings whose batches are several shards, for the tests of what does these.

import {
  adam,
  chain,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  flatten,
  ivon,
  type Layer,
  marginalLikelihood,
  type Network,
  randomNormal,
  sgd,
  type TrainingOptions,
  tanh,
  train,
} from "../../src/index.ts";

/** A network whose batches of 512 are four shards. */
export const images = (dtype: "float32" | "float64" = "float32", ...more: Layer[]): Network =>
  chain({ inputs: [1, 12, 12], seed: 3, dtype }, conv2d(8, 3, tanh), conv2d(8, 3, tanh), flatten, ...more, dense(3));

const samples = 700;
export const imageData = {
  x: randomNormal([samples, 1, 12, 12], { seed: 1 }),
  y: Array.from({ length: samples }, (_, i) => (i * 7) % 3),
};
const weights = Float64Array.from({ length: samples }, (_, i) => 0.5 + (i % 5));

/** Trainings by their names: networks, data, options. */
export const trainings = {
  "Adam, float32": { net: () => images() },
  "SGD with momentum, float64, weights": {
    net: () => images("float64"),
    data: { ...imageData, weights },
    options: { optimizer: sgd({ momentum: 0.9, nesterov: true }) },
  },
  "dropout, clipped, with a penalty": {
    net: () => images("float32", dropout(0.3)),
    options: { clipNorm: 0.1, weightDecay: 0.01, schedule: (step: number) => 1 / step },
  },
  "labels that are ignored, a layer that is frozen": {
    net: () => {
      const net = images();
      net.freeze(net.parameterTable[0].name);
      return net;
    },
    options: { loss: crossEntropy.with({ ignoredLabel: 2 }) },
  },
  "ivon()": { net: () => images(), options: { optimizer: ivon() } },
  "by the evidence": {
    net: () => images(),
    options: { evidence: marginalLikelihood({ structure: "diagonal", every: 1 }) },
  },
} as const satisfies Record<string, { net: () => Network; data?: object; options?: Partial<TrainingOptions> }>;

/** Trains, and gives all that came of it, to the bit. */
export async function trained(name: keyof typeof trainings, options: Partial<TrainingOptions> = {}) {
  const one = trainings[name] as { net: () => Network; data?: typeof imageData; options?: Partial<TrainingOptions> };
  const net = one.net();
  const all = { loss: crossEntropy, optimizer: adam(), epochs: 2, batchSize: 512, ...one.options, ...options };
  const { history, steps, evidence } = await train(net, one.data ?? imageData, all);
  return { history, steps, evidence: evidence?.logMarginalLikelihood, parameters: [...net.parameters.data] };
}

/** A training that is aborted at its third step, for a reason. */
export function stopped(on: TrainingOptions["on"]) {
  const controller = new AbortController();
  const reason = new Error("stopped");
  const net = images();
  const schedule = (step: number) => {
    if (step === 3) controller.abort(reason);
    return 1;
  };
  const options = { loss: crossEntropy, batchSize: 512, on };
  const run = train(net, imageData, { ...options, epochs: 9, schedule, signal: controller.signal });
  return { net, reason, options, run };
}
