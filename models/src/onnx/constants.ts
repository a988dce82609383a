// What can be computed while a file is read: operators whose inputs are all known. Shapes of values become numbers here.

import { unsupported } from "../errors.ts";
import {
  axisOf,
  broadcast,
  checkedSize,
  permuted,
  sizeOf,
  stretch,
  strided,
  stridesOf,
  type Tensor,
  tensor,
} from "../tensor.ts";
import type { Attributes } from "./attributes.ts";

type Fold = (inputs: readonly (Tensor | undefined)[], attributes: Attributes) => Tensor | readonly Tensor[];

export const list = (x: Tensor | undefined): number[] | undefined => (x === undefined ? undefined : Array.from(x.data));

function need(x: Tensor | undefined): Tensor {
  return x ?? unsupported("an input is missing.");
}

function map(of: (x: number) => number, float?: boolean): Fold {
  return ([x]) => {
    const one = need(x);
    return tensor(one.dims, Float64Array.from(one.data, of), float ?? one.float);
  };
}

/** @param truth whether the result is 0 or 1 */
function pairs(of: (x: number, y: number, float: boolean) => number, truth = false): Fold {
  return (inputs) =>
    inputs.slice(1).reduce<Tensor>((left, one) => {
      const right = need(one);
      const dims = broadcast(left.dims, right.dims);
      const [a, b] = [stretch(left, dims).data, stretch(right, dims).data];
      const float = left.float || right.float;
      const data = Float64Array.from({ length: checkedSize(dims) }, (_, i) => of(a[i], b[i], float));
      return tensor(dims, data, float && !truth);
    }, need(inputs[0]));
}

/** The axes that an operator works on: an attribute, or an input since opset 13. */
export function axesOf(inputs: readonly (Tensor | undefined)[], attributes: Attributes, rank: number, at = 1) {
  return (list(inputs[at]) ?? attributes.ints("axes"))?.map((axis) => axisOf(axis, rank));
}

/** The shape that a Reshape asks for: 0 keeps a length, −1 is what is left. */
export function reshaped(dims: readonly number[], wanted: readonly number[], allowZero: boolean): number[] {
  const lengths = wanted.map((length, i) => (length === 0 && !allowZero ? dims[i] : length));
  const rest = sizeOf(dims) / sizeOf(lengths.filter((length) => length !== -1));
  const result = lengths.map((length) => (length === -1 ? rest : length));
  const fits =
    lengths.filter((length) => length === -1).length <= 1 && result.every((n) => Number.isInteger(n) && n >= 0);
  if (fits && sizeOf(result) === sizeOf(dims)) return result;
  return unsupported(
    `[${dims.join(", ")}] cannot take the shape [${wanted.join(", ")}]. Likely cause: the file was exported for a batch of a fixed size; export it with a batch of one, or with dynamic_axes.`,
  );
}

export function squeezed(dims: readonly number[], axes: readonly number[] | undefined): number[] {
  if (axes?.some((axis) => dims[axis] !== 1)) unsupported(`an axis of [${dims.join(", ")}] is not 1 long.`);
  return dims.filter((length, axis) => (axes === undefined ? length !== 1 : !axes.includes(axis)));
}

export function unsqueezed(dims: readonly number[], axes: readonly number[] | undefined): number[] {
  if (axes === undefined) unsupported("its axes are not known.");
  const rank = dims.length + axes.length;
  const at = new Set(axes.map((axis) => axisOf(axis, rank)));
  const rest = dims[Symbol.iterator]();
  return Array.from({ length: rank }, (_, i) => (at.has(i) ? 1 : (rest.next().value ?? 1)));
}

/** One axis of a Slice: its first entry, its step, and how many entries there are. */
export interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly length: number;
}

export function cutsOf(
  inputs: readonly (Tensor | undefined)[],
  attributes: Attributes,
  dims: readonly number[],
): Cut[] {
  const starts = list(inputs[1]) ?? attributes.ints("starts") ?? unsupported("its starts are not known.");
  const ends = list(inputs[2]) ?? attributes.ints("ends") ?? unsupported("its ends are not known.");
  const axes = list(inputs[3]) ?? attributes.ints("axes") ?? starts.map((_, i) => i);
  const steps = list(inputs[4]) ?? starts.map(() => 1);
  return starts.map((from, i) => {
    const axis = axisOf(axes[i], dims.length);
    const [n, step] = [dims[axis], steps[i]];
    if (!Number.isInteger(step) || step === 0) unsupported(`its step is ${step}.`);
    const clamp = (at: number, low: number, high: number) => Math.max(low, Math.min(high, at < 0 ? at + n : at));
    const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
    const [start, end] = [clamp(from, Math.max(low, 0), high), clamp(ends[i], low, high)];
    return { axis, start, step, length: Math.max(0, Math.ceil((end - start) / step)) };
  });
}

