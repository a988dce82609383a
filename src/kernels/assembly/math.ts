// Elementary functions on two doubles at a time. Every one is computed in float64, also for float32 arrays.
//
// exp and expm1: x = k ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite, 1980), Taylor series of expm1(r) to r^13.
// log1p: 2 atanh(u / (2 + u)) by its series, for 0 <= u <= 1. No table is copied from another library.

// @ts-ignore: decorator
@inline
function constant(x: f64): v128 {
  return f64x2.splat(x);
}

/** k = x / ln 2 rounded to the nearest integer. */
// @ts-ignore: decorator
@inline
function exponent(x: v128): v128 {
  return f64x2.nearest(f64x2.mul(x, constant(1.4426950408889634)));
}

/** expm1 of x - k ln 2. */
function expm1Reduced(x: v128, k: v128): v128 {
  // ln 2 in two parts; the first has 33 significant bits, so that k times it is exact.
  let r = f64x2.sub(x, f64x2.mul(k, constant(6.93147180369123816490e-1)));
  r = f64x2.sub(r, f64x2.mul(k, constant(1.90821492927058770002e-10)));
  let p = constant(1.0 / 6227020800.0);
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 479001600.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 39916800.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 3628800.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 362880.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 40320.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 5040.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 720.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 120.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 24.0));
  p = f64x2.add(f64x2.mul(p, r), constant(1.0 / 6.0));
  p = f64x2.add(f64x2.mul(p, r), constant(0.5));
  return f64x2.add(r, f64x2.mul(f64x2.mul(r, r), p));
}

/** 2^k for integer k in [-1022, 1023]: k and the bias are moved into the exponent bits. */
// @ts-ignore: decorator
@inline
function power2(k: v128): v128 {
  // Adding 1.5 * 2^52 leaves the integer in the low bits of the sum.
  return i64x2.shl(f64x2.add(k, constant(6755399441055744.0 + 1023.0)), 52);
}

export function exp(x: v128): v128 {
  // Beyond these bounds the result is 0 or infinity already; NaN passes through min and max.
  const bounded = f64x2.max(f64x2.min(x, constant(710.0)), constant(-746.0));
  const k = exponent(bounded);
  const q = expm1Reduced(bounded, k);
  // 2^k in two factors, because k reaches 1024 and -1076.
  const half = f64x2.floor(f64x2.mul(k, constant(0.5)));
  const scaled = f64x2.mul(f64x2.add(constant(1.0), q), power2(half));
  return f64x2.mul(scaled, power2(f64x2.sub(k, half)));
}

/** exp(x) - 1 without cancellation, for |x| <= 700. */
export function expm1(x: v128): v128 {
  const k = exponent(x);
  const q = expm1Reduced(x, k);
  const s = power2(k);
  return f64x2.add(f64x2.mul(s, q), f64x2.sub(s, constant(1.0)));
}

export function sigmoid(x: v128): v128 {
  // e^x / (1 + e^x) on the left, where e^-x would overflow before the result vanishes.
  const e = exp(f64x2.neg(f64x2.abs(x)));
  const above = v128.bitselect(constant(1.0), e, f64x2.ge(x, constant(0.0)));
  return f64x2.div(above, f64x2.add(constant(1.0), e));
}

export function tanh(x: v128): v128 {
  // tanh |x| = e / (e + 2) with e = expm1(2|x|); it is 1 to the last bit beyond 20.
  const magnitude = f64x2.min(f64x2.abs(x), constant(20.0));
  const e = expm1(f64x2.add(magnitude, magnitude));
  const t = f64x2.div(e, f64x2.add(e, constant(2.0)));
  const sign = v128.and(x, i64x2.splat(0x8000000000000000));
  return v128.or(t, sign);
}

/** log(1 + u) for 0 <= u <= 1. */
// @ts-ignore: decorator
@inline
function log1pUnit(u: v128): v128 {
  const t = f64x2.div(u, f64x2.add(constant(2.0), u));
  const t2 = f64x2.mul(t, t);
  let p = constant(1.0 / 33.0);
  for (let d: f64 = 31.0; d >= 3.0; d -= 2.0) p = f64x2.add(f64x2.mul(p, t2), constant(1.0 / d));
  const tail = f64x2.mul(f64x2.mul(t, t2), p);
  return f64x2.mul(constant(2.0), f64x2.add(t, tail));
}

/** log(1 + e^-|x|), the part of softplus that does not cancel against anything. */
export function softplusTail(x: v128): v128 {
  return log1pUnit(exp(f64x2.neg(f64x2.abs(x))));
}

/** log(1 + e^x) */
export function softplus(x: v128): v128 {
  return f64x2.add(f64x2.max(x, constant(0.0)), softplusTail(x));
}

/**
 * The standard normal distribution function. Below |x| = 2.8 the series 7.1.6 of Abramowitz & Stegun (all terms
 * positive), beyond it the continued fraction 7.1.14, evaluated from its 60th term.
 */
export function normalCdf(x: f64): f64 {
  const z = Math.abs(x) * 0.7071067811865476;
  const gauss = Math.exp(-z * z) * 0.5641895835477563; // e^(-z^2) / sqrt(pi)
  if (z < 2.0) {
    let term = z;
    let sum = z;
    for (let n: f64 = 1.0; n < 80.0; n += 1.0) {
      term *= (2.0 * z * z) / (2.0 * n + 1.0);
      const next = sum + term;
      if (next == sum) break;
      sum = next;
    }
    const half = gauss * sum; // erf(z) / 2
    return x < 0.0 ? 0.5 - half : 0.5 + half;
  }
  if (!(z < 28.0)) return z != z ? z : x < 0.0 ? 0.0 : 1.0;
  let fraction = z;
  for (let n: f64 = 60.0; n >= 1.0; n -= 1.0) fraction = z + (0.5 * n) / fraction;
  const tail = (0.5 * gauss) / fraction;
  return x < 0.0 ? tail : 1.0 - tail;
}
