// Tuning of prior precision and noise: the evidence is maximised over their logarithms, in units of the problem's own.

import { checkBoolean, checkChoice, checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import { reporting, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Structure } from "../structures/curvature.ts";
import { type Prior, type PriorStructure, restructured } from "../structures/prior.ts";
import { checkPrior } from "../structures/table.ts";
import { adamAscent, type Maximum, MOST_LOG, maximise, type Objective } from "./maximise.ts";

const where = "optimizePrior";

/** Options of `optimizePrior` by the evidence. */
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
  /** Called with a warning where a number ran to a bound (default: console.warn). */
  onWarning?: ((message: string) => void) | undefined;
}

/** How far tuning is. */
export interface TuningReport {
  /** Points at which the evidence was computed. */
  readonly evaluations: number;
  /** The largest evidence so far. */
  readonly logMarginalLikelihood: number;
}

/** How tuning went. */
export interface Tuning {
  /** Steps taken. */
  readonly steps: number;
  /** The largest derivative of the evidence that was left, in log δ or log σ. */
  readonly gradientNorm: number;
  /**
   * Whether it is near enough to 0, at a maximum: false where a number ran to a bound, e³⁰ times off all that the data suggest; on
   * held-out data, where the best is at the edge of what was tried, or the steps were not enough.
   */
  readonly converged: boolean;
  /** Of held-out data: there `steps` are the candidates, and `gradientNorm` is 0. */
  readonly heldOut?: HeldOut | undefined;
}

/** A posterior that was scored on held-out data: what of it is not as before. */
export interface HeldOutCandidate {
  /** In the order of the fit's option `weights`. */
  readonly priorPrecision?: readonly number[];
  readonly noise?: number | readonly number[];
  readonly temperature?: number;
  /** NaN where it has no predictions. */
  readonly score: number;
}

/** How tuning on held-out data went. */
export interface HeldOut {
  /** The metric, or "a function". */
  readonly score: string;
  /** The best value. */
  readonly value: number;
  /** What is at the edge of what was tried, in words. */
  readonly edges: readonly string[];
  /** All candidates in the order in which they were scored; empty in a posterior of a file. */
  readonly curve: readonly HeldOutCandidate[];
}

/** Where tuning begins and what it measures by: numbers that change with the units of inputs and targets as the optimum does. */
export interface Scales {
  /** Of each of the prior's numbers. */
  readonly precision: Float64Array;
  /** Of the noise of each output, or of their one; empty where none is tuned. */
  readonly noise: Float64Array;
}

/** What is tuned: a prior and a likelihood, whose noise is one number, or one for each output. */
export interface Tuned {
  readonly prior: Prior;
  readonly likelihood: Likelihood;
}

/** The function that is tuned. */
export interface Tunable extends Tuned {
  readonly structure: Structure;
  /** Whether the noise of each output is tuned by itself. */
  readonly apart: boolean;
  /** Evidence and gradient; one log noise, or one for each output. */
  evaluate(at: Tuned): Steps<{
    value: number;
    magnitude: number;
    logPriorPrecision: Float64Array;
    logNoise: Float64Array;
    /** −∂² along each of them, about, where there are many. */
    bend?: { readonly logPriorPrecision: Float64Array; readonly logNoise: Float64Array } | undefined;
  }>;
  /** The problem's own scales. */
  scales(prior: Prior, noise: boolean): Scales;
}

/**
 * Finds the prior and the noise. The coordinates are logarithms of their ratios to the problem's own scales, at which
 * "bfgs" begins, so that neither the units of the data nor the prior before matter; only where that was better than what was
 * found, the climb begins there.
 */
export function* tune(tunable: Tunable, options: TuningOptions): Steps<Tuned & { tuning: Tuning }, TuningReport> {
  const { prior, likelihood, structure, apart } = tunable;
  checkOptions(where, options, ["priorStructure", "noise", "method", "steps", "learningRate", "onWarning"]);
  const warn = readWarning(where, options.onWarning);
  const { hyper, withHyper } = likelihood;
  const { priorStructure = prior.structure, noise = hyper.any, method = "bfgs", learningRate = 0.1 } = options;
  checkChoice(where, "priorStructure", priorStructure, ["scalar", "perParameter", "perWeight"]);
  checkBoolean(where, "noise", noise);
  checkChoice(where, "method", method, ["bfgs", "adam"]);
  const { steps = method === "bfgs" ? 200 : 100 } = options;
  checkInteger(where, "steps", steps, 0);
  checkNumber(where, "learningRate", learningRate, 0, true);
  if (noise && withHyper === undefined) {
    throw new OptionError(`${where}: a ${likelihood.name} likelihood has no noise to tune.`);
  }
  const start = restructured(where, prior, priorStructure);
  checkPrior(where, structure, start);
  const scales = tunable.scales(start, noise);
  const count = start.precision.length;
  const noises = scales.noise.map((_, c) => (apart ? hyper.of(c) : hyper.value));
  const origin = joined(scales.precision, scales.noise).map(Math.log);
  const before = joined(start.precision, noises).map((x, i) => Math.log(x) - origin[i]);
  const at = (point: Float64Array): Tuned => {
    const values = point.map((x, i) => Math.exp(origin[i] + x));
    const sigma = values.subarray(count);
    return {
      prior: start.with(values.slice(0, count)),
      likelihood: noise && withHyper !== undefined ? withHyper(apart ? [...sigma] : sigma[0]) : likelihood,
    };
  };
  const seen: Seen = { evaluations: 0, best: Number.NEGATIVE_INFINITY };
  const objective: Objective = (point) => measured(tunable.evaluate(at(point)), seen, noise);
  const ascent =
    method === "adam" ? adamAscent(objective, before, { steps, learningRate }) : climb(objective, before, steps, count);
  let reported = 0;
  const found = yield* reporting(ascent, () => {
    if (seen.evaluations === reported) return undefined;
    reported = seen.evaluations;
    return { evaluations: reported, logMarginalLikelihood: seen.best };
  });
  const tuning = {
    steps: found.steps,
    gradientNorm: found.gradientNorm,
    converged: found.converged && !found.bounded,
  };
  const ran = found.bounded ? MOST_LOG : priorStructure === "perWeight" ? Number.POSITIVE_INFINITY : FAR_LOG;
  const warning = method === "bfgs" ? boundWarning(found.u, count, ran, found.bounded) : undefined;
  if (warning !== undefined) warn(warning);
  return { ...at(found.u), tuning };
}

