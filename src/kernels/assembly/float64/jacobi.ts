// One-sided Jacobi rotations, which make rows orthogonal two by two (Demmel & Veselić 1992).
import { dot, fma, sum } from "../eigh/simd";

/**
 * Turns the p-th of `count` rows of n numbers with each one behind it until the two are orthogonal, and keeps their squared norms;
 * p = 0 begins a sweep and computes these. Returns 1 where a pair was turned: |x · y| > tolerance ‖x‖ ‖y‖.
 */
export function turnRow(n: usize, p: usize, count: usize, rows: usize, norms: usize, tolerance: f64): i32 {
  if (p == 0) {
    for (let j: usize = 0; j < count; j++) {
      const row = rows + ((j * n) << 3);
      store<f64>(norms + (j << 3), dot(n, row, row));
    }
  }
  let turned = 0;
  const x = rows + ((p * n) << 3);
  let left = load<f64>(norms + (p << 3));
  for (let q = p + 1; q < count; q++) {
    const y = rows + ((q * n) << 3);
    const right = load<f64>(norms + (q << 3));
    const product = dot(n, x, y);
    if (Math.abs(product) <= tolerance * Math.sqrt(left) * Math.sqrt(right)) continue;
    turned = 1;
    const zeta = (right - left) / (2 * product);
    const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
    const c = 1 / Math.sqrt(1 + t * t);
    left = turn(n, x, y, c, c * t, norms + (q << 3));
  }
  store<f64>(norms + (p << 3), left);
  return turned;
}

/** x = c x − s y and y = s x + c y: stores ‖y‖², returns ‖x‖². */
function turn(n: usize, x: usize, y: usize, c: f64, s: f64, norm: usize): f64 {
  const cc = f64x2.splat(c), ss = f64x2.splat(s);
  let left = f64x2.splat(0), right = left;
  const end = x + ((n & ~1) << 3);
  for (; x < end; x += 16, y += 16) {
    const p = v128.load(x), q = v128.load(y);
    const u = f64x2.sub(f64x2.mul(cc, p), f64x2.mul(ss, q));
    const v = fma(ss, p, f64x2.mul(cc, q));
    v128.store(x, u);
    v128.store(y, v);
    left = fma(u, u, left);
    right = fma(v, v, right);
  }
  let first = sum(left), second = sum(right);
  if (n & 1) {
    const p = load<f64>(x), q = load<f64>(y);
    const u = c * p - s * q, v = s * p + c * q;
    store<f64>(x, u);
    store<f64>(y, v);
    first += u * u;
    second += v * v;
  }
  store<f64>(norm, second);
  return first;
}
