// Operators with weights, windows and norms.

import { exp, matmul, softmax } from "laplace-ts";
import { applyPrimitive } from "laplace-ts/graph";
import { as, type Builder, isValue, primitive, type Value, valued, withoutFirst } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { largest } from "../primitives.ts";
import { axisOf, broadcast, permuted, sizeOf, stretch, stridesOf, type Tensor } from "../tensor.ts";
import { type Call, constantAt, type Lower, operand, optionalConstant, valueAt } from "./call.ts";
import { padded } from "./moves.ts";

const linear = primitive<undefined>("linear");

/** A matrix with its axes exchanged. */
export const turned = (t: Tensor): Tensor & { moved: boolean } => ({ ...permuted(t, [1, 0]), moved: true });

/** W x + b over the last axis, W being [outputs, inputs]. */
export function dense(builder: Builder, v: Value, weight: Tensor & { moved?: boolean }, bias?: Tensor): Value {
  const [outputs, inputs] = weight.dims;
  if (v.dims[v.dims.length - 1] !== inputs)
    unsupported(`a weight of ${inputs} inputs does not fit [${v.dims.join(", ")}].`);
  const fits = bias === undefined || bias.data.length === outputs;
  const flat = fits && bias ? { ...bias, dims: [outputs] } : undefined;
  const y = builder.linear(linear, withoutFirst(v), undefined, weight, flat, { inputs, outputs });
  const value = valued(y, [...v.dims.slice(0, -1), outputs]);
  return bias === undefined || fits ? value : builder.combine("shift", value, bias);
}

function gemm(call: Call): Value {
  const { builder, attributes } = call;
  const [alpha, beta] = [attributes.float("alpha", 1), attributes.float("beta", 1)];
  const b = operand(call, 1);
  let a = valueAt(call, 0);
  if (attributes.int("transA", 0) === 1) a = builder.permute(a, [1, 0]);
  if (isValue(b)) {
    const y = builder.line(
      product(builder, a, attributes.int("transB", 0) === 1 ? builder.permute(b, [1, 0]) : b),
      alpha,
      0,
    );
    return call.inputs[2] === undefined ? y : builder.combine("shift", y, builder.line(valueAt(call, 2), beta, 0));
  }
  if (alpha !== 1 || (beta !== 1 && call.inputs[2] !== undefined)) unsupported(`alpha is ${alpha}, beta ${beta}.`);
  const weight = attributes.int("transB", 0) === 1 ? b : turned(b);
  const c = call.inputs[2];
  if (c === undefined) return dense(builder, a, weight);
  if (isValue(c)) return builder.combine("shift", dense(builder, a, weight), c);
  return dense(builder, a, weight, c);
}

/** A product of matrices over the last two axes, others being stretched to each other. */
function product(builder: Builder, a: Value, b: Value): Value {
  if (a.dims.length < 2 || b.dims.length < 2) {
    const [x, y] = [
      a.dims.length < 2 ? { ...a, dims: [1, ...a.dims] } : a,
      b.dims.length < 2 ? { ...b, dims: [...b.dims, 1] } : b,
    ];
    const { x: value, dims } = product(builder, x, y);
    const front = a.dims.length < 2 ? dims.toSpliced(-2, 1) : dims;
    return { x: value, dims: b.dims.length < 2 ? front.slice(0, -1) : front };
  }
  const front = broadcast(a.dims.slice(0, -2), b.dims.slice(0, -2));
  const [x, y] = [a, b].map((one) => {
    const dims = [...front, ...one.dims.slice(-2)];
    return as(builder.stretch(one, dims), dims);
  });
  return valued(matmul(x, y));
}

function matrixProduct(call: Call): Value {
  const { builder } = call;
  const [a, b] = [operand(call, 0), operand(call, 1)];
  if (!isValue(b) && b.dims.length === 2 && isValue(a)) return dense(builder, a, turned(b));
  return product(builder, builder.value(a), builder.value(b));
}

/** The auto_pad of layers of TensorFlow, whose pads are never below 0: like SAME_UPPER, where runtimes differ. */
export const TENSORFLOW_SAME = "SAME of TensorFlow";

interface Windows {
  readonly kernel: number[];
  readonly stride: number[];
  readonly dilation: number[];
  readonly before: number[];
  readonly after: number[];
}

