// Moving and reducing arrays: strided copies, sums over an axis, dot products.

import { edgeScratch } from "./gemm";

/**
 * Copies an array of any rank, read through strides (in elements), to rows without gaps, or adds it to them. `shape` and
 * `strides` point to `rank` 32-bit integers each; `counter` to `rank` more for the odometer.
 */
export function gather<T>(
  rank: usize, shape: usize, strides: usize, counter: usize, x: usize, y: usize, accumulate: bool,
): void {
  let total: usize = 1;
  for (let d: usize = 0; d < rank; d++) {
    total *= load<u32>(shape + 4 * d);
    store<u32>(counter + 4 * d, 0);
  }
  if (total == 0) return;
  const length: usize = rank == 0 ? 1 : load<u32>(shape + 4 * (rank - 1));
  const step: usize = rank == 0 ? 1 : load<u32>(strides + 4 * (rank - 1));
  const outer: i32 = <i32>rank - 2;
  for (let done: usize = 0; done < total; done += length) {
    if (step == 1) {
      if (accumulate) addTo<T>(length * sizeof<T>(), x, y);
      else memory.copy(y, x, length * sizeof<T>());
      y += length * sizeof<T>();
    } else {
      let p = x;
      for (let i: usize = 0; i < length; i++) {
        store<T>(y, accumulate ? load<T>(y) + load<T>(p) : load<T>(p));
        y += sizeof<T>();
        p += step * sizeof<T>();
      }
    }
    for (let d = outer; d >= 0; d--) {
      const at = 4 * <usize>d;
      const stride = load<u32>(strides + at) * sizeof<T>();
      const next = load<u32>(counter + at) + 1;
      if (next < load<u32>(shape + at)) {
        store<u32>(counter + at, next);
        x += stride;
        break;
      }
      store<u32>(counter + at, 0);
      x -= stride * (next - 1);
    }
  }
}

export const BLOCK: usize = 256; // terms that are added before they join the rest: a running sum of many loses digits

/** y = sum of n rows of x (or +=), in strips of columns and blocks of rows. */
function sumRows<T>(n: usize, bytes: usize, x: usize, y: usize, accumulate: bool): void {
  const block = edgeScratch();
  if (!accumulate) memory.fill(y, 0, bytes);
  for (let strip: usize = 0; strip < bytes; strip += 1024) {
    const width = min<usize>(1024, bytes - strip);
    for (let first: usize = 0; first < n; first += BLOCK) {
      const last = min<usize>(first + BLOCK, n);
      const to = first == 0 && last == n ? y + strip : block;
      if (to == block) memory.fill(block, 0, width);
      for (let j = first; j < last; j++) addTo<T>(width, x + j * bytes + strip, to);
      if (to == block) addTo<T>(width, block, y + strip);
    }
  }
}

/** y += x */
// @ts-ignore: decorator
@inline
function addTo<T>(bytes: usize, x: usize, y: usize): void {
  const vectors = bytes & ~15;
  let i: usize = 0;
  for (; i < vectors; i += 16) v128.store(y + i, v128.add<T>(v128.load(y + i), v128.load(x + i)));
  for (; i < bytes; i += sizeof<T>()) store<T>(y + i, load<T>(y + i) + load<T>(x + i));
}

/** y[o, :] = sum over j of x[o, j, :] (or +=); x is outer by n by inner, rows of y are `rowStride` elements apart. */
export function sumAxis<T>(
  outer: usize, n: usize, inner: usize, x: usize, y: usize, rowStride: usize, accumulate: bool,
): void {
  const bytes = inner * sizeof<T>();
  for (let o: usize = 0; o < outer; o++) {
    if (inner == 1) {
      const span = n * sizeof<T>();
      let total: f64 = 0;
      let i: usize = 0;
      while (i + 16 <= span) {
        let sum = v128.splat<T>(<T>0);
        const end = min<usize>(i + 16 * BLOCK, span & ~15);
        for (; i < end; i += 16) sum = v128.add<T>(sum, v128.load(x + i));
        total += lanesSum<T>(sum);
      }
      for (; i < span; i += sizeof<T>()) total += <f64>load<T>(x + i);
      store<T>(y, <T>(accumulate ? <f64>load<T>(y) + total : total));
    } else {
      sumRows<T>(n, bytes, x, y, accumulate);
    }
    x += n * bytes;
    y += rowStride * sizeof<T>();
  }
}

// @ts-ignore: decorator
@inline
export function lanesSum<T>(v: v128): f64 {
  if (sizeof<T>() == 8) return v128.extract_lane<f64>(v, 0) + v128.extract_lane<f64>(v, 1);
  return (
    <f64>v128.extract_lane<f32>(v, 0) + <f64>v128.extract_lane<f32>(v, 1) +
    (<f64>v128.extract_lane<f32>(v, 2) + <f64>v128.extract_lane<f32>(v, 3))
  );
}

