// Elementwise functions: activations with their derivatives, and products and sums of arrays.
//
// Each is computed in its own type, and each has a loop of its own. Errors are at most 2 units, of 2^-52 in float64 and
// 2^-23 in float32, relative to the result (a denormal result: of the smallest normal number), with and without fused
// multiply-adds. Exceptions: the derivative of gelu reaches 2.3 units and that of silu 2.2, in float32 2.5; the latter
// near its zero, in [-1.6, -1], has an error of up to 0.2 units relative to 1.

import { EXP_START, ONE, TWO, UNSHIFT4 } from "./coefficients";
import { multiplyAdd } from "./fused";
import {
  constant, erfOf, erfSlope, expAny, expm1Negative, expNegative, geluOf, geluSlope, logOf, negativeAbs,
  positivePart, select, shiftedExp, sigmoidOf, softplusTailOf, tanhOf, unshift,
} from "./math";

// The numbers of the functions; src/kernels/kernels.ts has the same table.
const RELU = 0;
const LEAKY_RELU = 1;
const ELU = 2;
const GELU = 3;
const SILU = 4;
const SOFTPLUS = 5;
const SIGMOID = 6;
const TANH = 7;
const EXP = 8;
const SELU = 9;
const LOG = 10;
const ERF = 11;

const SELU_SCALE: f64 = 1.0507009873554804934193349852946;
const SELU_SLOPE: f64 = 1.7580993408473768599402175208123; // at -0: the scale times 1.6732632423543772848...

/** phi(x), with a constant f: of the branches one is compiled. */
// @ts-ignore: decorator
@inline
function value<F>(f: i32, x: v128, alpha: v128): v128 {
  const zero = v128.splat<F>(0);
  if (f == RELU) return positivePart<F>(x);
  if (f == LEAKY_RELU) return select(v128.mul<F>(x, alpha), x, v128.lt<F>(x, zero));
  if (f == ELU) return select(v128.mul<F>(alpha, expm1Negative<F>(x)), x, v128.lt<F>(x, zero));
  if (f == SELU) {
    const below = v128.mul<F>(alpha, expm1Negative<F>(x));
    return select(below, v128.mul<F>(x, v128.splat<F>(<F>SELU_SCALE)), v128.lt<F>(x, zero));
  }
  if (f == GELU) return geluOf<F>(x);
  if (f == SILU) return sigmoidOf<F>(x, true);
  if (f == SOFTPLUS) return v128.add<F>(positivePart<F>(x), softplusTailOf<F>(x));
  if (f == SIGMOID) return sigmoidOf<F>(x, false);
  if (f == TANH) return tanhOf<F>(x);
  if (f == EXP) return expAny<F>(x);
  if (f == LOG) return logOf<F>(x);
  return erfOf<F>(x);
}

/** All bits, a NaN, where x is NaN. */
// @ts-ignore: decorator
@inline
function unordered<F>(x: v128): v128 {
  return v128.ne<F>(x, x);
}

/** (1 + e)^2 for 0 <= e <= 1, in the form that rounds least. */
// @ts-ignore: decorator
@inline
function square1p<F>(e: v128): v128 {
  return multiplyAdd<F>(e, v128.add<F>(constant<F>(TWO), e), constant<F>(ONE));
}

