// Elementwise functions: activations with their derivatives, and products and sums of arrays.

import { exp, expm1, normalCdf, sigmoid, softplus, tanh } from "./math";

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
const SELU_SCALE: f64 = 1.0507009873554804934193349852946;
const SELU_ALPHA: f64 = 1.6732632423543772848170429916717;
const SELU = 9;

// @ts-ignore: decorator
@inline
function select(whereTrue: v128, whereFalse: v128, mask: v128): v128 {
  return v128.bitselect(whereTrue, whereFalse, mask);
}

// @ts-ignore: decorator
@inline
function normalCdf2(x: v128): v128 {
  const low = normalCdf(f64x2.extract_lane(x, 0));
  const high = normalCdf(f64x2.extract_lane(x, 1));
  return f64x2.replace_lane(f64x2.splat(low), 1, high);
}

// @ts-ignore: decorator
@inline
function normalDensity2(x: v128): v128 {
  const e = exp(f64x2.mul(f64x2.splat(-0.5), f64x2.mul(x, x)));
  return f64x2.mul(f64x2.splat(0.3989422804014327), e);
}

/** scale * (x > 0 ? x : alpha * (e^x - 1)) */
// @ts-ignore: decorator
@inline
function eluScaled(x: v128, alpha: f64, scale: f64): v128 {
  const zero = f64x2.splat(0.0);
  const negative = f64x2.max(f64x2.min(x, zero), f64x2.splat(-700.0));
  const below = f64x2.mul(f64x2.splat(alpha), expm1(negative));
  return f64x2.mul(f64x2.splat(scale), select(below, x, f64x2.lt(x, zero)));
}

// @ts-ignore: decorator
@inline
function eluScaledDerivative(x: v128, alpha: f64, scale: f64): v128 {
  const zero = f64x2.splat(0.0);
  const below = f64x2.mul(f64x2.splat(alpha), exp(f64x2.min(x, zero)));
  return f64x2.mul(f64x2.splat(scale), select(below, f64x2.splat(1.0), f64x2.le(x, zero)));
}

/** x without its infinities, whose products with a vanishing factor would be NaN. */
// @ts-ignore: decorator
@inline
function bounded(x: v128): v128 {
  return f64x2.max(f64x2.min(x, f64x2.splat(f64.MAX_VALUE)), f64x2.splat(-f64.MAX_VALUE));
}

/** phi(x). NaN stays NaN in every branch. */
function apply(f: i32, x: v128, alpha: f64): v128 {
  const zero = f64x2.splat(0.0);
  switch (f) {
    case RELU: return f64x2.max(x, zero);
    case LEAKY_RELU: return select(f64x2.mul(x, f64x2.splat(alpha)), x, f64x2.lt(x, zero));
    case ELU: return eluScaled(x, alpha, 1.0);
    case SELU: return eluScaled(x, SELU_ALPHA, SELU_SCALE);
    case GELU: return f64x2.mul(f64x2.max(x, f64x2.splat(-f64.MAX_VALUE)), normalCdf2(x));
    case SILU: return f64x2.mul(f64x2.max(x, f64x2.splat(-f64.MAX_VALUE)), sigmoid(x));
    case SOFTPLUS: return softplus(x);
    case SIGMOID: return sigmoid(x);
    case TANH: return tanh(x);
    default: return exp(x);
  }
}

/** phi'(x), given x and y = phi(x). At a kink: the value from the left, as the frameworks have it. */
function derivative(f: i32, x: v128, y: v128, alpha: f64): v128 {
  const zero = f64x2.splat(0.0);
  const one = f64x2.splat(1.0);
  switch (f) {
    case RELU: return select(one, zero, f64x2.gt(x, zero));
    case LEAKY_RELU: return select(one, f64x2.splat(alpha), f64x2.gt(x, zero));
    case ELU: return eluScaledDerivative(x, alpha, 1.0);
    case SELU: return eluScaledDerivative(x, SELU_ALPHA, SELU_SCALE);
    case GELU: return f64x2.add(normalCdf2(x), f64x2.mul(bounded(x), normalDensity2(x)));
    case SILU: {
      const s = sigmoid(x);
      return f64x2.mul(s, f64x2.add(one, f64x2.mul(bounded(x), f64x2.sub(one, s))));
    }
    case SOFTPLUS: return sigmoid(x);
    case SIGMOID: return f64x2.mul(y, f64x2.sub(one, y));
    case TANH: return f64x2.mul(f64x2.sub(one, y), f64x2.add(one, y));
    default: return y;
  }
}

/** Two elements as doubles; the second is a copy of the first where only one is left. */
// @ts-ignore: decorator
@inline
function load2<T>(p: usize, single: bool): v128 {
  if (sizeof<T>() == 8) return single ? v128.load64_splat(p) : v128.load(p);
  return f64x2.promote_low_f32x4(single ? v128.load32_splat(p) : v128.load64_zero(p));
}

// @ts-ignore: decorator
@inline
function store2<T>(p: usize, x: v128, single: bool): void {
  if (sizeof<T>() == 8) {
    if (single) v128.store_lane<f64>(p, x, 0);
    else v128.store(p, x);
  } else {
    const narrow = f32x4.demote_f64x2_zero(x);
    if (single) v128.store_lane<f32>(p, narrow, 0);
    else v128.store_lane<f64>(p, narrow, 0);
  }
}

/** y = phi(x) */
export function activation<T>(f: i32, n: usize, x: usize, y: usize, alpha: f64): void {
  for (let i: usize = 0; i < n; i += 2) {
    const single = i + 1 == n;
    const at = i * sizeof<T>();
    store2<T>(y + at, apply(f, load2<T>(x + at, single), alpha), single);
  }
}

/** d = phi'(x) */
export function activationDerivative<T>(f: i32, n: usize, x: usize, y: usize, d: usize, alpha: f64): void {
  for (let i: usize = 0; i < n; i += 2) {
    const single = i + 1 == n;
    const at = i * sizeof<T>();
    store2<T>(d + at, derivative(f, load2<T>(x + at, single), load2<T>(y + at, single), alpha), single);
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
