// Rows with mean 0 and mean square 1, as normalising layers have them, and softmax over some entries of rows.

import { BLOCK, lanesSum, rowProduct } from "./arrays";
import { edgeScratch } from "./gemm";
import { expOf } from "./math";

/** The sum of x - shift over a row, or of its squares. Blocks bound what a running sum loses. */
function rowSum<T>(bytes: usize, x: usize, shift: T, squares: bool): f64 {
  const vectors = bytes & ~15;
  const s = v128.splat<T>(shift);
  let total: f64 = 0;
  let i: usize = 0;
  while (i < vectors) {
    let sum = v128.splat<T>(<T>0);
    const end = min<usize>(i + 16 * BLOCK, vectors);
    for (; i < end; i += 16) {
      const v = v128.sub<T>(v128.load(x + i), s);
      sum = v128.add<T>(sum, squares ? v128.mul<T>(v, v) : v);
    }
    total += lanesSum<T>(sum);
  }
  for (; i < bytes; i += sizeof<T>()) {
    const v = <f64>(load<T>(x + i) - shift);
    total += squares ? v * v : v;
  }
  return total;
}

/** The mean of a row where it is to be taken off, else 0. */
// @ts-ignore: decorator
@inline
function meanOf<T>(n: usize, x: usize, centred: bool): T {
  return centred ? <T>(rowSum<T>(n * sizeof<T>(), x, 0, false) / <f64>n) : <T>0;
}

/** 1 / sqrt(mean((x - mean)^2) + epsilon) */
// @ts-ignore: decorator
@inline
function factorOf<T>(n: usize, x: usize, mean: T, epsilon: f64): T {
  return <T>(1 / Math.sqrt(rowSum<T>(n * sizeof<T>(), x, mean, true) / <f64>n + epsilon));
}

/** Each of `rows` rows: y = (x - mean) / sqrt(mean((x - mean)^2) + epsilon), without the mean unless `centred`. */
export function normalise<T>(rows: usize, n: usize, x: usize, y: usize, centred: bool, epsilon: f64): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let r: usize = 0; r < rows; r++) {
    const mean = meanOf<T>(n, x, centred);
    const factor = factorOf<T>(n, x, mean, epsilon);
    const m = v128.splat<T>(mean);
    const f = v128.splat<T>(factor);
    let i: usize = 0;
    for (; i < vectors; i += 16) v128.store(y + i, v128.mul<T>(v128.sub<T>(v128.load(x + i), m), f));
    for (; i < bytes; i += sizeof<T>()) store<T>(y + i, (load<T>(x + i) - mean) * factor);
    x += bytes;
    y += bytes;
  }
}

/**
 * For each slab of `rows` rows of d: out = factor (d - mean(d) - y mean(y d)) (or +=), the product with the symmetric
 * Jacobian of `normalise` at x, whose value is y; mean(d) only if `centred`.
 */
export function normaliseJacobian<T>(
  slabs: usize, rows: usize, n: usize, x: usize, y: usize, d: usize, out: usize, centred: bool, epsilon: f64,
  accumulate: bool,
): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  const slab = rows * bytes;
  for (let r: usize = 0; r < rows; r++) {
    const factor = factorOf<T>(n, x, meanOf<T>(n, x, centred), epsilon);
    const f = v128.splat<T>(factor);
    let from = d, to = out;
    for (let s: usize = 0; s < slabs; s++) {
      const mean = meanOf<T>(n, from, centred);
      const along = <T>(rowProduct<T>(bytes, y, from) / <f64>n);
      const m = v128.splat<T>(mean);
      const a = v128.splat<T>(along);
      let i: usize = 0;
      for (; i < vectors; i += 16) {
        const rest = v128.sub<T>(v128.sub<T>(v128.load(from + i), m), v128.mul<T>(a, v128.load(y + i)));
        let v = v128.mul<T>(f, rest);
        if (accumulate) v = v128.add<T>(v128.load(to + i), v);
        v128.store(to + i, v);
      }
      for (; i < bytes; i += sizeof<T>()) {
        const v = factor * (load<T>(from + i) - mean - along * load<T>(y + i));
        store<T>(to + i, accumulate ? load<T>(to + i) + v : v);
      }
      from += slab;
      to += slab;
    }
    x += bytes;
    y += bytes;
    d += bytes;
    out += bytes;
  }
}

/** y = e^(x - shift) */
function expRow<T>(bytes: usize, x: usize, shift: T, y: usize): void {
  const vectors = bytes & ~15;
  const s = v128.splat<T>(shift);
  for (let i: usize = 0; i < vectors; i += 16) v128.store(y + i, expOf<T>(v128.sub<T>(v128.load(x + i), s)));
  for (let i = vectors; i < bytes; i += sizeof<T>()) {
    v128.store(edgeScratch(), expOf<T>(v128.splat<T>(load<T>(x + i) - shift)));
    store<T>(y + i, load<T>(edgeScratch()));
  }
}

/** y = y / divisor */
function divideRow<T>(bytes: usize, y: usize, divisor: T): void {
  const vectors = bytes & ~15;
  const d = v128.splat<T>(divisor);
  let i: usize = 0;
  for (; i < vectors; i += 16) v128.store(y + i, v128.div<T>(v128.load(y + i), d));
  for (; i < bytes; i += sizeof<T>()) store<T>(y + i, load<T>(y + i) / divisor);
}

/**
 * y = softmax(x) over the entries of a row that are seen, and 0 elsewhere, for `batch` times `rows` rows of n. `keep`
 * holds a row for each batch item, in which 0 hides an entry (0 itself: nothing is hidden). With `queries` above 0, row q
 * of every `queries` rows sees its first q + 1 entries only. A row that sees nothing is all 0.
 */
export function maskedSoftmax<T>(
  batch: usize, rows: usize, n: usize, queries: usize, x: usize, keep: usize, y: usize,
): void {
  const bytes = n * sizeof<T>();
  for (let b: usize = 0; b < batch; b++) {
    for (let r: usize = 0; r < rows; r++) {
      const seen = queries > 0 ? min<usize>(bytes, (r % queries + 1) * sizeof<T>()) : bytes;
      let any = false;
      let maximum: T = 0;
      for (let i: usize = 0; i < seen; i += sizeof<T>()) {
        if (keep != 0 && load<T>(keep + i) == 0) continue;
        const v = load<T>(x + i);
        if (!any || v > maximum) maximum = v;
        any = true;
      }
      memory.fill(y, 0, bytes);
      if (any) {
        expRow<T>(seen, x, maximum, y);
        if (keep != 0) {
          for (let i: usize = 0; i < seen; i += sizeof<T>()) if (load<T>(keep + i) == 0) store<T>(y + i, 0);
        }
        divideRow<T>(seen, y, <T>rowSum<T>(seen, y, 0, false));
      }
      x += bytes;
      y += bytes;
    }
    if (keep != 0) keep += bytes;
  }
}
