// f64x2 building blocks shared by the symmetric eigensolver. Pointers are byte addresses, lengths count doubles;
// relaxed builds contract a * b + c to one FMA.

// @ts-ignore: decorator
@inline
export function fma(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(a, b, c);
  return f64x2.add(c, f64x2.mul(a, b));
}

// @ts-ignore: decorator
@inline
export function sum(a: v128): f64 {
  return f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
}

export function dot(n: usize, x: usize, y: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  const end = x + ((n & ~7) << 3);
  for (; x < end; x += 64, y += 64) {
    s0 = fma(v128.load(x), v128.load(y), s0);
    s1 = fma(v128.load(x, 16), v128.load(y, 16), s1);
    s2 = fma(v128.load(x, 32), v128.load(y, 32), s2);
    s3 = fma(v128.load(x, 48), v128.load(y, 48), s3);
  }
  let s = sum(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3)));
  for (let i: usize = n & 7; i > 0; i--, x += 8, y += 8) s += load<f64>(x) * load<f64>(y);
  return s;
}

/** @internal y = alpha * x + beta * y */
export function combine(n: usize, alpha: f64, x: usize, beta: f64, y: usize): void {
  const a = f64x2.splat(alpha), b = f64x2.splat(beta);
  const end = x + ((n & ~1) << 3);
  for (; x < end; x += 16, y += 16) v128.store(y, fma(a, v128.load(x), f64x2.mul(b, v128.load(y))));
  if (n & 1) store<f64>(y, alpha * load<f64>(x) + beta * load<f64>(y));
}

/** @internal Plane rotation: x = c x + s y, y = c y - s x. */
export function rotate(n: usize, x: usize, y: usize, c: f64, s: f64): void {
  const cc = f64x2.splat(c), ss = f64x2.splat(s);
  const end = x + ((n & ~1) << 3);
  for (; x < end; x += 16, y += 16) {
    const p = v128.load(x), q = v128.load(y);
    v128.store(x, fma(ss, q, f64x2.mul(cc, p)));
    v128.store(y, f64x2.sub(f64x2.mul(cc, q), f64x2.mul(ss, p)));
  }
  if (n & 1) {
    const p = load<f64>(x), q = load<f64>(y);
    store<f64>(x, c * p + s * q);
    store<f64>(y, c * q - s * p);
  }
}
