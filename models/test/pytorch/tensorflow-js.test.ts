// Models that TensorFlow.js makes and saves, against its own predictions.

import { createRequire } from "node:module";
import { array } from "laplace-ts";
import { fromTensorFlowJs } from "laplace-ts-models";
import { expect, test } from "vitest";

// Its types are not installed with it in this folder's checks.
// biome-ignore lint/suspicious/noExplicitAny: TensorFlow.js as plain JavaScript
const load = (name: string): any => createRequire(import.meta.url)(name);
const tf = load("@tensorflow/tfjs-core");
load("@tensorflow/tfjs-backend-cpu");
const { layers, sequential, model, input } = load("@tensorflow/tfjs-layers");

// TensorFlow.js draws orthogonal matrices by methods that its core alone does not have; they are drawn anew below.
const recurrence = { recurrentInitializer: "glorotNormal", units: 3 };

/** Each recurrent layer with each of its options that change what is computed. */
function recurrences(): Record<string, () => unknown> {
  const first = { inputShape: [5, 2] };
  const one = (kind: string, more: object = {}) => layers[kind]({ ...recurrence, ...more });
  const ended = (...all: unknown[]) => sequential({ layers: [...all, layers.dense({ units: 2 })] });
  const kinds = ["lstm", "gru", "simpleRNN"];
  const options = kinds.flatMap((kind) =>
    [
      {},
      { returnSequences: true },
      { goBackwards: true },
      { goBackwards: true, returnSequences: true },
      { useBias: false, activation: "softsign", recurrentActivation: "sigmoid" },
    ].map((more) => [`${kind} ${JSON.stringify(more)}`, () => ended(one(kind, { ...first, ...more }))] as const),
  );
  const both = kinds.flatMap((kind) =>
    ["concat", "sum", "mul", "ave"].flatMap((mergeMode) =>
      [true, false].map((returnSequences) => {
        const make = () => ended(layers.bidirectional({ layer: one(kind, { returnSequences }), mergeMode, ...first }));
        return [`${kind} in both directions, ${mergeMode}, ${returnSequences}`, make] as const;
      }),
    ),
  );
  const stacked = () =>
    ended(
      layers.embedding({ inputDim: 7, outputDim: 3, inputLength: 4 }),
      layers.bidirectional({ layer: one("lstm", { returnSequences: true }), mergeMode: "concat" }),
      one("gru", { returnSequences: true }),
      layers.timeDistributed({ layer: layers.dense({ units: 3, activation: "tanh" }) }),
      one("simpleRNN"),
      layers.repeatVector({ n: 3 }),
      one("lstm"),
    );
  return { ...Object.fromEntries([...options, ...both]), "stacked recurrences of tokens": stacked };
}

const image = { inputShape: [8, 8, 3] };
const models: Record<string, () => unknown> = {
  perceptron: () =>
    sequential({
      layers: ["relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "swish", "relu6", "hardSigmoid"].map(
        (activation) => layers.dense({ units: 5, activation, inputShape: [5] }),
      ),
    }),
  "softmax end": () =>
    sequential({
      layers: [
        layers.dense({ units: 6, activation: "relu", inputShape: [5] }),
        layers.dense({ units: 3, activation: "softmax" }),
      ],
    }),
  "windows that leave out pixels": () =>
    sequential({
      layers: [
        layers.conv2d({ filters: 4, kernelSize: 1, strides: 3, padding: "same", inputShape: [12, 11, 2] }),
        layers.maxPooling2d({ poolSize: 1, strides: 3, padding: "same" }),
        layers.flatten(),
        layers.dense({ units: 2 }),
      ],
    }),
  images: () =>
    sequential({
      layers: [
        layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: "same", ...image }),
        layers.batchNormalization(),
        layers.reLU({ maxValue: 6 }),
        layers.depthwiseConv2d({ kernelSize: 3, padding: "same", depthMultiplier: 2 }),
        layers.averagePooling2d({ poolSize: 3, strides: 2, padding: "same" }),
        layers.flatten(),
        layers.dense({ units: 3 }),
      ],
    }),
  separable: () =>
    sequential({
      layers: [
        layers.separableConv2d({ filters: 4, kernelSize: 3, activation: "tanh", ...image }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.zeroPadding2d({
          padding: [
            [1, 0],
            [0, 2],
          ],
        }),
        layers.globalAveragePooling2d({}),
        layers.dense({ units: 2 }),
      ],
    }),
  sequences: () =>
    sequential({
      layers: [
        layers.conv1d({ filters: 4, kernelSize: 3, activation: "relu", inputShape: [9, 2] }),
        layers.maxPooling1d({ poolSize: 2 }),
        layers.layerNormalization(),
        layers.globalMaxPooling1d(),
        layers.dense({ units: 2 }),
      ],
    }),
  ...recurrences(),
  functional: () => {
    const x = input({ shape: [4] });
    const shared = layers.dense({ units: 4, activation: "tanh" });
    const y = layers.add().apply([x, shared.apply(shared.apply(x))]);
    return model({ inputs: x, outputs: layers.dense({ units: 2 }).apply(layers.concatenate().apply([y, x])) });
  },
};

test.each(Object.entries(models))("%s", async (_, make) => {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const net = make() as any;
  // Variances, which are vectors as biases are, must be positive.
  const draw = ({ shape }: { shape: number[] }) => tf.randomUniform(shape, shape.length === 1 ? 0.1 : -0.7, 0.7);
  net.setWeights(net.getWeights().map(draw));
  // biome-ignore lint/suspicious/noExplicitAny: as above
  let saved: any;
  await net.save({
    save: async (artifacts: unknown) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
    },
  });
  const json = { modelTopology: saved.modelTopology, weightsManifest: [{ paths: ["w"], weights: saved.weightSpecs }] };
  const shape = [3, ...net.inputs[0].shape.slice(1)];
  const tokens = net.layers[0].getClassName() === "Embedding";
  const x = tokens ? tf.cast(tf.randomUniform(shape, 0, 7, "int32"), "float32") : tf.randomNormal(shape);
  const expected: number[] = Array.from(net.predict(x).dataSync());
  const { network, report } = fromTensorFlowJs(json, saved.weightData, { dtype: "float64" });
  const y = network.forward(array(Array.from(x.dataSync()), { shape: x.shape }));
  const width = y.shape[y.shape.length - 1];
  let found = Array.from(y.data);
  if (report.task === "classification") {
    found = found.map((value, i) => {
      const row = found.slice(Math.floor(i / width) * width, (Math.floor(i / width) + 1) * width);
      return Math.exp(value) / row.reduce((sum, one) => sum + Math.exp(one), 0);
    });
  }
  expect(found.length).toBe(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThanOrEqual(1e-5 * scale);
  });
});
