// Checks of arguments that are arrays, and of where results go.

import { OptionError, ShapeError, ValueError } from "../errors.ts";
import type { DType } from "../kernels/memory.ts";
import { indicesOf } from "./entries.ts";
import { NDArray, sameShape, shapeText, zeros } from "./ndarray.ts";

/** Checks a caller's `out` against the result's shape and type. @throws ShapeError */
export function checkOut(where: string, out: NDArray | undefined, shape: readonly number[], dtype: DType): void {
  if (out !== undefined && !(out instanceof NDArray)) {
    throw new OptionError(`${where}: out must be an NDArray, such as zeros([2, 3]) makes.`);
  }
  if (out === undefined || (sameShape(out.shape, shape) && out.dtype === dtype)) return;
  throw new ShapeError(
    `${where}: out is a ${out.dtype} array of shape ${shapeText(out.shape)}, but the result is ${dtype} of shape ${shapeText(shape)}.`,
  );
}

/** Where a result goes: the caller's `out` after a check, or a fresh array of zeros. */
export function resultArray(where: string, out: NDArray | undefined, shape: readonly number[], dtype: DType): NDArray {
  checkOut(where, out, shape, dtype);
  return out ?? zeros(shape, { dtype });
}

/**
 * An argument in the element type of what it is for.
 * @param known whether its own values were checked
 * @throws ValueError for values that are not finite in it
 */
export function inType(where: string, name: string, values: NDArray, dtype: DType, known = false): NDArray {
  if (!known) checkFinite(where, name, values);
  if (values.dtype === dtype) return values;
  const converted = values.as(dtype);
  // Beyond 3.4e38 a float64 number becomes infinite in float32.
  checkFinite(where, `${name} as ${dtype}`, converted);
  return converted;
}

/** @throws ValueError naming the first element that is NaN or infinite. */
export function checkFinite(where: string, name: string, { data, shape, size }: NDArray): void {
  // What is not finite times 0 is NaN; two at a time take half the time of one test after another.
  let sum = 0;
  for (let i = 0, j = size; i < j--; i++) sum += 0 * data[i] + 0 * data[j];
  if (sum === 0) return;
  const i = data.findIndex((x) => !Number.isFinite(x));
  const at = shapeText(indicesOf(shape, i));
  throw new ValueError(
    `${where}: ${name} has the value ${data[i]} at ${at}. Likely causes: a missing value, a division by zero, a logarithm of zero.`,
  );
}
