// Triangular solves with many right sides, in place. The triangle is halved recursively down to blocks of 8, which are
// substituted in registers; everything else is a product. A triangle is given by strides, so that its transpose and its
// reverse are triangles too: only forward substitution is written down.

import { multiplySubtract, SUBTRACT } from "./fused";
import { edgeScratch, product } from "./gemm";

const BASE: usize = 8;

/** About half of n, in whole blocks. */
// @ts-ignore: decorator
@inline
export function half(n: usize): usize {
  return ((n + 2 * BASE - 1) / (2 * BASE)) * BASE;
}

/** Copies a block of the triangle, with the reciprocals of its diagonal, padded to 8 by the identity. */
function packTriangle<T>(n: usize, l: usize, rl: usize, cl: usize, to: usize): void {
  for (let i: usize = 0; i < BASE; i++) {
    for (let j: usize = 0; j < i; j++) {
      store<T>(to + (BASE * i + j) * sizeof<T>(), i < n ? load<T>(l + i * rl + j * cl) : <T>0);
    }
    store<T>(to + (BASE * i + i) * sizeof<T>(), i < n ? <T>1 / load<T>(l + i * rl + i * cl) : <T>1);
  }
}

/** Forward substitution on 8 vectors that lie one after the other at x. */
function substitute<T>(x: usize, l: usize): void {
  let x0 = v128.load(x), x1 = v128.load(x, 16), x2 = v128.load(x, 32), x3 = v128.load(x, 48);
  let x4 = v128.load(x, 64), x5 = v128.load(x, 80), x6 = v128.load(x, 96), x7 = v128.load(x, 112);
  x0 = v128.mul<T>(x0, v128.load_splat<T>(l));
  x1 = multiplySubtract<T>(v128.load_splat<T>(l, 8 * sizeof<T>()), x0, x1);
  x2 = multiplySubtract<T>(v128.load_splat<T>(l, 16 * sizeof<T>()), x0, x2);
  x3 = multiplySubtract<T>(v128.load_splat<T>(l, 24 * sizeof<T>()), x0, x3);
  x4 = multiplySubtract<T>(v128.load_splat<T>(l, 32 * sizeof<T>()), x0, x4);
  x5 = multiplySubtract<T>(v128.load_splat<T>(l, 40 * sizeof<T>()), x0, x5);
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 48 * sizeof<T>()), x0, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 56 * sizeof<T>()), x0, x7);
  x1 = v128.mul<T>(x1, v128.load_splat<T>(l, 9 * sizeof<T>()));
  x2 = multiplySubtract<T>(v128.load_splat<T>(l, 17 * sizeof<T>()), x1, x2);
  x3 = multiplySubtract<T>(v128.load_splat<T>(l, 25 * sizeof<T>()), x1, x3);
  x4 = multiplySubtract<T>(v128.load_splat<T>(l, 33 * sizeof<T>()), x1, x4);
  x5 = multiplySubtract<T>(v128.load_splat<T>(l, 41 * sizeof<T>()), x1, x5);
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 49 * sizeof<T>()), x1, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 57 * sizeof<T>()), x1, x7);
  x2 = v128.mul<T>(x2, v128.load_splat<T>(l, 18 * sizeof<T>()));
  x3 = multiplySubtract<T>(v128.load_splat<T>(l, 26 * sizeof<T>()), x2, x3);
  x4 = multiplySubtract<T>(v128.load_splat<T>(l, 34 * sizeof<T>()), x2, x4);
  x5 = multiplySubtract<T>(v128.load_splat<T>(l, 42 * sizeof<T>()), x2, x5);
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 50 * sizeof<T>()), x2, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 58 * sizeof<T>()), x2, x7);
  x3 = v128.mul<T>(x3, v128.load_splat<T>(l, 27 * sizeof<T>()));
  x4 = multiplySubtract<T>(v128.load_splat<T>(l, 35 * sizeof<T>()), x3, x4);
  x5 = multiplySubtract<T>(v128.load_splat<T>(l, 43 * sizeof<T>()), x3, x5);
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 51 * sizeof<T>()), x3, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 59 * sizeof<T>()), x3, x7);
  x4 = v128.mul<T>(x4, v128.load_splat<T>(l, 36 * sizeof<T>()));
  x5 = multiplySubtract<T>(v128.load_splat<T>(l, 44 * sizeof<T>()), x4, x5);
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 52 * sizeof<T>()), x4, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 60 * sizeof<T>()), x4, x7);
  x5 = v128.mul<T>(x5, v128.load_splat<T>(l, 45 * sizeof<T>()));
  x6 = multiplySubtract<T>(v128.load_splat<T>(l, 53 * sizeof<T>()), x5, x6);
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 61 * sizeof<T>()), x5, x7);
  x6 = v128.mul<T>(x6, v128.load_splat<T>(l, 54 * sizeof<T>()));
  x7 = multiplySubtract<T>(v128.load_splat<T>(l, 62 * sizeof<T>()), x6, x7);
  x7 = v128.mul<T>(x7, v128.load_splat<T>(l, 63 * sizeof<T>()));
  v128.store(x, x0); v128.store(x, x1, 16); v128.store(x, x2, 32); v128.store(x, x3, 48);
  v128.store(x, x4, 64); v128.store(x, x5, 80); v128.store(x, x6, 96); v128.store(x, x7, 112);
}

