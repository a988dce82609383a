// Layers of Keras, as TensorFlow.js has them, by the operators of ONNX: images are [height, width, channels] here.

import { elu, exp, gelu, leakyRelu, relu, selu, sigmoid, silu, softmax, softplus, tanh } from "laplace-ts";
import { as, type Builder, primitive, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import type { Attributes } from "../onnx/attributes.ts";
import { dense, layers as operators, turned } from "../onnx/layers.ts";
import { joined, padded, repeated } from "../onnx/moves.ts";
import { permuted, sizeOf, type Tensor } from "../tensor.ts";

/** A layer's settings, of which nothing is believed. */
export type Config = Readonly<Record<string, unknown>>;

/** A layer that is applied. */
export interface Use {
  readonly builder: Builder;
  readonly inputs: readonly Value[];
  readonly config: Config;
  /** The layer's array whose name ends so. */
  weight(role: string): Tensor | undefined;
}

type Apply = (use: Use) => Value;

const number = (config: Config, name: string, otherwise: number): number => {
  const value = config[name] ?? otherwise;
  return typeof value === "number" ? value : unsupported(`its ${name} is ${JSON.stringify(value)}.`);
};
const numbers = (config: Config, name: string, count: number, otherwise?: readonly number[]): number[] => {
  const value = config[name] ?? otherwise;
  const all = typeof value === "number" ? Array.from({ length: count }, () => value) : value;
  const fits = Array.isArray(all) && all.length === count && all.every((one) => Number.isInteger(one));
  return fits ? (all as number[]) : unsupported(`its ${name} is ${JSON.stringify(value)}.`);
};

/** What an operator of ONNX is told. */
function attributes(given: Readonly<Record<string, number | string | readonly number[]>>): Attributes {
  const get = (name: string) => given[name] as never;
  return {
    int: (name, otherwise) => get(name) ?? otherwise,
    float: (name, otherwise) => get(name) ?? otherwise,
    text: (name, otherwise) => get(name) ?? otherwise,
    ints: get,
    floats: get,
    texts: get,
    has: (name) => name in given,
  };
}

type Given = Parameters<typeof attributes>[0];

function onnx(op: string, { builder }: Use, inputs: readonly (Value | Tensor | undefined)[], given: Given): Value {
  const made = operators[op]({ builder, inputs, attributes: attributes(given), opset: 17, outputs: 1 });
  return builder.value(made as Value);
}

/** A function of values by its name in Keras. @throws Unsupported */
export function activate(use: Use, v: Value, name: unknown): Value {
  const { builder } = use;
  const known: Readonly<Record<string, (v: Value) => Value>> = {
    linear: (x) => x,
    relu: (x) => builder.map(x, relu),
    relu6: (x) => builder.plain("clip", x, 0, 6),
    elu: (x) => builder.map(x, elu),
    selu: (x) => builder.map(x, selu),
    gelu: (x) => builder.map(x, gelu),
    tanh: (x) => builder.map(x, tanh),
    sigmoid: (x) => builder.map(x, sigmoid),
    hard_sigmoid: (x) => builder.plain("hardSigmoid", x, 0.2, 0.5),
    hardSigmoid: (x) => builder.plain("hardSigmoid", x, 0.2, 0.5),
    softplus: (x) => builder.map(x, softplus),
    softsign: (x) => builder.plain("softsign", x),
    swish: (x) => builder.map(x, silu),
    silu: (x) => builder.map(x, silu),
    mish: (x) => builder.plain("mish", x),
    exponential: (x) => builder.map(x, exp),
    softmax: (x) => valued(softmax(as(x, x.dims)), x.dims),
  };
  const text = typeof name === "string" ? name : "";
  const own = Object.hasOwn(known, text) ? known[text] : undefined;
  return own === undefined ? unsupported(`the function ${JSON.stringify(name)} is not known.`) : own(v);
}

const need = (use: Use, role: string): Tensor => use.weight(role) ?? unsupported(`it has no array "${role}".`);

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
    auto_pad: padding === "same" ? "SAME_UPPER" : "VALID",
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
