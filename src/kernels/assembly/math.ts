// Elementary functions on one vector, two doubles or four floats, computed in the vector's own type.
//
// exp: x = k ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite, 1980), e^x = 2^k (1 + (r + r^2 p(r))). Where x <= 0, the power
// taken is 2^(k+128) and the last step multiplies by 2^-128, so that a denormal result is rounded once.
// log(1 + f) = 2 atanh(s) = f - s (f - z P(z)), s = f / (2 + f), z = s^2: the main term f is exact.
// P(N > a) = e^(-a^2/2) F(t) / (a + 1), t = (a - c) / (a + c) (after Schonfelder, 1978); in the exponent a is in two
// parts, of which the larger has an exact square.
//
// NaN passes through all of them. Bounds on the errors are in elementwise.ts.

import {
  CONSTANTS_32, CONSTANTS_64, ENLARGE, ENLARGE_EXPONENT, ERF_32, ERF_64, ERF_END, ERF_SLOPE, ERF_SLOPE_END, EXP_END,
  EXP_START, EXPM1_32, EXPM1_64, EXPM1_START, EXPONENT_OFFSET, HALF, HEAD_32, HEAD_64, INFINITE, LN2_HIGH, LN2_LOW,
  LOG1P_32, LOG1P_64, LOG2_E, LOG_32, LOG_64, MAGIC, MINUS_INFINITE, ONE, ROOT_HALF, ROOT_HIGH, ROOT_LOW,
  SHIFTED_MAGIC, SIGN, SLOPE_32, SLOPE_64, SMALLEST, SQRT2, TAIL_32, TAIL_64, TAIL_CENTRE, TAIL_END, TWO, UNSHIFT,
  WHOLE,
} from "./coefficients";
import { multiplyAdd, multiplySubtract } from "./fused";

// The type parameter is F, not T, here: what has a T is a kernel for tools/build-kernels.mjs.

// @ts-ignore: decorator
@inline
export function constant<F>(index: usize): v128 {
  return v128.load_splat<F>((sizeof<F>() == 8 ? CONSTANTS_64 : CONSTANTS_32) + index * sizeof<F>());
}

// @ts-ignore: decorator
@inline
export function select(whereTrue: v128, whereFalse: v128, mask: v128): v128 {
  return v128.bitselect(whereTrue, whereFalse, mask);
}

/** max(x, 0), and 0 for -0; NaN stays. */
// @ts-ignore: decorator
@inline
export function positivePart<F>(x: v128): v128 {
  return v128.andnot(x, v128.le<F>(x, v128.splat<F>(0)));
}

/** -|x| */
// @ts-ignore: decorator
@inline
function negativeAbs<F>(x: v128): v128 {
  return v128.or(x, constant<F>(SIGN));
}

/** Sums and differences of the bits as integers. */
// @ts-ignore: decorator
@inline
function addBits<F>(x: v128, y: v128): v128 {
  return sizeof<F>() == 8 ? i64x2.add(x, y) : i32x4.add(x, y);
}

// @ts-ignore: decorator
@inline
function subtractBits<F>(x: v128, y: v128): v128 {
  return sizeof<F>() == 8 ? i64x2.sub(x, y) : i32x4.sub(x, y);
}

/** The polynomial with coefficients at an address, by Horner's scheme; in float64 even and odd powers in parallel. */
// @ts-ignore: decorator
@inline
export function polynomial<F>(x: v128, degree: i32, at: usize): v128 {
  const size = sizeof<F>();
  if (size == 4) return horner<F>(x, degree, at, size);
  const x2 = v128.mul<F>(x, x);
  const first = horner<F>(x2, degree / 2, at, 2 * size);
  const second = horner<F>(x2, (degree - 1) / 2, at + size, 2 * size);
  return degree % 2 == 0 ? multiplyAdd<F>(second, x, first) : multiplyAdd<F>(first, x, second);
}

