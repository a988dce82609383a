// Two classes from one logit, or several independent labels from as many logits.

import { activationCode } from "../kernels/kernels.ts";
import { bytesPerElement, floats } from "../kernels/memory.ts";
import { binaryCrossEntropy } from "../losses/losses.ts";
import { type Likelihood, refuseSigmoid } from "./likelihood.ts";
import { type BinaryLink, binaryLinks, binaryProbabilities } from "./links.ts";

const spread = (p: number) => p * (1 - p);

/**
 * A Bernoulli likelihood on logits f: the loss is −y log σ(f) − (1 − y) log(1 − σ(f)), Λ = diag(p (1 − p)). Targets are
 * labels 0 and 1 or probabilities, shaped like the outputs; several outputs are independent labels. Predictions have the
 * probability p of label 1 as their mean and p (1 − p) as the variance: "probit" (default; MacKay 1992), "plugin",
 * "quadrature" (exact to 1e-8) or "monteCarlo".
 */
export function bernoulli(): Likelihood {
  const { rule } = binaryCrossEntropy;
  return {
    name: "bernoulli",
    noise: undefined,
    links: binaryLinks,
    checkNetwork: refuseSigmoid,
    readTargets: (where, targets, shape, dtype) => rule.readTargets(where, targets, shape, dtype),
    loss({ kernels, batch, outputs, f }, targets, to) {
      kernels.binaryCrossEntropy(batch * outputs, f, targets, to);
      return batch * outputs;
    },
    gradient({ kernels, batch, outputs, f }, targets, to) {
      rule.gradient(kernels, batch, outputs, f, targets, 1, to);
    },
    rootColumns: (outputs) => outputs,
    root({ kernels, dtype, batch, outputs, f }, to) {
      kernels.fill(outputs * batch * outputs, 0, to);
      const memory = floats(dtype);
      const size = bytesPerElement(dtype);
      const logits = memory.slice(f / size, f / size + batch * outputs);
      for (let i = 0; i < logits.length; i++) {
        const k = i % outputs;
        const b = (i - k) / outputs;
        // √(p (1 − p)) = 1 / (2 cosh(f / 2)), which does not cancel.
        memory[to / size + (k * batch + b) * outputs + k] = 0.5 / Math.cosh(logits[i] / 2);
      }
    },
    drawColumn({ kernels, dtype, batch, outputs, f }, random, to) {
      kernels.activation(activationCode.sigmoid, batch * outputs, f, to, 0);
      const memory = floats(dtype);
      const start = to / bytesPerElement(dtype);
      for (let i = start; i < start + batch * outputs; i++) memory[i] -= random.uniform() < memory[i] ? 1 : 0;
    },
    constant: () => 0,
    target(link, { batch, outputs, mean, covariance }, _, draw) {
      const variance = new Float64Array(batch * outputs);
      for (let i = 0; i < variance.length; i++) variance[i] = covariance[i * outputs + (i % outputs)];
      const p = binaryProbabilities(link as BinaryLink, mean, variance, draw);
      return { mean: p, variance: p.map(spread) };
    },
    targetAt(f) {
      const p = binaryProbabilities("plugin", f, new Float64Array(f.length), { samples: 1, seed: 0 });
      return { mean: p, variance: p.map(spread) };
    },
  };
}
