// Operators that work element by element, and sums of axes.

import { elu, erf, exp, gelu, leakyRelu, relu, selu, sigmoid, silu, softplus, sum, tanh } from "laplace-ts";
import { applyPrimitive } from "laplace-ts/graph";
import { as, type Builder, isValue, type Operand, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { largest } from "../primitives.ts";
import { broadcast, sizeOf } from "../tensor.ts";
import type { Attributes } from "./attributes.ts";
import { type Call, constantAt, constants, type Lower, operand, optionalConstant, valueAt } from "./call.ts";
import { axesOf } from "./constants.ts";

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

/** 1 where a is as the name says of b, by their difference, whose sign may be turned. */
function compared(name: "equal" | "greater", sign: 1 | -1 = 1): (call: Call) => Value {
  return (call) => {
    const { builder } = call;
    const [a, b] = [operand(call, 0), operand(call, 1)];
    const constant = isValue(b) || sign < 0 ? undefined : b;
    if (isValue(a) && constant?.data.length === 1) return builder.plain(name, a, constant.data[0]);
    const difference = sign > 0 ? builder.subtract(a, b) : builder.subtract(b, a);
    return builder.plain(name, difference, 0);
  };
}

const not = ({ builder }: Call, v: Value): Value => builder.line(v, -1, 1);

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

const each =
  (layer: Parameters<Builder["map"]>[1]): Lower =>
  (call) =>
    call.builder.map(valueAt(call, 0), layer);

const plain =
  (name: Parameters<Builder["plain"]>[0], a: (from: Attributes) => number = () => 0, b: typeof a = () => 0): Lower =>
  (call) =>
    call.builder.plain(name, valueAt(call, 0), a(call.attributes), b(call.attributes));

/** Element types, by their numbers in onnx.proto. */
const floats = new Set([1, 10, 11, 16]);
const integers = new Set([2, 3, 4, 5, 6, 7, 12, 13]);

const same: Lower = (call) => [operand(call, 0)];

/** Operators, by name. */
export const operators: Readonly<Record<string, Lower>> = {
  Identity: same,
  Dropout: same,
  Cast: (call) => {
    const [to, v] = [call.attributes.int("to", 1), operand(call, 0)];
    if (!isValue(v) || floats.has(to)) return v;
    if (to === 9) return call.builder.line(call.builder.plain("equal", v, 0), -1, 1);
    if (!integers.has(to)) return unsupported("values can only be cast to numbers.");
    return v.whole ? v : { ...call.builder.plain("truncate", v), whole: true };
  },
  CastLike: (call) => {
    const [v, like] = [operand(call, 0), operand(call, 1)];
    const whole = isValue(like) ? like.whole === true : !like.float;
    if (!isValue(v))
      return whole ? { ...v, data: Float64Array.from(v.data, Math.trunc), float: false } : { ...v, float: true };
    return !whole || v.whole ? v : { ...call.builder.plain("truncate", v), whole: true };
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
  Mean: (call) => {
    const total = operators.Sum(call);
    return isValue(total as Operand) ? call.builder.line(total as Value, 1 / call.inputs.length, 0) : total;
  },
  Pow: pow,
  Max: extreme(1),
  Min: extreme(-1),
  Where: where,
  Equal: compared("equal"),
  Greater: compared("greater"),
  Less: compared("greater", -1),
  GreaterOrEqual: (call) => not(call, compared("greater", -1)(call)),
  LessOrEqual: (call) => not(call, compared("greater")(call)),
  And: (call) => call.builder.combine("scale", operand(call, 0), operand(call, 1)),
  Or: (call) => {
    const { builder } = call;
    const [a, b] = [valueAt(call, 0), valueAt(call, 1)];
    return builder.subtract(builder.combine("shift", a, b), builder.combine("scale", a, b));
  },
  Not: (call) => call.builder.line(valueAt(call, 0), -1, 1),
  ReduceSum: reduce("sum"),
  ReduceMean: reduce("mean"),
  ReduceMax: reduce("max"),
  ReduceMin: reduce("min"),
  ReduceL1: (call) =>
    reduce("sum")({ ...call, inputs: [call.builder.plain("abs", valueAt(call, 0)), ...call.inputs.slice(1)] }),
  ReduceL2: reduce("l2"),
  ReduceSumSquare: reduce("squares"),
};