/** How windows lie over the spatial axes of a value [1, channels, …]. */
function windowsOf(
  { attributes }: Call,
  v: Value,
  kernel: readonly number[] = attributes.ints("kernel_shape") ?? [],
): Windows {
  const spatial = v.dims.slice(2);
  const n = spatial.length;
  if (kernel.length !== n || (n !== 1 && n !== 2)) unsupported(`its windows have ${n} axes; 1 and 2 are known.`);
  const stride = [...(attributes.ints("strides") ?? kernel.map(() => 1))];
  const dilation = [...(attributes.ints("dilations") ?? kernel.map(() => 1))];
  const pads = attributes.ints("pads") ?? kernel.flatMap(() => [0, 0]);
  const auto = attributes.text("auto_pad", "NOTSET");
  const at = { kernel: [...kernel], stride, dilation };
  if ([...stride, ...dilation, ...kernel].some((one) => !(one >= 1)))
    unsupported("its windows have no size or no stride.");
  if (auto === "NOTSET" || auto === "VALID") {
    const none = kernel.map(() => 0);
    const [before, after] = auto === "VALID" ? [none, none] : [pads.slice(0, n), pads.slice(n)];
    if ([...before, ...after].some((one) => one < 0) || after.length !== n)
      unsupported(`its pads are [${pads.join(", ")}].`);
    return { ...at, before, after };
  }
  if (auto !== "SAME_UPPER" && auto !== "SAME_LOWER" && auto !== TENSORFLOW_SAME)
    unsupported(`its auto_pad is "${auto}".`);
  const whole = spatial.map((length, i) => {
    const span = dilation[i] * (kernel[i] - 1) + 1;
    return Math.max(0, (Math.ceil(length / stride[i]) - 1) * stride[i] + span - length);
  });
  const less = whole.map((one) => Math.floor(one / 2));
  const more = whole.map((one, i) => one - less[i]);
  return auto === "SAME_LOWER" ? { ...at, before: more, after: less } : { ...at, before: less, after: more };
}

/** Two numbers, those of a sequence's windows having height 1. */
const pairOf = (all: readonly number[], height: number) =>
  (all.length === 1 ? [height, all[0]] : [all[0], all[1]]) as [number, number];

function requireOne(v: Value): Value {
  if (v.dims.length < 3 || v.dims[0] !== 1)
    unsupported(`its input is [${v.dims.join(", ")}], not [batch, channels, …].`);
  return v;
}

function convolution(transposed: boolean): Lower {
  return (call) => {
    const { builder, attributes } = call;
    const v = requireOne(valueAt(call, 0));
    const weight = constantAt(call, 1, "its weight");
    const bias = optionalConstant(call, 2, "its bias");
    const at = windowsOf(call, v, weight.dims.slice(2));
    const groups = attributes.int("group", 1);
    if (transposed && (attributes.has("output_shape") || attributes.text("auto_pad", "NOTSET") !== "NOTSET")) {
      unsupported("its pads follow from a shape; only pads are known.");
    }
    const [height, width] = [pairOf(at.before, 0), pairOf(at.after, 0)];
    const windows = {
      kernel: pairOf(at.kernel, 1),
      stride: pairOf(at.stride, 1),
      padding: [height[0], width[0], height[1], width[1]],
      dilation: pairOf(at.dilation, 1),
      ...(transposed && { outputPadding: pairOf(attributes.ints("output_padding") ?? at.kernel.map(() => 0), 0) }),
    };
    const more = {
      inputs: sizeOf(weight.dims.slice(1)),
      outputs: weight.dims[0],
      ...(groups > 1 && { groups }),
      ...(transposed && { transposed }),
    };
    const of = primitive<typeof windows>(transposed ? "transposedConvolution" : "convolution");
    const y = builder.linear(of, as(v, v.dims.slice(1)), windows, weight, bias, more);
    return valued(y, [1, ...y.shape]);
  };
}

/** How many windows there are along each axis, and how many entries they lack at the end: of ceil mode. */
function gridOf(v: Value, { kernel, stride, dilation, before, after }: Windows, ceil: boolean) {
  return v.dims.slice(2).map((length, i) => {
    const span = dilation[i] * (kernel[i] - 1) + 1;
    const steps = (length + before[i] + after[i] - span) / stride[i];
    let count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A window begins within the input or its first padding.
    if (ceil && (count - 1) * stride[i] >= length + before[i]) count--;
    if (!(count >= 1)) unsupported("its windows are larger than its input.");
    return { count, lacking: Math.max(0, (count - 1) * stride[i] + span - length - before[i] - after[i]) };
  });
}

/** Windows of a padded value, the last axis being the entries of each. */
function unfolded(builder: Builder, v: Value, { kernel, stride, dilation }: Windows, grid: readonly number[]): Value {
  const own = stridesOf(v.dims);
  const along = own.slice(2);
  const dims = [...v.dims.slice(0, 2), ...grid, ...kernel];
  const strides = [
    ...own.slice(0, 2),
    ...along.map((one, i) => one * stride[i]),
    ...along.map((one, i) => one * dilation[i]),
  ];
  const seen = builder.view(valued(as(v, v.dims)), dims, strides);
  return { ...seen, dims: [sizeOf(dims) / sizeOf(kernel), sizeOf(kernel)] };
}

