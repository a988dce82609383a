// Operators that work element by element, or move values.

import {
  concatenate,
  elu,
  erf,
  exp,
  gelu,
  leakyRelu,
  relu,
  selu,
  sigmoid,
  silu,
  softplus,
  sum,
  tanh,
} from "laplace-ts";
import { applyPrimitive } from "laplace-ts/graph";
import { as, type Builder, isValue, type Operand, primitive, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { largest } from "../primitives.ts";
import { axisOf, broadcast, sizeOf, stridesOf, type Tensor } from "../tensor.ts";
import type { Attributes } from "./attributes.ts";
import { axesOf, cutsOf, list, partsOf, reshaped, squeezed, unsqueezed } from "./constants.ts";

/** A node that is read: its inputs, missing ones undefined, and how many outputs it has. */
export interface Call {
  readonly builder: Builder;
  readonly inputs: readonly (Operand | undefined)[];
  readonly attributes: Attributes;
  readonly opset: number;
  readonly outputs: number;
}

/** Writes a node's operator in primitives. @throws Unsupported */
export type Lower = (call: Call) => Operand | readonly (Operand | undefined)[];

export function operand({ inputs }: Call, i: number): Operand {
  return inputs[i] ?? unsupported(`its input ${i} is missing.`);
}

export const valueAt = (call: Call, i: number): Value => call.builder.value(operand(call, i));

/** An input that must be known. @throws Unsupported */
export function constantAt(call: Call, i: number, what: string): Tensor {
  const one = operand(call, i);
  return isValue(one) ? unsupported(`${what} depends on the network's input.`) : one;
}

export function optionalConstant(call: Call, i: number, what: string): Tensor | undefined {
  return call.inputs[i] === undefined ? undefined : constantAt(call, i, what);
}

const constants = ({ inputs }: Call) => inputs.map((one) => (one === undefined || isValue(one) ? undefined : one));

/** The limits of Clip, attributes before opset 11. */
function clip(call: Call): Value {
  const limit = (i: number, name: string, otherwise: number) =>
    optionalConstant(call, i, `its ${name}`)?.data[0] ?? call.attributes.float(name, otherwise);
  const [low, high] = [limit(1, "min", -Number.MAX_VALUE), limit(2, "max", Number.MAX_VALUE)];
  if (low === 0 && high > 3e38) return call.builder.map(valueAt(call, 0), relu);
  const bound = (x: number) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, x));
  return call.builder.plain("clip", valueAt(call, 0), bound(low), bound(high));
}

function pow(call: Call): Value {
  const exponent = constantAt(call, 1, "its exponent");
  if (exponent.data.length !== 1) unsupported("its exponents differ.");
  const [v, p] = [valueAt(call, 0), exponent.data[0]];
  if (p === 2) return call.builder.combine("scale", v, v);
  if (p === 0.5) return call.builder.plain("sqrt", v);
  return p === 1 ? v : call.builder.plain("power", v, p);
}

/** max(a, b) = a + relu(b − a), or with the sign turned the smaller one. */
function extreme(sign: 1 | -1): Lower {
  return (call) => {
    const { builder } = call;
    return call.inputs.slice(1).reduce<Operand>(
      (a, _, i) => {
        const b = operand(call, i + 1);
        const by = builder.map(builder.line(builder.subtract(b, a), sign, 0), relu);
        return builder.combine("shift", a, builder.line(by, sign, 0));
      },
      operand(call, 0),
    );
  };
}

function where(call: Call): Value {
  const { builder } = call;
  const test = operand(call, 0);
  const not: Operand = isValue(test)
    ? builder.line(test, -1, 1)
    : { dims: test.dims, data: Float64Array.from(test.data, (x) => 1 - x), float: true };
  const [one, other] = [operand(call, 1), operand(call, 2)];
  const [x, y] = [product(builder, test, one), product(builder, not, other)];
  if (isValue(x) || isValue(y)) return builder.combine("shift", x, y);
  return unsupported("none of its inputs depends on the network's input.");
}

/** A product of operands, of which both may be constants: infinities, as of masks, are large numbers. */
function product(builder: Builder, a: Operand, b: Operand): Operand {
  if (isValue(a) || isValue(b)) return builder.combine("scale", a, b);
  const dims = broadcast(a.dims, b.dims);
  const [x, y] = [builder.constant(a), builder.constant(b)];
  return builder.combine("scale", builder.stretch(x, dims), y);
}

