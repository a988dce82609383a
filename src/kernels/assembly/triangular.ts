// Triangular solves with many right sides, in place. The triangle is halved recursively down to blocks whose packed copy
// stays in the second cache; everything else is a product. Within a block (after Goto & van de Geijn 2008, section 5) a
// panel of right sides passes through the first cache: four unknowns after the other, a tile takes away what is known
// already. Triangles and right sides are given by strides, so that transposes, reverses and the other side of the
// equation are the same solve: only forward substitution is written down.

import { multiplySubtract } from "./fused";
import { panelScratch, product, rowScratch } from "./gemm";
import { interleave, packColumns, packRows } from "./pack";
import { ROW_BYTES, ROWS, tile } from "./tile";

const LEAF: usize = 128;
const BASE: usize = 8;

/** About half of n, in whole blocks. */
// @ts-ignore: decorator
@inline
export function half(n: usize): usize {
  return ((n + 2 * BASE - 1) / (2 * BASE)) * BASE;
}

/**
 * Packs a triangle: for each four rows what is left of the diagonal, as a tile reads it, then a block of 4 by 4 with the
 * reciprocals of the diagonal, filled up by the identity.
 */
function packTriangle<T>(n: usize, l: usize, rl: usize, cl: usize, to: usize): void {
  for (let i: usize = 0; i < n; i += ROWS) {
    const rows = min<usize>(ROWS, n - i);
    const row = l + i * rl;
    packRows<T>(rows, i, row, rl, cl, to);
    to += i * 4 * sizeof<T>();
    for (let r: usize = 0; r < ROWS; r++) {
      const from = row + r * rl + i * cl;
      for (let c: usize = 0; c < r; c++) store<T>(to + c * sizeof<T>(), r < rows ? load<T>(from + c * cl) : <T>0);
      store<T>(to + r * sizeof<T>(), r < rows ? <T>1 / load<T>(from + r * cl) : <T>1);
      to += 4 * sizeof<T>();
    }
  }
}

/** Forward substitution on four rows of a panel, with a packed block of 4 by 4. */
function substitute<T>(x: usize, l: usize): void {
  for (let q: usize = 0; q < ROW_BYTES; q += 16) {
    const p = x + q;
    const x0 = v128.mul<T>(v128.load(p), v128.load_splat<T>(l));
    let x1 = multiplySubtract<T>(v128.load_splat<T>(l, 4 * sizeof<T>()), x0, v128.load(p, ROW_BYTES));
    let x2 = multiplySubtract<T>(v128.load_splat<T>(l, 8 * sizeof<T>()), x0, v128.load(p, 2 * ROW_BYTES));
    let x3 = multiplySubtract<T>(v128.load_splat<T>(l, 12 * sizeof<T>()), x0, v128.load(p, 3 * ROW_BYTES));
    x1 = v128.mul<T>(x1, v128.load_splat<T>(l, 5 * sizeof<T>()));
    x2 = multiplySubtract<T>(v128.load_splat<T>(l, 9 * sizeof<T>()), x1, x2);
    x3 = multiplySubtract<T>(v128.load_splat<T>(l, 13 * sizeof<T>()), x1, x3);
    x2 = v128.mul<T>(x2, v128.load_splat<T>(l, 10 * sizeof<T>()));
    x3 = multiplySubtract<T>(v128.load_splat<T>(l, 14 * sizeof<T>()), x2, x3);
    x3 = v128.mul<T>(x3, v128.load_splat<T>(l, 15 * sizeof<T>()));
    v128.store(p, x0);
    v128.store(p, x1, ROW_BYTES);
    v128.store(p, x2, 2 * ROW_BYTES);
    v128.store(p, x3, 3 * ROW_BYTES);
  }
}

