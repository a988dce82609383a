// Packing: operands of a product rearranged so that the tile reads them in order.

import { ROW_BYTES, ROWS } from "./tile";

// @ts-ignore: decorator
@inline
function adjacent<T>(lines: usize, across: usize): bool {
  return lines == 4 && across == sizeof<T>();
}

/**
 * @internal Writes, for each of k terms, four elements: one from each of up to four lines that are `across` bytes apart. Terms are
 * `along` bytes apart where they are read and `step` bytes where they are written. Missing lines repeat the last one.
 */
// @ts-ignore: decorator
@inline
export function interleave<T>(lines: usize, k: usize, x: usize, across: usize, along: usize, to: usize, step: usize): void {
  let p: usize = 0;
  if (adjacent<T>(lines, across)) {
    for (; p < k; p++) {
      v128.store(to, v128.load(x));
      if (sizeof<T>() == 8) v128.store(to, v128.load(x, 16), 16);
      x += along;
      to += step;
    }
    return;
  }
  let x0 = x;
  let x1 = lines > 1 ? x0 + across : x0;
  let x2 = lines > 2 ? x1 + across : x1;
  let x3 = lines > 3 ? x2 + across : x2;
  if (along == sizeof<T>()) {
    // Lines lie along the terms: small blocks are transposed in registers.
    if (sizeof<T>() == 8) {
      for (; p + 2 <= k; p += 2) {
        const v0 = v128.load(x0), v1 = v128.load(x1), v2 = v128.load(x2), v3 = v128.load(x3);
        v128.store(to, v128.shuffle<f64>(v0, v1, 0, 2));
        v128.store(to, v128.shuffle<f64>(v2, v3, 0, 2), 16);
        v128.store(to + step, v128.shuffle<f64>(v0, v1, 1, 3));
        v128.store(to + step, v128.shuffle<f64>(v2, v3, 1, 3), 16);
        x0 += 16; x1 += 16; x2 += 16; x3 += 16;
        to += 2 * step;
      }
    } else {
      for (; p + 4 <= k; p += 4) {
        const v0 = v128.load(x0), v1 = v128.load(x1), v2 = v128.load(x2), v3 = v128.load(x3);
        const low01 = v128.shuffle<f32>(v0, v1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(v0, v1, 2, 6, 3, 7);
        const low23 = v128.shuffle<f32>(v2, v3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(v2, v3, 2, 6, 3, 7);
        v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
        v128.store(to + step, v128.shuffle<f64>(low01, low23, 1, 3));
        v128.store(to + 2 * step, v128.shuffle<f64>(high01, high23, 0, 2));
        v128.store(to + 3 * step, v128.shuffle<f64>(high01, high23, 1, 3));
        x0 += 16; x1 += 16; x2 += 16; x3 += 16;
        to += 4 * step;
      }
    }
  }
  for (; p < k; p++) {
    store<T>(to, load<T>(x0));
    store<T>(to, load<T>(x1), sizeof<T>());
    store<T>(to, load<T>(x2), 2 * sizeof<T>());
    store<T>(to, load<T>(x3), 3 * sizeof<T>());
    x0 += along; x1 += along; x2 += along; x3 += along;
    to += step;
  }
}

/** @internal Packs m rows of A: blocks of four rows, four elements for each term. Strides in bytes. */
export function packRows<T>(m: usize, k: usize, a: usize, ra: usize, ca: usize, to: usize): void {
  for (let i: usize = 0; i < m; i += ROWS) {
    interleave<T>(min<usize>(ROWS, m - i), k, a + i * ra, ra, ca, to, 4 * sizeof<T>());
    to += k * 4 * sizeof<T>();
  }
}

/** @internal Packs n columns of B: panels as wide as a tile, one of its rows for each term. Strides in bytes. */
export function packColumns<T>(k: usize, n: usize, b: usize, rb: usize, cb: usize, to: usize): void {
  const width: usize = ROW_BYTES / sizeof<T>();
  for (let j: usize = 0; j < n; j += width) {
    let from = b + j * cb;
    if (cb == sizeof<T>() && j + width <= n) {
      let into = to;
      for (let p: usize = 0; p < k; p++) {
        for (let q: usize = 0; q < ROW_BYTES; q += 16) v128.store(into + q, v128.load(from + q));
        from += rb;
        into += ROW_BYTES;
      }
    } else {
      for (let q: usize = 0; q < width; q += 4) {
        // Beyond the last column the last ones are repeated: what comes of them is not stored.
        const first = min<usize>(j + q, n - 1);
        interleave<T>(min<usize>(4, n - first), k, b + first * cb, cb, rb, to + q * sizeof<T>(), ROW_BYTES);
      }
    }
    to += k * ROW_BYTES;
  }
}
