// Classes, one of several: outputs are logits.

import { shapeText } from "../array/ndarray.ts";
import { ShapeError } from "../errors.ts";
import { bytesPerElement, floats } from "../kernels/memory.ts";
import { crossEntropy } from "../losses/losses.ts";
import { type Likelihood, refuseSigmoid } from "./likelihood.ts";
import { type ClassLink, classLinks, classProbabilities } from "./links.ts";

const spread = (p: number) => p * (1 - p);

/**
 * A categorical likelihood on logits f [B, C]: the loss is the cross-entropy −log softmax(f)_y. Λ = diag(p) − p pᵀ has the
 * rank C − 1; its columns are those of its Cholesky factor (Tanabe & Sagae 1992). Targets are labels [B] or probabilities
 * [B, C]. Predictions have probabilities p as their mean and p (1 − p) as the variance: "probit" (default; MacKay 1992),
 * "plugin", "bridge", "normalizedBridge", "meanField1", "meanField2" or "monteCarlo".
 */
export function categorical(): Likelihood {
  const { rule } = crossEntropy;
  return {
    name: "categorical",
    noise: undefined,
    links: classLinks,
    checkNetwork(where, net) {
      refuseSigmoid(where, net);
      const [classes] = net.outputShape;
      if (net.outputShape.length === 1 && classes >= 2) return;
      throw new ShapeError(
        `${where}: a categorical likelihood takes logits [C] of at least two classes, but the network's output has shape ${shapeText(net.outputShape)}. One logit is for "binary".`,
      );
    },
    readTargets: (where, targets, shape, dtype) => rule.readTargets(where, targets, shape, dtype),
    loss({ kernels, batch, outputs, f }, targets, to) {
      kernels.crossEntropy(batch, outputs, f, targets, to);
      return batch;
    },
    gradient({ kernels, batch, outputs, f }, targets, to) {
      rule.gradient(kernels, batch, outputs, f, targets, 1, to);
    },
    rootColumns: (outputs) => outputs - 1,
    root({ kernels, dtype, batch, outputs, f }, to) {
      // Probabilities are written into the last column's place first.
      const n = batch * outputs;
      const size = bytesPerElement(dtype);
      const last = to / size + (outputs - 2) * n;
      kernels.softmax(batch, outputs, f, last * size);
      const memory = floats(dtype);
      const p = memory.slice(last, last + n);
      for (let b = 0; b < batch; b++) {
        const row = b * outputs;
        let below = p[row + outputs - 1];
        for (let k = outputs - 2; k >= 0; k--) {
          // Sums of the probabilities after p_k, and with it: none is a difference, so that all keep their digits.
          const rest = below;
          below += p[row + k];
          const start = to / size + k * n + row;
          const root = below > 0 ? Math.sqrt(p[row + k] / below) : 0;
          memory.fill(0, start, start + k);
          memory[start + k] = root * Math.sqrt(rest);
          const factor = rest > 0 ? root / Math.sqrt(rest) : 0;
          for (let c = k + 1; c < outputs; c++) memory[start + c] = -factor * p[row + c];
        }
      }
    },
    drawColumn({ kernels, dtype, batch, outputs, f }, random, to) {
      kernels.softmax(batch, outputs, f, to);
      const memory = floats(dtype);
      const start = to / bytesPerElement(dtype);
      for (let b = 0; b < batch; b++) {
        const row = start + b * outputs;
        let rest = random.uniform();
        let label = 0;
        while (label < outputs - 1 && rest >= memory[row + label]) rest -= memory[row + label++];
        memory[row + label] = -others(memory, row, outputs, label);
      }
    },
    constant: () => 0,
    target(link, { batch, outputs, mean, covariance }, _, draw) {
      const p = classProbabilities(link as ClassLink, mean, covariance, batch, outputs, draw);
      return { mean: p, variance: p.map(spread) };
    },
    targetAt(f, outputs) {
      const batch = f.length / outputs;
      const none = new Float64Array(f.length * outputs);
      const p = classProbabilities("plugin", f, none, batch, outputs, { samples: 1, seed: 0 });
      return { mean: p, variance: p.map(spread) };
    },
  };
}

/** 1 − p_k as the sum of the other probabilities, which keeps its digits where p_k rounds to 1. */
function others(p: ArrayLike<number>, row: number, outputs: number, k: number): number {
  let sum = 0;
  for (let c = 0; c < outputs; c++) if (c !== k) sum += p[row + c];
  return sum;
}
