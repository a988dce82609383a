import { chain, conv2d, dense, flatten, type NDArray, randomNormal, relu } from "laplace-ts";
import { fromTensorFlowJs, ModelError } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { thrown } from "./thrown.ts";

interface Given {
  readonly name: string;
  readonly array: NDArray;
  readonly quantization?: { readonly dtype: "uint8"; readonly scale: number; readonly min: number };
}

/** The manifest of arrays, and their bytes. */
function packed(all: readonly Given[]) {
  const weights = all.map(({ name, array, quantization }) => ({
    name,
    shape: array.shape,
    dtype: "float32",
    ...(quantization && { quantization }),
  }));
  const bytes = all.flatMap(({ array, quantization }) => {
    if (quantization === undefined) return [...new Uint8Array(Float32Array.from(array.data).buffer)];
    return Array.from(array.data, (x) => Math.round((x - quantization.min) / quantization.scale));
  });
  return { manifest: [{ paths: ["weights.bin"], weights }], bytes: Uint8Array.from(bytes) };
}

const layer = (class_name: string, name: string, config: object = {}, inbound_nodes: unknown[] = []) => ({
  class_name,
  name,
  config: { name, ...config },
  inbound_nodes,
});
const sequential = (layers: object[], weightsManifest: object) => ({
  modelTopology: { class_name: "Sequential", config: { name: "s", layers } },
  weightsManifest,
});

