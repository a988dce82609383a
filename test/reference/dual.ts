// Forward-mode differentiation with plain numbers: a number that carries its gradient. Slow, and readable at a glance.

/** A value, and its slopes with respect to every variable. */
export interface Dual {
  readonly value: number;
  readonly slopes: readonly number[];
}

/** Numbers as variables: the i-th has the slope 1 with respect to itself, 0 to the others. */
export function variables(values: readonly number[]): Dual[] {
  return values.map((value, i) => ({ value, slopes: values.map((_, j) => (i === j ? 1 : 0)) }));
}

/** The chain rule: a function of x with this value and this derivative. */
export function through(x: Dual, value: number, derivative: number): Dual {
  return { value, slopes: x.slopes.map((slope) => derivative * slope) };
}

export function plus(a: Dual, b: Dual): Dual {
  return { value: a.value + b.value, slopes: a.slopes.map((slope, i) => slope + b.slopes[i]) };
}

export function minus(a: Dual, b: Dual): Dual {
  return plus(a, scaled(b, -1));
}

export function times(a: Dual, b: Dual): Dual {
  return {
    value: a.value * b.value,
    slopes: a.slopes.map((slope, i) => slope * b.value + a.value * b.slopes[i]),
  };
}

export function scaled(a: Dual, factor: number): Dual {
  return through(a, factor * a.value, factor);
}

export function shifted(a: Dual, constant: number): Dual {
  return through(a, a.value + constant, 1);
}

export function sum(terms: readonly Dual[]): Dual {
  return terms.reduce(plus);
}

export function exp(x: Dual): Dual {
  return through(x, Math.exp(x.value), Math.exp(x.value));
}

export function log(x: Dual): Dual {
  return through(x, Math.log(x.value), 1 / x.value);
}

export function softmax(row: readonly Dual[]): Dual[] {
  const total = sum(row.map(exp));
  return row.map((x) => exp(minus(x, log(total))));
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const normalDensity = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

/** Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/(3·5) + x⁷/(3·5·7) + …) (Marsaglia 2004). */
function normalDistribution(x: number): number {
  if (!(Math.abs(x) < 9)) return x < 0 ? 0 : 1;
  let total = 0;
  let term = x;
  for (let n = 3; Math.abs(term) > 1e-20; n += 2) {
    total += term;
    term *= (x * x) / n;
  }
  return 0.5 + normalDensity(x) * total;
}

/** An elementwise function's value and derivative, as its definition has them. */
type Rule = (x: number) => readonly [value: number, derivative: number];

const eluRule =
  (alpha: number, scale: number): Rule =>
  (x) =>
    x > 0 ? [scale * x, scale] : [scale * alpha * (Math.exp(x) - 1), scale * alpha * Math.exp(x)];

/** Every activation. At a kink, the derivative is the one from the left. */
export const activationRules = {
  identity: (x) => [x, 1],
  relu: (x) => [Math.max(x, 0), x > 0 ? 1 : 0],
  leakyRelu: (x) => (x > 0 ? [x, 1] : [0.01 * x, 0.01]),
  elu: eluRule(1, 1),
  selu: eluRule(1.6732632423543772, 1.0507009873554805),
  gelu: (x) => [x * normalDistribution(x), normalDistribution(x) + x * normalDensity(x)],
  silu: (x) => [x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x))],
  softplus: (x) => [Math.log(1 + Math.exp(x)), sigmoid(x)],
  sigmoid: (x) => [sigmoid(x), sigmoid(x) * (1 - sigmoid(x))],
  tanh: (x) => [Math.tanh(x), 1 - Math.tanh(x) ** 2],
  exp: (x) => [Math.exp(x), Math.exp(x)],
  log: (x) => [Math.log(x), 1 / x],
  cos: (x) => [Math.cos(x), -Math.sin(x)],
  erf: (x) => [2 * normalDistribution(Math.SQRT2 * x) - 1, 2 * Math.SQRT2 * normalDensity(Math.SQRT2 * x)],
} as const satisfies Record<string, Rule>;

export type Activation = keyof typeof activationRules;

/** Those of every number. */
export const activations = (Object.keys(activationRules) as Activation[]).filter((name) => name !== "log");

/** Those with a continuous second derivative, which finite differences can follow. */
export const smoothActivations: readonly Activation[] = activations.filter(
  (name) => !["relu", "leakyRelu", "elu", "selu"].includes(name),
);

export function activate(name: Activation, x: Dual): Dual {
  return through(x, ...activationRules[name](x.value));
}