/** phi'(x), likewise. At a kink: the value from the left, as the frameworks have it. */
// @ts-ignore: decorator
@inline
function slope<F>(f: i32, x: v128, y: v128, alpha: v128): v128 {
  const zero = v128.splat<F>(0);
  const one = constant<F>(ONE);
  const right = v128.gt<F>(x, zero);
  if (f == RELU) return v128.or(v128.and(one, right), unordered<F>(x));
  if (f == LEAKY_RELU) return v128.or(select(one, alpha, right), unordered<F>(x));
  if (f == ELU) return select(one, v128.mul<F>(alpha, expNegative<F>(v128.pmin<F>(x, zero))), right);
  if (f == SELU) {
    const below = v128.mul<F>(alpha, expNegative<F>(v128.pmin<F>(x, zero)));
    return select(v128.splat<F>(<F>SELU_SCALE), below, right);
  }
  if (f == GELU) return geluSlope<F>(x);
  if (f == SILU) {
    // With e = e^-|x|: (1 + e (1 + x)) / (1 + e)^2 on the right, e (1 + x + e) / (1 + e)^2 on the left.
    const shifted = shiftedExp<F>(negativeAbs<F>(x));
    const e = unshift<F>(shifted);
    const limit = constant<F>(EXP_START);
    const near = v128.add<F>(one, v128.pmax<F>(v128.pmin<F>(x, v128.neg<F>(limit)), limit));
    const above = multiplyAdd<F>(e, near, one);
    const below = unshift<F>(v128.mul<F>(shifted, v128.add<F>(near, e)));
    return v128.div<F>(select(above, below, right), square1p<F>(e));
  }
  if (f == SOFTPLUS) return sigmoidOf<F>(x, false);
  if (f == SIGMOID || f == TANH) {
    // e / (1 + e)^2 with e = e^-|x|, or four times that with e = e^(-2|x|).
    const z = negativeAbs<F>(x);
    const shifted = shiftedExp<F>(f == TANH ? v128.add<F>(z, z) : z);
    const e = unshift<F>(shifted);
    return v128.div<F>(f == TANH ? v128.mul<F>(shifted, constant<F>(UNSHIFT4)) : e, square1p<F>(e));
  }
  if (f == EXP) return y;
  if (f == LOG) return v128.div<F>(one, x);
  return erfSlope<F>(x);
}

/** The last elements, less than a vector of them; the lanes beyond are 0. */
function loadSome<F>(p: usize, bytes: usize): v128 {
  if (sizeof<F>() == 8) return v128.load64_zero(p);
  let v = v128.load32_zero(p);
  if (bytes > 4) v = v128.load_lane<f32>(p, v, 1, 4);
  if (bytes > 8) v = v128.load_lane<f32>(p, v, 2, 8);
  return v;
}

function storeSome<F>(p: usize, v: v128, bytes: usize): void {
  v128.store_lane<F>(p, v, 0);
  if (sizeof<F>() == 8) return;
  if (bytes > 4) v128.store_lane<f32>(p, v, 1, 4);
  if (bytes > 8) v128.store_lane<f32>(p, v, 2, 8);
}

/** One loop over the vectors; the rest at the end passes through the same instructions. */
// @ts-ignore: decorator
@inline
function map<F>(f: i32, derive: bool, n: usize, x: usize, y: usize, d: usize, alpha: f64): void {
  const parameter = v128.splat<F>(<F>(f == SELU ? SELU_SLOPE : alpha));
  const out = derive ? d : y;
  const bytes = n * sizeof<F>();
  for (let i: usize = 0; i < bytes; i += 16) {
    const left = bytes - i;
    const whole = left >= 16;
    const v = whole ? v128.load(x + i) : loadSome<F>(x + i, left);
    let r: v128;
    if (!derive) r = value<F>(f, v, parameter);
    else if (f == EXP) r = slope<F>(f, v, whole ? v128.load(y + i) : loadSome<F>(y + i, left), parameter);
    else r = slope<F>(f, v, v, parameter);
    if (whole) v128.store(out + i, r);
    else storeSome<F>(out + i, r, left);
  }
}