describe("fromTensorFlowJs", () => {
  const [kernel, bias] = [randomNormal([3, 2], { seed: 1 }), randomNormal([2], { seed: 2 })];
  const x = randomNormal([4, 3], { seed: 3 });

  test("a sequential model, cut at its logits", () => {
    const { manifest, bytes } = packed([
      { name: "d/kernel", array: kernel },
      { name: "d/bias", array: bias },
    ]);
    const model = sequential(
      [layer("Dense", "d", { units: 2, activation: "softmax", batch_input_shape: [null, 3] })],
      manifest,
    );
    const { network, report } = fromTensorFlowJs(model, bytes, { dtype: "float64" });
    expect(report.removed).toEqual([{ operator: "softmax", node: "d" }]);
    expect(report.task).toBe("classification");
    expect(network.parameterTable.map(({ name }) => name)).toEqual(["d.weight", "d.bias"]);
    const expected = chain({ inputs: 3, dtype: "float64" }, dense(2));
    for (let i = 0; i < 6; i++) expected.parameters.data[i] = Math.fround(kernel.data[(i % 3) * 2 + Math.floor(i / 3)]);
    for (let i = 0; i < 2; i++) expected.parameters.data[6 + i] = Math.fround(bias.data[i]);
    expect(network.forward(x).data).toBeAllClose(expected.forward(x).data);
  });

  test("images are [height, width, channels]", () => {
    const [k, w] = [randomNormal([3, 3, 2, 4], { seed: 4 }), randomNormal([36, 1], { seed: 5 })];
    const { manifest, bytes } = packed([
      { name: "c/kernel", array: k },
      { name: "d/kernel", array: w },
    ]);
    const layers = [
      layer("Conv2D", "c", {
        activation: "relu",
        padding: "same",
        strides: [2, 2],
        batch_input_shape: [null, 5, 5, 2],
      }),
      layer("Flatten", "f"),
      layer("Dense", "d"),
    ];
    const { network } = fromTensorFlowJs(sequential(layers, manifest), bytes, { dtype: "float64" });
    const images = randomNormal([2, 5, 5, 2], { seed: 6 });
    const own = chain(
      { inputs: [2, 5, 5], dtype: "float64" },
      conv2d(4, 3, relu, { stride: 2, padding: 1, bias: false }),
      flatten,
      dense(1, undefined, { bias: false }),
    );
    const at = own.parameters.data;
    for (let o = 0; o < 4; o++)
      for (let c = 0; c < 2; c++)
        for (let p = 0; p < 9; p++) at[(o * 2 + c) * 9 + p] = Math.fround(k.data[(p * 2 + c) * 4 + o]);
    for (let o = 0; o < 4; o++) for (let p = 0; p < 9; p++) at[72 + o * 9 + p] = Math.fround(w.data[p * 4 + o]);
    const channelsFirst = Array.from({ length: 2 }, (_, b) =>
      Array.from({ length: 2 }, (_, c) =>
        Array.from({ length: 5 }, (_, i) =>
          Array.from({ length: 5 }, (_, j) => images.data[((b * 5 + i) * 5 + j) * 2 + c]),
        ),
      ),
    );
    expect(network.forward(images).data).toBeAllClose(own.forward(channelsFirst).data, {
      relative: 1e-10,
      absolute: 1e-12,
    });
  });

  test("a functional model with a layer that is applied twice, its weights quantised", () => {
    const k = randomNormal([3, 3], { seed: 7 });
    const quantization = { dtype: "uint8", scale: 0.05, min: -6 } as const;
    const { manifest, bytes } = packed([{ name: "d/kernel", array: k, quantization }]);
    const layers = [
      layer("InputLayer", "in", { batch_input_shape: [null, 3] }),
      layer("Dense", "d", { activation: "tanh", use_bias: false }, [[["in", 0, 0, {}]], [["d", 0, 0, {}]]]),
      layer("Add", "a", {}, [
        [
          ["in", 0, 0, {}],
          ["d", 1, 0, {}],
        ],
      ]),
    ];
    const config = { layers, input_layers: [["in", 0, 0]], output_layers: [["a", 0, 0]] };
    const { network } = fromTensorFlowJs(
      { modelTopology: { class_name: "Functional", config }, weightsManifest: manifest },
      bytes,
      { dtype: "float64" },
    );
    expect(network.parameterCount).toBe(9);
    const rounded = Array.from(k.data, (v) => Math.round((v + 6) / 0.05) * 0.05 - 6);
    const apply = (v: number[]) =>
      [0, 1, 2].map((o) => Math.tanh(v.reduce((sum, value, i) => sum + value * rounded[i * 3 + o], 0)));
    const rows = Array.from({ length: 4 }, (_, b) => [...x.data.slice(3 * b, 3 * b + 3)]);
    const expected = rows.flatMap((row) => apply(apply(row)).map((value, i) => value + row[i]));
    expect(network.forward(x).data).toBeAllClose(expected, { relative: 1e-10 });
  });

  test("lists everything that it cannot read, and refuses what is not a model", () => {
    const layers = [
      layer("Dense", "d", { activation: "swizzle", batch_input_shape: [null, 3] }),
      layer("Lambda", "l"),
      layer("Capsule", "c"),
    ];
    const { manifest, bytes } = packed([{ name: "d/kernel", array: kernel }]);
    const error = thrown(() => fromTensorFlowJs(sequential(layers, manifest), bytes)) as ModelError;
    expect(error).toBeInstanceOf(ModelError);
    expect(error.problems.map(({ operator }) => operator).sort()).toEqual(["Capsule", "Dense", "Lambda"]);
    for (const model of [
      {},
      { modelTopology: 3 },
      sequential([], manifest),
      sequential(layers, { x: 1 }),
      { modelTopology: { node: [] } },
    ]) {
      expect(thrown(() => fromTensorFlowJs(model, bytes))).toBeInstanceOf(ModelError);
    }
    expect(() =>
      fromTensorFlowJs(sequential([layer("Dense", "d", { batch_input_shape: [null, 3] })], manifest), bytes.slice(4)),
    ).toThrow(/weights end before "d\/kernel"/);
    expect(() => fromTensorFlowJs(null as never, bytes)).toThrow(/parsed JSON/);
  });

  const refusals: readonly [string, object, RegExp][] = [
    ["Masking", { mask_value: 0 }, /masks are not read/],
    ["Embedding", { mask_zero: true }, /mask_zero is true.*masks are not read/],
    ["LSTM", { stateful: true }, /stateful is true/],
    ["GRU", { return_state: true }, /return_state is true/],
    ["SimpleRNN", { time_major: true }, /time_major is true/],
    ["GRU", {}, /no array "kernel"/],
    ["Bidirectional", { layer: { class_name: "ConvLSTM2D", config: {} } }, /its layer is a ConvLSTM2D/],
    ["Bidirectional", {}, /around no layer/],
    ["TimeDistributed", { layer: { class_name: "LSTM", config: {} } }, /its layer is a LSTM/],
    ["RepeatVector", { n: 2 }, /it repeats \[4,3\]/],
    ["RepeatVector", { batch_input_shape: [null, 3], n: 1e9 }, /would make an array of shape \[1, 1000000000, 3\]/],
    ["UpSampling2D", { batch_input_shape: [null, 4, 3, 1], size: [1e5, 1e5] }, /would make an array of shape/],
    ["ZeroPadding2D", { batch_input_shape: [null, 4, 3, 1], padding: 1e9 }, /would make an array of shape/],
  ];
  test.each(refusals)("%s is refused: %o", (kind, config, message) => {
    const model = sequential([layer(kind, "r", { batch_input_shape: [null, 4, 3], ...config })], []);
    expect(() => fromTensorFlowJs(model, new Uint8Array(0))).toThrow(ModelError);
    expect(() => fromTensorFlowJs(model, new Uint8Array(0))).toThrow(message);
  });

  test("a recurrence over a million positions is refused", () => {
    const { manifest, bytes } = packed([
      { name: "l/kernel", array: randomNormal([3, 2]) },
      { name: "l/recurrent_kernel", array: randomNormal([2, 2]) },
    ]);
    const layers = [
      layer("RepeatVector", "v", { batch_input_shape: [null, 3], n: 1e6 }),
      layer("SimpleRNN", "l", { activation: "tanh", use_bias: false }),
    ];
    expect(() => fromTensorFlowJs(sequential(layers, manifest), bytes)).toThrow(/1000000 parts; at most 8192 are read/);
  });

  // Keras's GRU since version 2, which TensorFlow.js does not run: the reset gate is applied to R h + b, in steps one can follow.
  test("a GRU whose reset gate comes after the product with the state", () => {
    const [units, width, positions] = [3, 2, 4];
    const [k, r, b] = [
      [width, 9],
      [units, 9],
      [2, 9],
    ].map((shape, i) => randomNormal(shape, { seed: 20 + i }));
    const { manifest, bytes } = packed([
      { name: "g/gru_cell/kernel", array: k },
      { name: "g/gru_cell/recurrent_kernel", array: r },
      { name: "g/gru_cell/bias", array: b },
    ]);
    const settings = { units, activation: "tanh", recurrent_activation: "sigmoid", reset_after: true };
    const model = sequential(
      [layer("GRU", "g", { ...settings, batch_input_shape: [null, positions, width] })],
      manifest,
    );
    const { network } = fromTensorFlowJs(model, bytes, { dtype: "float64" });
    const sequence = randomNormal([1, positions, width], { seed: 30 });
    const at = (m: NDArray, i: number, j: number) => Math.fround(m.data[i * 9 + j]);
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    let state = [0, 0, 0];
    for (let t = 0; t < positions; t++) {
      const own = (j: number) =>
        [0, 1].reduce((sum, i) => sum + sequence.data[t * width + i] * at(k, i, j), at(b, 0, j));
      const before = (j: number) => state.reduce((sum, h, i) => sum + h * at(r, i, j), at(b, 1, j));
      state = state.map((h, u) => {
        const [z, reset] = [sigmoid(own(u) + before(u)), sigmoid(own(3 + u) + before(3 + u))];
        return z * h + (1 - z) * Math.tanh(own(6 + u) + reset * before(6 + u));
      });
    }
    expect(network.forward(sequence).data).toBeAllClose(state, { relative: 1e-10 });
  });
});
