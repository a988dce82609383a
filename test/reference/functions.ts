// The elementwise functions and the losses, one number at a time. The elementwise functions are computed to about 30
// digits in pairs of doubles (Dekker, 1971); nothing here shares code with the kernels.

export type Name =
  | "relu"
  | "leakyRelu"
  | "elu"
  | "gelu"
  | "silu"
  | "softplus"
  | "sigmoid"
  | "tanh"
  | "exp"
  | "selu"
  | "log"
  | "erf"
  | "cos";

/** An unevaluated sum of two doubles, the second at most half a unit in the last place of the first. */
export type Pair = readonly [number, number];

// Where a result is denormal or a factor of it is, everything is computed 2^SHIFT times as large.
const SHIFT = 200;
const ZERO: Pair = [0, 0];
const ONE: Pair = [1, 0];
const LN2: Pair = [Math.LN2, 2.3190468138462996e-17];
const DENSITY: Pair = [0.3989422804014327, -2.49232720227773e-17]; // 1 / √(2π)
const SQRT2: Pair = [Math.SQRT2, -9.667293313452913e-17];
const SCALE = 1.0507009873554805;
const ALPHA = 1.6732632423543772;

function add([a, b]: Pair, [c, d]: Pair): Pair {
  const sum = a + c;
  const part = sum - a;
  const rest = a - (sum - part) + (c - part) + (b + d);
  const high = sum + rest;
  return Number.isFinite(high) ? [high, rest - (high - sum)] : [high, 0];
}

function split(a: number): Pair {
  const t = 134217729 * a;
  const high = t - (t - a);
  return [high, a - high];
}

function multiply([a, b]: Pair, [c, d]: Pair): Pair {
  const product = a * c;
  // Beyond these sizes the parts would overflow or vanish; what is lost is below the last place of a denormal number.
  if (!(Math.abs(product) > 1e-290 && Math.abs(product) < 1e290 && Math.abs(a) < 1e290 && Math.abs(c) < 1e290)) {
    return [product + (a * d + b * c || 0), 0];
  }
  const [a1, a2] = split(a);
  const [c1, c2] = split(c);
  const rest = a1 * c1 - product + a1 * c2 + a2 * c1 + a2 * c2 + (a * d + b * c);
  const high = product + rest;
  return [high, rest - (high - product)];
}

const negative = ([a, b]: Pair): Pair => [-a, -b];
const timesPower = ([a, b]: Pair, factor: number): Pair => [a * factor, b * factor];

const unshift = (a: Pair): Pair => timesPower(a, 2 ** -SHIFT);

function divide(a: Pair, b: Pair): Pair {
  const q = a[0] / b[0];
  if (!Number.isFinite(q) || q === 0) return [q, 0];
  const rest = add(a, negative(multiply([q, 0], b)));
  return add([q, 0], [rest[0] / b[0], 0]);
}

const INVERSE = Array.from({ length: 11 }, (_, n) => divide(ONE, [n, 0]));

/** e^x - 1 = 2^k (1 + q) - 1, as [q, k]. */
function reduced(x: Pair): [Pair, number] {
  const k = Math.round(x[0] / LN2[0]);
  const r = timesPower(add(x, multiply([-k, 0], LN2)), 1 / 256);
  let q = ZERO;
  for (let n = 10; n >= 1; n--) q = multiply(multiply(r, add(ONE, q)), INVERSE[n]);
  for (let i = 0; i < 8; i++) q = add(timesPower(q, 2), multiply(q, q));
  return [q, k];
}

/** e^x 2^shift */
function exp(x: Pair, shift = 0): Pair {
  if (!(Math.abs(x[0]) < 800)) return [Math.exp(x[0]), 0];
  const [q, exponent] = reduced(x);
  const k = exponent + shift;
  const half = Math.trunc(k / 2);
  return timesPower(timesPower(add(ONE, q), 2 ** half), 2 ** (k - half));
}

function expm1(x: number): Pair {
  if (Math.abs(x) < 1e-290) return [x, 0];
  if (!(x > -100)) return [Math.expm1(x), 0];
  const [q, k] = reduced([x, 0]);
  return k === 0 ? q : add(timesPower(add(ONE, q), 2 ** k), [-1, 0]);
}

/** One step of Newton's method from the double nearest log(1 + u). */
function log1p(u: Pair): Pair {
  const y = Math.log1p(u[0]);
  if (u[0] < 1e-290) return u;
  const e = expm1(y);
  const d = divide(add(u, negative(e)), add(ONE, e));
  return add([y, 0], add(d, [-0.5 * d[0] * d[0], 0]));
}