/** Coefficients every `stride` bytes; the degree, at most 11, is known where this is compiled. */
// @ts-ignore: decorator
@inline
function horner<F>(x: v128, degree: i32, at: usize, stride: usize): v128 {
  let p = v128.load_splat<F>(at);
  if (degree > 0) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + stride));
  if (degree > 1) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 2 * stride));
  if (degree > 2) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 3 * stride));
  if (degree > 3) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 4 * stride));
  if (degree > 4) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 5 * stride));
  if (degree > 5) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 6 * stride));
  if (degree > 6) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 7 * stride));
  if (degree > 7) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 8 * stride));
  if (degree > 8) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 9 * stride));
  if (degree > 9) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 10 * stride));
  if (degree > 10) p = multiplyAdd<F>(p, x, v128.load_splat<F>(at + 11 * stride));
  return p;
}

// Parts of exp: t = biased<F>(x, m) holds k; then r, then e^r - 1; and power<F>(t) is 2^k.

// @ts-ignore: decorator
@inline
function biased<F>(x: v128, magic: v128): v128 {
  return multiplyAdd<F>(x, constant<F>(LOG2_E), magic);
}

/** x - k ln 2 */
// @ts-ignore: decorator
@inline
function reduced<F>(x: v128, k: v128): v128 {
  return multiplySubtract<F>(k, constant<F>(LN2_LOW), multiplySubtract<F>(k, constant<F>(LN2_HIGH), x));
}

// @ts-ignore: decorator
@inline
function expm1Near0<F>(r: v128): v128 {
  const p = sizeof<F>() == 8 ? polynomial<F>(r, 10, EXPM1_64) : polynomial<F>(r, 5, EXPM1_32);
  return multiplyAdd<F>(v128.mul<F>(r, r), p, r);
}

// @ts-ignore: decorator
@inline
function power<F>(t: v128): v128 {
  return sizeof<F>() == 8 ? i64x2.shl(t, 52) : i32x4.shl(t, 23);
}

/** e^x without its final factor UNSHIFT, for x <= 0. */
// @ts-ignore: decorator
@inline
function shiftedExp<F>(x: v128): v128 {
  const magic = constant<F>(SHIFTED_MAGIC);
  x = v128.pmax<F>(x, constant<F>(EXP_START));
  const t = biased<F>(x, magic);
  const q = expm1Near0<F>(reduced<F>(x, v128.sub<F>(t, magic)));
  return v128.mul<F>(power<F>(t), v128.add<F>(constant<F>(ONE), q));
}

// @ts-ignore: decorator
@inline
function unshift<F>(x: v128): v128 {
  return v128.mul<F>(x, constant<F>(UNSHIFT));
}

/** e^x for every x. 2^k is taken in two factors, because k goes beyond the exponents on both sides. */
// @ts-ignore: decorator
@inline
export function expOf<F>(x: v128): v128 {
  const magic = constant<F>(MAGIC);
  x = v128.pmin<F>(v128.pmax<F>(x, constant<F>(EXP_START)), constant<F>(EXP_END));
  const k = v128.sub<F>(biased<F>(x, magic), magic);
  const q = expm1Near0<F>(reduced<F>(x, k));
  const t = multiplyAdd<F>(k, constant<F>(HALF), magic);
  const half = v128.mul<F>(power<F>(t), v128.add<F>(constant<F>(ONE), q));
  return v128.mul<F>(half, power<F>(v128.add<F>(v128.sub<F>(k, v128.sub<F>(t, magic)), magic)));
}

/** e^x - 1 without cancellation, for x <= 0. */
// @ts-ignore: decorator
@inline
function expm1Negative<F>(x: v128): v128 {
  const magic = constant<F>(MAGIC);
  x = v128.pmax<F>(x, constant<F>(EXPM1_START));
  const t = biased<F>(x, magic);
  const q = expm1Near0<F>(reduced<F>(x, v128.sub<F>(t, magic)));
  const s = power<F>(t);
  return multiplyAdd<F>(s, q, v128.sub<F>(s, constant<F>(ONE)));
}

// @ts-ignore: decorator
@inline
export function tanhOf<F>(x: v128): v128 {
  // tanh |x| = -e / (e + 2) with e = e^(-2|x|) - 1
  const y = negativeAbs<F>(x);
  const e = expm1Negative<F>(v128.add<F>(y, y));
  return select(x, v128.div<F>(e, v128.add<F>(e, constant<F>(TWO))), constant<F>(SIGN));
}

