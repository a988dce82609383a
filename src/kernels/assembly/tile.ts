// The inner tile of every product: 4 rows by 2 vectors. Eight running sums and the operands fit into the registers that
// V8 has; wider tiles do not, unless it fuses pairs of vectors (see tile-wide.ts, which is compiled in its place).

import { multiplyAdd } from "./fused";

/** Rows of a tile, and bytes of one of its rows. */
export const ROWS: usize = 4;
export const ROW_BYTES: usize = 32;

/**
 * @internal C = α A B, or C += α A B, for one tile over k terms. A is packed: four elements for each term, `step` bytes apart;
 * rows of B are `rb` bytes apart. Row pointers of C may repeat: repeated rows hold the same values. Sums begin at -0,
 * which keeps the sign of a zero product.
 */
export function tile<T>(
  k: usize, a: usize, step: usize, b: usize, rb: usize, c0: usize, c1: usize, c2: usize, c3: usize, alpha: T, add: bool,
): void {
  let s00 = v128.splat<T>(<T>-0.0), s01 = s00, s10 = s00, s11 = s00, s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  const end = a + k * step;
  for (; a != end; a += step) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let x = v128.load_splat<T>(a);
    s00 = multiplyAdd<T>(x, b0, s00); s01 = multiplyAdd<T>(x, b1, s01);
    x = v128.load_splat<T>(a, sizeof<T>());
    s10 = multiplyAdd<T>(x, b0, s10); s11 = multiplyAdd<T>(x, b1, s11);
    x = v128.load_splat<T>(a, 2 * sizeof<T>());
    s20 = multiplyAdd<T>(x, b0, s20); s21 = multiplyAdd<T>(x, b1, s21);
    x = v128.load_splat<T>(a, 3 * sizeof<T>());
    s30 = multiplyAdd<T>(x, b0, s30); s31 = multiplyAdd<T>(x, b1, s31);
    b += rb;
  }
  const scale = v128.splat<T>(alpha);
  if (add) {
    s00 = multiplyAdd<T>(scale, s00, v128.load(c0)); s01 = multiplyAdd<T>(scale, s01, v128.load(c0, 16));
    s10 = multiplyAdd<T>(scale, s10, v128.load(c1)); s11 = multiplyAdd<T>(scale, s11, v128.load(c1, 16));
    s20 = multiplyAdd<T>(scale, s20, v128.load(c2)); s21 = multiplyAdd<T>(scale, s21, v128.load(c2, 16));
    s30 = multiplyAdd<T>(scale, s30, v128.load(c3)); s31 = multiplyAdd<T>(scale, s31, v128.load(c3, 16));
  } else {
    s00 = v128.mul<T>(scale, s00); s01 = v128.mul<T>(scale, s01);
    s10 = v128.mul<T>(scale, s10); s11 = v128.mul<T>(scale, s11);
    s20 = v128.mul<T>(scale, s20); s21 = v128.mul<T>(scale, s21);
    s30 = v128.mul<T>(scale, s30); s31 = v128.mul<T>(scale, s31);
  }
  v128.store(c0, s00); v128.store(c0, s01, 16);
  v128.store(c1, s10); v128.store(c1, s11, 16);
  v128.store(c2, s20); v128.store(c2, s21, 16);
  v128.store(c3, s30); v128.store(c3, s31, 16);
}