/** L X = B for a block of at most 8 rows; strides in bytes. */
function leftBlock<T>(n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  const triangle = edgeScratch();
  const x = triangle + 512;
  packTriangle<T>(n, l, rl, cl, triangle);
  const bytes = columns * sizeof<T>();
  for (let q: usize = 0; q < bytes; q += 16) {
    const width = min<usize>(16, bytes - q);
    for (let i: usize = 0; i < n; i++) {
      if (width == 16) v128.store(x + 16 * i, v128.load(b + q + i * rb));
      else memory.copy(x + 16 * i, b + q + i * rb, width);
    }
    substitute<T>(x, triangle);
    for (let i: usize = 0; i < n; i++) {
      if (width == 16) v128.store(b + q + i * rb, v128.load(x + 16 * i));
      else memory.copy(b + q + i * rb, x + 16 * i, width);
    }
  }
}

/** X L' = B for a block of at most 8 columns; strides in bytes. A vector holds one column of two or four rows. */
function rightBlock<T>(rows: usize, n: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  const triangle = edgeScratch();
  const x = triangle + 512;
  packTriangle<T>(n, l, rl, cl, triangle);
  const lanes: usize = 16 / sizeof<T>();
  for (let r: usize = 0; r < rows; r += lanes) {
    const valid = min<usize>(lanes, rows - r);
    if (sizeof<T>() == 8 && valid == 2 && n == BASE) {
      for (let j: usize = 0; j < 64; j += 16) {
        const u = v128.load(b + j), v = v128.load(b + rb + j);
        v128.store(x + 2 * j, v128.shuffle<f64>(u, v, 0, 2));
        v128.store(x + 2 * j, v128.shuffle<f64>(u, v, 1, 3), 16);
      }
      substitute<T>(x, triangle);
      for (let j: usize = 0; j < 64; j += 16) {
        const u = v128.load(x + 2 * j), v = v128.load(x + 2 * j, 16);
        v128.store(b + j, v128.shuffle<f64>(u, v, 0, 2));
        v128.store(b + rb + j, v128.shuffle<f64>(u, v, 1, 3));
      }
    } else {
      for (let i: usize = 0; i < valid; i++) {
        for (let j: usize = 0; j < n; j++) {
          store<T>(x + 16 * j + i * sizeof<T>(), load<T>(b + i * rb + j * sizeof<T>()));
        }
      }
      substitute<T>(x, triangle);
      for (let i: usize = 0; i < valid; i++) {
        for (let j: usize = 0; j < n; j++) {
          store<T>(b + i * rb + j * sizeof<T>(), load<T>(x + 16 * j + i * sizeof<T>()));
        }
      }
    }
    b += lanes * rb;
  }
}

/**
 * L X = B, B overwritten by X: n by `columns`, row stride rb, unit column stride. L[i, j] lies i rl + j cl elements from l;
 * with rl and cl exchanged this reads L as the transpose of what is stored.
 */
export function solveForward<T>(n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  forward<T>(n, columns, l, rl * sizeof<T>(), cl * sizeof<T>(), b, rb * sizeof<T>());
}

