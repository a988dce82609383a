// Models of a cross-validation: one for each part of the data, which it never saw.

import { Random } from "../array/random.ts";
import { type Data, readWhole } from "../data/batches.ts";
import { type Dataset, takeBatch } from "../data/dataset.ts";
import { checkBoolean, checkInteger, checkOptions, OptionError } from "../errors.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { WeightPosterior } from "../posterior/weight-posterior.ts";

/** A model of a cross-validation, with the data that it did not see. */
export interface Fold<Of extends WeightPosterior = WeightPosterior> {
  readonly posterior: Of;
  readonly data: Dataset;
  /** Where these data lie among all, ascending. */
  readonly rows: Uint32Array;
}

/** Options of `folds`. */
export interface FoldOptions {
  /** Whether rows are put into folds at random (default true), or as they follow on each other. */
  readonly shuffle?: boolean | undefined;
  /** Seed of that (default 0). */
  readonly seed?: number | undefined;
  /**
   * How many models are made at a time (default 1). More are of use where the function has them made elsewhere, such as by workers
   * that it reaches by `connect`; they are given folds in order, and the results are the same.
   */
  readonly concurrency?: number | undefined;
}

/**
 * Cuts data into K folds of about the same size, and has a model made without each, one after the other unless `concurrency` says otherwise:
 * `await folds(data, 5, async (rest) => { const net = makeNet(); await train(net, rest, …); return laplace(net, …).fit(rest); })`.
 * What it gives goes into `optimizePrior({ on })`, and its posteriors into `mixture` and `foldIntervals`.
 *
 * A fold is held out only if the model was *trained* without it. One that fits a posterior to the rest, around weights that
 * were trained on everything, has seen its rows: scores are then too good, most of all where the network overfits.
 * @param make gives the posterior of a model that saw only the data it is given
 * @throws ShapeError, ValueError for bad data, or what is not a posterior; OptionError; what the function throws,
 *   of the first fold that failed, when those that were begun have ended
 */
export async function folds<Of extends WeightPosterior>(
  data: Data,
  count: number,
  make: (rest: Dataset, fold: number) => Of | Promise<Of>,
  options: FoldOptions = {},
): Promise<readonly Fold<Of>[]> {
  const where = "folds";
  checkOptions(where, options, ["shuffle", "seed", "concurrency"]);
  const { shuffle = true, seed = 0, concurrency = 1 } = options;
  checkBoolean(where, "shuffle", shuffle);
  checkInteger(where, "seed", seed, 0);
  checkInteger(where, "count", count, 2);
  checkInteger(where, "concurrency", concurrency, 1);
  if (typeof make !== "function") {
    throw new OptionError(
      `${where}: the third argument must be a function that trains a network on the data it is given and returns its posterior, not ${typeof make}.`,
    );
  }
  const whole = readWhole(where, data);
  const [n] = whole.x.shape;
  if (count > n) throw new OptionError(`${where}: ${count} folds of ${n} samples would leave some empty; take fewer.`);
  const order = shuffle ? new Random(seed).permutation(n) : Uint32Array.from({ length: n }, (_, i) => i);
  const made: Fold<Of>[] = [];
  const one = async (k: number) => {
    const [first, end] = [k, k + 1].map((at) => Math.round((at * n) / count));
    const rows = order.slice(first, end).sort();
    const rest = Uint32Array.from([...order.subarray(0, first), ...order.subarray(end)]).sort();
    const posterior = await make(takeBatch(whole, rest), k);
    checkIsPosterior(where, `what the function gives of fold ${k}`, posterior, WeightPosterior);
    made[k] = { posterior, data: takeBatch(whole, rows), rows };
  };
  let next = 0;
  const failures = new Map<number, unknown>();
  const lane = async () => {
    while (next < count && failures.size === 0) {
      const fold = next++;
      try {
        await one(fold);
      } catch (error) {
        failures.set(fold, error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, lane));
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
  return made;
}