/** x < 0 ? alpha (e^x - 1) : scale x */
// @ts-ignore: decorator
@inline
export function eluOf<F>(x: v128, alpha: v128, scale: v128): v128 {
  const below = v128.mul<F>(alpha, expm1Negative<F>(negativeAbs<F>(x)));
  return select(below, v128.mul<F>(x, scale), v128.lt<F>(x, v128.splat<F>(0)));
}

/** x <= 0 ? alpha e^x : scale */
// @ts-ignore: decorator
@inline
export function eluSlope<F>(x: v128, alpha: v128, scale: v128): v128 {
  const below = v128.mul<F>(alpha, unshift<F>(shiftedExp<F>(negativeAbs<F>(x))));
  return select(scale, below, v128.gt<F>(x, v128.splat<F>(0)));
}

// @ts-ignore: decorator
@inline
export function sigmoidOf<F>(x: v128): v128 {
  const one = constant<F>(ONE);
  const e = unshift<F>(shiftedExp<F>(negativeAbs<F>(x)));
  return v128.div<F>(select(one, e, v128.gt<F>(x, v128.splat<F>(0))), v128.add<F>(one, e));
}

/** x / (1 + e^-x) */
// @ts-ignore: decorator
@inline
export function siluOf<F>(x: v128): v128 {
  const shifted = shiftedExp<F>(negativeAbs<F>(x));
  // x e^x is formed before a denormal e^x loses digits.
  const below = unshift<F>(v128.mul<F>(v128.pmax<F>(x, constant<F>(EXP_START)), shifted));
  const right = v128.gt<F>(x, v128.splat<F>(0));
  return v128.div<F>(select(x, below, right), v128.add<F>(constant<F>(ONE), unshift<F>(shifted)));
}

/** (1 + e)^2 for 0 <= e <= 1, in the form that rounds least. */
// @ts-ignore: decorator
@inline
function square1p<F>(e: v128): v128 {
  return multiplyAdd<F>(e, v128.add<F>(constant<F>(TWO), e), constant<F>(ONE));
}

/** The derivative of sigmoid, or with `factor` 2 that of tanh: factor^2 e / (1 + e)^2 with e = e^(-factor |x|). */
// @ts-ignore: decorator
@inline
export function sigmoidSlope<F>(x: v128, factor: v128): v128 {
  const shifted = shiftedExp<F>(v128.mul<F>(factor, negativeAbs<F>(x)));
  const above = v128.mul<F>(shifted, unshift<F>(v128.mul<F>(factor, factor)));
  return v128.div<F>(above, square1p<F>(unshift<F>(shifted)));
}

/** With e = e^-|x|: (1 + e (1 + x)) / (1 + e)^2 on the right, e (1 + x + e) / (1 + e)^2 on the left. */
// @ts-ignore: decorator
@inline
export function siluSlope<F>(x: v128): v128 {
  const one = constant<F>(ONE), limit = constant<F>(EXP_START);
  const shifted = shiftedExp<F>(negativeAbs<F>(x));
  const e = unshift<F>(shifted);
  const near = v128.add<F>(one, v128.pmax<F>(v128.pmin<F>(x, v128.neg<F>(limit)), limit));
  const above = multiplyAdd<F>(e, near, one);
  const below = unshift<F>(v128.mul<F>(shifted, v128.add<F>(near, e)));
  return v128.div<F>(select(above, below, v128.gt<F>(x, v128.splat<F>(0))), square1p<F>(e));
}

