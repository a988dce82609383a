/** y = x, n numbers of float32 */
export function widen(n: usize, x: usize, y: usize): void {
  const end = x + ((n & ~3) << 2);
  for (; x < end; x += 16, y += 32) {
    v128.store(y, f64x2.promote_low_f32x4(v128.load_zero<u64>(x)));
    v128.store(y, f64x2.promote_low_f32x4(v128.load_zero<u64>(x, 8)), 16);
  }
  for (let i: usize = n & 3; i > 0; i--, x += 4, y += 8) store<f64>(y, <f64>load<f32>(x));
}
