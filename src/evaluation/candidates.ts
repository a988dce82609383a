// Candidates of tuning on held-out data by an executor: whoever does a shard of rows has the posterior, and changes it itself.

import type { DataShard } from "../curvature/accumulate.ts";
import { shardsOf } from "../curvature/shards.ts";
import type { Dataset } from "../data/dataset.ts";
import { oneStep, reporting, type Steps } from "../kernels/steps.ts";
import type { Batch } from "../network/run.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { lengthOfRows, rowsTask } from "../prediction/in-shards.ts";
import { joined, readBatches } from "../prediction/predict-all.ts";
import type { PredictOptions } from "../prediction/prediction.ts";
import { type Executor, type Shards, type ShardTask, shared } from "../shards/executor.ts";
import type { Hyperparameters } from "../structures/prior.ts";
import { evaluationOf, isWorst, type PredictedRows, predictedRows } from "./evaluate.ts";
import type { Evaluation } from "./metrics.ts";

/** A posterior and the data it is scored on. */
export interface Member<Of extends WeightPosterior> {
  readonly posterior: Of;
  readonly data: Dataset;
}

/** What candidates have in common. */
export interface CandidatesOf {
  readonly posteriors: readonly WeightPosterior[];
  readonly options: PredictOptions;
}

/** Some rows of what one member is scored on, with these hyperparameters. */
export interface CandidateJob {
  readonly hyper: Hyperparameters;
  readonly member: number;
  readonly shard: DataShard<Batch>;
}

/** What metrics look at, of the batches of a shard; or why a candidate has no predictions. */
export type CandidateRows = { readonly rows: readonly PredictedRows[] } | { readonly failed: unknown };

const where = "evaluate";
const { begin } = rowsTask("evaluate", predictedRows);

/** Predicts rows with candidates: all shards of one follow on each other, and it is made once. */
export const candidatesTask: ShardTask<CandidatesOf, CandidateJob, CandidateRows> = {
  name: "candidates",
  begin: ({ posteriors, options }) => {
    let last: { readonly name: string; readonly posterior: WeightPosterior } | undefined;
    return oneStep(
      () =>
        function* ({ hyper, member, shard }) {
          try {
            const name = JSON.stringify([member, hyper]);
            if (last?.name !== name) last = { name, posterior: yield* posteriors[member].changing(hyper) };
            const work = yield* begin({ where, posterior: last.posterior, options });
            return { rows: yield* work(shard) };
          } catch (error) {
            if (!isWorst(error)) throw error;
            return { failed: error };
          }
        },
    );
  },
};

/** Shards of candidates that are predicted before their scores are looked at: how much is kept goes by them. */
const SHARDS = 64;

/** What gives scores of candidates, whose predictions an executor makes. */
export interface Candidates {
  /** Says which candidates come next, as far as it is known. */
  ahead(hypers: readonly Hyperparameters[]): void;
  /** `evaluate` of each member with these hyperparameters. @throws what makes it the worst candidate; as `evaluate` */
  evaluations<Report>(hyper: Hyperparameters): Steps<readonly Evaluation[], Report>;
}

/**
 * Undefined where a posterior is too large to be sent.
 * @param length rows of a shard
 */
export function candidatesOn(
  members: readonly Member<WeightPosterior>[],
  options: PredictOptions,
  on: Executor,
  length?: number,
): Candidates | undefined {
  const posteriors = members.map(({ posterior }) => posterior);
  const lengths = posteriors.map((posterior) => length ?? lengthOfRows(posterior, options, where));
  if (lengths.includes(Number.POSITIVE_INFINITY)) return undefined;
  const shards = members.map(({ data }, k) => {
    const [{ read }] = readBatches(where, data);
    return [...shardsOf<Batch>([{ inputs: read.x, targets: read.y }], lengths[k])];
  });
  const each = shards.reduce((sum, own) => sum + own.length, 0);
  const most = Math.max(1, Math.floor(SHARDS / each));
  let coming: readonly Hyperparameters[] = [];
  /** What was predicted and not looked at yet, by candidates, of all shards of all members. */
  const known = new Map<string, readonly CandidateRows[]>();

  const predict = function* <Report>(hypers: readonly Hyperparameters[]): Steps<void, Report> {
    const found: CandidateRows[] = [];
    const all: Shards<CandidatesOf, CandidateJob, CandidateRows> = {
      where,
      task: candidatesTask,
      prepare: () => oneStep(() => ({ posteriors, options })),
      jobs: hypers.flatMap((hyper) => shards.flatMap((own, member) => own.map((shard) => ({ hyper, member, shard })))),
      take: (place, rows) => {
        found[place] = rows;
      },
    };
    yield* reporting(shared(all, on), () => undefined);
    hypers.forEach((hyper, i) => {
      known.set(JSON.stringify(hyper), found.slice(i * each, (i + 1) * each));
    });
  };

  return {
    ahead(hypers) {
      coming = hypers;
    },
    *evaluations<Report>(hyper: Hyperparameters): Steps<readonly Evaluation[], Report> {
      const name = JSON.stringify(hyper);
      if (!known.has(name)) {
        const at = coming.findIndex((one) => JSON.stringify(one) === name);
        known.clear();
        yield* predict(at < 0 ? [hyper] : coming.slice(at, at + most));
      }
      const found = (known.get(name) as readonly CandidateRows[]).values();
      known.delete(name);
      const evaluations: Evaluation[] = [];
      for (const [k, { posterior, data }] of members.entries()) {
        const rows = shards[k].flatMap(() => {
          const one = found.next().value as CandidateRows;
          if ("failed" in one) throw one.failed;
          return one.rows;
        });
        // Metrics look at the likelihood alone, which is another where the noise is.
        const candidate = hyper.noise === undefined ? posterior : yield* posterior.changing(hyper);
        const [{ beside }] = readBatches(where, data);
        const steps = evaluationOf(where, candidate, { ...joined(where, rows), ...beside }, {});
        evaluations.push(yield* reporting(steps, () => undefined));
      }
      return evaluations;
    },
  };
}
