// Data that lie elsewhere: whoever asks for a fit knows where they are, and whoever sums rows reads them. They bring this code
// themselves, so that programs without them have none of it.

import { type DatasetLike, readDataset } from "../data/dataset.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { type FarShard, targetedBatches } from "./accumulate.ts";
import type { Plan } from "./plan.ts";
import { MOST_NUMBERS } from "./shards.ts";

/** Some rows of data that lie elsewhere. */
export interface FarRows {
  /** Where they are: names and numbers, as a plain value, which goes to whoever reads them. */
  readonly at: unknown;
  /** Reads them here. @throws what is wrong with them: rows that are missing, or are not those that were there */
  read(): Promise<DatasetLike>;
}

/** Rows that lie elsewhere, in order. */
export interface RowsElsewhere {
  /** How many there are. */
  readonly examples: number;
  /** Rows from one to before another. */
  rowsAt(first: number, end: number): FarRows;
}

/** Data that lie elsewhere, such as in files that all machines see: shards of a fit say where their rows are, and have none. */
export interface FarData extends RowsElsewhere {
  /** @internal Shards of so many examples. @throws ValueError where there would be one, or none */
  farShards(where: string, length: number): Iterable<unknown>;
  /** @internal @throws ValueError for a structure that keeps or draws rows of the data */
  near(where: string, structure: string): never;
}

/** Rows of a shard, which are read when it is summed. */
export function farShard({ at, read }: FarRows): FarShard {
  return {
    at,
    *here(where, plan, count) {
      const batches = [...targetedBatches(where, plan, yield* fetched(where, plan, read, count))];
      return { batches, weighted: batches[0].weights !== undefined };
    },
  };
}

/** Reads rows, in steps that wait. */
function* fetched(where: string, { net }: Plan, read: FarRows["read"], count: number): Steps<DatasetLike, number> {
  let found: DatasetLike | undefined;
  let failure: readonly [error: unknown] | undefined;
  yield async () => {
    await read().then(
      (data) => {
        found = data;
      },
      (error: unknown) => {
        failure = [error];
      },
    );
  };
  if (failure !== undefined) throw failure[0];
  if (found === undefined) throw new ValueError(`${where}: data that lie elsewhere need a call that waits for them.`);
  const data = readDataset(where, found);
  if (data.x.shape[0] === count) return data;
  throw new ValueError(
    `${where}: expected ${count} rows of [${net.inputShape.join(", ")}] that lie elsewhere, got ${data.x.shape[0]}.`,
  );
}

/** Data of rows that lie elsewhere, for `fit` and `sum`. */
export function farData({ examples, rowsAt }: RowsElsewhere): FarData {
  return {
    examples,
    rowsAt,
    *farShards(where, length) {
      if (!(examples >= 1)) throw new ValueError(`${where}: there are no data: they have ${examples} examples.`);
      if (length === Number.POSITIVE_INFINITY) {
        throw new ValueError(
          `${where}: a curvature of more than ${MOST_NUMBERS} numbers is summed in one piece, so its data must be in memory. Choose fewer weights ("lastLayer") or "diagonal", or give { x, y }.`,
        );
      }
      for (let start = 0; start < examples; start += length) {
        const most = Math.min(length, examples - start);
        yield { start, most, batches: [], weighted: false, far: farShard(rowsAt(start, start + most)) };
      }
    },
    near(where, structure) {
      throw new ValueError(
        `${where}: "${structure}" keeps or draws rows of the data, so they must be in memory: give { x, y }.`,
      );
    },
  };
}
