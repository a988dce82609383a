// Counts: outputs are logarithms of rates.

import { sizeOf } from "../array/ndarray.ts";
import type { Random } from "../array/random.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, floats } from "../kernels/memory.ts";
import { mse } from "../losses/losses.ts";
import { alone, type Likelihood, writeDiagonal } from "./likelihood.ts";

/**
 * A Poisson likelihood with the rate eᶠ: the loss is eᶠ − y f, Λ = diag(eᶠ). Targets are counts, shaped like the outputs.
 * Predictions are counts: "exact" (default) has the mean of a log-normal rate, e^(m + v/2), and the variance of counts of
 * that rate; "plugin" takes the rate at the mean.
 */
export function poisson(): Likelihood {
  return {
    name: "poisson",
    noise: undefined,
    links: ["exact", "plugin"],
    checkNetwork() {},
    readTargets(where, targets, shape, dtype) {
      const t = mse.rule.readTargets(where, targets, shape, dtype);
      t.data.forEach((count: number, i: number) => {
        if (Number.isInteger(count) && count >= 0) return;
        throw new ValueError(`${where}: target ${count} (element ${i}) is no count: 0, 1, 2 and so on are due.`);
      });
      return t;
    },
    loss({ dtype, batch, outputs, f }, targets, to) {
      const [memory, elements, size] = [floats(dtype), floats("float64"), bytesPerElement(dtype)];
      for (let i = 0; i < batch * outputs; i++) {
        const logRate = memory[f / size + i];
        elements[to / 8 + i] = Math.exp(logRate) - memory[targets / size + i] * logRate;
      }
      return batch * outputs;
    },
    gradient({ dtype, batch, outputs, f }, targets, to) {
      const [memory, size] = [floats(dtype), bytesPerElement(dtype)];
      for (let i = 0; i < batch * outputs; i++) {
        memory[to / size + i] = Math.exp(memory[f / size + i]) - memory[targets / size + i];
      }
    },
    group: alone,
    rootColumns: sizeOf,
    root(outputs, columns, to) {
      const [memory, start] = [floats(outputs.dtype), outputs.f / bytesPerElement(outputs.dtype)];
      writeDiagonal(outputs, columns, to, (i) => Math.exp(memory[start + i] / 2));
    },
    drawColumn({ dtype, batch, outputs, f }, random, to) {
      const [memory, size] = [floats(dtype), bytesPerElement(dtype)];
      for (let i = 0; i < batch * outputs; i++) {
        const rate = Math.exp(memory[f / size + i]);
        memory[to / size + i] = rate - drawCount(rate, random);
      }
    },
    constant(targets) {
      let sum = 0;
      for (const count of targets.data) sum += logFactorial(count);
      return sum;
    },
    target(link, { outputs, mean, variance }) {
      if (link === "plugin") return this.targetAt(mean, [outputs], undefined);
      const rate = mean.map((m, i) => Math.exp(m + variance[i] / 2));
      // The variance of a count is the mean of its rate plus the rate's variance.
      const spread = variance.map((v, i) => rate[i] - Math.exp(2 * (mean[i] + v)) * Math.expm1(-v));
      return { mean: rate, variance: spread };
    },
    targetAt(f) {
      const rate = f.map((logRate) => Math.exp(logRate));
      return { mean: rate, variance: rate.slice() };
    },
  };
}

/** A Poisson variable: sums of small ones, each by Knuth's product of uniforms. */
function drawCount(rate: number, random: Random): number {
  if (rate > 700) return Math.max(0, Math.round(rate + Math.sqrt(rate) * random.normal()));
  let [count, product] = [-1, 1];
  for (const limit = Math.exp(-rate); product > limit || count < 0; count++) product *= random.uniform();
  return count;
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
