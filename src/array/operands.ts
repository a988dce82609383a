// Where the kernels find operands and leave results: in their own memory where the caller's arrays are, else in copies.

import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  copyOutTo,
  copyTo,
  type DType,
  type Pointer,
} from "../kernels/memory.ts";
import { NDArray, sizeOf } from "./ndarray.ts";

/** Where an operand that is only read lies for the kernels: where it is if that is in their memory, else a copy. */
export function enter(dtype: DType, a: NDArray): Pointer {
  return a.place !== undefined && a.dtype === dtype ? a.place : copyIn(dtype, a.data);
}

/** Where a result is computed: in `out` itself if that is in the kernels' memory and no operand, else in new memory. */
export function resultPlace(
  out: NDArray | undefined,
  length: number,
  dtype: DType,
  operands: readonly NDArray[],
): Pointer {
  const place = out?.place;
  if (place === undefined) return allocateFloats(dtype, length);
  const end = place + length * bytesPerElement(dtype);
  for (const { place: start, dtype: type, size } of operands) {
    if (start === undefined || start + size * bytesPerElement(type) <= place || end <= start) continue;
    return allocateFloats(dtype, length);
  }
  return place;
}

/** A copy of an operand to work on in place: in `out` as `resultPlace` gives it, which may be the operand itself. */
export function workPlace(
  out: NDArray | undefined,
  source: NDArray,
  dtype: DType,
  operands: readonly NDArray[] = [],
): Pointer {
  const place = resultPlace(out, source.size, dtype, operands);
  if (source.place !== place) copyTo(dtype, place, source.data);
  return place;
}

/** A result in the kernels' memory, copied into `out` or, without it, into a new array that is never cleared first. */
export function takeResult(out: NDArray | undefined, shape: readonly number[], dtype: DType, from: Pointer): NDArray {
  if (out === undefined) return new NDArray(copyOut(dtype, from, sizeOf(shape)), shape);
  if (out.place !== from) copyOutTo(dtype, from, out.size, out.data, 0);
  return out;
}
