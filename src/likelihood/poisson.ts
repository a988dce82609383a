// Counts: outputs are logarithms of rates.

import { sizeOf } from "../array/ndarray.ts";
import { portableExp, portableExpm1 } from "../array/portable.ts";
import type { Random } from "../array/random.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, inMemory } from "../kernels/memory.ts";
import { mse } from "../losses/losses.ts";
import { alone, type Likelihood, likelihoodOf, refuseEnding, writeDiagonal } from "./likelihood.ts";

/**
 * A Poisson likelihood with the rate eᶠ: the loss is eᶠ − y f, Λ = diag(eᶠ). Targets are counts, shaped like the outputs.
 * Predictions are counts: "exact" (default) has the mean of a log-normal rate, e^(m + v/2), and the variance of counts of
 * that rate; "plugin" takes the rate at the mean.
 */
export function poisson(): Likelihood {
  return likelihoodOf({
    name: "poisson",
    noise: undefined,
    links: ["exact", "plugin"],
    needs: (link) => (link === "plugin" ? "mean" : "variance"),
    checkNetwork(where, net) {
      refuseEnding(
        where,
        net,
        "exp",
        "but the likelihood takes logarithms of rates: it applies the exponential itself.",
      );
    },
    readTargets(where, targets, shape, dtype) {
      const t = mse.rule.readTargets(where, targets, shape, dtype);
      t.data.forEach((count: number, i: number) => {
        if (Number.isInteger(count) && count >= 0) return;
        throw new ValueError(`${where}: target ${count} (element ${i}) is no count: 0, 1, 2 and so on are due.`);
      });
      return t;
    },
    loss({ dtype, batch, outputs, f }, targets, to) {
      const size = bytesPerElement(dtype);
      inMemory(dtype, (memory) =>
        inMemory("float64", (elements) => {
          for (let i = 0; i < batch * outputs; i++) {
            const logRate = memory[f / size + i];
            elements[to / 8 + i] = Math.exp(logRate) - memory[targets / size + i] * logRate;
          }
        }),
      );
      return batch * outputs;
    },
    gradient({ dtype, batch, outputs, f }, targets, to) {
      const size = bytesPerElement(dtype);
      inMemory(dtype, (memory) => {
        for (let i = 0; i < batch * outputs; i++) {
          memory[to / size + i] = Math.exp(memory[f / size + i]) - memory[targets / size + i];
        }
      });
    },
    group: alone,
    rootColumns: sizeOf,
    root(outputs, columns, to) {
      const start = outputs.f / bytesPerElement(outputs.dtype);
      inMemory(outputs.dtype, (memory) => writeDiagonal(outputs, columns, to, (i) => Math.exp(memory[start + i] / 2)));
    },
    drawColumn({ dtype, batch, outputs, f }, random, to) {
      const size = bytesPerElement(dtype);
      inMemory(dtype, (memory) => {
        for (let i = 0; i < batch * outputs; i++) {
          const rate = Math.exp(memory[f / size + i]);
          memory[to / size + i] = rate - drawCount(rate, random);
        }
      });
    },
    constant(targets) {
      let sum = 0;
      for (const count of targets.data) sum += logFactorial(count);
      return sum;
    },
    target(link, { outputs, mean, variance }) {
      if (link === "plugin") return this.targetAt(mean, [outputs], undefined);
      const rate = mean.map((m, i) => portableExp(m + variance[i] / 2));
      // The variance of a count is the mean of its rate plus the rate's variance.
      const spread = variance.map((v, i) => rate[i] - portableExp(2 * (mean[i] + v)) * portableExpm1(-v));
      return { mean: rate, variance: spread };
    },
    targetAt(f) {
      const rate = f.map((logRate) => portableExp(logRate));
      return { mean: rate, variance: rate.slice() };
    },
  });
}

/** A Poisson variable: sums of small ones, each by Knuth's product of uniforms. */
function drawCount(rate: number, random: Random): number {
  if (rate > 700) return Math.max(0, Math.round(rate + Math.sqrt(rate) * random.normal()));
  let [count, product] = [-1, 1];
  for (const limit = Math.exp(-rate); product > limit || count < 0; count++) product *= random.uniform();
  return count;
}

/**
 * log ∫ Poisson(count; eᶠ) N(f; mean, variance) df, the log density of a count whose log rate is Gaussian (the
 * Poisson–log-normal mixture; Aitchison & Ho, 1989), to about 1e-12. The integrand is log-concave and analytic: the
 * trapezoidal rule on steps from its mode, as far as it matters, converges geometrically (Trefethen & Weideman, SIAM
 * Review 56, 2014).
 */
export function logCountDensity(count: number, mean: number, variance: number): number {
  const exponent = (f: number) => count * f - Math.exp(f);
  if (!(variance > 0)) return exponent(mean) - logFactorial(count);
  const log = (f: number) => exponent(f) - (f - mean) ** 2 / (2 * variance);
  // The slope falls ever faster, so that Newton's steps from the right come down to the mode and never cross it.
  let mode = Math.min(count > 0 ? Math.max(mean, Math.log(count)) : mean, 700);
  for (let step = Number.NEGATIVE_INFINITY; step < -1e-9; mode += step) {
    step = (count - Math.exp(mode) - (mode - mean) / variance) / (Math.exp(mode) + 1 / variance);
  }
  const width = 1 / Math.sqrt(Math.exp(mode) + 1 / variance);
  const h = Math.min(0.5 * width, 0.25);
  const peak = log(mode);
  let sum = 1;
  for (const direction of [-h, h]) {
    for (let j = 1, term = 1; term > 1e-18; j++) {
      term = Math.exp(log(mode + j * direction) - peak);
      sum += term;
    }
  }
  return peak + Math.log((h * sum) / Math.sqrt(2 * Math.PI * variance)) - logFactorial(count);
}

/** log n!, by Stirling's series from 20 on. */
function logFactorial(n: number): number {
  if (n < 20) {
    let sum = 0;
    for (let i = 2; i <= n; i++) sum += Math.log(i);
    return sum;
  }
  const x = n + 1;
  return (
    (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  );
}