function reduce(kind: "sum" | "mean" | "max" | "min" | "l2" | "squares"): Lower {
  return (call) => {
    const { builder, attributes } = call;
    const v = valueAt(call, 0);
    const given = axesOf(constants(call), attributes, v.dims.length);
    if (given === undefined && attributes.int("noop_with_empty_axes", 0) === 1) return v;
    const axes = given === undefined || given.length === 0 ? v.dims.map((_, i) => i) : given;
    const kept = v.dims.map((_, i) => i).filter((axis) => !axes.includes(axis));
    const all = v.dims.map((n, i) => (axes.includes(i) ? 1 : n));
    const dims = attributes.int("keepdims", 1) === 1 ? all : kept.map((axis) => v.dims[axis]);
    const width = sizeOf(axes.map((axis) => v.dims[axis]));
    const moved = builder.permute(v, [...kept, ...axes]);
    const rows = as(moved, [sizeOf(v.dims) / width, width]);
    if (kind === "max") return valued(applyPrimitive(largest, [rows], undefined), dims);
    if (kind === "min") {
      const negative = as(builder.line(valued(rows), -1, 0), rows.shape);
      return builder.line(valued(applyPrimitive(largest, [negative], undefined), dims), -1, 0);
    }
    const squared =
      kind === "l2" || kind === "squares" ? as(builder.combine("scale", valued(rows), valued(rows)), rows.shape) : rows;
    const total = valued(sum(squared, 1), dims);
    if (kind === "mean") return builder.line(total, 1 / width, 0);
    return kind === "l2" ? builder.plain("sqrt", total) : total;
  };
}

function slice(call: Call): Value {
  const v = valueAt(call, 0);
  const [dims, strides] = [[...v.dims], stridesOf(v.dims)];
  let offset = 0;
  const known = call.inputs.map((one, i) =>
    i === 0 || one === undefined ? undefined : constantAt(call, i, "where it cuts"),
  );
  const cuts = cutsOf(known, call.attributes, v.dims);
  if (cuts.every(({ axis, start, step, length }) => start === 0 && step === 1 && length === v.dims[axis])) return v;
  for (const { axis, start, step, length } of cuts) {
    offset += start * strides[axis];
    strides[axis] *= step;
    dims[axis] = length;
  }
  return call.builder.view(v, dims, strides, offset);
}

/** The entries from `start` on of an axis. */
export function part(v: Value, axis: number, start: number, length: number): Value {
  if (start === 0 && length === v.dims[axis]) return v;
  const dims = v.dims.map((n, i) => (i === axis ? length : n));
  if (dims.some((n) => n < 1)) unsupported(`a part of [${v.dims.join(", ")}] would be empty.`);
  const at = { axis, start, end: start + length };
  return valued(applyPrimitive(primitive<typeof at>("slice"), [as(v, v.dims)], at), dims);
}

export function joined(builder: Builder, all: readonly Operand[], axis: number): Value {
  const values = all.map((one) => builder.value(one));
  const at = axisOf(axis, values[0].dims.length) - values[0].dims.length;
  if (values.some(({ dims }) => dims.length !== values[0].dims.length))
    unsupported("its inputs have different numbers of axes.");
  return valued(concatenate(...values.map((v) => as(v, v.dims)), { axis: at }));
}

function split(call: Call): Value[] {
  const v = valueAt(call, 0);
  const axis = axisOf(call.attributes.int("axis", 0), v.dims.length);
  let start = 0;
  return partsOf(constants(call), call.attributes, v.dims[axis], call.outputs).map((length) => {
    start += length;
    return part(v, axis, start - length, length);
  });
}

function gather(call: Call): Operand {
  const { builder, attributes } = call;
  const [table, indices] = [operand(call, 0), operand(call, 1)];
  if (!isValue(table)) {
    const tokens = builder.value(indices);
    if (table.dims.length !== 2 || attributes.int("axis", 0) !== 0)
      unsupported("only rows of a matrix can be looked up.");
    const [vocabulary, dimensions] = table.dims;
    const more = { transposed: true, inputs: dimensions, outputs: vocabulary };
    const rows = builder.linear(
      primitive<undefined>("embedding"),
      as(tokens, tokens.dims),
      undefined,
      table,
      undefined,
      more,
    );
    return valued(rows, [...tokens.dims, dimensions]);
  }
  if (isValue(indices)) unsupported("its indices depend on the network's input, and so does what they point to.");
  const axis = axisOf(attributes.int("axis", 0), table.dims.length);
  const n = table.dims[axis];
  const places = Array.from(indices.data, (index) => (index < 0 ? index + n : index));
  if (places.some((place) => !(place >= 0 && place < n)) || places.length === 0)
    unsupported(`it has no such entries of ${n}.`);
  const step = (places[1] ?? places[0] + 1) - places[0];
  const dims = [...table.dims.slice(0, axis), ...indices.dims, ...table.dims.slice(axis + 1)];
  const whole = table.dims.with(axis, places.length);
  if (places.every((place, i) => place === places[0] + i * step)) {
    const strides = stridesOf(table.dims);
    const offset = places[0] * strides[axis];
    return { ...builder.view(table, whole, strides.with(axis, strides[axis] * step), offset), dims };
  }
  return {
    ...joined(
      builder,
      places.map((place) => part(table, axis, place, 1)),
      axis,
    ),
    dims,
  };
}

