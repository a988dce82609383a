// Likelihoods of one's own, as plain functions: of one output f and its target y, or of a row of outputs. own-likelihood.ts uses
// them.

import { logGamma, type NumberLikelihood, type RowLikelihood } from "laplace-ts";

/** Targets around f with heavy tails, y = f + scale · t: a few that are far off do not draw the curve away. */
export const studentT = ({ df, scale }: { df: number; scale: number }): NumberLikelihood => ({
  // −log density, without what depends on neither f nor y …
  loss: (f, y) => ((df + 1) / 2) * Math.log1p(((y - f) / scale) ** 2 / df),
  gradient: (f, y) => ((df + 1) * (f - y)) / (df * scale ** 2 + (y - f) ** 2),
  // The mean over y: the second derivative itself is negative at far targets.
  information: () => (df + 1) / ((df + 3) * scale ** 2),
  // Bailey 1994
  draw: (f, random) =>
    f + scale * Math.sqrt(df * (random.uniform() ** (-2 / df) - 1)) * Math.cos(2 * Math.PI * random.uniform()),
  mean: (f) => f,
  variance: () => (df > 2 ? (scale ** 2 * df) / (df - 2) : Number.POSITIVE_INFINITY),
  // … which is this.
  constant: () => Math.log(scale) + 0.5 * Math.log(df * Math.PI) + logGamma(df / 2) - logGamma((df + 1) / 2),
});

/** Counts of the rate e^f that vary more than Poisson's: with the variance e^f + e^(2f) / size. */
export const negativeBinomial = ({ size }: { size: number }): NumberLikelihood => ({
  targets: "counts",
  loss: (f, y) => (y + size) * Math.log(size + Math.exp(f)) - y * f,
  gradient: (f, y) => (size * (Math.exp(f) - y)) / (size + Math.exp(f)),
  information: (f) => (size * Math.exp(f)) / (size + Math.exp(f)),
  draw(f, random) {
    const rate = Math.exp(f);
    // One probability after the other, until they pass a uniform number.
    let [y, p, rest] = [0, (size / (size + rate)) ** size, random.uniform()];
    for (; rest > p && p > 0; y++) {
      rest -= p;
      p *= ((y + size) / (y + 1)) * (rate / (size + rate));
    }
    return y;
  },
  mean: (f) => Math.exp(f),
  variance: (f) => Math.exp(f) + Math.exp(2 * f) / size,
  constant: (y) => logGamma(size) + logGamma(y + 1) - logGamma(y + size) - size * Math.log(size),
});

/** Targets whose noise depends on the inputs: outputs are the mean and the logarithm of the variance. */
export const noisy = (): RowLikelihood => ({
  outputs: 2,
  numbers: 1,
  loss: ([m, s], [y]) => 0.5 * (s + (y - m) ** 2 * Math.exp(-s)),
  gradient([m, s], [y], to) {
    to[0] = (m - y) * Math.exp(-s);
    to[1] = 0.5 * (1 - (y - m) ** 2 * Math.exp(-s));
  },
  // [outputs, outputs], row by row
  information([, s], to) {
    to[0] = Math.exp(-s);
    to[3] = 0.5;
  },
  draw([m, s], random, to) {
    to[0] = m + Math.exp(s / 2) * random.normal();
  },
  mean([m], to) {
    to[0] = m;
  },
  variance([, s], to) {
    to[0] = Math.exp(s);
  },
  constant: () => 0.5 * Math.log(2 * Math.PI),
});

/** Pairs of targets, each around its own output, with noise of unit variance that is correlated. */
export const pairs = ({ correlation: r }: { correlation: number }): RowLikelihood => {
  const left = 1 - r ** 2;
  return {
    outputs: 2,
    loss: ([a, b], [y, z]) => ((a - y) ** 2 - 2 * r * (a - y) * (b - z) + (b - z) ** 2) / (2 * left),
    gradient([a, b], [y, z], to) {
      to[0] = (a - y - r * (b - z)) / left;
      to[1] = (b - z - r * (a - y)) / left;
    },
    information: (_, to) => to.set([1 / left, -r / left, -r / left, 1 / left]),
    draw([a, b], random, to) {
      const [first, second] = [random.normal(), random.normal()];
      to[0] = a + first;
      to[1] = b + r * first + Math.sqrt(left) * second;
    },
    mean: (f, to) => to.set(f),
    variance(_, to) {
      to.fill(1);
    },
    constant: () => Math.log(2 * Math.PI * Math.sqrt(left)),
  };
};