/** The lengths of a Split's parts. */
export function partsOf(inputs: readonly (Tensor | undefined)[], attributes: Attributes, whole: number, count: number) {
  const given = list(inputs[1]) ?? attributes.ints("split");
  const each = Math.ceil(whole / count);
  const parts = given ?? Array.from({ length: count }, (_, i) => Math.min(each, whole - i * each));
  if (parts.length === count && parts.every((n) => n > 0) && parts.reduce((sum, n) => sum + n, 0) === whole)
    return parts;
  return unsupported(`${whole} entries do not make parts of ${parts.join(", ")}.`);
}

function slice(x: Tensor, cuts: readonly Cut[]): Tensor {
  const [dims, strides] = [[...x.dims], stridesOf(x.dims)];
  let offset = 0;
  for (const { axis, start, step, length } of cuts) {
    offset += start * strides[axis];
    strides[axis] *= step;
    dims[axis] = length;
  }
  return tensor(dims, strided(x.data, dims, strides, offset), x.float);
}

function gather(x: Tensor, indices: Tensor, axis: number): Tensor {
  const at = axisOf(axis, x.dims.length);
  const [outer, n, inner] = [sizeOf(x.dims.slice(0, at)), x.dims[at], sizeOf(x.dims.slice(at + 1))];
  const dims = [...x.dims.slice(0, at), ...indices.dims, ...x.dims.slice(at + 1)];
  const data = new Float64Array(checkedSize(dims));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of indices.data) {
      const place = index < 0 ? index + n : index;
      if (!(place >= 0 && place < n)) unsupported(`there is no entry ${index} of ${n}.`);
      for (let i = 0; i < inner; i++) data[to++] = x.data[(o * n + place) * inner + i];
    }
  }
  return tensor(dims, data, x.float);
}

function concat(inputs: readonly (Tensor | undefined)[], axis: number): Tensor {
  const all = inputs.map(need);
  const at = axisOf(axis, all[0].dims.length);
  const outer = sizeOf(all[0].dims.slice(0, at));
  const dims = [...all[0].dims];
  dims[at] = all.reduce((sum, one) => sum + (one.dims[at] ?? 0), 0);
  const data = new Float64Array(checkedSize(dims));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data: from } of all) {
      const n = from.length / outer;
      for (let i = 0; i < n; i++) data[to++] = from[o * n + i];
    }
  }
  return tensor(dims, data, all[0].float);
}

function reduce(of: (values: number[]) => number): Fold {
  return (inputs, attributes) => {
    const x = need(inputs[0]);
    const axes = axesOf(inputs, attributes, x.dims.length) ?? x.dims.map((_, i) => i);
    const kept = x.dims.map((_, i) => i).filter((axis) => !axes.includes(axis));
    const rows = permuted(x, [...kept, ...axes]);
    const width = sizeOf(axes.map((axis) => x.dims[axis]));
    const values = Array.from(rows.data);
    const count = width === 0 ? 0 : values.length / width;
    const data = Float64Array.from({ length: count }, (_, i) => of(values.slice(i * width, (i + 1) * width)));
    const dims =
      attributes.int("keepdims", 1) === 1
        ? x.dims.map((n, i) => (axes.includes(i) ? 1 : n))
        : kept.map((i) => x.dims[i]);
    return tensor(dims, data, x.float);
  };
}

const truncate = (x: number, float: boolean) => (float ? x : Math.trunc(x));
const sum = (values: number[]) => values.reduce((total, x) => total + x, 0);

