// Optimisers: plain descriptions of a step. Their state lives in arrays as long as the parameters.

import { checkBoolean, checkNumber, checkOptions, OptionError, refuseJson } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Pointer } from "../kernels/memory.ts";
import { withTraining } from "../kernels/training.ts";

/** One step, in the kernels' memory. */
export interface Step {
  readonly kernels: Kernels;
  /** P, the number of parameters. */
  readonly size: number;
  readonly parameters: Pointer;
  readonly gradient: Pointer;
  /** The optimiser's state arrays, as many as `stateArrays`; zero at first. */
  readonly state: readonly Pointer[];
  /** The number of this step, from 1. */
  readonly count: number;
  /** Coefficient of θ to be added to the gradient. */
  readonly decay: number;
  /** What the learning rate is multiplied by in this step. */
  readonly rate: number;
}

/** How parameters move along a gradient. */
export interface Optimizer {
  readonly name: string;
  readonly learningRate: number;
  /** State arrays of P numbers that it needs. */
  readonly stateArrays: number;
  /** The options that it was made with, if it is one of the library's: it is made again of them elsewhere. */
  readonly options?: SgdOptions | AdamWOptions;
  step(step: Step): void;
}

/** Options of `sgd`. */
export interface SgdOptions {
  /** Step size (default 0.01). */
  learningRate?: number;
  /** Share of the last step kept (default 0). */
  momentum?: number;
  /** Whether the gradient is looked up where momentum leads (default false). */
  nesterov?: boolean;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy an optimiser, which is made of functions: make it again from its options";

const optimizerOf = (optimizer: Optimizer) => refuseJson(optimizer, copies);

/** Stochastic gradient descent: v ← μ v + g, θ ← θ − η v (Sutskever et al. 2013). @throws OptionError */
export function sgd(options: SgdOptions = {}): Optimizer {
  checkOptions("sgd", options, ["learningRate", "momentum", "nesterov"]);
  const { learningRate = 0.01, momentum = 0, nesterov = false } = options;
  checkNumber("sgd", "learningRate", learningRate, 0, true);
  checkNumber("sgd", "momentum", momentum, 0);
  checkBoolean("sgd", "nesterov", nesterov);
  if (nesterov && momentum === 0) throw new OptionError("sgd: nesterov needs a momentum above 0.");
  if (momentum >= 1) throw new OptionError(`sgd: momentum must be below 1, not ${momentum}.`);
  return optimizerOf({
    name: "sgd",
    learningRate,
    options: { ...options },
    stateArrays: momentum === 0 ? 0 : 1,
    step({ kernels, size, parameters, gradient, state, decay, rate }) {
      withTraining(kernels).sgdStep(
        size,
        parameters,
        gradient,
        state[0] ?? 0,
        learningRate * rate,
        momentum,
        nesterov,
        decay,
      );
    },
  });
}

/** Options of `adam`. */
export interface AdamOptions {
  /** Step size (default 0.001). */
  learningRate?: number;
  /** Decay of the mean of gradients (default 0.9). */
  beta1?: number;
  /** Decay of the mean of squared gradients (default 0.999). */
  beta2?: number;
  /** Added to the root of the mean square (default 1e-8). */
  epsilon?: number;
}

const adamNames = ["learningRate", "beta1", "beta2", "epsilon"];

/** base^exponent by multiplications alone: `**` may differ in the last bit from one JavaScript engine to the next. */
export function power(base: number, exponent: number): number {
  let result = 1;
  for (let square = base, rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

function adamLike(name: string, options: AdamWOptions, decoupledDecay: number): Optimizer {
  const { learningRate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  checkNumber(name, "learningRate", learningRate, 0, true);
  checkNumber(name, "epsilon", epsilon, 0, true);
  for (const [label, beta] of Object.entries({ beta1, beta2 })) {
    checkNumber(name, label, beta, 0);
    if (beta >= 1) throw new OptionError(`${name}: ${label} must be below 1, not ${beta}.`);
  }
  return optimizerOf({
    name,
    learningRate,
    options: { ...options },
    stateArrays: 2,
    step({ kernels, size, parameters, gradient, state: [mean, square], count, decay, rate }) {
      const [first, second] = [1 - power(beta1, count), 1 - power(beta2, count)];
      withTraining(kernels).adamStep(
        size,
        parameters,
        gradient,
        mean,
        square,
        learningRate * rate,
        beta1,
        beta2,
        epsilon,
        first,
        second,
        decay,
        decoupledDecay,
      );
    },
  });
}

/** Adam (Kingma & Ba 2015, algorithm 1). @throws OptionError */
export function adam(options: AdamOptions = {}): Optimizer {
  checkOptions("adam", options, adamNames);
  return adamLike("adam", options, 0);
}

/** Options of `adamW`. */
export interface AdamWOptions extends AdamOptions {
  /** Share of the parameters, times the learning rate, taken off in each step (default 0.01). */
  weightDecay?: number;
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019). @throws OptionError */
export function adamW(options: AdamWOptions = {}): Optimizer {
  checkOptions("adamW", options, [...adamNames, "weightDecay"]);
  const { weightDecay = 0.01 } = options;
  checkNumber("adamW", "weightDecay", weightDecay, 0);
  return adamLike("adamW", options, weightDecay);
}