function log(x: number): Pair {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return [Math.log(x), 0];
  const k = Math.round(Math.log2(x));
  const half = Math.trunc(k / 2);
  const m = x / 2 ** half / 2 ** (k - half);
  const y = Math.log(m);
  const d = add(multiply([m, 0], exp([-y, 0])), [-1, 0])[0];
  return add(multiply([k, 0], LN2), add([y, 0], [d - 0.5 * d * d, 0]));
}

/** e^(-a²/2) / √(2π) 2^shift */
function density(a: Pair, shift = 0): Pair {
  return multiply(DENSITY, exp(timesPower(multiply(a, a), -0.5), shift));
}

/** P(N < a) - 1/2 by the series 26.2.11 of Abramowitz & Stegun. */
function central(a: Pair): Pair {
  let term = a;
  let sum = a;
  for (let n = 3; Math.abs(term[0]) > 1e-34 * Math.abs(sum[0]); n += 2) {
    term = divide(multiply(term, multiply(a, a)), [n, 0]);
    sum = add(sum, term);
  }
  return multiply(density(a), sum);
}

/** P(N > a) 2^shift for a ≥ 0; from 4 on by the continued fraction 26.2.14, which alone needs a shift. */
function upperTail(a: Pair, shift = 0): Pair {
  if (Number.isNaN(a[0])) return a;
  if (!(a[0] < 40)) return ZERO;
  if (a[0] < 4) return add([0.5, 0], negative(central(a)));
  let fraction = a;
  for (let n = 50; n >= 1; n--) fraction = add(a, divide([n, 0], fraction));
  return divide(density(a, shift), fraction);
}

/** P(N < x) */
function cdf(x: number): Pair {
  return x < 0 ? upperTail([-x, 0]) : add(ONE, negative(upperTail([x, 0])));
}

export function normalCdf(x: number): number {
  return cdf(x)[0];
}

function erf(x: number): Pair {
  if (!(Math.abs(x) < 20)) return [Math.sign(x), 0];
  if (Math.abs(x) < 1e-200) return unshift(multiply(timesPower(multiply(DENSITY, SQRT2), 2), [x * 2 ** SHIFT, 0]));
  const a = multiply(SQRT2, [Math.abs(x), 0]);
  const y = a[0] < 2 ? timesPower(central(a), 2) : add(ONE, timesPower(upperTail(a), -2));
  return x < 0 ? negative(y) : y;
}

const HALF_PI: Pair = [Math.PI / 2, 6.123233995736766e-17];

/** cos(x + quarters π/2): what is left of x less the nearest multiple of π/2, by Taylor's series. */
function wave(x: number, quarters: number): Pair {
  if (!Number.isFinite(x)) return [Number.NaN, 0];
  const k = Math.round(x / HALF_PI[0]);
  const r = add([x, 0], multiply([-k, 0], HALF_PI));
  const quarter = (((k + quarters) % 4) + 4) % 4;
  if (quarter % 2 === 1 && Math.abs(r[0]) < 1e-150) return quarter === 1 ? negative(r) : r;
  const square = negative(multiply(r, r));
  let term: Pair = quarter % 2 === 0 ? ONE : r;
  let sum = term;
  for (let n = quarter % 2 === 0 ? 1 : 2; n < 32; n += 2) {
    term = divide(multiply(term, square), [n * (n + 1), 0]);
    sum = add(sum, term);
  }
  return quarter === 1 || quarter === 2 ? negative(sum) : sum;
}

/** e^-|x| / (1 + e^-|x|), or without the factor e^-|x|. */
function logistic(x: number, factor: boolean): Pair {
  const e = exp([-Math.abs(x), 0]);
  return divide(factor ? e : ONE, add(ONE, e));
}

const logisticOf = (x: number): Pair => logistic(x, x < 0);

function elu(x: number, alpha: number, scale: number): Pair {
  return multiply([scale, 0], x > 0 ? [x, 0] : multiply([alpha, 0], expm1(x)));
}

function eluSlope(x: number, alpha: number, scale: number): Pair {
  return multiply([scale, 0], x > 0 ? ONE : multiply([alpha, 0], exp([x, 0])));
}