/** Operators of constants, by name. */
export const folds: Readonly<Record<string, Fold>> = {
  Identity: ([x]) => need(x),
  Dropout: ([x]) => need(x),
  Cast: ([x], a) => {
    const [one, to] = [need(x), a.int("to", 1)];
    const float = [1, 10, 11, 16].includes(to);
    if (float && one.float) return one;
    return tensor(
      one.dims,
      Float64Array.from(one.data, (v) => (to === 9 ? Number(v !== 0) : truncate(v, float))),
      float,
    );
  },
  Shape: ([x]) => tensor([need(x).dims.length], need(x).dims),
  Size: ([x]) => tensor([], [need(x).data.length]),
  ConstantOfShape: ([x]) => {
    const dims = list(need(x)) as number[];
    return tensor(dims, new Float64Array(checkedSize(dims)));
  },
  Reshape: ([x, shape], a) => ({
    ...need(x),
    dims: reshaped(need(x).dims, list(need(shape)) as number[], a.int("allowzero", 0) === 1),
  }),
  Flatten: ([x], a) => {
    const { dims } = need(x);
    const axis = a.int("axis", 1);
    const at = axis < 0 ? axis + dims.length : axis;
    return { ...need(x), dims: [sizeOf(dims.slice(0, at)), sizeOf(dims.slice(at))] };
  },
  Squeeze: (inputs, a) => ({
    ...need(inputs[0]),
    dims: squeezed(need(inputs[0]).dims, axesOf(inputs, a, need(inputs[0]).dims.length)),
  }),
  Unsqueeze: (inputs, a) => ({
    ...need(inputs[0]),
    dims: unsqueezed(need(inputs[0]).dims, list(inputs[1]) ?? a.ints("axes")),
  }),
  Transpose: ([x], a) => {
    const axes =
      a.ints("perm") ??
      need(x)
        .dims.map((_, i) => i)
        .reverse();
    const rank = need(x).dims.length;
    if (axes.length !== rank || new Set(axes).size !== rank) unsupported(`perm is [${axes.join(", ")}].`);
    return permuted(
      need(x),
      axes.map((axis) => axisOf(axis, rank)),
    );
  },
  Concat: (inputs, a) => concat(inputs, a.int("axis", 0)),
  Gather: ([x, indices], a) => gather(need(x), need(indices), a.int("axis", 0)),
  Slice: (inputs, a) => slice(need(inputs[0]), cutsOf(inputs, a, need(inputs[0]).dims)),
  Expand: ([x, shape]) => stretch(need(x), broadcast(need(x).dims, list(need(shape)) as number[])),
  Range: ([from, to, step]) => {
    const [a, b, c] = [from, to, step].map((one) => need(one).data[0]);
    const length = Math.max(0, Math.ceil((b - a) / c));
    return tensor(
      [length],
      Float64Array.from({ length: checkedSize([length]) }, (_, i) => a + i * c),
      need(from).float,
    );
  },
  Where: ([c, x, y]) => {
    const [test, one, other] = [need(c), need(x), need(y)];
    const dims = broadcast(broadcast(test.dims, one.dims), other.dims);
    const [t, a, b] = [test, one, other].map((part) => stretch(part, dims).data);
    return tensor(
      dims,
      Float64Array.from({ length: checkedSize(dims) }, (_, i) => (t[i] !== 0 ? a[i] : b[i])),
      one.float,
    );
  },
  Trilu: ([x, k], a) => {
    const one = need(x);
    const [rows, columns] = one.dims.slice(-2);
    const [upper, shift] = [a.int("upper", 1) === 1, k?.data[0] ?? 0];
    const data = Float64Array.from(one.data, (v, i) => {
      const [row, column] = [Math.floor(i / columns) % rows, i % columns];
      return (upper ? column - row >= shift : column - row <= shift) ? v : 0;
    });
    return tensor(one.dims, data, one.float);
  },
  Add: pairs((x, y) => x + y),
  Sub: pairs((x, y) => x - y),
  Mul: pairs((x, y) => x * y),
  Div: pairs((x, y, float) => truncate(x / y, float)),
  Pow: pairs((x, y) => x ** y),
  Mod: pairs((x, y, float) => (float ? x % y : ((x % y) + y) % y)),
  Min: pairs((x, y) => Math.min(x, y)),
  Max: pairs((x, y) => Math.max(x, y)),
  Equal: pairs((x, y) => Number(x === y), true),
  Greater: pairs((x, y) => Number(x > y), true),
  GreaterOrEqual: pairs((x, y) => Number(x >= y), true),
  Less: pairs((x, y) => Number(x < y), true),
  LessOrEqual: pairs((x, y) => Number(x <= y), true),
  And: pairs((x, y) => Number(x !== 0 && y !== 0), true),
  Or: pairs((x, y) => Number(x !== 0 || y !== 0), true),
  Not: map((x) => Number(x === 0), false),
  Neg: map((x) => -x),
  Abs: map(Math.abs),
  Sqrt: map(Math.sqrt),
  Reciprocal: map((x) => 1 / x),
  Exp: map(Math.exp),
  Log: map(Math.log),
  Floor: map(Math.floor),
  Ceil: map(Math.ceil),
  Sin: map(Math.sin),
  Cos: map(Math.cos),
  ReduceSum: reduce(sum),
  ReduceMean: reduce((values) => sum(values) / values.length),
  ReduceProd: reduce((values) => values.reduce((product, x) => product * x, 1)),
  ReduceMax: reduce((values) => Math.max(...values)),
  ReduceMin: reduce((values) => Math.min(...values)),
  ReduceL2: reduce((values) => Math.hypot(...values)),
  DequantizeLinear: ([x, scale, zero], a) => {
    const [one, by] = [need(x), need(scale)];
    const shape = one.dims.map((n, i) =>
      by.data.length > 1 && i === axisOf(a.int("axis", 1), one.dims.length) ? n : 1,
    );
    const along = (part: Tensor) => stretch({ ...part, dims: part.data.length > 1 ? shape : [] }, one.dims).data;
    const [s, z] = [along(by), zero === undefined ? undefined : along(zero)];
    return tensor(
      one.dims,
      Float64Array.from(one.data, (v, i) => (v - (z?.[i] ?? 0)) * s[i]),
      true,
      one.name,
    );
  },
};
