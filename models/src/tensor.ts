// Numbers of a file whose values are known before the network runs.

import { unsupported } from "./errors.ts";

/** An array of numbers. Integers and truth values are numbers too. */
export interface Tensor {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number> & Iterable<number>;
  /** Whether its element type is a floating-point one. */
  readonly float: boolean;
  /** The parameter of the file that it is, if it is one as it stands or in another layout. */
  readonly name?: string;
}

/** More numbers than any constant of a network has that is computed while it is read. */
const MOST_NUMBERS = 2 ** 26;

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, length) => product * length, 1);
}

/** The size of an array that is to be made. @throws Unsupported for one that is too large, or has no length */
export function checkedSize(dims: readonly number[]): number {
  const size = sizeOf(dims);
  if (dims.every((length) => Number.isInteger(length) && length >= 0) && size <= MOST_NUMBERS) return size;
  return unsupported(`it would make an array of shape [${dims.join(", ")}].`);
}

/** More parts than any network has that are computed one by one: positions of a recurrence, entries that are put together. */
const MOST_PARTS = 2 ** 13;

/** How many parts there will be. @throws Unsupported for more than are ever needed */
export function checkedParts(count: number): number {
  return count <= MOST_PARTS ? count : unsupported(`it would have ${count} parts; at most ${MOST_PARTS} are read.`);
}

export function tensor(dims: readonly number[], data: Tensor["data"], float = false, name?: string): Tensor {
  if (data.length !== checkedSize(dims)) unsupported(`${data.length} numbers are not those of [${dims.join(", ")}].`);
  return { dims, data, float, ...(name !== undefined && { name }) };
}

export const stridesOf = (dims: readonly number[]): number[] => dims.map((_, i) => sizeOf(dims.slice(i + 1)));

/** An axis from the front. @throws Unsupported */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  return Number.isInteger(at) && at >= 0 && at < rank ? at : unsupported(`there is no axis ${axis} of ${rank}.`);
}

/** The common shape of two arrays that are stretched to each other. @throws Unsupported */
export function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [m, n] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    if (m === n || n === 1) return m;
    return m === 1 ? n : unsupported(`the shapes [${a.join(", ")}] and [${b.join(", ")}] do not fit together.`);
  });
}

/** The elements at offset + Σ index · stride, for every index of a shape. */
export function strided(
  from: Tensor["data"],
  dims: readonly number[],
  strides: readonly number[],
  offset = 0,
): Float64Array {
  const size = checkedSize(dims);
  const to = new Float64Array(size);
  const index = new Array<number>(dims.length).fill(0);
  let at = offset;
  for (let i = 0; i < size; i++) {
    to[i] = from[at];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
    }
  }
  return to;
}

/** The strides by which an array is stretched to a shape. */
export function stretching(from: readonly number[], to: readonly number[]): number[] {
  const own = stridesOf(from);
  return to.map((_, i) => {
    const j = i - to.length + from.length;
    return j < 0 || from[j] === 1 ? 0 : own[j];
  });
}

export function stretch(x: Tensor, dims: readonly number[]): Tensor {
  if (String(broadcast(x.dims, dims)) !== String(dims)) unsupported(`[${x.dims}] does not stretch to [${dims}].`);
  if (sizeOf(dims) === x.data.length) return { ...x, dims };
  return tensor(dims, strided(x.data, dims, stretching(x.dims, dims)), x.float);
}

export function permuted(x: Tensor, axes: readonly number[]): Tensor {
  const strides = stridesOf(x.dims);
  const dims = axes.map((axis) => x.dims[axis]);
  return tensor(
    dims,
    strided(
      x.data,
      dims,
      axes.map((axis) => strides[axis]),
    ),
    x.float,
    x.name,
  );
}