/** log(1 + f) for 0 <= f <= 1, or with `narrow` for 1/sqrt 2 <= 1 + f <= sqrt 2; less `rest`. */
// @ts-ignore: decorator
@inline
function log1pUnit<F>(f: v128, narrow: bool, rest: v128): v128 {
  const s = v128.div<F>(f, v128.add<F>(constant<F>(TWO), f));
  const z = v128.mul<F>(s, s);
  const p = narrow
    ? sizeof<F>() == 8 ? polynomial<F>(z, 6, LOG_64) : polynomial<F>(z, 2, LOG_32)
    : sizeof<F>() == 8 ? polynomial<F>(z, 9, LOG1P_64) : polynomial<F>(z, 3, LOG1P_32);
  const correction = v128.mul<F>(s, multiplySubtract<F>(z, p, f));
  return v128.sub<F>(f, narrow ? v128.add<F>(correction, rest) : correction);
}

/** log(1 + e^-|x|) */
// @ts-ignore: decorator
@inline
function softplusTailOf<F>(x: v128): v128 {
  const e = unshift<F>(shiftedExp<F>(negativeAbs<F>(x)));
  return log1pUnit<F>(e, false, e);
}

/** log(1 + e^x) */
// @ts-ignore: decorator
@inline
export function softplusOf<F>(x: v128): v128 {
  return v128.add<F>(positivePart<F>(x), softplusTailOf<F>(x));
}

// @ts-ignore: decorator
@inline
export function logOf<F>(x: v128): v128 {
  const small = v128.lt<F>(x, constant<F>(SMALLEST));
  const enlarged = select(v128.mul<F>(x, constant<F>(ENLARGE)), x, small);
  // x = 2^k m with 1/sqrt 2 <= m < sqrt 2: counted from 1/sqrt 2, the exponent is k and the mantissa that of m.
  const from = subtractBits<F>(enlarged, constant<F>(ROOT_HALF));
  const m = subtractBits<F>(enlarged, v128.and(from, constant<F>(MINUS_INFINITE)));
  const above0 = addBits<F>(from, constant<F>(ONE));
  let k = v128.or(sizeof<F>() == 8 ? i64x2.shr_u(above0, 52) : i32x4.shr_u(above0, 23), constant<F>(WHOLE));
  k = v128.sub<F>(v128.sub<F>(k, constant<F>(EXPONENT_OFFSET)), v128.and(small, constant<F>(ENLARGE_EXPONENT)));
  const f = v128.sub<F>(m, constant<F>(ONE));
  const rest = v128.mul<F>(k, v128.neg<F>(constant<F>(LN2_LOW)));
  const y = multiplyAdd<F>(k, constant<F>(LN2_HIGH), log1pUnit<F>(f, true, rest));
  // What is not positive and finite: NaN, infinity, zero, negative numbers (all bits set are a NaN).
  const zero = v128.splat<F>(0);
  const special = select(constant<F>(MINUS_INFINITE), v128.or(x, v128.lt<F>(x, zero)), v128.eq<F>(x, zero));
  const regular = v128.and(v128.gt<F>(x, zero), v128.lt<F>(x, constant<F>(INFINITE)));
  return select(y, special, regular);
}

/** a without its lower bits, so that its square is exact. */
// @ts-ignore: decorator
@inline
function head<F>(a: v128): v128 {
  return v128.and(a, v128.load_splat<F>(sizeof<F>() == 8 ? HEAD_64 : HEAD_32));
}

/** m e^(x - rest) without its final factor UNSHIFT, for EXP_START <= x <= 0. */
// @ts-ignore: decorator
@inline
function shiftedExpProduct<F>(m: v128, x: v128, rest: v128): v128 {
  const magic = constant<F>(SHIFTED_MAGIC);
  const t = biased<F>(x, magic);
  const k = v128.sub<F>(t, magic);
  const high = multiplySubtract<F>(k, constant<F>(LN2_HIGH), x);
  const r = v128.sub<F>(high, multiplyAdd<F>(k, constant<F>(LN2_LOW), rest));
  return v128.mul<F>(power<F>(t), multiplyAdd<F>(m, expm1Near0<F>(r), m));
}

/** A polynomial in t = (a - c) / (a + c) */
// @ts-ignore: decorator
@inline
function centred<F>(a: v128, at64: usize, at32: usize): v128 {
  const centre = constant<F>(TAIL_CENTRE);
  const t = v128.div<F>(v128.sub<F>(a, centre), v128.add<F>(a, centre));
  return sizeof<F>() == 8 ? polynomial<F>(t, 22, at64) : polynomial<F>(t, 10, at32);
}