/** Entries of a constant around a value. */
export function padded(
  builder: Builder,
  v: Value,
  before: readonly number[],
  after: readonly number[],
  fill: number,
): Value {
  return v.dims.reduce((x, _, axis) => {
    const edge = (length: number): Operand[] => {
      if (length === 0) return [];
      const dims = x.dims.with(axis, length);
      const zero = builder.stretch(
        valued(
          multiplied(builder, x),
          x.dims.map(() => 1),
        ),
        dims,
      );
      return [builder.line(zero, 1, fill)];
    };
    const all = [...edge(before[axis]), x, ...edge(after[axis])];
    return all.length === 1 ? x : joined(builder, all, axis);
  }, v);
}

/** A single 0. */
function multiplied(builder: Builder, v: Value) {
  return builder.line(builder.view(v, [1], [1]), 0, 0).x;
}

function pad(call: Call): Value {
  const v = valueAt(call, 0);
  const mode = call.attributes.text("mode", "constant");
  const amounts =
    list(optionalConstant(call, 1, "how far it pads")) ??
    call.attributes.ints("pads") ??
    unsupported("its pads are missing.");
  const axes =
    list(optionalConstant(call, 3, "its axes"))?.map((axis) => axisOf(axis, v.dims.length)) ?? v.dims.map((_, i) => i);
  const [before, after] = [0, 1].map((end) =>
    v.dims.map((_, axis) => (axes.includes(axis) ? amounts[end * axes.length + axes.indexOf(axis)] : 0)),
  );
  if ([...before, ...after].some((n) => n === undefined || n < 0)) unsupported("it cuts, by negative pads.");
  const fill = optionalConstant(call, 2, "its value")?.data[0] ?? call.attributes.float("value", 0);
  if (mode === "constant") return padded(call.builder, v, before, after, fill);
  if (mode !== "reflect" && mode !== "edge") unsupported(`its mode is "${mode}".`);
  return v.dims.reduce((x, n, axis) => {
    if (before[axis] + after[axis] === 0) return x;
    const places = Array.from({ length: before[axis] + n + after[axis] }, (_, i) => {
      const at = i - before[axis];
      if (mode === "edge") return Math.max(0, Math.min(n - 1, at));
      return at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
    });
    if (places.some((place) => place < 0 || place >= n)) unsupported("it reflects farther than the axis is long.");
    return joined(
      call.builder,
      places.map((place) => part(x, axis, place, 1)),
      axis,
    );
  }, v);
}

const each =
  (layer: Parameters<Builder["map"]>[1]): Lower =>
  (call) =>
    call.builder.map(valueAt(call, 0), layer);

const plain =
  (name: Parameters<Builder["plain"]>[0], a: (from: Attributes) => number = () => 0, b: typeof a = () => 0): Lower =>
  (call) =>
    call.builder.plain(name, valueAt(call, 0), a(call.attributes), b(call.attributes));

/** The same elements in another shape. */
const relabel =
  (dims: (call: Call, from: readonly number[]) => readonly number[]): Lower =>
  (call) => ({ ...valueAt(call, 0), dims: dims(call, valueAt(call, 0).dims) });

const same: Lower = (call) => [operand(call, 0)];

