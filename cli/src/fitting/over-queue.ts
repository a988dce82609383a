// Jobs of the fit of a table that leave this process: what is asked for at once is a round of jobs, which an executor beyond this
// process has done: workers that listen to a queue, or one of several processes with a part of the jobs each.

import type { Executor } from "laplace-ts";
import type { Shards } from "laplace-ts/executor";
import type { Job, Outcome } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";
import type { OnShare } from "./recipe.ts";
import { type PlacedJob, type Result, type RowsOfJobs, tableJobs } from "./stored-jobs.ts";

interface Waiting {
  readonly job: Job;
  readonly onShare: OnShare;
  readonly done: (outcome: Outcome) => void;
  readonly failed: (error: unknown) => void;
}

const closed = () => new Error("The fit has ended.");

/** Has jobs done by an executor: all that are asked for in one turn of the event loop together. */
export function lanesOver(on: Executor): Lanes {
  const stop = new AbortController();
  let waiting: Waiting[] = [];

  async function round(batch: readonly Waiting[]): Promise<void> {
    const byRows = new Map(batch.map(({ job }) => [job.numbers, job]));
    const rows = [...byRows.keys()];
    const all = batch.reduce((sum, { job }) => sum + job.numbers.rows, 0);
    const results: Result[] = [];
    const shards: Shards<RowsOfJobs, PlacedJob, Result> = {
      where: "fit",
      task: tableJobs,
      // biome-ignore lint/correctness/useYield: there is nothing to wait for
      *prepare() {
        return [...byRows.values()];
      },
      jobs: batch.map(({ job }) => ({ job, place: rows.indexOf(job.numbers) })),
      take(place, result) {
        results[place] = result;
      },
    };
    try {
      await on.run(shards, {
        signal: stop.signal,
        onProgress: ({ examples }) => {
          for (const { onShare } of batch) onShare(examples / all);
        },
      });
    } catch (error) {
      for (const { failed } of batch) failed(error);
      return;
    }
    batch.forEach(({ done, failed }, place) => {
      const result = results[place];
      if ("failed" in result) failed(result.failed);
      else done(result.outcome);
    });
  }

  return {
    do(job, onShare) {
      return new Promise((done, failed) => {
        if (stop.signal.aborted) return failed(closed());
        if (waiting.length === 0) {
          setImmediate(() => {
            const batch = waiting;
            waiting = [];
            if (stop.signal.aborted) for (const one of batch) one.failed(closed());
            else void round(batch);
          });
        }
        waiting.push({ job, onShare, done, failed });
      });
    },
    close() {
      stop.abort(closed());
    },
  };
}