function pooling(kind: "max" | "average"): Lower {
  return (call) => {
    if (call.outputs > 1) unsupported("the places of the largest elements are asked for.");
    const { builder, attributes } = call;
    const v = requireOne(valueAt(call, 0));
    const at = windowsOf(call, v);
    if (attributes.text("auto_pad", "NOTSET").startsWith("SAME_")) checkSame(v, at);
    const grid = gridOf(v, at, attributes.int("ceil_mode", 0) === 1);
    const { before, after, kernel, stride, dilation } = at;
    const counts = attributes.int("count_include_pad", 0) === 1;
    const plain = grid.every(({ lacking }, i) => {
      return lacking === 0 && before[i] === after[i] && before[i] <= kernel[i] / 2 && dilation[i] === 1;
    });
    const channels = v.dims[1];
    if (plain) {
      const windows = { kernel: pairOf(kernel, 1), stride: pairOf(stride, 1), padding: pairOf(before, 0) };
      const image = as(v, v.dims.slice(1));
      const y =
        kind === "max"
          ? applyPrimitive(primitive<typeof windows>("maxPool"), [image], windows)
          : applyPrimitive(primitive<typeof windows & { countPadding: boolean }>("averagePool"), [image], {
              ...windows,
              countPadding: counts,
            });
      return valued(y, [1, ...y.shape]);
    }
    const ends = after.map((length, i) => length + grid[i].lacking);
    const wide = padded(builder, v, [0, 0, ...before], [0, 0, ...ends], kind === "max" ? -(2 ** 100) : 0);
    const lengths = grid.map(({ count }) => count);
    const entries = unfolded(builder, wide, at, lengths);
    const dims = [1, channels, ...lengths];
    if (kind === "max") return valued(applyPrimitive(largest, [as(entries, entries.dims)], undefined), dims);
    const total = sumRows(as(entries, entries.dims));
    return builder.combine(
      "scale",
      { x: total, dims },
      { dims: lengths, data: shares(v, at, lengths, counts), float: true },
    );
  };
}

/** @throws Unsupported for pads that onnxruntime takes otherwise than TensorFlow does */
function checkSame(v: Value, { kernel, stride, dilation }: Windows): void {
  const plain = v.dims.slice(2).every((length, i) => {
    return dilation[i] === 1 && (Math.ceil(length / stride[i]) - 1) * stride[i] + kernel[i] >= length;
  });
  if (!plain) unsupported("runtimes differ in its auto_pad, because of its dilations or strides: export it with pads.");
}

const sumRows = (x: Value["x"]) => applyPrimitive(primitive<{ axis: number }>("sum"), [x], { axis: 1 });

/** 1 / the entries that count in each window. */
function shares(v: Value, at: Windows, grid: readonly number[], countPadding: boolean): Float64Array {
  const counts = grid.map((count, i) =>
    Array.from({ length: count }, (_, g) => {
      const length = v.dims[i + 2];
      const inside = Array.from(
        { length: at.kernel[i] },
        (_, k) => g * at.stride[i] + k * at.dilation[i] - at.before[i],
      );
      return inside.filter((p) => (countPadding ? p < length + at.after[i] : p >= 0 && p < length)).length;
    }),
  );
  const [rows, columns = [1]] = counts;
  return Float64Array.from(rows.flatMap((r) => columns.map((c) => 1 / (r * c))));
}

function globalPooling(kind: "max" | "average"): Lower {
  return (call) => {
    const v = requireOne(valueAt(call, 0));
    const channels = v.dims[1];
    const dims = v.dims.map((n, i) => (i < 2 ? n : 1));
    const width = sizeOf(v.dims) / channels;
    const rows = as(v, [channels, width]);
    if (kind === "max") return valued(applyPrimitive(largest, [rows], undefined), dims);
    return call.builder.line(valued(sumRows(rows), dims), 1 / width, 0);
  };
}

/** (x − mean) / √(variance + ε) with running statistics, then scale and shift. */
function batchNorm(call: Call): Value {
  const { builder, attributes } = call;
  if (attributes.int("training_mode", 0) === 1) unsupported("it is in training mode.");
  const v = valueAt(call, 0);
  const [scale, shift, mean, variance] = ["scale", "shift", "mean", "variance"].map((what, i) =>
    constantAt(call, i + 1, `its ${what}`),
  );
  const key = mean.name && `statistics ${mean.name}`;
  const { name } = builder.layer(key, () => ({ name: builder.layerName(mean.name) }));
  const x = as(v, v.dims.slice(1));
  const statistics = x.trace.statistics(name, mean.data.length);
  builder.set(statistics.mean.name, mean);
  builder.set(statistics.variance.name, variance);
  const at = { ...statistics, epsilon: attributes.float("epsilon", 1e-5), momentum: 0.1 };
  const centred = applyPrimitive(primitive<typeof at>("batchNormalise"), [x], at);
  return valued(builder.affine(centred, scale, shift, "channels"), v.dims);
}

