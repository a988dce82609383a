// What is asked of posteriors through the store: predictions, judgements, and priors by held-out data and folds. The bits of one
// thread, however rows are cut, whoever does them and in whatever order.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { readWhole } from "../../../src/data/batches.ts";
import { candidatesOn } from "../../../src/evaluation/candidates.ts";
import { evaluationOf, predictedRows } from "../../../src/evaluation/evaluate.ts";
import {
  array,
  chain,
  type Data,
  dense,
  evaluate,
  FileError,
  folds,
  type HeldOutOptions,
  laplace,
  type Posterior,
  randomNormal,
  tanh,
} from "../../../src/index.ts";
import { inBursts } from "../../../src/kernels/steps.ts";
import type { WeightPosterior } from "../../../src/posterior/weight-posterior.ts";
import { inShards, labelsTask, predictAllOn, predictTask } from "../../../src/prediction/in-shards.ts";
import { predictLabels } from "../../../src/prediction/log-probabilities.ts";
import { readJob } from "../../../src/remote/read-shard.ts";
import { cases, given } from "../../../test/shards/given.ts";
import { folderStore } from "../../src/store/folder.ts";
import { byStore } from "./by-store.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-asked-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const newStore = () => folderStore(mkdtempSync(join(folder, "one-")));

describe("what is asked of a posterior through the store", () => {
  test("predictions and judgements are the same bits, for every structure and type", async () => {
    const asked = fc.record({ one: cases, length: fc.integer({ min: 1, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(asked, async ({ one, length }) => {
        const { approximation, batches } = given(one);
        const posterior = await approximation.fit(batches());
        const inputs = array(randomNormal([one.examples, ...posterior.net.inputShape], { seed: one.seed }), {
          dtype: one.dtype,
        });
        const [on, of] = [byStore(newStore(), one.seed), { where: "test", posterior, options: {} }];
        const { mean, variance, functionMean, functionVariance } = posterior.predict(inputs);
        const found = await inBursts(inShards(predictTask, of, [{ inputs }], length, on));
        expect(Object.assign({ functionVariance }, found)).toEqual({ mean, variance, functionMean, functionVariance });
        if (one.convolution) {
          const due = await inBursts(predictLabels("test", posterior, inputs, {}));
          expect(await inBursts(inShards(labelsTask, of, [{ inputs }], length, on))).toEqual(due);
        }
        const rows = await inBursts(predictAllOn("evaluate", predictedRows, of, batches(), on, length));
        expect(await inBursts(evaluationOf("test", posterior, rows, {}))).toEqual(evaluate(posterior, batches()));
      }),
      { numRuns: 15 },
    );
  });

  test("scores of candidates are those of evaluate, for every structure", async () => {
    const asked = fc.record({ one: cases, length: fc.integer({ min: 1, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(asked, async ({ one, length }) => {
        const { approximation, batches } = given(one);
        const posterior = await approximation.fit(batches());
        const [{ x, y }] = batches();
        const held = readWhole("test", { x, y });
        const members = [posterior, posterior].map((of) => ({ posterior: of as WeightPosterior, data: held }));
        const found = candidatesOn(members, {}, byStore(newStore(), one.seed), length);
        const hyper = { priorPrecision: 3 };
        found?.ahead([hyper]);
        const due = evaluate(posterior.with(hyper), held);
        expect(await inBursts(found?.evaluations(hyper) as never)).toEqual([due, due]);
      }),
      { numRuns: 10 },
    );
  });

  const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(5, tanh), dense(1));
  const data = (n: number, seed: number) => ({
    x: randomNormal([n, 2], { seed }),
    y: randomNormal([n, 1], { seed: seed + 1 }),
  });
  const fit = async (rows: Data) =>
    (await laplace(net, { likelihood: "regression", structure: "kronecker", checks: false }).fit(rows)) as Posterior;
  const told = ({ tuning, priorPrecision, noise }: Posterior) => [tuning, priorPrecision, noise];

  test("priors by held-out data and by folds are the same", async () => {
    const fitted = await fit(data(40, 1));
    const parts = await folds(data(40, 1), 3, fit);
    const ways: readonly Omit<HeldOutOptions, "on">[] = [
      { steps: 6 },
      { method: "grid", grid: { priorPrecision: [0.1, 1, 10], noise: [0.5, 1] }, score: "rootMeanSquaredError" },
    ];
    for (const on of [data(9, 3), parts]) {
      for (const way of ways) {
        const options = { ...way, on, onWarning: () => {} };
        const workers = byStore(newStore(), 1);
        expect(told(await fitted.optimizePriorAsync({ ...options, workers }))).toEqual(
          told(fitted.optimizePrior(options)),
        );
      }
    }
  });

  test("a candidate's shard is read as it was written; what is not one is a named error", async () => {
    const common = { posteriors: [await fit(data(40, 1))] };
    const shard = { start: 0, most: 3, weighted: false, batches: [{ inputs: randomNormal([3, 2], { seed: 1 }) }] };
    const job = { hyper: { priorPrecision: 2 }, member: 0, shard };
    expect(readJob("test", job, common)).toEqual(job);
    const others: unknown[] = [null, {}, shard, { ...job, member: 1 }, { ...job, member: -1 }, { ...job, hyper: null }];
    for (const other of [...others, { ...job, shard: undefined }, { ...job, shard: { ...shard, most: 2 } }]) {
      expect(() => readJob("test", other, common)).toThrow(FileError);
    }
  });

  test("a candidate that has no predictions is the worst; where none has, its error is told", async () => {
    const wide = chain({ inputs: 2, seed: 1 }, dense(1));
    const fitted = (await laplace(wide, { likelihood: "regression", checks: false }).fit(data(40, 1))) as Posterior;
    const options = { on: { x: [[3e38, 3e38]], y: [[0]] }, steps: 3, onWarning: () => {} };
    const error = await fitted.optimizePriorAsync({ ...options, workers: byStore(newStore(), 1) }).catch((one) => one);
    expect(error).toBeInstanceOf(Error);
    expect(() => fitted.optimizePrior(options)).toThrow((error as Error).message);
  });
});
