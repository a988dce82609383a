// Thompson sampling: each draw of the function says where it is best.

import type { ArrayLike } from "../array/ndarray.ts";
import { checkInteger, checkOptions, OptionError, readBudget } from "../errors.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import type { SampleOptions } from "../posterior/sampling.ts";
import { checkIsPosterior, type WeightGaussian } from "../posterior/weight-gaussian.ts";
import { functionSamples } from "../prediction/function-samples.ts";
import { type BoundOptions, signOf } from "./acquisition.ts";
import { checkOneOutput } from "./one-output.ts";

/** Options of `thompsonChoice`. */
export interface ThompsonOptions extends Pick<BoundOptions, "goal">, SampleOptions {}

/**
 * n inputs to try next: where each of n draws of the function is best, or next best where that was chosen by a draw before it
 * (Thompson 1933; in batches Kandasamy et al. 2018, arXiv:1705.09236). The draws are joint, those of `functionSamples`.
 * @param x [B, ...inputs] of a network with one output @param n from 1 to B @returns their numbers, none twice, [n]
 * @throws ShapeError, ValueError for bad inputs; OptionError; MemoryBudgetError for draws [n, S] or [n, B] beyond the budget
 */
export function thompsonChoice(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: ThompsonOptions = {},
): Uint32Array {
  return atOnce(chosen(posterior, x, n, options));
}

/** `thompsonChoice` in bursts. @throws as `thompsonChoice`; the signal's reason */
export async function thompsonChoiceAsync(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: InBursts<ThompsonOptions> = {},
): Promise<Uint32Array> {
  return asynchronously("thompsonChoice", options, (rest) => chosen(posterior, x, n, rest));
}

function* chosen(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: ThompsonOptions,
): Steps<Uint32Array, ExamplesReport> {
  const where = "thompsonChoice";
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["goal", "seed", "memoryBudget"]);
  const sign = signOf(where, options);
  const { seed = 0 } = options;
  checkInteger(where, "seed", seed, 0);
  checkInteger(where, "n", n, 1);
  checkOneOutput(where, posterior);
  const inputs = posterior.net.readInputs(where, x);
  const [batch] = inputs.shape;
  if (n > batch) throw new OptionError(`${where}: n is ${n}, but there are ${batch} inputs to choose from.`);
  const draw = { samples: n, seed, memoryBudget: readBudget(where, options.memoryBudget) };
  const { data } = yield* functionSamples(where, posterior, inputs, draw);
  const taken = new Uint8Array(batch);
  return Uint32Array.from({ length: n }, (_, s) => {
    let best = -1;
    for (let b = 0; b < batch; b++) {
      if (taken[b] === 0 && (best < 0 || sign * data[s * batch + b] > sign * data[s * batch + best])) best = b;
    }
    taken[best] = 1;
    return best;
  });
}
