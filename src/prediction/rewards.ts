// What a posterior of preferences knows of the rewards of single inputs.

import { type ArrayLike, asArray, makeFloats, NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkOptions, newFloats, readBudget, ShapeError } from "../errors.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import { checkIsPreference } from "../network/preference.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { wholeRoute } from "./cuts.ts";
import { eachFunction } from "./functions.ts";
import type { Linearised } from "./linearised.ts";

/** Options of `rewards`. */
export interface RewardOptions extends MemoryOptions {
  /**
   * An input, [...inputs], to which rewards are relative: r(x) − r(reference). Pairs say nothing of the rewards' level, whose
   * variance is the prior's; differences are what they know.
   */
  readonly reference?: ArrayLike | undefined;
}

/** Means and variances of rewards, [B] each. */
export interface Rewards {
  readonly mean: NDArray;
  readonly variance: NDArray;
}

/**
 * The rewards of single inputs, with the variance that the weights leave open, by a posterior of `preference(net)`: those of the
 * linearised network. @param x [B, ...inputs] @throws ShapeError, ValueError for bad inputs; LaplaceError for another network
 */
export function rewards(posterior: Linearised, x: ArrayLike, options: RewardOptions = {}): Rewards {
  return atOnce(rewardsOf(posterior, x, options));
}

/** `rewards` in bursts. @throws as `rewards`; the signal's reason */
export async function rewardsAsync(
  posterior: Linearised,
  x: ArrayLike,
  options: InBursts<RewardOptions> = {},
): Promise<Rewards> {
  return asynchronously("rewards", options, (rest) => rewardsOf(posterior, x, rest));
}

function* rewardsOf(posterior: Linearised, x: ArrayLike, options: RewardOptions): Steps<Rewards, ExamplesReport> {
  const where = "rewards";
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["reference", "memoryBudget"]);
  const memoryBudget = readBudget(where, options.memoryBudget);
  const { net } = posterior;
  checkIsPreference(where, net);
  const shape = net.inputShape.slice(1);
  const given = asArray(x);
  if (given.rank === 0 || !sameShape(given.shape.slice(1), shape)) {
    throw new ShapeError(
      `${where}: expected single inputs of shape [B${shape.map((length) => `, ${length}`).join("")}], got ${shapeText(given.shape)}.`,
    );
  }
  const reference = options.reference === undefined ? undefined : asArray(options.reference);
  if (reference !== undefined && !sameShape(reference.shape, shape)) {
    throw new ShapeError(
      `${where}: expected a reference of shape ${shapeText(shape)}, one input, got ${shapeText(reference.shape)}.`,
    );
  }
  const [batch] = given.shape;
  const width = given.size / Math.max(1, batch);
  const pairs = makeFloats(net.dtype, 2 * given.size);
  for (let b = 0; b < batch; b++) {
    const own = given.data.subarray(b * width, (b + 1) * width);
    pairs.set(own, 2 * b * width);
    pairs.set(reference?.data ?? own, (2 * b + 1) * width);
  }
  const inputs = net.readInputs(where, new NDArray(pairs, [batch, ...net.inputShape]));
  const [mean, variance] = [0, 1].map(() => newFloats(where, [batch]));
  const asked = { needs: "covariance", route: wholeRoute(2), memoryBudget } as const;
  yield* eachFunction(where, posterior, inputs, asked, (part) => {
    const v = part.covariance as Float64Array;
    for (let b = 0; b < part.batch; b++) {
      const [own, other] = [part.mean[2 * b], part.mean[2 * b + 1]];
      mean[part.first + b] = reference === undefined ? own : own - other;
      const difference = v[4 * b] + v[4 * b + 3] - v[4 * b + 1] - v[4 * b + 2];
      variance[part.first + b] = reference === undefined ? v[4 * b] : Math.max(0, difference);
    }
  });
  return { mean: new NDArray(mean, [batch]), variance: new NDArray(variance, [batch]) };
}