/** y = phi(x) */
export function activation<T>(f: i32, n: usize, x: usize, y: usize, alpha: f64): void {
  switch (f) {
    case RELU: map<T>(RELU, false, n, x, y, y, alpha); break;
    case LEAKY_RELU: map<T>(LEAKY_RELU, false, n, x, y, y, alpha); break;
    case ELU: map<T>(ELU, false, n, x, y, y, alpha); break;
    case GELU: map<T>(GELU, false, n, x, y, y, alpha); break;
    case SILU: map<T>(SILU, false, n, x, y, y, alpha); break;
    case SOFTPLUS: map<T>(SOFTPLUS, false, n, x, y, y, alpha); break;
    case SIGMOID: map<T>(SIGMOID, false, n, x, y, y, alpha); break;
    case TANH: map<T>(TANH, false, n, x, y, y, alpha); break;
    case EXP: map<T>(EXP, false, n, x, y, y, alpha); break;
    case SELU: map<T>(SELU, false, n, x, y, y, alpha); break;
    case LOG: map<T>(LOG, false, n, x, y, y, alpha); break;
    case ERF: map<T>(ERF, false, n, x, y, y, alpha); break;
  }
}

/** d = phi'(x), given y = phi(x) */
export function activationDerivative<T>(f: i32, n: usize, x: usize, y: usize, d: usize, alpha: f64): void {
  switch (f) {
    case RELU: map<T>(RELU, true, n, x, y, d, alpha); break;
    case LEAKY_RELU: map<T>(LEAKY_RELU, true, n, x, y, d, alpha); break;
    case ELU: map<T>(ELU, true, n, x, y, d, alpha); break;
    case GELU: map<T>(GELU, true, n, x, y, d, alpha); break;
    case SILU: map<T>(SILU, true, n, x, y, d, alpha); break;
    case SOFTPLUS: map<T>(SOFTPLUS, true, n, x, y, d, alpha); break;
    case SIGMOID: map<T>(SIGMOID, true, n, x, y, d, alpha); break;
    case TANH: map<T>(TANH, true, n, x, y, d, alpha); break;
    case EXP: map<T>(EXP, true, n, x, y, d, alpha); break;
    case SELU: map<T>(SELU, true, n, x, y, d, alpha); break;
    case LOG: map<T>(LOG, true, n, x, y, d, alpha); break;
    case ERF: map<T>(ERF, true, n, x, y, d, alpha); break;
  }
}

/** For each of `repeats` slabs of n: z = x * y (or +=), with the one y for all of them. */
export function multiply<T>(repeats: usize, n: usize, x: usize, y: usize, z: usize, accumulate: bool): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let r: usize = 0; r < repeats; r++) {
    let i: usize = 0;
    for (; i < vectors; i += 16) {
      let v = v128.mul<T>(v128.load(x + i), v128.load(y + i));
      if (accumulate) v = v128.add<T>(v128.load(z + i), v);
      v128.store(z + i, v);
    }
    for (; i < bytes; i += sizeof<T>()) {
      const v = load<T>(x + i) * load<T>(y + i);
      store<T>(z + i, accumulate ? load<T>(z + i) + v : v);
    }
    x += bytes;
    z += bytes;
  }
}

/** y = alpha x + beta (or +=) */
export function affine<T>(n: usize, alpha: f64, x: usize, beta: f64, y: usize, accumulate: bool): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  const a = <T>alpha;
  const b = <T>beta;
  const va = v128.splat<T>(a);
  const vb = v128.splat<T>(b);
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    let v = v128.add<T>(v128.mul<T>(va, v128.load(x + i)), vb);
    if (accumulate) v = v128.add<T>(v128.load(y + i), v);
    v128.store(y + i, v);
  }
  for (; i < bytes; i += sizeof<T>()) {
    const v = a * load<T>(x + i) + b;
    store<T>(y + i, accumulate ? load<T>(y + i) + v : v);
  }
}

/** Each of `rows` rows of y, n long: y += x */
export function addToRows<T>(rows: usize, n: usize, x: usize, y: usize): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  for (let r: usize = 0; r < rows; r++) {
    let i: usize = 0;
    for (; i < vectors; i += 16) v128.store(y + i, v128.add<T>(v128.load(y + i), v128.load(x + i)));
    for (; i < bytes; i += sizeof<T>()) store<T>(y + i, load<T>(y + i) + load<T>(x + i));
    y += bytes;
  }
}
