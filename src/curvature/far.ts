// Data that lie elsewhere: whoever asks for a fit knows where they are, and whoever sums rows reads them. They bring this code
// themselves, so that programs without them have none of it.

import { type DatasetLike, readDataset } from "../data/dataset.ts";
import type { FarData, FarRows, RowsElsewhere } from "../data/far-data.ts";
import { ValueError } from "../errors.ts";
import { type Steps, unlessStopped, waitedFor } from "../kernels/steps.ts";
import type { ShardTask } from "../shards/executor.ts";
import { type DataShard, type FarShard, type Summary, targetedBatches } from "./accumulate.ts";
import type { Plan } from "./plan.ts";
import { type PassOfFit, sumTask } from "./rounds.ts";
import { lengthOfShard, MOST_NUMBERS } from "./shards.ts";

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

/** Sums over a shard, whose rows are read first where they lie elsewhere. */
export const farTask: ShardTask<PassOfFit, DataShard, Summary> = {
  ...sumTask,
  *begin(pass) {
    const sum = yield* sumTask.begin(pass);
    return function* (shard) {
      const { far, ...rest } = shard;
      if (far === undefined) return yield* sum(shard);
      return yield* sum({ ...rest, ...(yield* far.here(pass.where, pass.plan, shard.most)) });
    };
  },
};

/** Reads rows, in steps that wait. */
function* fetched(where: string, { net }: Plan, read: FarRows["read"], count: number): Steps<DatasetLike, number> {
  const found = yield* waitedFor<DatasetLike, number>((_, signal) => unlessStopped(read(), signal));
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
    far(where, plan, number, length = lengthOfShard(plan as Plan, number)) {
      if (!(examples >= 1)) throw new ValueError(`${where}: there are no data: they have ${examples} examples.`);
      if (length === Number.POSITIVE_INFINITY) {
        throw new ValueError(
          `${where}: a curvature of more than ${MOST_NUMBERS} numbers is summed in one piece, so its data must be in memory. Choose fewer weights ("lastLayer") or "diagonal", or give { x, y }.`,
        );
      }
      const jobs = function* (): Generator<DataShard> {
        for (let start = 0; start < examples; start += length) {
          const most = Math.min(length, examples - start);
          yield { start, most, batches: [], weighted: false, far: farShard(rowsAt(start, start + most)) };
        }
      };
      return { jobs: jobs(), task: farTask };
    },
    [Symbol.iterator]() {
      throw new ValueError(
        "These data lie elsewhere, and are read where a fit sums them; what keeps or draws rows of the data needs them in memory: give { x, y }.",
      );
    },
  };
}