/** φ(x) to about 30 digits, of which fewer survive where it is below 1e-290. */
export const exact: Record<Name, (x: number, alpha: number) => Pair> = {
  relu: (x) => [x <= 0 ? 0 : x, 0],
  leakyRelu: (x, alpha) => (x < 0 ? multiply([alpha, 0], [x, 0]) : [x, 0]),
  elu: (x, alpha) => elu(x, alpha, 1),
  selu: (x) => elu(x, ALPHA, SCALE),
  gelu: (x) => {
    if (x < -40) return [-0, 0];
    return x < -30 ? unshift(multiply([x, 0], upperTail([-x, 0], SHIFT))) : multiply([x, 0], cdf(x));
  },
  silu: (x) => {
    if (x < -800) return [-0, 0];
    return x < -600 ? unshift(multiply([x, 0], exp([x, 0], SHIFT))) : multiply([x, 0], logisticOf(x));
  },
  softplus: (x) => add([Math.max(x, 0), 0], log1p(exp([-Math.abs(x), 0]))),
  sigmoid: logisticOf,
  tanh: (x) => {
    if (!(Math.abs(x) > 1e-290 && Math.abs(x) < 40)) return [Math.tanh(x), 0];
    const e = expm1(-2 * Math.abs(x));
    const y = divide(e, add([2, 0], e));
    return x < 0 ? y : negative(y);
  },
  exp: (x) => exp([x, 0]),
  log,
  erf,
  cos: (x) => wave(x, 0),
};

/** φ′(x), likewise; at a kink the value from the left. */
export const exactSlopes: Record<Name, (x: number, alpha: number) => Pair> = {
  relu: (x) => [Number.isNaN(x) ? x : x > 0 ? 1 : 0, 0],
  leakyRelu: (x, alpha) => [Number.isNaN(x) ? x : x > 0 ? 1 : alpha, 0],
  elu: (x, alpha) => eluSlope(x, alpha, 1),
  selu: (x) => eluSlope(x, ALPHA, SCALE),
  gelu: (x) => {
    if (!(Math.abs(x) < 40)) return cdf(x);
    const linear = multiply([x, 0], density([x, 0], SHIFT));
    return x < -30 ? unshift(add(upperTail([-x, 0], SHIFT), linear)) : add(cdf(x), unshift(linear));
  },
  silu: (x) => {
    if (!(Math.abs(x) < 800)) return logisticOf(x);
    if (x < -600) return unshift(multiply(add(ONE, [x, 0]), exp([x, 0], SHIFT)));
    return add(logisticOf(x), multiply([x, 0], multiply(logistic(x, true), logistic(x, false))));
  },
  softplus: logisticOf,
  sigmoid: (x) => multiply(logistic(x, true), logistic(x, false)),
  tanh: (x) =>
    Math.abs(x) > 300
      ? exp([-2 * Math.abs(x), 0], 2)
      : multiply([4, 0], multiply(logistic(2 * x, true), logistic(2 * x, false))),
  exp: (x) => exp([x, 0]),
  log: (x) => divide(ONE, [x, 0]),
  erf: (x) => {
    const a = multiply(SQRT2, [Math.min(Math.abs(x), 40), 0]);
    return unshift(multiply([2, 0], multiply(SQRT2, density(a, SHIFT))));
  },
  cos: (x) => wave(x, 1),
};

const rounded = (functions: Record<Name, (x: number, alpha: number) => Pair>) =>
  Object.fromEntries(
    Object.entries(functions).map(([name, f]) => [name, (x: number, alpha: number) => f(x, alpha)[0]]),
  ) as Record<Name, (x: number, alpha: number) => number>;

export const functions = rounded(exact);
export const derivatives = rounded(exactSlopes);

export function sigmoid(x: number): number {
  return logisticOf(x)[0];
}

export function softplus(x: number): number {
  return exact.softplus(x, 0)[0];
}

/** log Σ exp(f) with the largest term apart, so that a sum near it keeps its digits: [largest, the rest]. */
function logSumExp(logits: readonly number[]): [number, number] {
  const largest = Math.max(...logits);
  const first = logits.indexOf(largest);
  return [largest, Math.log1p(logits.reduce((sum, f, i) => (i === first ? sum : sum + Math.exp(f - largest)), 0))];
}

export function softmax(logits: readonly number[]): number[] {
  const [largest, rest] = logSumExp(logits);
  return logits.map((f) => Math.exp(f - largest) / Math.exp(rest));
}

export function crossEntropy(logits: readonly number[], targets: readonly number[]): number {
  const [largest, rest] = logSumExp(logits);
  return targets.reduce((sum, t, i) => (t === 0 ? sum : sum + t * (rest + (largest - logits[i]))), 0);
}

/** -t log p - (1 - t) log(1 - p) with p = sigmoid(f). */
export function binaryCrossEntropy(f: number, t: number): number {
  return (t === 0 ? 0 : t * softplus(-f)) + (t === 1 ? 0 : (1 - t) * softplus(f));
}