/** m e^(-a^2 factor - rest), where factor is 1 or 1/2. */
// @ts-ignore: decorator
@inline
function timesGauss<F>(m: v128, a: v128, factor: v128, rest: v128): v128 {
  const h = head<F>(a);
  const square = v128.neg<F>(v128.mul<F>(v128.mul<F>(h, h), factor));
  rest = multiplyAdd<F>(v128.mul<F>(v128.sub<F>(a, h), factor), v128.add<F>(a, h), rest);
  return unshift<F>(shiftedExpProduct<F>(m, square, rest));
}

/** x P(N < x) */
// @ts-ignore: decorator
@inline
export function geluOf<F>(x: v128): v128 {
  const one = constant<F>(ONE);
  const a = v128.pmin<F>(v128.abs<F>(x), constant<F>(TAIL_END));
  const left = v128.lt<F>(x, v128.splat<F>(0));
  const p = centred<F>(a, TAIL_64, TAIL_32);
  const d = v128.add<F>(a, one);
  const g = v128.div<F>(p, d);
  // What d lost in rounding, relative to d, goes into the exponent; 2 g is nearly 1 / d.
  const lost = v128.mul<F>(v128.sub<F>(a, v128.sub<F>(d, one)), v128.add<F>(g, g));
  const y = timesGauss<F>(select(v128.mul<F>(a, g), g, left), a, constant<F>(HALF), lost);
  return select(v128.neg<F>(y), v128.mul<F>(x, v128.sub<F>(one, y)), left);
}

/** P(N < x) + x e^(-x^2/2) / sqrt(2 pi), with its zero as a factor: relative precision there too. */
// @ts-ignore: decorator
@inline
export function geluSlope<F>(x: v128): v128 {
  const a = v128.pmin<F>(v128.abs<F>(x), constant<F>(TAIL_END));
  const factor = v128.sub<F>(v128.sub<F>(a, constant<F>(ROOT_HIGH)), constant<F>(ROOT_LOW));
  const m = v128.mul<F>(factor, centred<F>(a, SLOPE_64, SLOPE_32));
  const y = timesGauss<F>(m, a, constant<F>(HALF), v128.splat<F>(0));
  return select(y, v128.sub<F>(constant<F>(ONE), y), v128.lt<F>(x, v128.splat<F>(0)));
}

// @ts-ignore: decorator
@inline
export function erfOf<F>(x: v128): v128 {
  const one = constant<F>(ONE);
  const a = v128.abs<F>(x);
  const z = v128.pmin<F>(a, constant<F>(ERF_END));
  const square = v128.mul<F>(z, z);
  const p = sizeof<F>() == 8 ? polynomial<F>(square, 11, ERF_64) : polynomial<F>(square, 6, ERF_32);
  const near = multiplyAdd<F>(x, p, x);
  const t = v128.mul<F>(z, constant<F>(SQRT2));
  const g = v128.div<F>(centred<F>(t, TAIL_64, TAIL_32), v128.add<F>(t, one));
  const y = unshift<F>(shiftedExpProduct<F>(v128.add<F>(g, g), v128.neg<F>(square), v128.splat<F>(0)));
  const far = select(x, v128.sub<F>(one, y), constant<F>(SIGN));
  return select(near, far, v128.lt<F>(a, one));
}

/** 2 e^(-x^2) / sqrt(pi) */
// @ts-ignore: decorator
@inline
export function erfSlope<F>(x: v128): v128 {
  const one = constant<F>(ONE);
  const a = v128.pmin<F>(v128.abs<F>(x), constant<F>(ERF_SLOPE_END));
  return timesGauss<F>(constant<F>(ERF_SLOPE), a, one, v128.splat<F>(0));
}

// For losses.ts, in float64 and not inlined.

export function exp(x: v128): v128 {
  return expOf<f64>(x);
}

/** log(1 + e^-|x|), the part of softplus that does not cancel against anything. */
export function softplusTail(x: v128): v128 {
  return softplusTailOf<f64>(x);
}