/** Operators, by name. */
export const operators: Readonly<Record<string, Lower>> = {
  Identity: same,
  Dropout: same,
  // Numbers are numbers here; what would round them is not a function with derivatives.
  Cast: (call) => {
    if ([1, 6, 7, 10, 11, 16].includes(call.attributes.int("to", 1))) return operand(call, 0);
    return unsupported("values can only be cast to numbers.");
  },
  Relu: each(relu),
  Tanh: each(tanh),
  Sigmoid: each(sigmoid),
  Exp: each(exp),
  Erf: each(erf),
  Selu: (call) => {
    const [alpha, gamma] = [call.attributes.float("alpha", 1.6732632), call.attributes.float("gamma", 1.050701)];
    const usual = Math.abs(alpha - 1.6732632) < 1e-6 && Math.abs(gamma - 1.050701) < 1e-6;
    return usual
      ? call.builder.map(valueAt(call, 0), selu)
      : call.builder.line(
          call.builder.map(valueAt(call, 0), (x) => elu(x, alpha)),
          gamma,
          0,
        );
  },
  Softplus: each(softplus),
  Swish: each(silu),
  Gelu: (call) => {
    if (call.attributes.text("approximate", "none") === "none") return call.builder.map(valueAt(call, 0), gelu);
    const [b, x] = [call.builder, valueAt(call, 0)];
    const cube = b.combine("scale", b.combine("scale", x, x), x);
    const inner = b.line(b.combine("shift", x, b.line(cube, 0.044715, 0)), Math.sqrt(2 / Math.PI), 0);
    return b.combine("scale", b.line(x, 0.5, 0), b.line(b.map(inner, tanh), 1, 1));
  },
  LeakyRelu: (call) => call.builder.map(valueAt(call, 0), (x) => leakyRelu(x, call.attributes.float("alpha", 0.01))),
  Elu: (call) => call.builder.map(valueAt(call, 0), (x) => elu(x, call.attributes.float("alpha", 1))),
  PRelu: (call) => {
    const { builder } = call;
    const negative = builder.map(builder.line(valueAt(call, 0), -1, 0), relu);
    return builder.subtract(builder.map(valueAt(call, 0), relu), builder.combine("scale", negative, operand(call, 1)));
  },
  Clip: clip,
  Abs: plain("abs"),
  Celu: plain("celu", (a) => a.float("alpha", 1)),
  Cos: plain("cos"),
  HardSigmoid: plain(
    "hardSigmoid",
    (a) => a.float("alpha", 0.2),
    (a) => a.float("beta", 0.5),
  ),
  HardSwish: plain("hardSwish"),
  Log: plain("log"),
  Mish: plain("mish"),
  Reciprocal: plain("reciprocal"),
  Sign: plain("sign"),
  Sin: plain("sin"),
  Softsign: plain("softsign"),
  Sqrt: plain("sqrt"),
  ThresholdedRelu: plain("thresholdedRelu", (a) => a.float("alpha", 1)),
  Neg: (call) => call.builder.line(valueAt(call, 0), -1, 0),
  Add: (call) => call.builder.combine("shift", operand(call, 0), operand(call, 1)),
  Mul: (call) => call.builder.combine("scale", operand(call, 0), operand(call, 1)),
  Sub: (call) => call.builder.subtract(operand(call, 0), operand(call, 1)),
  Div: (call) => call.builder.divide(operand(call, 0), operand(call, 1)),
  Sum: (call) =>
    call.inputs
      .slice(1)
      .reduce<Operand>((a, _, i) => call.builder.combine("shift", a, operand(call, i + 1)), operand(call, 0)),
  Pow: pow,
  Max: extreme(1),
  Min: extreme(-1),
  Where: where,
  Equal: (call) => {
    const to = constantAt(call, 1, "what it compares with");
    return to.data.length === 1
      ? call.builder.plain("equal", valueAt(call, 0), to.data[0])
      : unsupported("it compares with several numbers.");
  },
  Greater: (call) => {
    const to = constantAt(call, 1, "what it compares with");
    return to.data.length === 1
      ? call.builder.plain("greater", valueAt(call, 0), to.data[0])
      : unsupported("it compares with several numbers.");
  },
  Not: (call) => call.builder.line(valueAt(call, 0), -1, 1),
  Reshape: relabel((call, dims) =>
    reshaped(dims, list(constantAt(call, 1, "its shape")) as number[], call.attributes.int("allowzero", 0) === 1),
  ),
  Flatten: relabel((call, dims) => {
    const axis = call.attributes.int("axis", 1);
    const at = axis < 0 ? axis + dims.length : axis;
    return [sizeOf(dims.slice(0, at)), sizeOf(dims.slice(at))];
  }),
  Squeeze: relabel((call, dims) => squeezed(dims, axesOf(constants(call), call.attributes, dims.length))),
  Unsqueeze: relabel((call, dims) => unsqueezed(dims, list(constants(call)[1]) ?? call.attributes.ints("axes"))),
  Transpose: (call) => {
    const v = valueAt(call, 0);
    const axes = call.attributes.ints("perm") ?? v.dims.map((_, i) => i).reverse();
    if (axes.length !== v.dims.length || new Set(axes).size !== axes.length)
      unsupported(`perm is [${axes.join(", ")}].`);
    return call.builder.permute(
      v,
      axes.map((axis) => axisOf(axis, v.dims.length)),
    );
  },
  Concat: (call) =>
    joined(
      call.builder,
      call.inputs.map((_, i) => operand(call, i)),
      call.attributes.int("axis", 0),
    ),
  Split: split,
  Slice: slice,
  Gather: gather,
  Pad: pad,
  Expand: (call) => {
    const v = valueAt(call, 0);
    return call.builder.stretch(v, broadcast(v.dims, list(constantAt(call, 1, "its shape")) as number[]));
  },
  ReduceSum: reduce("sum"),
  ReduceMean: reduce("mean"),
  ReduceMax: reduce("max"),
  ReduceMin: reduce("min"),
  ReduceL2: reduce("l2"),
  ReduceSumSquare: reduce("squares"),
};
