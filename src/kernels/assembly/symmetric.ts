// Products and factorisations of symmetric matrices, of which the lower triangle is stored.

import { product } from "./gemm";
import { half, solve } from "./triangular";

const BASE: usize = 8;

/**
 * C = α A A', or C += α A A', for A of n rows and k columns with strides ra, ca. Only the lower triangle is computed;
 * with `mirror` the upper one is a copy of it, otherwise it holds nothing of use within a tile of the diagonal.
 */
export function syrk<T>(n: usize, k: usize, a: usize, ra: usize, ca: usize, c: usize, rc: usize, alpha: T, add: bool, mirror: bool): void {
  gemmt<T>(n, k, a, ra, ca, a, ca, ra, c, rc, alpha, add);
  if (mirror) mirrorLower<T>(n, c, rc * sizeof<T>());
}

/**
 * The lower triangle of C = α A B, or C += α A B, where the product is symmetric: A is n by k, B is k by n, strides as for
 * `gemm`. Above the diagonal nothing of use is left within a tile of it.
 */
export function gemmt<T>(
  n: usize, k: usize, a: usize, ra: usize, ca: usize, b: usize, rb: usize, cb: usize, c: usize, rc: usize,
  alpha: T, add: bool,
): void {
  const size = sizeof<T>();
  if (n == 0) return;
  if (k > 0) {
    product<T>(n, n, k, a, ra * size, ca * size, b, rb * size, cb * size, c, rc * size, alpha, add, true);
  } else if (!add) {
    for (let i: usize = 0; i < n; i++) memory.fill(c + i * rc * size, 0, (i + 1) * size);
  }
}

/** Copies the lower triangle of n rows onto the upper one; row stride rc. */
export function mirror<T>(n: usize, c: usize, rc: usize): void {
  mirrorLower<T>(n, c, rc * sizeof<T>());
}

/** In blocks that stay in the first cache. */
function mirrorLower<T>(n: usize, c: usize, rc: usize): void {
  const BLOCK: usize = 16;
  for (let i: usize = 0; i < n; i += BLOCK) {
    const rows = min<usize>(BLOCK, n - i);
    for (let j: usize = 0; j <= i; j += BLOCK) {
      const columns = min<usize>(BLOCK, n - j);
      for (let p: usize = 0; p < rows; p++) {
        const from = c + (i + p) * rc + j * sizeof<T>();
        let to = c + j * rc + (i + p) * sizeof<T>();
        const count = min<usize>(columns, i + p - j);
        for (let q: usize = 0; q < count; q++) {
          store<T>(to, load<T>(from + q * sizeof<T>()));
          to += rc;
        }
      }
    }
  }
}

/**
 * The lower Cholesky factor, in place, of a matrix whose lower triangle is given; row stride ra. The upper triangle is left
 * without use. Returns 0, or the position, from 1, of the first pivot that is not positive; the pivot is then in its place.
 */
export function cholesky<T>(n: usize, a: usize, ra: usize): usize {
  return factor<T>(n, a, ra * sizeof<T>());
}

function factor<T>(n: usize, a: usize, ra: usize): usize {
  if (n <= BASE) return factorBlock<T>(n, a, ra);
  const h = half(n);
  const below = a + h * ra;
  const rest = below + h * sizeof<T>();
  let failed = factor<T>(h, a, ra);
  if (failed != 0) return failed;
  solve<T>(h, n - h, a, ra, sizeof<T>(), below, sizeof<T>(), ra);
  product<T>(n - h, n - h, h, below, ra, sizeof<T>(), below, sizeof<T>(), ra, rest, ra, <T>-1, true, true);
  failed = factor<T>(n - h, rest, ra);
  return failed == 0 ? 0 : failed + h;
}

function factorBlock<T>(n: usize, a: usize, ra: usize): usize {
  for (let j: usize = 0; j < n; j++) {
    const row = a + j * ra;
    const pivot = row + j * sizeof<T>();
    let d = load<T>(pivot);
    for (let p: usize = 0; p < j; p++) {
      const x = load<T>(row + p * sizeof<T>());
      d -= x * x;
    }
    if (!(d > 0 && isFinite<T>(d))) {
      store<T>(pivot, d);
      return j + 1;
    }
    const root = sqrt<T>(d);
    store<T>(pivot, root);
    for (let i = j + 1; i < n; i++) {
      const other = a + i * ra;
      let x = load<T>(other + j * sizeof<T>());
      for (let p: usize = 0; p < j; p++) x -= load<T>(other + p * sizeof<T>()) * load<T>(row + p * sizeof<T>());
      store<T>(other + j * sizeof<T>(), x / root);
    }
  }
  return 0;
}
