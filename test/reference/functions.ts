// The elementwise functions and the losses by their formulas, one number at a time, with the formulas arranged so that
// nothing cancels. The normal distribution is integrated numerically; nothing here shares code with the kernels.

export type Name = "relu" | "leakyRelu" | "elu" | "gelu" | "silu" | "softplus" | "sigmoid" | "tanh" | "exp" | "selu";

const SCALE = 1.0507009873554805;
const ALPHA = 1.6732632423543772;

export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** e^(-x²/2), with x² in two parts because its rounding error would be magnified by its size. */
function gauss(x: number): number {
  const head = Math.fround(x); // its square is exact
  return Math.exp(-head * head * 0.5) * Math.exp(-(x - head) * (x + head) * 0.5);
}

/** P(N > x) for x ≥ 0: the integral of e^(-t²/2 - xt) over t > 0, times the density at x. */
function upperTail(x: number): number {
  if (!(x < 40)) return Number.isNaN(x) ? x : 0;
  const step = 1 / 32;
  let integral = 0;
  let lost = 0; // what the last addition rounded away (Kahan)
  for (let u = -5; u <= 5; u += step) {
    // t = exp(u - exp(-u)) turns the half line into a line and the sum over even steps into a near exact integral.
    const t = Math.exp(u - Math.exp(-u));
    const term = step * Math.exp(-t * (0.5 * t + x)) * t * (1 + Math.exp(-u)) - lost;
    const next = integral + term;
    lost = next - integral - term;
    integral = next;
  }
  return gauss(x) * integral * 0.3989422804014327;
}

export function normalCdf(x: number): number {
  return x < 0 ? upperTail(-x) : 1 - upperTail(x);
}

function elu(x: number, alpha: number): number {
  return x > 0 ? x : alpha * Math.expm1(x);
}

/** x f(x) where f vanishes faster than any power at -∞. */
function times(x: number, f: number): number {
  return x === Number.NEGATIVE_INFINITY ? -0 : x * f;
}

export const functions: Record<Name, (x: number, alpha: number) => number> = {
  relu: (x) => (x <= 0 ? 0 : x),
  leakyRelu: (x, alpha) => (x < 0 ? alpha * x : x),
  elu: (x, alpha) => elu(x, alpha),
  selu: (x) => SCALE * elu(x, ALPHA),
  gelu: (x) => times(x, normalCdf(x)),
  silu: (x) => times(x, sigmoid(x)),
  softplus,
  sigmoid,
  tanh: Math.tanh,
  exp: Math.exp,
};

/** The derivatives; at a kink the value from the left. */
export const derivatives: Record<Name, (x: number, alpha: number) => number> = {
  relu: (x) => (x > 0 ? 1 : 0),
  leakyRelu: (x, alpha) => (x > 0 ? 1 : alpha),
  elu: (x, alpha) => (x > 0 ? 1 : alpha * Math.exp(x)),
  selu: (x) => SCALE * (x > 0 ? 1 : ALPHA * Math.exp(x)),
  gelu: (x) => normalCdf(x) + (Math.abs(x) < 40 ? x * gauss(x) * 0.3989422804014327 : 0),
  silu: (x) => sigmoid(x) + (Math.abs(x) < 800 ? x * sigmoid(x) * sigmoid(-x) : 0),
  softplus: sigmoid,
  sigmoid: (x) => sigmoid(x) * sigmoid(-x),
  tanh: (x) => 1 / Math.cosh(x) ** 2,
  exp: Math.exp,
};

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
