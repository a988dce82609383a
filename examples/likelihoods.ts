// Two likelihoods of one's own, as plain functions of one output f and its target y. own-likelihood.ts uses them.

import { logGamma, type NumberLikelihood } from "laplace-ts";

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
