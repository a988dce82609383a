// Operators that move values: shapes, parts, what is joined, looked up or padded.

import { concatenate } from "laplace-ts";
import { applyPrimitive } from "laplace-ts/graph";
import { as, type Builder, isValue, type Operand, primitive, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { axisOf, broadcast, checkedParts, sizeOf, stridesOf } from "../tensor.ts";
import { type Call, constantAt, constants, type Lower, operand, optionalConstant, valueAt } from "./call.ts";
import { axesOf, cutsOf, list, partsOf, reshaped, squeezed, unsqueezed } from "./constants.ts";

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
  checkedParts(places.length);
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
    const places = Array.from({ length: checkedParts(before[axis] + n + after[axis]) }, (_, i) => {
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

/** Each entry so many times: x[⌊i / times⌋] along each axis. */
export function repeated(builder: Builder, v: Value, times: readonly number[]): Value {
  return times.reduce((x, count, axis) => {
    if (count === 1) return x;
    const apart = x.dims.toSpliced(axis + 1, 0, 1);
    const { x: traced } = builder.stretch({ x: x.x, dims: apart }, apart.with(axis + 1, count));
    return valued(traced, x.dims.with(axis, x.dims[axis] * count));
  }, v);
}

/** Blocks of pixels that become channels, or the other way round. */
function blocks(deeper: boolean): Lower {
  return (call) => {
    const { builder, attributes } = call;
    const v = valueAt(call, 0);
    const size = attributes.int("blocksize", 0);
    const [n, channels, height, width] = v.dims;
    const square = size * size;
    const fits = deeper ? height % size === 0 && width % size === 0 : channels % square === 0;
    if (v.dims.length !== 4 || !(size >= 1) || !fits) unsupported(`[${v.dims.join(", ")}] has no blocks of ${size}.`);
    if (deeper) {
      const apart = { ...v, dims: [n, channels, height / size, size, width / size, size] };
      const moved = builder.permute(apart, [0, 3, 5, 1, 2, 4]);
      return { ...moved, dims: [n, channels * square, height / size, width / size] };
    }
    const rows = attributes.text("mode", "DCR") === "CRD";
    const fewer = channels / square;
    const apart = { ...v, dims: rows ? [n, fewer, size, size, height, width] : [n, size, size, fewer, height, width] };
    const moved = builder.permute(apart, rows ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]);
    return { ...moved, dims: [n, fewer, height * size, width * size] };
  };
}

/** The same elements in another shape. */
const relabel =
  (dims: (call: Call, from: readonly number[]) => readonly number[]): Lower =>
  (call) => ({ ...valueAt(call, 0), dims: dims(call, valueAt(call, 0).dims) });

/** Operators, by name. */
export const moves: Readonly<Record<string, Lower>> = {
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
  DepthToSpace: blocks(false),
  SpaceToDepth: blocks(true),
  Tile: (call) => {
    const v = valueAt(call, 0);
    const times = list(constantAt(call, 1, "how often it repeats")) as number[];
    if (times.length !== v.dims.length || !times.every((n) => n >= 1 && n * sizeOf(v.dims) <= 2 ** 26))
      unsupported(`it repeats [${v.dims.join(", ")}] [${times.join(", ")}] times.`);
    // The whole, so many times: a new axis before each.
    return times.reduce((x, count, axis) => {
      if (count === 1) return x;
      const apart = x.dims.toSpliced(axis, 0, 1);
      const { x: traced } = call.builder.stretch({ x: x.x, dims: apart }, apart.with(axis, count));
      return valued(traced, x.dims.with(axis, x.dims[axis] * count));
    }, v);
  },
  Expand: (call) => {
    const v = valueAt(call, 0);
    return call.builder.stretch(v, broadcast(v.dims, list(constantAt(call, 1, "its shape")) as number[]));
  },
};
