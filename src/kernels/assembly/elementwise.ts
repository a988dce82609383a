// Elementwise functions: activations with their derivatives, and products and sums of arrays.
//
// Each is computed in its own type. The largest errors found, in units in the last place of the result (of the smallest
// normal number where it is denormal), over both types and all builds, were below
//   1    leakyRelu, exp, log
//   1.5  erf
//   2    elu, elu', softplus
//   2.2  erf'
//   2.5  selu, sigmoid, cos, and the derivatives of selu, sigmoid, tanh, softplus, cos
//   2.6  tanh
//   3    silu
//   4    gelu, gelu', silu'
// Near its zero, for x in [-1.6, -1], silu' has an absolute error of up to 0.2 units in the last place of 1 instead.

import { ONE } from "./coefficients";
import { waveOf } from "./cosine";
import { edgeScratch } from "./gemm";
import {
  constant, eluOf, eluSlope, erfOf, erfSlope, expOf, geluOf, geluSlope, logOf, positivePart, select, sigmoidOf,
  sigmoidSlope, siluOf, siluSlope, softplusOf, tanhOf,
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
const COS = 12;
const DERIVATIVE = 13; // of which, is added

const SELU_SCALE: f64 = 1.0507009873554804934193349852946;
const SELU_SLOPE: f64 = 1.7580993408473768599402175208123; // at -0: the scale times 1.6732632423543772848...

// @ts-ignore: decorator
@inline
function leakyRelu<F>(x: v128, alpha: v128): v128 {
  return select(v128.mul<F>(x, alpha), x, v128.lt<F>(x, v128.splat<F>(0)));
}

/** At 0 from the left, as the frameworks have it. All bits are set, a NaN, where x is NaN. */
// @ts-ignore: decorator
@inline
function leakyReluSlope<F>(x: v128, alpha: v128, scale: v128): v128 {
  return v128.or(select(scale, alpha, v128.gt<F>(x, v128.splat<F>(0))), v128.ne<F>(x, x));
}

/** Whole vectors of phi(x), or of phi'(x) for f + DERIVATIVE. What alpha and scale mean depends on f. */
function vectors<F>(f: i32, bytes: usize, x: usize, y: usize, alpha: f64, scale: f64): void {
  const a = v128.splat<F>(<F>alpha);
  const s = v128.splat<F>(<F>scale);
  const end = x + bytes; // which may be 2^32, that is 0
  switch (f) {
    case RELU: for (; x != end; x += 16, y += 16) v128.store(y, positivePart<F>(v128.load(x))); break;
    case LEAKY_RELU: for (; x != end; x += 16, y += 16) v128.store(y, leakyRelu<F>(v128.load(x), a)); break;
    case ELU: for (; x != end; x += 16, y += 16) v128.store(y, eluOf<F>(v128.load(x), a, s)); break;
    case GELU: for (; x != end; x += 16, y += 16) v128.store(y, geluOf<F>(v128.load(x))); break;
    case SILU: for (; x != end; x += 16, y += 16) v128.store(y, siluOf<F>(v128.load(x))); break;
    case SOFTPLUS: for (; x != end; x += 16, y += 16) v128.store(y, softplusOf<F>(v128.load(x))); break;
    case SIGMOID: for (; x != end; x += 16, y += 16) v128.store(y, sigmoidOf<F>(v128.load(x))); break;
    case TANH: for (; x != end; x += 16, y += 16) v128.store(y, tanhOf<F>(v128.load(x))); break;
    case EXP: for (; x != end; x += 16, y += 16) v128.store(y, expOf<F>(v128.load(x))); break;
    case LOG: for (; x != end; x += 16, y += 16) v128.store(y, logOf<F>(v128.load(x))); break;
    case ERF: for (; x != end; x += 16, y += 16) v128.store(y, erfOf<F>(v128.load(x))); break;
    case COS: for (; x != end; x += 16, y += 16) v128.store(y, waveOf<F>(v128.load(x), a)); break;
    case DERIVATIVE + LEAKY_RELU:
      for (; x != end; x += 16, y += 16) v128.store(y, leakyReluSlope<F>(v128.load(x), a, s));
      break;
    case DERIVATIVE + ELU: for (; x != end; x += 16, y += 16) v128.store(y, eluSlope<F>(v128.load(x), a, s)); break;
    case DERIVATIVE + GELU: for (; x != end; x += 16, y += 16) v128.store(y, geluSlope<F>(v128.load(x))); break;
    case DERIVATIVE + SILU: for (; x != end; x += 16, y += 16) v128.store(y, siluSlope<F>(v128.load(x))); break;
    case DERIVATIVE + SIGMOID: for (; x != end; x += 16, y += 16) v128.store(y, sigmoidSlope<F>(v128.load(x), a)); break;
    case DERIVATIVE + LOG:
      for (; x != end; x += 16, y += 16) v128.store(y, v128.div<F>(constant<F>(ONE), v128.load(x)));
      break;
    case DERIVATIVE + ERF: for (; x != end; x += 16, y += 16) v128.store(y, erfSlope<F>(v128.load(x))); break;
  }
}

/** The rest, less than a vector, passes through the same instructions: within a vector of the scratch memory. */
function map<F>(f: i32, n: usize, x: usize, y: usize, alpha: f64, scale: f64): void {
  const whole = (n * sizeof<F>()) & ~15, rest = (n * sizeof<F>()) & 15;
  vectors<F>(f, whole, x, y, alpha, scale);
  if (rest == 0) return;
  const edge = edgeScratch();
  x += whole;
  y += whole;
  for (let i: usize = 0; i < rest; i += sizeof<F>()) store<F>(edge + i, load<F>(x + i));
  vectors<F>(f, 16, edge, edge, alpha, scale);
  for (let i: usize = 0; i < rest; i += sizeof<F>()) store<F>(y + i, load<F>(edge + i));
}

/** y = phi(x) */
export function activation<T>(f: i32, n: usize, x: usize, y: usize, alpha: f64): void {
  if (f == SELU) map<T>(ELU, n, x, y, SELU_SLOPE, SELU_SCALE);
  else map<T>(f, n, x, y, f == COS ? 0.5 : alpha, 1);
}

/**
 * d = phi'(x), given y = phi(x). From y alone the derivatives of sigmoid and tanh would lose their digits where y is
 * near 1, so all but that of exp are computed from x.
 */
export function activationDerivative<T>(f: i32, n: usize, x: usize, y: usize, d: usize, alpha: f64): void {
  switch (f) {
    case RELU: map<T>(DERIVATIVE + LEAKY_RELU, n, x, d, 0, 1); break;
    case SOFTPLUS: map<T>(SIGMOID, n, x, d, 0, 1); break;
    case SIGMOID: map<T>(DERIVATIVE + SIGMOID, n, x, d, 1, 1); break;
    case TANH: map<T>(DERIVATIVE + SIGMOID, n, x, d, 2, 1); break;
    case EXP: memory.copy(d, y, n * sizeof<T>()); break;
    case SELU: map<T>(DERIVATIVE + ELU, n, x, d, SELU_SLOPE, SELU_SCALE); break;
    case COS: map<T>(COS, n, x, d, 0, 1); break;
    default: map<T>(DERIVATIVE + f, n, x, d, alpha, 1);
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
