// Schedules of the learning rate: what it is multiplied by, from step to step.

import { checkNumber, checkOptions, OptionError } from "../errors.ts";

/** What the learning rate is multiplied by in a step. @param step from 1 @param steps of the whole training */
export type Schedule = (step: number, steps: number) => number;

/** Options of `cosineDecay` and `linearDecay`. */
export interface DecayOptions {
  /** The share of the steps in which the factor first rises from 0 to 1, evenly (default 0). */
  warmup?: number;
  /** The factor at the last step (default 0). */
  end?: number;
}

/** cos(π t) for t in [0, 1], by additions and products alone: the same bits in every engine. */
function cosineOf(t: number): number {
  if (t > 0.5) return -cosineOf(1 - t);
  const x = Math.PI * t;
  let sum = 1; // Taylor's series, good to the last digit up to π/2
  for (let n = 22; n >= 2; n -= 2) sum = 1 - (sum * x * x) / (n * (n - 1));
  return sum;
}

function decay(name: string, options: DecayOptions, shape: (t: number) => number): Schedule {
  checkOptions(name, options, ["warmup", "end"]);
  const { warmup = 0, end = 0 } = options;
  checkNumber(name, "warmup", warmup, 0);
  checkNumber(name, "end", end, 0);
  if (warmup > 1) throw new OptionError(`${name}: warmup is a share of the steps, from 0 to 1, not ${warmup}.`);
  const factor: Schedule = (step, steps) => {
    const rise = warmup * steps;
    if (step < rise) return step / rise;
    // The first step after the rise has the factor 1, and the last one of all `end`.
    const first = Math.max(1, Math.ceil(rise));
    return steps <= first ? 1 : end + (1 - end) * shape((step - first) / (steps - first));
  };
  // Of these it is made again elsewhere.
  return Object.assign(factor, { madeOf: { name, options: { ...options } } });
}

/**
 * From 1 to `end` along half a cosine, end + (1 − end)(1 + cos π t) / 2, t from 0 at the first step after the warm-up to 1 at
 * the last (Loshchilov & Hutter 2017, eq. 5, without restarts). @throws OptionError
 */
export function cosineDecay(options: DecayOptions = {}): Schedule {
  return decay("cosineDecay", options, (t) => (1 + cosineOf(t)) / 2);
}

/** From 1 to `end` along a line, after the warm-up. @throws OptionError */
export function linearDecay(options: DecayOptions = {}): Schedule {
  return decay("linearDecay", options, (t) => 1 - t);
}