/** Writes a solved panel back to n rows and `columns` columns, at most a tile's, of B. */
function unpack<T>(n: usize, columns: usize, x: usize, b: usize, rb: usize, cb: usize): void {
  const size = sizeof<T>();
  let i: usize = 0;
  if (cb == size && columns * size == ROW_BYTES) {
    for (; i < n; i++) {
      for (let q: usize = 0; q < ROW_BYTES; q += 16) v128.store(b + q, v128.load(x + q));
      x += ROW_BYTES;
      b += rb;
    }
    return;
  }
  if (rb == size) {
    for (; i + 4 <= n; i += 4) interleave<T>(4, columns, x + i * ROW_BYTES, ROW_BYTES, size, b + i * size, cb);
  }
  for (; i < n; i++) {
    for (let j: usize = 0; j < columns; j++) store<T>(b + i * rb + j * cb, load<T>(x + i * ROW_BYTES + j * size));
  }
}

/** L X = B for a triangle that fits into the scratch memory; strides in bytes. */
function solveLeaf<T>(n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize, cb: usize): void {
  const width: usize = ROW_BYTES / sizeof<T>();
  const triangle = rowScratch();
  const x = panelScratch();
  packTriangle<T>(n, l, rl, cl, triangle);
  for (let j: usize = 0; j < columns; j += width) {
    const valid = min<usize>(width, columns - j);
    packColumns<T>(n, valid, b, rb, cb, x);
    let from = triangle;
    for (let i: usize = 0; i < n; i += ROWS) {
      const rows = x + i * ROW_BYTES;
      tile<T>(
        i, from, 4 * sizeof<T>(), x, ROW_BYTES,
        rows, rows + ROW_BYTES, rows + 2 * ROW_BYTES, rows + 3 * ROW_BYTES, <T>-1, true,
      );
      from += i * 4 * sizeof<T>();
      substitute<T>(rows, from);
      from += 16 * sizeof<T>();
    }
    unpack<T>(n, valid, x, b, rb, cb);
    b += width * cb;
  }
}

/**
 * @internal L X = B, B overwritten by X; strides in bytes. One of B's strides is an element, or, of its rows, an element
 * backwards.
 */
export function solve<T>(n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize, cb: usize): void {
  if (n <= LEAF) {
    solveLeaf<T>(n, columns, l, rl, cl, b, rb, cb);
    return;
  }
  const size = sizeof<T>();
  const h = half(n);
  const m = n - h;
  const below = l + h * rl;
  const rest = b + h * rb;
  solve<T>(h, columns, l, rl, cl, b, rb, cb);
  if (cb == size) product<T>(m, columns, h, below, rl, cl, b, rb, cb, rest, rb, <T>-1, true, false);
  else if (rb == size) product<T>(columns, m, h, b, cb, rb, below, cl, rl, rest, cb, <T>-1, true, false);
  else product<T>(columns, m, h, b, cb, rb, below + (m - 1) * rl, cl, -rl, rest + (m - 1) * rb, cb, <T>-1, true, false);
  solve<T>(m, columns, below + h * cl, rl, cl, rest, rb, cb);
}

/**
 * L X = B for a lower triangle, B overwritten by X: n rows and `columns` columns. L[i, j] lies i rl + j cl elements from l,
 * B[i, j] lies i rb + j cb from b, and rb or cb is 1: with strides exchanged, L is read as the transpose of what is
 * stored, and X L' = B is solved.
 */
export function solveForward<T>(
  n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize, cb: usize,
): void {
  const size = sizeof<T>();
  solve<T>(n, columns, l, rl * size, cl * size, b, rb * size, cb * size);
}

/** U X = B for an upper triangle, alike: from the last row to the first. A triangle read backwards is a lower one. */
export function solveBackward<T>(
  n: usize, columns: usize, u: usize, ru: usize, cu: usize, b: usize, rb: usize, cb: usize,
): void {
  if (n == 0) return;
  const size = sizeof<T>();
  const last = (n - 1) * size;
  solve<T>(n, columns, u + last * (ru + cu), -ru * size, -cu * size, b + last * rb, -rb * size, cb * size);
}
