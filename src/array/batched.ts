// Products and transposes of batches of matrices.

import { checkOptions, ShapeError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { scope } from "../kernels/memory.ts";
import { checkOut } from "./arguments.ts";
import { gatherStrided, isOptions, type OutOptions } from "./einsum.ts";
import { type ArrayLike, asArray, type NDArray, sameShape, shapeText, sizeOf } from "./ndarray.ts";
import { enter, resultPlace, takeResult } from "./operands.ts";

/**
 * Matrix products of a batch: [..., m, k] by [..., k, n] gives [..., m, n]. Leading axes are the batch and must agree;
 * two matrices are a batch of one.
 * @throws ShapeError showing both shapes
 */
export function batchedMatmul(a: ArrayLike, b: ArrayLike, options: OutOptions = {}): NDArray {
  checkOptions("batchedMatmul", options, ["out"]);
  const [left, right] = [asArray(a), asArray(b)];
  const batch = left.shape.slice(0, -2);
  if (left.rank < 2 || right.rank < 2 || !sameShape(batch, right.shape.slice(0, -2))) {
    throw new ShapeError(
      `batchedMatmul: expected [..., m, k] by [..., k, n] with equal leading axes, got ${shapeText(left.shape)} by ${shapeText(right.shape)}.`,
    );
  }
  const [m, k] = left.shape.slice(-2);
  const [inner, n] = right.shape.slice(-2);
  if (k !== inner) {
    throw new ShapeError(
      `batchedMatmul: ${shapeText(left.shape)} has ${k} columns, but ${shapeText(right.shape)} has ${inner} rows.`,
    );
  }
  return products("batchedMatmul", left, right, m, k, n, [...batch, m, n], options.out);
}

/** The products of matrices [m, k] and [k, n] that follow one another in two arrays. */
function products(
  where: string,
  left: NDArray,
  right: NDArray,
  m: number,
  k: number,
  n: number,
  shape: readonly number[],
  out: NDArray | undefined,
): NDArray {
  const dtype = left.dtype === right.dtype ? left.dtype : "float64";
  const size = sizeOf(shape);
  const batch = size / Math.max(m * n, 1);
  checkOut(where, out, shape, dtype);
  return scope(() => {
    const x = enter(dtype, left);
    const y = left === right ? x : enter(dtype, right);
    const z = resultPlace(out, size, dtype, [left, right]);
    kernelsFor(dtype).gemm(batch, m, n, k, x, m * k, k, 1, y, k * n, n, 1, z, m * n, n, 1, false);
    return takeResult(out, shape, dtype, z);
  });
}

/** The last two axes exchanged: [..., m, n] gives [..., n, m], as a copy. @throws ShapeError below two axes */
export function batchedTranspose(a: ArrayLike, options: OutOptions = {}): NDArray {
  checkOptions("batchedTranspose", options, ["out"]);
  const x = asArray(a);
  if (x.rank < 2)
    throw new ShapeError(`batchedTranspose: expected at least two axes, got shape ${shapeText(x.shape)}.`);
  const batch = x.shape.slice(0, -2);
  const [m, n] = x.shape.slice(-2);
  const shape = [...batch, n, m];
  checkOut("batchedTranspose", options.out, shape, x.dtype);
  return scope(() => {
    const from = enter(x.dtype, x);
    const to = resultPlace(options.out, x.size, x.dtype, [x]);
    gatherStrided(kernelsFor(x.dtype), [sizeOf(batch), n, m], [m * n, 1, n], from, to);
    return takeResult(options.out, shape, x.dtype, to);
  });
}

/**
 * Outer products of a batch of vectors: [..., n] with [..., m] gives [..., n, m], H[b, i, j] = a[b, i] c[b, j]. With one
 * array, of each vector with itself. Options come last.
 * @throws ShapeError showing both shapes
 */
export function batchedOuter(a: ArrayLike, options?: OutOptions): NDArray;
/** The outer products of two batches of vectors. */
export function batchedOuter(a: ArrayLike, b: ArrayLike | undefined, options?: OutOptions): NDArray;
export function batchedOuter(a: ArrayLike, second: ArrayLike | OutOptions = a, third: OutOptions = {}): NDArray {
  const [b, options] = isOptions(second) ? [a, second] : [second, third];
  checkOptions("batchedOuter", options, ["out"]);
  const left = asArray(a);
  const right = b === a ? left : asArray(b);
  const axis = left.rank - 1;
  const fits = axis >= 0 && right.rank === left.rank;
  if (!fits || !left.shape.every((length, i) => i === axis || length === right.shape[i])) {
    throw new ShapeError(
      `batchedOuter: expected [..., n] with [..., m] and equal leading axes, got ${shapeText(left.shape)} with ${shapeText(right.shape)}.`,
    );
  }
  const n = left.shape[axis];
  const m = right.shape[axis];
  return products("batchedOuter", left, right, n, 1, m, [...left.shape, m], options.out);
}
