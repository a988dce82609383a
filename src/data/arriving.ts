// Batches that come one after the other in time, within steps: the work waits for the next.

import { ValueError } from "../errors.ts";
import { reporting, type Steps, unlessStopped, waitedFor } from "../kernels/steps.ts";
import { asyncOf, batchesOf, checkData, type Data, SameWeights } from "./batches.ts";
import { type Dataset, type DatasetLike, readDataset, takeBatch } from "./dataset.ts";

/** Data that come in time: an async iterable of batches, such as an async generator; or a function that gives one, where they are gone through more than once. */
export type AsyncData = AsyncIterable<DatasetLike> | (() => AsyncIterable<DatasetLike>);

/** Visits batches, before which there were so many examples. */
type Visit = (batches: Data, before: number) => Steps<void, number>;

/** How a call takes data that may come in time. */
export const arriving = {
  /** @throws ValueError for what cannot be data */
  check(where: string, data: Data | AsyncData): void {
    if (asyncOf(data) === undefined) checkData(where, data as Data);
  },
  /**
   * Visits data once, as they are; those that come in time so many examples after the other, copied, so that their arrays may be filled
   * anew. Progress is the number of examples in all.
   * @param orNone whether there may be none @param kept a structure that goes through the data later
   */
  *each(
    where: string,
    data: Data | AsyncData,
    examples: number,
    orNone: boolean,
    kept: string | undefined,
    visit: Visit,
  ): Steps<void, number> {
    const given = typeof data === "function" ? data() : data;
    const from = asyncOf(given);
    if (from === undefined) {
      const again = given as Iterable<DatasetLike>;
      return yield* visit(typeof data === "function" ? () => again : again, 0);
    }
    if (kept !== undefined) {
      throw new ValueError(`${where}: "${kept}" goes through the data for each product: give await gather(batches).`);
    }
    yield* blocksOf(where, from, examples, orNone, (block, before) =>
      reporting(visit(block, before), (done) => done && before + done),
    );
  },
};

/** Shows each batch. */
export function eachBatch(
  where: string,
  data: Data | AsyncData,
  see: (batch: DatasetLike) => void,
): Steps<void, number> {
  return arriving.each(where, data, 1, false, undefined, function* (batches) {
    for (const batch of batchesOf(where, batches)) {
      see(batch);
      yield;
    }
  });
}

function* blocksOf(
  where: string,
  from: AsyncIterable<DatasetLike>,
  examples: number,
  orNone: boolean,
  visit: Visit,
): Steps<void, number> {
  const iterator = from[Symbol.asyncIterator]();
  const alike = new SameWeights(where);
  let block: Dataset[] = [];
  let [count, before] = [0, 0];
  let ended = false;
  try {
    for (;;) {
      const next = (yield* waitedFor<IteratorResult<DatasetLike>, number>((_, signal) =>
        unlessStopped(iterator.next(), signal),
      )) as IteratorResult<DatasetLike>;
      ended = next.done === true;
      if (next.done === true) break;
      const batch = readDataset(where, next.value);
      alike.of(batch);
      for (let first = 0; first < batch.x.shape[0]; ) {
        const end = Math.min(batch.x.shape[0], first + examples - count);
        const at = first;
        block.push(
          takeBatch(
            batch,
            Uint32Array.from({ length: end - at }, (_, i) => at + i),
          ),
        );
        count += end - first;
        first = end;
        if (count < examples) continue;
        yield* visit(block, before);
        before += count;
        [block, count] = [[], 0];
      }
    }
  } finally {
    if (!ended) iterator.return?.()?.catch(() => {});
  }
  if (count > 0) yield* visit(block, before);
  else if (before === 0 && !orNone) batchesOf(where, []).next();
}
