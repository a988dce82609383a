// Tuning of prior precision and noise: the evidence is maximised over their logarithms.

import { checkBoolean, checkChoice, checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { adamAscent, maximise } from "./maximise.ts";
import { type Prior, type PriorStructure, refusePerWeight } from "./prior.ts";

/** Options of `optimizePrior`. */
export interface TuningOptions {
  /** How many prior precisions are tuned: one, one for each parameter, or one for each weight (default: as many as there are). */
  priorStructure?: PriorStructure | undefined;
  /** Whether the noise is tuned with them (default: where the likelihood has one). */
  noise?: boolean | undefined;
  /** "bfgs" (default) goes on to a stationary point; "adam" takes a fixed number of steps, as the Python peers do. */
  method?: "bfgs" | "adam" | undefined;
  /** Most steps of "bfgs" (default 200), or steps of "adam" (default 100). */
  steps?: number | undefined;
  /** Step size of "adam" (default 0.1). */
  learningRate?: number | undefined;
}

/** How tuning went. */
export interface Tuning {
  /** Steps taken. */
  readonly steps: number;
  /** The largest derivative of the evidence that was left, in log δ or log σ. */
  readonly gradientNorm: number;
  /** Whether it is near enough to 0. */
  readonly converged: boolean;
}

/** Evidence and gradient at a prior and a likelihood. */
type Evaluate = (
  prior: Prior,
  likelihood: Likelihood,
) => { value: number; logPriorPrecision: Float64Array; logNoise: number | undefined };

/** Finds the prior and the noise. */
export function tune(
  prior: Prior,
  likelihood: Likelihood,
  structure: string,
  options: TuningOptions,
  evaluate: Evaluate,
): { prior: Prior; likelihood: Likelihood; tuning: Tuning } {
  const where = "optimizePrior";
  checkOptions(where, options, ["priorStructure", "noise", "method", "steps", "learningRate"]);
  const {
    priorStructure = prior.structure,
    noise = likelihood.noise !== undefined,
    method = "bfgs",
    learningRate = 0.1,
  } = options;
  checkChoice(where, "priorStructure", priorStructure, ["scalar", "perParameter", "perWeight"]);
  checkBoolean(where, "noise", noise);
  checkChoice(where, "method", method, ["bfgs", "adam"]);
  const { steps = method === "bfgs" ? 200 : 100 } = options;
  checkInteger(where, "steps", steps, 0);
  checkNumber(where, "learningRate", learningRate, 0, true);
  const { withNoise } = likelihood;
  if (noise && (likelihood.noise === undefined || withNoise === undefined)) {
    throw new OptionError(`${where}: a ${likelihood.name} likelihood has no noise to tune.`);
  }
  const start = prior.as(priorStructure);
  if (structure === "kronecker" || structure === "ekfac") refusePerWeight(where, start, structure);
  const count = start.precision.length;
  const u = new Float64Array(count + (noise ? 1 : 0));
  start.precision.forEach((delta, i) => {
    u[i] = Math.log(delta);
  });
  if (noise) u[count] = Math.log(likelihood.noise as number);
  const at = (point: Float64Array) => ({
    prior: start.with(point.subarray(0, count).map(Math.exp)),
    likelihood: noise && withNoise !== undefined ? withNoise(Math.exp(point[count])) : likelihood,
  });
  const objective = (point: Float64Array) => {
    const there = at(point);
    const { value, logPriorPrecision, logNoise } = evaluate(there.prior, there.likelihood);
    const gradient = new Float64Array(point.length);
    gradient.set(logPriorPrecision);
    if (noise) gradient[count] = logNoise as number;
    return { value, gradient };
  };
  const found =
    method === "bfgs" ? maximise(objective, u, { steps }) : adamAscent(objective, u, { steps, learningRate });
  const tuning = { steps: found.steps, gradientNorm: found.gradientNorm, converged: found.converged };
  return { ...at(found.u), tuning };
}