function forward<T>(n: usize, columns: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  if (n <= BASE) {
    leftBlock<T>(n, columns, l, rl, cl, b, rb);
    return;
  }
  const h = half(n);
  const below = l + h * rl;
  const rest = b + h * rb;
  forward<T>(h, columns, l, rl, cl, b, rb);
  product<T>(n - h, columns, h, below, rl, cl, b, rb, sizeof<T>(), rest, rb, SUBTRACT, false);
  forward<T>(n - h, columns, below + h * cl, rl, cl, rest, rb);
}

/**
 * U X = B for an upper triangle, alike: from the last row to the first. A triangle read backwards is a lower one, but the
 * rows of B would have to be read backwards too, so the recursion is written down for this order.
 */
export function solveBackward<T>(n: usize, columns: usize, u: usize, ru: usize, cu: usize, b: usize, rb: usize): void {
  backward<T>(n, columns, u, ru * sizeof<T>(), cu * sizeof<T>(), b, rb * sizeof<T>());
}

function backward<T>(n: usize, columns: usize, u: usize, ru: usize, cu: usize, b: usize, rb: usize): void {
  if (n <= BASE) {
    // Strides below zero turn the block around.
    leftBlock<T>(n, columns, u + (n - 1) * (ru + cu), -ru, -cu, b + (n - 1) * rb, -rb);
    return;
  }
  const h = half(n);
  const right = u + h * cu;
  const rest = b + h * rb;
  backward<T>(n - h, columns, right + h * ru, ru, cu, rest, rb);
  product<T>(h, columns, n - h, right, ru, cu, rest, rb, sizeof<T>(), b, rb, SUBTRACT, false);
  backward<T>(h, columns, u, ru, cu, b, rb);
}

/** X L' = B, B overwritten by X: `rows` by n, row stride rb, unit column stride. L as for `solveForward`. */
export function solveRight<T>(rows: usize, n: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  right<T>(rows, n, l, rl * sizeof<T>(), cl * sizeof<T>(), b, rb * sizeof<T>());
}

/** @internal As `solveRight`, with strides in bytes. */
export function right<T>(rows: usize, n: usize, l: usize, rl: usize, cl: usize, b: usize, rb: usize): void {
  if (n <= BASE) {
    rightBlock<T>(rows, n, l, rl, cl, b, rb);
    return;
  }
  const h = half(n);
  const below = l + h * rl;
  const rest = b + h * sizeof<T>();
  right<T>(rows, h, l, rl, cl, b, rb);
  product<T>(rows, n - h, h, b, rb, sizeof<T>(), below, cl, rl, rest, rb, SUBTRACT, false);
  right<T>(rows, n - h, below + h * cl, rl, cl, rest, rb);
}

/** X U' = B for an upper triangle, alike, from the last column to the first: U[i, j] lies i ru + j cu elements from u. */
export function solveRightBackward<T>(
  rows: usize, n: usize, u: usize, ru: usize, cu: usize, b: usize, rb: usize,
): void {
  rightBackward<T>(rows, n, u, ru * sizeof<T>(), cu * sizeof<T>(), b, rb * sizeof<T>());
}

function rightBackward<T>(rows: usize, n: usize, u: usize, ru: usize, cu: usize, b: usize, rb: usize): void {
  const size = sizeof<T>();
  if (n <= BASE) {
    // The block turned around is a lower triangle, and so are its columns in B.
    const triangle = edgeScratch();
    const x = triangle + 512;
    packTriangle<T>(n, u + (n - 1) * (ru + cu), -ru, -cu, triangle);
    const lanes: usize = 16 / size;
    for (let r: usize = 0; r < rows; r += lanes) {
      const valid = min<usize>(lanes, rows - r);
      for (let i: usize = 0; i < valid; i++) {
        for (let j: usize = 0; j < n; j++) store<T>(x + 16 * j + i * size, load<T>(b + i * rb + (n - 1 - j) * size));
      }
      substitute<T>(x, triangle);
      for (let i: usize = 0; i < valid; i++) {
        for (let j: usize = 0; j < n; j++) store<T>(b + i * rb + (n - 1 - j) * size, load<T>(x + 16 * j + i * size));
      }
      b += lanes * rb;
    }
    return;
  }
  const h = half(n);
  const beside = u + h * cu;
  const rest = b + h * size;
  rightBackward<T>(rows, n - h, beside + h * ru, ru, cu, rest, rb);
  product<T>(rows, h, n - h, rest, rb, size, beside, cu, ru, b, rb, SUBTRACT, false);
  rightBackward<T>(rows, h, u, ru, cu, b, rb);
}
