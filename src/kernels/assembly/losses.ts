// Row-wise softmax and losses, each over `rows` rows of n outputs. Sums and logarithms run in float64.

import { exp, softplusTail } from "./math";

function exp1(x: f64): f64 {
  return f64x2.extract_lane(exp(f64x2.splat(x)), 0);
}

// @ts-ignore: decorator
@inline
function rowMaximum<T>(n: usize, x: usize): f64 {
  let maximum: f64 = -Infinity;
  for (let i: usize = 0; i < n; i++) {
    const v = <f64>load<T>(x + i * sizeof<T>());
    if (v != v) return v;
    if (v > maximum) maximum = v;
  }
  return maximum;
}

/** y = softmax(x), shifted by the largest entry. */
export function softmax<T>(rows: usize, n: usize, x: usize, y: usize): void {
  for (let r: usize = 0; r < rows; r++) {
    const maximum = rowMaximum<T>(n, x);
    let sum: f64 = 0;
    for (let i: usize = 0; i < n; i++) sum += exp1(<f64>load<T>(x + i * sizeof<T>()) - maximum);
    for (let i: usize = 0; i < n; i++) {
      const at = i * sizeof<T>();
      store<T>(y + at, <T>(exp1(<f64>load<T>(x + at) - maximum) / sum));
    }
    x += n * sizeof<T>();
    y += n * sizeof<T>();
  }
}

/** For each slab of `rows` rows of d: out = y * (d - sum(y * d)) (or +=), the product with softmax's Jacobian. */
export function softmaxJacobian<T>(
  slabs: usize, rows: usize, n: usize, y: usize, d: usize, out: usize, accumulate: bool,
): void {
  const bytes = n * sizeof<T>();
  for (let s: usize = 0; s < slabs; s++) {
    let row = y;
    for (let r: usize = 0; r < rows; r++) {
      let dot: f64 = 0;
      for (let i: usize = 0; i < bytes; i += sizeof<T>()) dot += <f64>load<T>(row + i) * <f64>load<T>(d + i);
      for (let i: usize = 0; i < bytes; i += sizeof<T>()) {
        const v = <T>(<f64>load<T>(row + i) * (<f64>load<T>(d + i) - dot));
        store<T>(out + i, accumulate ? load<T>(out + i) + v : v);
      }
      row += bytes;
      d += bytes;
      out += bytes;
    }
  }
}

/** out[r] = sum over i of t_i (log(sum(exp f)) - f_i), for targets t that are probabilities. `out` is float64. */
export function crossEntropy<T>(rows: usize, n: usize, f: usize, t: usize, out: usize): void {
  for (let r: usize = 0; r < rows; r++) {
    const maximum = rowMaximum<T>(n, f);
    // The largest term of the sum is 1 and is left to log1p, which keeps a loss near zero exact.
    let rest: f64 = 0;
    let seen = false;
    for (let i: usize = 0; i < n; i++) {
      const logit = <f64>load<T>(f + i * sizeof<T>());
      if (logit == maximum && !seen) seen = true;
      else rest += exp1(logit - maximum);
    }
    const logSum = Math.log1p(rest);
    let loss: f64 = 0;
    for (let i: usize = 0; i < n; i++) {
      const target = <f64>load<T>(t + i * sizeof<T>());
      // A class with no weight contributes nothing, also where its logit is -infinity.
      if (target != 0) loss += target * (logSum - (<f64>load<T>(f + i * sizeof<T>()) - maximum));
    }
    store<f64>(out, loss);
    f += n * sizeof<T>();
    t += n * sizeof<T>();
    out += 8;
  }
}

/** out[i] = softplus(f) - t f, elementwise: the negative log likelihood of a Bernoulli variable. `out` is float64. */
export function binaryCrossEntropy<T>(n: usize, f: usize, t: usize, out: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const x = <f64>load<T>(f + i * sizeof<T>());
    const target = <f64>load<T>(t + i * sizeof<T>());
    const linear = x > 0 ? (1 - target) * x : -target * x;
    store<f64>(out + 8 * i, linear + f64x2.extract_lane(softplusTail(f64x2.splat(x)), 0));
  }
}

/** out = scale * (f - t): the difference first, so that what f and t have in common cancels exactly. */
export function scaledDifference<T>(n: usize, f: usize, t: usize, scale: f64, out: usize): void {
  const bytes = n * sizeof<T>();
  const vectors = bytes & ~15;
  const s = <T>scale;
  const ss = v128.splat<T>(s);
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    v128.store(out + i, v128.mul<T>(ss, v128.sub<T>(v128.load(f + i), v128.load(t + i))));
  }
  for (; i < bytes; i += sizeof<T>()) store<T>(out + i, s * (load<T>(f + i) - load<T>(t + i)));
}

/** out[i] = (f - t)^2, elementwise. `out` is float64. */
export function squaredError<T>(n: usize, f: usize, t: usize, out: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const difference = <f64>load<T>(f + i * sizeof<T>()) - <f64>load<T>(t + i * sizeof<T>());
    store<f64>(out + 8 * i, difference * difference);
  }
}
