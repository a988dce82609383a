// Functions over traced values that move, cut, join and sum them, and products of matrices.

import { shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkInteger, checkOptions, LaplaceError, OptionError, ShapeError } from "../../errors.ts";
import { multiply, requireTraced, reshape } from "../layers.ts";
import * as matrices from "../primitives/matmul.ts";
import * as rearrange from "../primitives/rearrange.ts";
import { Traced } from "../trace.ts";

/** An axis of one example's value, from the front, given from the front or (negative) from the back. */
function axisOf(where: string, x: Traced, axis: number): number {
  requireTraced(where, x);
  const rank = x.shape.length;
  if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  throw new ShapeError(`${where}: a value of shape ${shapeText(x.shape)} has no axis ${String(axis)}.`);
}

/** Options of `matmul`. */
export interface MatmulOptions {
  /** Whether the second factor is given as its transpose, [..., n, k] (default false). */
  transposed?: boolean;
}

/**
 * Products of matrices over the last two axes: [..., m, k] by [..., k, n] gives [..., m, n]. Axes before them must agree.
 * @throws ShapeError, OptionError
 */
export function matmul(a: Traced, b: Traced, options: MatmulOptions = {}): Traced {
  requireTraced("matmul", a);
  checkOptions("matmul", options, ["transposed"]);
  const { transposed = false } = options;
  checkBoolean("matmul", "transposed", transposed);
  return a.trace.emit(matrices.matmul, [a, b], { transposed });
}

/** The axes in another order: axis i of the result is axis `axes[i]` of the value. @throws ShapeError */
export function permute(x: Traced, axes: readonly number[]): Traced {
  requireTraced("permute", x);
  if (!Array.isArray(axes)) throw new OptionError("permute: axes must be a list of all axes in some order.");
  return x.trace.emit(rearrange.permute, [x], { axes: [...axes] });
}

/** The last two axes exchanged. @throws ShapeError for a value with fewer */
export function transpose(x: Traced): Traced {
  const [row, column] = [axisOf("transpose", x, -2), axisOf("transpose", x, -1)];
  const axes = x.shape.map((_, axis) => axis);
  return permute(x, axes.with(row, column).with(column, row));
}

/** The entries from `start` to before `end` of an axis (default: the last). @throws ShapeError */
export function slice(x: Traced, start: number, end: number, axis = -1): Traced {
  const at = axisOf("slice", x, axis);
  return x.trace.emit(rearrange.slice, [x], { axis: at, start, end });
}

/**
 * A value cut along an axis (default: the last) into so many equal parts, or into parts of these lengths.
 * @throws ShapeError unless the parts make up the axis
 */
export function split(x: Traced, parts: number | readonly number[], axis = -1): Traced[] {
  const at = axisOf("split", x, axis);
  const whole = x.shape[at];
  if (typeof parts === "number") checkInteger("split", "parts", parts, 1);
  const lengths = typeof parts === "number" ? new Array<number>(parts).fill(whole / parts) : parts;
  const fits = lengths.every((length) => Number.isInteger(length) && length > 0);
  if (!fits || lengths.reduce((sum, length) => sum + length, 0) !== whole) {
    throw new ShapeError(
      `split: axis ${at} of ${shapeText(x.shape)} cannot be cut into ${typeof parts === "number" ? `${parts} equal parts` : `parts of ${parts.join(", ")}`}.`,
    );
  }
  let start = 0;
  return lengths.map((length) => {
    start += length;
    return slice(x, start - length, start, at);
  });
}

/** The sum over an axis, which is gone then. @throws ShapeError */
export function sum(x: Traced, axis: number): Traced {
  const at = axisOf("sum", x, axis);
  return x.trace.emit(rearrange.sum, [x], { axis: at });
}

/** The mean over an axis, which is gone then. @throws ShapeError */
export function mean(x: Traced, axis: number): Traced {
  const at = axisOf("mean", x, axis);
  return multiply(sum(x, at), 1 / x.shape[at]);
}

/** Options of `concatenate`. */
export interface ConcatenateOptions {
  /** The axis, of one example, along which values lie side by side (default −1, the last); 0 for channels of images. */
  axis?: number;
}

/**
 * Values side by side along an axis, their other axes being equal: `concatenate(a, b)` along the last,
 * `concatenate(a, b, { axis: 0 })` the channels of images [channels, height, width].
 * @throws ShapeError, OptionError
 */
export function concatenate(...values: Traced[]): Traced;
export function concatenate(...valuesAndOptions: [...values: Traced[], options: ConcatenateOptions]): Traced;
export function concatenate(...all: (Traced | ConcatenateOptions)[]): Traced {
  const last = all.at(-1);
  const options = typeof last === "object" && !(last instanceof Traced) ? last : {};
  const values = options === last ? all.slice(0, -1) : all;
  if (values.length === 0) throw new LaplaceError("concatenate: there is nothing to concatenate.");
  checkOptions("concatenate", options, ["axis"]);
  const parts = values.map((x) => {
    requireTraced("concatenate", x);
    return x;
  });
  const [first] = parts;
  const axis = axisOf("concatenate", first, options.axis ?? -1) - first.shape.length;
  return first.trace.emit(rearrange.concatenate, parts, { axis });
}

/** Values of one shape as one value with a new first axis. @throws ShapeError */
export function stack(...values: Traced[]): Traced {
  if (values.length === 0) throw new OptionError("stack: there is nothing to stack.");
  for (const x of values) requireTraced("stack", x);
  const { shape } = values[0];
  for (const x of values) {
    if (String(x.shape) === String(shape)) continue;
    throw new ShapeError(`stack: the shapes ${shapeText(shape)} and ${shapeText(x.shape)} differ.`);
  }
  const rows = values.map((x) => reshape(x, [x.node.size]));
  return reshape(concatenate(...rows), [values.length, ...shape]);
}
