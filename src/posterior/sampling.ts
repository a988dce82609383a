// Draws of a network's parameters.

import { NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkBytes, checkInteger, checkOptions, newFloats, readBudget } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { panels } from "../network/panels.ts";
import type { WeightGaussian } from "./weight-gaussian.ts";

/** Options of what draws: the seed (default 0), and bytes that the draws may need (default 1 GiB). */
export interface SampleOptions extends MemoryOptions {
  readonly seed?: number | undefined;
}

/** See `Posterior.sample`. */
export function* sampling(posterior: WeightGaussian, n: number, options: SampleOptions): Steps<NDArray> {
  checkInteger("sample", "n", n, 0);
  checkOptions("sample", options, ["seed", "memoryBudget"]);
  const count = posterior.net.parameterCount;
  const budget = readBudget("sample", options.memoryBudget);
  checkBytes("sample", [n, count], budget, "Draw fewer at a time, with other seeds.");
  const result = newFloats("sample", [n, count]);
  const random = new Random(options.seed);
  for (const [first, some] of panels(n, posterior.size)) {
    const draws = yield* posterior.deviations(some, random);
    for (let s = 0; s < some; s++) {
      result.set(posterior.embed(draws, s, posterior.theta), (first + s) * count);
      yield;
    }
  }
  return new NDArray(result, [n, count]);
}
