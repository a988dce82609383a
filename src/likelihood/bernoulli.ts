// Two classes from one logit, or several independent labels from as many logits.

import { sizeOf } from "../array/ndarray.ts";
import { activationCode } from "../kernels/kernels.ts";
import { bytesPerElement, type FloatArray, inMemory } from "../kernels/memory.ts";
import { checkClassOptions, type IgnoreOptions } from "../losses/classes.ts";
import { binaryCrossEntropy } from "../losses/losses.ts";
import type { Outputs } from "../network/part-outputs.ts";
import { type BinaryLink, binaryLinks, binaryLogProbabilities, binaryPairs } from "./binary-links.ts";
import { binaryEntropies } from "./entropies.ts";
import { headsBy, squaresOf } from "./head.ts";
import { noHyper } from "./hyper.ts";
import { alone, frequencies, type Likelihood, likelihoodOf, refuseSigmoid, writeDiagonal } from "./likelihood.ts";

/**
 * A Bernoulli likelihood on logits f: the loss is −y log σ(f) − (1 − y) log(1 − σ(f)), Λ = diag(p (1 − p)). Targets are
 * labels 0 and 1 or probabilities, shaped like the outputs; several outputs are independent labels. Targets of the value
 * `ignoredLabel` are left out. Predictions have the probability p of label 1 as their mean and p (1 − p) as the
 * variance: "probit" (default; MacKay 1992), "plugin", "quadrature" (exact to 1e-8) or "monteCarlo".
 * @throws OptionError
 */
export function bernoulli(options: IgnoreOptions = {}): Likelihood<"labels"> {
  checkClassOptions("bernoulli", options, ["ignoredLabel"]);
  const { elementShape, readTargets, counted, elements, gradient, dropIgnored } = binaryCrossEntropy.with(options).rule;
  return likelihoodOf<"labels">({
    name: "bernoulli",
    elementShape,
    readTargets,
    counted,
    elements,
    gradient,
    dropIgnored,
    targets: "labels",
    normal: false,
    hyper: noHyper,
    ignoredLabel: options.ignoredLabel,
    links: binaryLinks,
    needs: (link) => (link === "plugin" ? "mean" : "variance"),
    checkNetwork: refuseSigmoid,
    group: alone,
    rootColumns: sizeOf,
    curve: "root",
    root: (outputs, columns, to) =>
      inMemory(outputs.dtype, (memory) => writeDiagonal(outputs, columns, to, rootsOf(outputs, memory))),
    head: headsBy({ shared: false, write: squaresOf(rootsOf), dropIgnored }),
    drawColumn({ kernels, dtype, batch, outputs, f }, draws, to) {
      kernels.activation(activationCode.sigmoid, batch * outputs, f, to, 0);
      let at = to / bytesPerElement(dtype);
      inMemory(dtype, (memory) => {
        for (let b = 0; b < batch; b++) {
          const random = draws(b);
          for (let c = 0; c < outputs; c++, at++) memory[at] -= random.uniform() < memory[at] ? 1 : 0;
        }
      });
    },
    constant: () => 0,
    information: ({ mean }) => mean * (1 - mean),
    uncertainty: ({ mean, variance }) => binaryEntropies(mean, variance),
    baseline: frequencies(true),
    entry: { ignoredLabel: options.ignoredLabel },
    target(link, { mean, variance }, draw) {
      const { one, zero } = binaryPairs(link as BinaryLink, mean, variance, draw);
      return { mean: one, variance: one.map((p, i) => p * zero[i]) };
    },
    targetAt(f) {
      const { one, zero } = binaryPairs("plugin", f, new Float64Array(f.length), { samples: 1, seed: 0 });
      return { mean: one, variance: one.map((p, i) => p * zero[i]) };
    },
    logProbabilities: (link, { mean, variance }, draw) =>
      binaryLogProbabilities(link as BinaryLink, mean, variance, draw),
  });
}

/** √(p (1 − p)) = 1 / (2 cosh(f / 2)), which does not cancel. */
function rootsOf({ f, dtype }: Outputs, memory: FloatArray): (i: number) => number {
  const start = f / bytesPerElement(dtype);
  return (i) => 0.5 / Math.cosh(memory[start + i] / 2);
}