/** Groups of elements that lie together, normalised. */
function normalise(v: Value, length: number, epsilon: number): Value["x"] {
  const at = { length, centred: true, epsilon };
  return applyPrimitive(primitive<typeof at>("normalise"), [v.x], at);
}

function layerNorm(call: Call): Value {
  const { builder, attributes } = call;
  if (call.outputs > 1) unsupported("its means are asked for.");
  const v = valueAt(call, 0);
  const axis = axisOf(attributes.int("axis", -1), v.dims.length);
  const dims = v.dims.slice(axis);
  const length = sizeOf(dims);
  const y = valued(normalise(v, length, attributes.float("epsilon", 1e-5)), v.dims);
  const along = (i: number) => {
    const t = constantAt(call, i, "its scale");
    return { ...stretch(t, dims), dims: [length], ...(t.name && { name: t.name }) };
  };
  const rows = as(y, [sizeOf(v.dims) / length, length]);
  const scale = call.inputs[1] === undefined ? undefined : along(1);
  const shift = call.inputs[2] === undefined ? undefined : along(2);
  if (scale && shift) return valued(builder.affine(rows, scale, shift, "last"), v.dims);
  return scale ? valued(builder.elementwise(rows, "scale", scale, "last"), v.dims) : y;
}

/** Each group of channels normalised over its positions, then scale and shift of each channel, or of each group. */
function groupNorm(groupsOf: (call: Call, channels: number) => number): Lower {
  return (call) => {
    const { builder, attributes } = call;
    const v = requireOne(valueAt(call, 0));
    const channels = v.dims[1];
    const groups = groupsOf(call, channels);
    if (!(groups >= 1) || channels % groups !== 0) unsupported(`${channels} channels do not make ${groups} groups.`);
    const x = normalise(v, sizeOf(v.dims) / groups, attributes.float("epsilon", 1e-5));
    const [scale, shift] = [constantAt(call, 1, "its scale"), constantAt(call, 2, "its shift")];
    const n = scale.data.length;
    if (shift.data.length !== n || channels % n !== 0) unsupported("its scale does not fit its channels.");
    return valued(builder.affine(as(valued(x), [n, sizeOf(v.dims) / n]), scale, shift, "channels"), v.dims);
  };
}

/** A function of rows, along an axis. */
const along =
  (of: (rows: Value["x"]) => Value["x"]): Lower =>
  (call) => {
    const { builder, attributes, opset } = call;
    const v = valueAt(call, 0);
    const rank = v.dims.length;
    const axis = axisOf(attributes.int("axis", opset < 13 ? 1 : -1), rank);
    // Before opset 13 it is over all axes from this one on.
    if (opset < 13) {
      const rows = as(v, [sizeOf(v.dims.slice(0, axis)), sizeOf(v.dims.slice(axis))]);
      return valued(of(rows), v.dims);
    }
    if (axis === rank - 1) return valued(of(withoutFirst(v)), v.dims);
    const order = [...v.dims.keys()].filter((one) => one !== axis);
    const moved = builder.permute(v, [...order, axis]);
    const y = valued(of(as(moved, moved.dims)), moved.dims);
    return builder.permute(
      y,
      v.dims.map((_, i) => (i === axis ? rank - 1 : order.indexOf(i))),
    );
  };

/** x − m − log Σ exp(x − m) over the last axis, m being the largest entry. */
function logSoftmax(builder: Builder, x: Value["x"]): Value["x"] {
  const width = x.shape[x.shape.length - 1];
  const dims = [sizeOf(x.shape) / width, width];
  const rows = valued(as(valued(x), dims));
  const column = (y: Value["x"]): Value => valued(y, [dims[0], 1]);
  const centred = builder.subtract(rows, column(applyPrimitive(largest, [rows.x], undefined)));
  const sums = column(sumRows(as(builder.map(centred, exp), dims)));
  return as(builder.subtract(centred, builder.plain("log", sums)), x.shape);
}

/** Operators, by name. */
export const layers: Readonly<Record<string, Lower>> = {
  Gemm: gemm,
  MatMul: matrixProduct,
  Conv: convolution(false),
  ConvTranspose: convolution(true),
  MaxPool: pooling("max"),
  AveragePool: pooling("average"),
  GlobalMaxPool: globalPooling("max"),
  GlobalAveragePool: globalPooling("average"),
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  InstanceNormalization: groupNorm((_, channels) => channels),
  GroupNormalization: groupNorm(({ attributes }) => attributes.int("num_groups", 1)),
  Softmax: along(softmax),
  LogSoftmax: (call) => along((x) => logSoftmax(call.builder, x))(call),
};
