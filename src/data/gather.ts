// Batches that come one after the other in time.

import { checkOptions, ValueError } from "../errors.ts";
import { readBursts, type StopSignal, unlessStopped } from "../kernels/steps.ts";
import { asyncOf } from "./batches.ts";
import { type Dataset, type DatasetLike, readDataset } from "./dataset.ts";

/** Options of `gather`. */
export interface GatherOptions {
  /** Stops between two batches: the signal's reason is thrown. */
  signal?: StopSignal | undefined;
}

/**
 * The batches of an async iterable, or of a function that gives one, as a list, which everything that takes data takes:
 * `evaluate(posterior, await gather(batches()))`. They are copied, so that their arrays may be filled anew for the next.
 * @throws ShapeError, ValueError for bad data, or none; the signal's reason
 */
export async function gather(
  batches: AsyncIterable<DatasetLike> | (() => AsyncIterable<DatasetLike>),
  options: GatherOptions = {},
): Promise<Dataset[]> {
  const where = "gather";
  checkOptions(where, options, ["signal"]);
  const { signal } = readBursts(where, options);
  const given = typeof batches === "function" ? batches() : batches;
  if (asyncOf(given) === undefined) {
    throw new ValueError(
      `${where}: expected an async iterable of batches, or a function that gives one; other data need no gathering.`,
    );
  }
  return gathered(where, given, signal);
}

/** Batches that come in time, as a list. @throws as `gather` */
export async function gathered(
  where: string,
  batches: AsyncIterable<DatasetLike>,
  signal: StopSignal | undefined,
): Promise<Dataset[]> {
  const list: Dataset[] = [];
  const iterator = batches[Symbol.asyncIterator]();
  let done: boolean | undefined = false;
  try {
    for (;;) {
      const next = await unlessStopped(iterator.next(), signal);
      done = next.done;
      if (done) break;
      const { x, y, weights } = readDataset(where, next.value);
      list.push({ x: x.clone(), y: y.clone(), ...(weights !== undefined && { weights: weights.clone() }) });
    }
  } finally {
    if (!done) iterator.return?.()?.catch(() => {});
  }
  if (list.length === 0) throw new ValueError(`${where}: there are no data. The iterable gave no batches.`);
  return list;
}