/** What was seen of the evidence. */
interface Seen {
  evaluations: number;
  best: number;
}

/** The evidence at a point, with its slopes in one row. */
function* measured(steps: ReturnType<Tunable["evaluate"]>, seen: Seen, noise: boolean) {
  const { value, magnitude, logPriorPrecision, logNoise, bend } = yield* steps;
  seen.evaluations++;
  seen.best = Math.max(seen.best, value);
  yield;
  const both = (of: { logPriorPrecision: Float64Array; logNoise: Float64Array }) =>
    noise ? joined(of.logPriorPrecision, of.logNoise) : of.logPriorPrecision;
  return { value, magnitude, gradient: both({ logPriorPrecision, logNoise }), bend: bend && both(bend) };
}

/** A precision that is e¹⁰ times the problem's own scale is on its way to 0 or infinity, where the evidence is flat; of single weights many are. */
const FAR_LOG = 10;

/** Where the numbers ran, if one is beyond `far`, or a bound stops one. */
function boundWarning(u: Float64Array, precisions: number, far: number, bounded: boolean): string | undefined {
  const own = u.subarray(0, precisions);
  const [high, low] = [own.filter((x) => x >= far).length, own.filter((x) => x <= -far).length];
  if (high + low === 0 && !bounded) return undefined;
  const ends = [
    high > 0 ? "infinity, where the weights count as known" : "",
    low > 0 || high + low === 0 ? `0${low > 0 ? ", where nothing holds the weights" : ""}` : "",
  ];
  const many = precisions === 1 ? "the prior precision" : `${high + low} of ${precisions} prior precisions`;
  const what = high + low === 0 ? "the noise" : many;
  return `${where}: tuning drove ${what} to ${ends.filter((end) => end !== "").join(" or ")}: the data do not hold it there by the evidence. Tune on held-out data, optimizePrior({ on: validation }), or give the number yourself, by with({ priorPrecision }).`;
}

/** What takes warnings. @throws OptionError */
export function readWarning(where: string, onWarning: unknown): (message: string) => void {
  const isClass = typeof onWarning === "function" && /^class\b/.test(Function.prototype.toString.call(onWarning));
  if (onWarning !== undefined && (typeof onWarning !== "function" || isClass)) {
    throw new OptionError(`${where}: onWarning must be a function, not ${isClass ? "a class" : typeof onWarning}.`);
  }
  const { console } = globalThis as unknown as { console: { warn(text: string): void } };
  return (onWarning as ((message: string) => void) | undefined) ?? ((message) => console.warn(message));
}

function joined(a: Float64Array, b: Float64Array): Float64Array {
  const result = new Float64Array(a.length + b.length);
  result.set(a);
  result.set(b, a.length);
  return result;
}

/** From the problem's own scales; from the point before where that is higher than what was found, or the first has no value. */
function* climb(objective: Objective, before: Float64Array, steps: number, precisions: number): Steps<Maximum> {
  // The noise is at its maximum where σ² = Σ residuals² / (N C − γ) (MacKay 1992), never below the residuals' own.
  const least = (i: number) => (i < precisions ? -MOST_LOG : -1);
  const from = (start: Float64Array) => {
    const lower = start.map((x, i) => Math.min(x, least(i)));
    return maximise(objective, start, { steps, lower, upper: start.map((x) => Math.max(x, MOST_LOG)) });
  };
  if (steps === 0) return yield* from(before);
  let found: Maximum;
  try {
    found = yield* from(new Float64Array(before.length));
  } catch {
    return yield* from(before);
  }
  try {
    const { value, magnitude = Math.abs(value) } = yield* objective(before);
    if (!(value > found.value + 1e-9 * magnitude)) return found;
    const other = yield* from(before);
    return other.value > found.value ? other : found;
  } catch {
    return found;
  }
}
