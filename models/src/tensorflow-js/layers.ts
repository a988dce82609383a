// Layers of Keras, as TensorFlow.js has them, by the operators of ONNX: images are [height, width, channels] here.

import { elu, leakyRelu, relu } from "laplace-ts";
import { as, type Builder, primitive, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { dense, TENSORFLOW_SAME, turned } from "../onnx/layers.ts";
import { joined, padded, repeated } from "../onnx/moves.ts";
import { permuted, sizeOf, type Tensor } from "../tensor.ts";
import { bidirectional, recurrent } from "./recurrent.ts";
import { type Apply, activate, type Given, innerOf, need, number, numbers, onnx, type Use } from "./use.ts";

/** [1, …, channels] to [1, channels, …], and back. */
const front = (b: Builder, v: Value) =>
  b.permute(v, [0, v.dims.length - 1, ...v.dims.slice(1, -1).map((_, i) => i + 1)]);
const back = (b: Builder, v: Value) => b.permute(v, [0, ...v.dims.slice(2).map((_, i) => i + 2), 1]);

function checkChannels({ config }: Use): void {
  const format = config.data_format ?? config.dataFormat ?? "channels_last";
  if (format !== "channels_last" && format !== "channelsLast")
    unsupported(`its data_format is ${JSON.stringify(format)}.`);
}

function windows({ config }: Use, count: number, kernel: readonly number[] | undefined): Given {
  const padding = config.padding ?? "valid";
  if (padding !== "valid" && padding !== "same") unsupported(`its padding is ${JSON.stringify(padding)}.`);
  const size = kernel ?? numbers(config, "pool_size", count, numbers(config, "poolSize", count, Array(count).fill(2)));
  const strides = config.strides ?? undefined;
  return {
    kernel_shape: size,
    strides: numbers({ strides }, "strides", count, kernel === undefined ? size : Array(count).fill(1)),
    auto_pad: padding === "same" ? TENSORFLOW_SAME : "VALID",
  };
}

const convolution =
  (axes: number): Apply =>
  (use) => {
    checkChannels(use);
    const { builder, config } = use;
    const kernel = need(use, "kernel");
    const weight = { ...permuted(kernel, [axes + 1, axes, ...Array.from({ length: axes }, (_, i) => i)]), moved: true };
    const given = {
      ...windows(use, axes, kernel.dims.slice(0, axes)),
      dilations: numbers(config, "dilation_rate", axes, Array(axes).fill(1)),
      group: number(config, "groups", 1),
    };
    const y = back(builder, onnx("Conv", use, [front(builder, use.inputs[0]), weight, use.weight("bias")], given));
    return activate(use, y, config.activation ?? "linear");
  };

function depthwise(use: Use, bias: Tensor | undefined): Value {
  checkChannels(use);
  const { builder, config } = use;
  const kernel = need(use, "depthwise_kernel");
  const [height, width, channels, multiplier] = kernel.dims;
  const weight = { ...permuted(kernel, [2, 3, 0, 1]), dims: [channels * multiplier, 1, height, width], moved: true };
  const given = {
    ...windows(use, 2, [height, width]),
    dilations: numbers(config, "dilation_rate", 2, [1, 1]),
    group: channels,
  };
  return back(builder, onnx("Conv", use, [front(builder, use.inputs[0]), weight, bias], given));
}

const pooling =
  (op: "MaxPool" | "AveragePool", axes: number): Apply =>
  (use) => {
    checkChannels(use);
    return back(use.builder, onnx(op, use, [front(use.builder, use.inputs[0])], windows(use, axes, undefined)));
  };

const global =
  (op: "GlobalMaxPool" | "GlobalAveragePool"): Apply =>
  (use) => {
    checkChannels(use);
    const y = onnx(op, use, [front(use.builder, use.inputs[0])], {});
    return { ...y, dims: y.dims.slice(0, 2) };
  };

function batchNorm(use: Use): Value {
  const { builder, config, inputs } = use;
  const [v] = inputs;
  const axis = Array.isArray(config.axis) ? config.axis[0] : (config.axis ?? -1);
  if (axis !== -1 && axis !== v.dims.length - 1) unsupported(`its axis is ${JSON.stringify(axis)}.`);
  const [mean, variance] = [need(use, "moving_mean"), need(use, "moving_variance")];
  const constant = (x: number): Tensor => ({
    dims: mean.dims,
    data: new Float64Array(mean.data.length).fill(x),
    float: true,
  });
  const all = [
    front(builder, v),
    use.weight("gamma") ?? constant(1),
    use.weight("beta") ?? constant(0),
    mean,
    variance,
  ];
  return back(builder, onnx("BatchNormalization", use, all, { epsilon: number(config, "epsilon", 1e-3) }));
}

function layerNorm(use: Use): Value {
  const { config, inputs } = use;
  const axis = Array.isArray(config.axis) ? config.axis[0] : (config.axis ?? -1);
  if (axis !== -1 && axis !== inputs[0].dims.length - 1) unsupported(`its axis is ${JSON.stringify(axis)}.`);
  return onnx("LayerNormalization", use, [inputs[0], use.weight("gamma"), use.weight("beta")], {
    axis: -1,
    epsilon: number(config, "epsilon", 1e-3),
  });
}

function embedding(use: Use): Value {
  const { mask_zero: first, maskZero = first } = use.config;
  if (maskZero === true)
    unsupported("its mask_zero is true: layers behind it would leave tokens 0 out, and masks are not read.");
  const table = need(use, "embeddings");
  const [v] = use.inputs;
  const [outputs, inputs] = table.dims;
  const of = primitive<undefined>("embedding");
  const rows = use.builder.linear(of, as(v, v.dims), undefined, table, undefined, {
    transposed: true,
    inputs,
    outputs,
  });
  return valued(rows, [...v.dims, inputs]);
}

const merge =
  (role: "shift" | "scale"): Apply =>
  ({ builder, inputs }) =>
    inputs.slice(1).reduce((sum, one) => builder.combine(role, sum, one), inputs[0]);

const same: Apply = ({ inputs }) => inputs[0];

/** Layers, by their classes. */
export const layers: Readonly<Record<string, Apply>> = {
  Dense: (use) => {
    const y = dense(use.builder, use.inputs[0], turned(need(use, "kernel")), use.weight("bias"));
    return activate(use, y, use.config.activation ?? "linear");
  },
  Activation: (use) => activate(use, use.inputs[0], use.config.activation),
  ReLU: (use) => {
    const { builder, config, inputs } = use;
    const most = config.max_value ?? config.maxValue;
    if (number(config, "negative_slope", 0) !== 0 || number(config, "threshold", 0) !== 0)
      unsupported("it has a slope or a threshold.");
    return most === undefined || most === null
      ? builder.map(inputs[0], relu)
      : builder.plain("clip", inputs[0], 0, Number(most));
  },
  LeakyReLU: ({ builder, config, inputs }) => builder.map(inputs[0], (x) => leakyRelu(x, number(config, "alpha", 0.3))),
  ELU: ({ builder, config, inputs }) => builder.map(inputs[0], (x) => elu(x, number(config, "alpha", 1))),
  Softmax: (use) => activate(use, use.inputs[0], "softmax"),
  Dropout: same,
  SpatialDropout1D: same,
  SpatialDropout2D: same,
  GaussianNoise: same,
  GaussianDropout: same,
  AlphaDropout: same,
  Flatten: ({ inputs: [v] }) => ({ ...v, dims: [1, sizeOf(v.dims)] }),
  Reshape: ({ config, inputs: [v] }) => {
    const wanted = config.target_shape ?? config.targetShape;
    const all = Array.isArray(wanted) ? (wanted as number[]) : unsupported("it has no target_shape.");
    const known = sizeOf(all.filter((n) => n !== -1 && n !== null));
    const dims = [1, ...all.map((n) => (n === -1 || n === null ? sizeOf(v.dims) / known : n))];
    return sizeOf(dims) === sizeOf(v.dims) && dims.every(Number.isInteger)
      ? { ...v, dims }
      : unsupported(`[${v.dims.slice(1)}] cannot take the shape [${all}].`);
  },
  Permute: ({ builder, config, inputs: [v] }) => builder.permute(v, [0, ...numbers(config, "dims", v.dims.length - 1)]),
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  DepthwiseConv2D: (use) => activate(use, depthwise(use, use.weight("bias")), use.config.activation ?? "linear"),
  SeparableConv2D: (use) => {
    const { builder, config } = use;
    const weight = { ...permuted(need(use, "pointwise_kernel"), [3, 2, 0, 1]), moved: true };
    const between = front(builder, depthwise(use, undefined));
    const y = onnx("Conv", use, [between, weight, use.weight("bias")], {});
    return activate(use, back(builder, y), config.activation ?? "linear");
  },
  MaxPooling1D: pooling("MaxPool", 1),
  MaxPooling2D: pooling("MaxPool", 2),
  AveragePooling1D: pooling("AveragePool", 1),
  AveragePooling2D: pooling("AveragePool", 2),
  GlobalMaxPooling1D: global("GlobalMaxPool"),
  GlobalMaxPooling2D: global("GlobalMaxPool"),
  GlobalAveragePooling1D: global("GlobalAveragePool"),
  GlobalAveragePooling2D: global("GlobalAveragePool"),
  ZeroPadding2D: (use) => {
    checkChannels(use);
    const { padding } = use.config;
    const one = (side: unknown): number[] => (Array.isArray(side) ? side : [side, side]) as number[];
    const [[top, bottom], [left, right]] = Array.isArray(padding)
      ? padding.map(one)
      : [one(padding ?? 1), one(padding ?? 1)];
    if (![top, bottom, left, right].every((n) => Number.isInteger(n) && n >= 0))
      unsupported(`its padding is ${JSON.stringify(padding)}.`);
    return padded(use.builder, use.inputs[0], [0, top, left, 0], [0, bottom, right, 0], 0);
  },
  UpSampling2D: (use) => {
    checkChannels(use);
    const { config, builder, inputs } = use;
    if ((config.interpolation ?? "nearest") !== "nearest")
      unsupported(`its interpolation is ${JSON.stringify(config.interpolation)}.`);
    const [height, width] = numbers(config, "size", 2, [2, 2]);
    if (!(height >= 1 && width >= 1)) unsupported(`its size is ${JSON.stringify(config.size)}.`);
    return repeated(builder, inputs[0], [1, height, width, 1]);
  },
  LSTM: recurrent("LSTM"),
  GRU: recurrent("GRU"),
  SimpleRNN: recurrent("RNN"),
  Bidirectional: bidirectional,
  // What comes after leaves positions out, which no layer here does.
  Masking: () => unsupported("masks are not read."),
  TimeDistributed: (use) => {
    const { kind, config } = innerOf(use.config);
    const alike = kind === "Dense" || kind === "Activation" || kind === "Dropout";
    return alike ? layers[kind]({ ...use, config }) : unsupported(`its layer is a ${kind}, not Dense or Activation.`);
  },
  RepeatVector: ({ builder, config, inputs: [v] }) => {
    const times = number(config, "n", 1);
    if (!(Number.isInteger(times) && times >= 1) || v.dims.length !== 2)
      unsupported(`it repeats [${v.dims.slice(1)}] ${times} times.`);
    return builder.stretch({ ...v, dims: [1, 1, v.dims[1]] }, [1, times, v.dims[1]]);
  },
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  Embedding: embedding,
  Add: merge("shift"),
  Multiply: merge("scale"),
  Average: (use) => use.builder.line(merge("shift")(use), 1 / use.inputs.length, 0),
  Subtract: ({ builder, inputs }) => builder.subtract(inputs[0], inputs[1]),
  Concatenate: ({ builder, config, inputs }) => joined(builder, inputs, number(config, "axis", -1)),
  Rescaling: ({ builder, config, inputs }) =>
    builder.line(inputs[0], number(config, "scale", 1), number(config, "offset", 0)),
};
