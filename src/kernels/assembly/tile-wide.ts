// tile.ts for runtimes that fuse pairs of 128-bit operations into 256-bit ones: 4 rows by 4 vectors. Without that fusion
// the sixteen sums do not fit into registers, and this is about half as fast. All loads of C come before all stores:
// the fusion does not cross side effects.

import { multiplyAdd } from "./fused";

/** Rows of a tile, and bytes of one of its rows. */
export const ROWS: usize = 4;
export const ROW_BYTES: usize = 64;

/**
 * @internal C = α A B, or C += α A B, for one tile over k terms. A is packed: four elements for each term, `step` bytes apart;
 * rows of B are `rb` bytes apart. Row pointers of C may repeat: repeated rows hold the same values. Sums begin at -0,
 * which keeps the sign of a zero product.
 */
export function tile<T>(
  k: usize, a: usize, step: usize, b: usize, rb: usize, c0: usize, c1: usize, c2: usize, c3: usize, alpha: T, add: bool,
): void {
  let s00 = v128.splat<T>(<T>-0.0), s01 = s00, s02 = s00, s03 = s00;
  let s10 = s00, s11 = s00, s12 = s00, s13 = s00;
  let s20 = s00, s21 = s00, s22 = s00, s23 = s00;
  let s30 = s00, s31 = s00, s32 = s00, s33 = s00;
  const end = a + k * step;
  for (; a != end; a += step) {
    const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
    let x = v128.load_splat<T>(a);
    s00 = multiplyAdd<T>(x, b0, s00); s01 = multiplyAdd<T>(x, b1, s01);
    s02 = multiplyAdd<T>(x, b2, s02); s03 = multiplyAdd<T>(x, b3, s03);
    x = v128.load_splat<T>(a, sizeof<T>());
    s10 = multiplyAdd<T>(x, b0, s10); s11 = multiplyAdd<T>(x, b1, s11);
    s12 = multiplyAdd<T>(x, b2, s12); s13 = multiplyAdd<T>(x, b3, s13);
    x = v128.load_splat<T>(a, 2 * sizeof<T>());
    s20 = multiplyAdd<T>(x, b0, s20); s21 = multiplyAdd<T>(x, b1, s21);
    s22 = multiplyAdd<T>(x, b2, s22); s23 = multiplyAdd<T>(x, b3, s23);
    x = v128.load_splat<T>(a, 3 * sizeof<T>());
    s30 = multiplyAdd<T>(x, b0, s30); s31 = multiplyAdd<T>(x, b1, s31);
    s32 = multiplyAdd<T>(x, b2, s32); s33 = multiplyAdd<T>(x, b3, s33);
    b += rb;
  }
  const scale = v128.splat<T>(alpha);
  if (add) {
    s00 = multiplyAdd<T>(scale, s00, v128.load(c0)); s01 = multiplyAdd<T>(scale, s01, v128.load(c0, 16));
    s02 = multiplyAdd<T>(scale, s02, v128.load(c0, 32)); s03 = multiplyAdd<T>(scale, s03, v128.load(c0, 48));
    s10 = multiplyAdd<T>(scale, s10, v128.load(c1)); s11 = multiplyAdd<T>(scale, s11, v128.load(c1, 16));
    s12 = multiplyAdd<T>(scale, s12, v128.load(c1, 32)); s13 = multiplyAdd<T>(scale, s13, v128.load(c1, 48));
    s20 = multiplyAdd<T>(scale, s20, v128.load(c2)); s21 = multiplyAdd<T>(scale, s21, v128.load(c2, 16));
    s22 = multiplyAdd<T>(scale, s22, v128.load(c2, 32)); s23 = multiplyAdd<T>(scale, s23, v128.load(c2, 48));
    s30 = multiplyAdd<T>(scale, s30, v128.load(c3)); s31 = multiplyAdd<T>(scale, s31, v128.load(c3, 16));
    s32 = multiplyAdd<T>(scale, s32, v128.load(c3, 32)); s33 = multiplyAdd<T>(scale, s33, v128.load(c3, 48));
  } else {
    s00 = v128.mul<T>(scale, s00); s01 = v128.mul<T>(scale, s01); s02 = v128.mul<T>(scale, s02); s03 = v128.mul<T>(scale, s03);
    s10 = v128.mul<T>(scale, s10); s11 = v128.mul<T>(scale, s11); s12 = v128.mul<T>(scale, s12); s13 = v128.mul<T>(scale, s13);
    s20 = v128.mul<T>(scale, s20); s21 = v128.mul<T>(scale, s21); s22 = v128.mul<T>(scale, s22); s23 = v128.mul<T>(scale, s23);
    s30 = v128.mul<T>(scale, s30); s31 = v128.mul<T>(scale, s31); s32 = v128.mul<T>(scale, s32); s33 = v128.mul<T>(scale, s33);
  }
  v128.store(c0, s00); v128.store(c0, s01, 16); v128.store(c0, s02, 32); v128.store(c0, s03, 48);
  v128.store(c1, s10); v128.store(c1, s11, 16); v128.store(c1, s12, 32); v128.store(c1, s13, 48);
  v128.store(c2, s20); v128.store(c2, s21, 16); v128.store(c2, s22, 32); v128.store(c2, s23, 48);
  v128.store(c3, s30); v128.store(c3, s31, 16); v128.store(c3, s32, 32); v128.store(c3, s33, 48);
}
