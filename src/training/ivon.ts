// Improved variational online Newton (Shen, Daheim, Cong, Nickl, Marconi, Bazan, Yokota, Gurevych, Cremers, Khan & Möllenhoff 2024,
// arXiv:2402.17641, algorithm 1): a diagonal Gaussian of the weights, trained at the cost of Adam.

import { NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { totalWeight } from "../data/dataset.ts";
import { checkNumber, checkOptions, OptionError, refuseJson } from "../errors.ts";
import { bytesPerElement, inMemory } from "../kernels/memory.ts";
import { weightOf } from "../losses/losses.ts";
import { factorOf } from "../posterior/evidence.ts";
import { likelihoodOf } from "./likelihood-of.ts";
import { power } from "./optimisers.ts";
import type { VariationalOptimizer, VariationalProblem, VariationalRun } from "./variational.ts";

/** Options of `ivon`. */
export interface IvonOptions {
  /** α, the share of a Newton step that a step is, where `initialCurvature` is right (default 0.1). */
  learningRate?: number | undefined;
  /** β₁, decay of the mean of gradients (default 0.9). */
  beta1?: number | undefined;
  /** β₂, decay of the mean of curvatures (default: its memory 1 / (1 − β₂) is a tenth of the steps, from 10 to 10⁵ of them). */
  beta2?: number | undefined;
  /** h₀, the curvature of the mean loss in each parameter at the beginning (default 1): too small a one begins with wild draws. */
  initialCurvature?: number | undefined;
  /** Precision of the prior N(0, I / priorPrecision) of the parameters (default 1): δ = priorPrecision / λ. */
  priorPrecision?: number | undefined;
  /**
   * λ, by which the mean loss is the negative log likelihood of all data (default: what the loss, its noise and the data say; `mse` as of noise
   * 1, so give `gaussian({ noise })`). Fewer widen the posterior.
   */
  effectiveSamples?: number | undefined;
}

const optionNames = ["learningRate", "beta1", "beta2", "initialCurvature", "priorPrecision", "effectiveSamples"];

/** The share of a training that the mean of curvatures remembers, and at least and at most so many steps. */
const [MEMORY, LEAST_MEMORY, MOST_MEMORY] = [0.1, 10, 1e5];

/**
 * The optimiser IVON (Shen et al. 2024, arXiv:2402.17641), whose state is the Gaussian N(m, diag(1 / (λ (h + δ)))) of the weights: each step takes
 * the gradient at a draw from it, and learns the mean m and the curvatures h by natural gradients of the variational bound. The network has the means;
 * `train` gives the Gaussian as `variational`, of which `ivonPosterior` makes a posterior. @throws OptionError
 */
export function ivon(options: IvonOptions = {}): VariationalOptimizer {
  const where = "ivon";
  checkOptions(where, options, optionNames);
  const {
    learningRate = 0.1,
    beta1 = 0.9,
    beta2,
    initialCurvature = 1,
    priorPrecision = 1,
    effectiveSamples,
  } = options;
  const above = { learningRate, initialCurvature, priorPrecision, effectiveSamples };
  for (const [name, value] of Object.entries(above)) if (value !== undefined) checkNumber(where, name, value, 0, true);
  for (const [name, beta] of Object.entries({ beta1, beta2 })) {
    if (beta === undefined) continue;
    checkNumber(where, name, beta, 0);
    if (beta >= 1) throw new OptionError(`${where}: ${name} must be below 1, not ${beta}.`);
  }
  const optimizer: VariationalOptimizer = {
    name: where,
    learningRate,
    options: { ...options },
    begin(problem) {
      if (problem.evidence !== undefined) {
        throw new OptionError(
          "train: ivon() has a prior of its own (priorPrecision), so leave evidence and prior out.",
        );
      }
      const memory = Math.min(Math.max(MEMORY * problem.steps, LEAST_MEMORY), MOST_MEMORY);
      const how = { learningRate, beta1, beta2: beta2 ?? 1 - 1 / memory, initialCurvature, priorPrecision };
      return runOf({ ...how, lambda: effectiveSamples ?? samplesOf(problem) }, problem);
    },
  };
  return refuseJson(
    optimizer,
    () =>
      "structuredClone, postMessage and JSON do not copy an optimiser, which is made of functions: make it again from its options",
  );
}

/** −log p(targets) = λ · (mean loss), but for constants. */
function samplesOf({ net, rule, data }: VariationalProblem): number {
  const { likelihood, scale } = likelihoodOf(rule, "ivon() without effectiveSamples");
  const { weights, targets } = data;
  const counted = weightOf(rule, net.outputShape, targets.data, weights && Float64Array.from(weights.data));
  return ((counted || 1) * factorOf(likelihood, 1)) / scale;
}

interface How {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly initialCurvature: number;
  readonly priorPrecision: number;
  readonly lambda: number;
}

function runOf(how: How, { net, data, weightDecay, seed }: VariationalProblem): VariationalRun {
  const { learningRate, beta1, beta2, initialCurvature, lambda } = how;
  const { dtype, parameterCount: size, parameterTable, frozen } = net;
  const delta = weightDecay + how.priorPrecision / lambda;
  const free = new Uint8Array(size).fill(1);
  for (const { name, offset, size: count } of parameterTable)
    if (frozen.has(name)) free.fill(0, offset, offset + count);
  // A stream apart from those of the order and of dropout.
  const random = new Random().restart(Uint32Array.of(0x69766f6e, 0, 0, 0), seed);
  // Means of many small changes, so float64 whatever the network's type.
  const momentum = new Float64Array(size);
  const curvature = new Float64Array(size).fill(initialCurvature);
  const bytes = bytesPerElement(dtype);
  return {
    name: "ivon",
    learningRate,
    stateArrays: 1,
    draw(mean, [at]) {
      inMemory(dtype, (memory) => {
        const [from, to] = [mean / bytes, at / bytes];
        for (let i = 0; i < size; i++) {
          const noise = free[i] === 1 ? random.normal() / Math.sqrt(lambda * (curvature[i] + delta)) : 0;
          memory[to + i] = memory[from + i] + noise;
        }
      });
      return at;
    },
    step({ parameters: mean, gradient, state: [at], count, rate }) {
      const unbias = 1 - power(beta1, count);
      const pace = learningRate * rate * (initialCurvature + delta);
      inMemory(dtype, (memory) => {
        const [m, g, draw] = [mean / bytes, gradient / bytes, at / bytes];
        for (let i = 0; i < size; i++) {
          const [h, slope] = [curvature[i], memory[g + i]];
          // By the mean of gradient times noise / σ² (Price's theorem), of which the second term keeps h + δ above 0.
          const seen = slope * (memory[draw + i] - memory[m + i]) * lambda * (h + delta);
          const next = h + (1 - beta2) * (seen - h) + (0.5 * ((1 - beta2) * (seen - h)) ** 2) / (h + delta);
          momentum[i] += (1 - beta1) * (slope - momentum[i]);
          curvature[i] = next;
          const move = (momentum[i] / unbias + delta * memory[m + i]) / (next + delta);
          // An infinite curvature would stop its weight without a word.
          memory[m + i] = Number.isFinite(next) ? memory[m + i] - pace * move : Number.NaN;
        }
      });
    },
    finish: () => ({
      mean: net.parameters.clone(),
      precision: new NDArray(
        curvature.map((h) => lambda * (h + delta)),
        [size],
      ),
      effectiveSamples: lambda,
      examples: totalWeight({ x: data.inputs, weights: data.weights }),
    }),
  };
}