/** Rows between two arrays with gaps: y[r, :] = x[r, :] (or +=) for rows of n; strides in elements. */
export function copyRows<T>(
  rows: usize, n: usize, x: usize, xStride: usize, y: usize, yStride: usize, accumulate: bool,
): void {
  const bytes = n * sizeof<T>();
  for (let r: usize = 0; r < rows; r++) {
    if (accumulate) addTo<T>(bytes, x, y);
    else memory.copy(y, x, bytes);
    x += xStride * sizeof<T>();
    y += yStride * sizeof<T>();
  }
}

/** y[r, :] = w[r] x[r, :] for rows of n; the factors are `step` elements apart. */
export function scaleRows<T>(rows: usize, n: usize, x: usize, w: usize, step: usize, y: usize): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let r: usize = 0; r < rows; r++) {
    const factor = v128.load_splat<T>(w);
    let i: usize = 0;
    for (; i < vectors; i += 16) v128.store(y + i, v128.mul<T>(factor, v128.load(x + i)));
    for (; i < bytes; i += sizeof<T>()) store<T>(y + i, load<T>(w) * load<T>(x + i));
    x += bytes;
    y += bytes;
    w += step * sizeof<T>();
  }
}

/** y = value */
export function fill<T>(n: usize, value: f64, y: usize): void {
  const v = <T>value;
  const all = v128.splat<T>(v);
  const bytes = n * sizeof<T>();
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) v128.store(y + i, all);
  for (; i < bytes; i += sizeof<T>()) store<T>(y + i, v);
}

/** The sum of x * y over a row. @internal */
export function rowProduct<T>(bytes: usize, x: usize, y: usize): f64 {
  const vectors = bytes & ~15;
  let total: f64 = 0;
  let i: usize = 0;
  while (i < vectors) {
    let sum = v128.splat<T>(<T>0);
    const end = min<usize>(i + 16 * BLOCK, vectors);
    for (; i < end; i += 16) sum = v128.add<T>(sum, v128.mul<T>(v128.load(x + i), v128.load(y + i)));
    total += lanesSum<T>(sum);
  }
  for (; i < bytes; i += sizeof<T>()) total += <f64>load<T>(x + i) * <f64>load<T>(y + i);
  return total;
}

/** out[r] = sum of x[r, :] * y[r, :] (or +=) */
export function dotRows<T>(rows: usize, n: usize, x: usize, y: usize, out: usize, accumulate: bool): void {
  const bytes = n * sizeof<T>();
  for (let r: usize = 0; r < rows; r++) {
    const total = rowProduct<T>(bytes, x, y);
    store<T>(out, <T>(accumulate ? <f64>load<T>(out) + total : total));
    x += bytes;
    y += bytes;
    out += sizeof<T>();
  }
}

/** 1 if every element is finite. */
export function allFinite<T>(n: usize, x: usize): i32 {
  // Zero times a finite number is zero, times any other NaN, which stays in the sum.
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  const zero = v128.splat<T>(<T>0);
  // Two sums, which do not wait for each other.
  let sum = zero, other = zero;
  let i: usize = 0;
  for (; i + 32 <= vectors; i += 32) {
    sum = v128.add<T>(sum, v128.mul<T>(zero, v128.load(x + i)));
    other = v128.add<T>(other, v128.mul<T>(zero, v128.load(x + i, 16)));
  }
  sum = v128.add<T>(sum, other);
  for (; i < vectors; i += 16) sum = v128.add<T>(sum, v128.mul<T>(zero, v128.load(x + i)));
  let total = lanesSum<T>(sum);
  for (; i < bytes; i += sizeof<T>()) total += 0 * <f64>load<T>(x + i);
  return total == 0 ? 1 : 0;
}

/** y += the sum over rows of x[r, :]², for rows of n. */
export function addSquares<T>(rows: usize, n: usize, x: usize, y: usize): void {
  const bytes = n * sizeof<T>();
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    let s0 = v128.splat<T>(<T>0), s1 = s0;
    for (let r: usize = 0, p = x + i; r < rows; r++, p += bytes) {
      const v0 = v128.load(p), v1 = v128.load(p, 16);
      s0 = v128.add<T>(s0, v128.mul<T>(v0, v0));
      s1 = v128.add<T>(s1, v128.mul<T>(v1, v1));
    }
    v128.store(y + i, v128.add<T>(v128.load(y + i), s0));
    v128.store(y + i, v128.add<T>(v128.load(y + i, 16), s1), 16);
  }
  for (; i < bytes; i += sizeof<T>()) {
    let sum: T = 0;
    for (let r: usize = 0, p = x + i; r < rows; r++, p += bytes) sum += load<T>(p) * load<T>(p);
    store<T>(y + i, load<T>(y + i) + sum);
  }
}

/** Rows of n zeros with a one at x[r], a whole number below n. */
export function oneHot<T>(rows: usize, n: usize, x: usize, y: usize): void {
  memory.fill(y, 0, rows * n * sizeof<T>());
  for (let r: usize = 0; r < rows; r++) {
    store<T>(y + (r * n + <usize>load<T>(x + r * sizeof<T>())) * sizeof<T>(), <T>1);
  }
}
