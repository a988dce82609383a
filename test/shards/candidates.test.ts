// Tuning on held-out data by an executor: the candidates, scores and posterior of one thread, however rows are cut and come.

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { readWhole } from "../../src/data/batches.ts";
import { candidatesOn } from "../../src/evaluation/candidates.ts";
import {
  chain,
  type Data,
  dense,
  evaluate,
  folds,
  type HeldOutOptions,
  laplace,
  OptionError,
  type Posterior,
  randomNormal,
  tanh,
  workers,
} from "../../src/index.ts";
import { inBursts } from "../../src/kernels/steps.ts";
import type { WeightPosterior } from "../../src/posterior/weight-posterior.ts";
import type { Executor } from "../../src/shards/executor.ts";
import { within } from "../remote/pair.ts";
import { cases, given, permuting } from "./given.ts";

const pool = workers({ count: 2, make: within });
afterAll(() => pool.close());

const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(5, tanh), dense(1));
const data = (n: number, seed: number) => ({
  x: randomNormal([n, 2], { seed }),
  y: randomNormal([n, 1], { seed: -~seed }),
});
const fit = (rows: Data) => laplace(net, { likelihood: "regression", structure: "kronecker", checks: false }).fit(rows);

/** How a posterior was tuned, and to what. */
const told = ({ tuning, priorPrecision, noise }: Posterior) => [tuning, priorPrecision, noise];

test("golden sections and grids, of one model and of folds, are the same to the bit", async () => {
  const fitted = (await fit(data(40, 1))) as Posterior;
  const parts = await folds(data(40, 1), 3, async (rest) => (await fit(rest)) as Posterior);
  const ways: readonly Omit<HeldOutOptions, "on">[] = [
    { steps: 14 },
    { steps: 12, temperature: true, noise: false, score: "crps" },
    { method: "grid", grid: { priorPrecision: [0.1, 1, 10], noise: [0.5, 1] }, score: "rootMeanSquaredError" },
  ];
  for (const on of [data(9, 3), parts]) {
    for (const way of ways) {
      const options = { ...way, on, onWarning: () => {} };
      const due = told(fitted.optimizePrior(options));
      for (const executor of [permuting(1), permuting(2), pool]) {
        let asked = 0;
        const run: Executor["run"] = (shards, rest) => {
          asked++;
          return executor.run(shards, rest);
        };
        expect(told(await fitted.optimizePriorAsync({ ...options, workers: { run } }))).toEqual(due);
        expect(asked).toBeGreaterThan(0);
      }
    }
  }
});

test("scores are those of evaluate, for every structure, however rows are cut", async () => {
  const asked = fc.record({
    one: cases,
    length: fc.integer({ min: 1, max: 9 }),
    scale: fc.double({ min: 0.1, max: 9, noNaN: true }),
  });
  await fc.assert(
    fc.asyncProperty(asked, async ({ one, length, scale }) => {
      const { approximation, batches } = given(one);
      const posterior = await approximation.fit(batches());
      const [first] = batches();
      const held = readWhole("test", { x: first.x, y: first.y });
      const members = [posterior, posterior].map((of) => ({ posterior: of as WeightPosterior, data: held }));
      const found = candidatesOn(members, {}, permuting(one.seed), length);
      const hypers = [scale, 2 * scale].map((priorPrecision) => ({ priorPrecision }));
      found?.ahead(hypers);
      for (const hyper of hypers) {
        const due = evaluate(posterior.with(hyper), held);
        expect(await inBursts(found?.evaluations(hyper) as never)).toEqual([due, due]);
      }
    }),
    { numRuns: 8 },
  );
});

test("a candidate that has no predictions is the worst; where none has, its error is told", async () => {
  const wide = chain({ inputs: 2, seed: 1 }, dense(1));
  const fitted = (await laplace(wide, { likelihood: "regression", checks: false }).fit(data(40, 1))) as Posterior;
  const far = { x: [[3e38, 3e38]], y: [[0]] };
  for (const executor of [permuting(1), pool]) {
    const options = { on: far, steps: 3, onWarning: () => {} };
    const error = await fitted.optimizePriorAsync({ ...options, workers: executor }).catch((one) => one);
    let due: unknown;
    try {
      fitted.optimizePrior(options);
    } catch (one) {
      due = one;
    }
    expect(error).toEqual(due);
    expect(error).toBeInstanceOf(Error);
  }
});

test("workers must be an executor, and go with the asynchronous form on held-out data", async () => {
  const fitted = (await fit(data(40, 1))) as Posterior;
  const on = data(9, 3);
  await expect(fitted.optimizePriorAsync({ on, workers: 2 as never })).rejects.toThrow(
    new OptionError("optimizePrior: workers must be workers() or alike, not 2."),
  );
  expect(() => fitted.optimizePrior({ on, workers: pool } as never)).toThrow('unknown option "workers"');
});

test("a function that scores is called on this thread", async () => {
  const fitted = (await fit(data(40, 1))) as Posterior;
  const nobody = { run: () => Promise.reject(new Error("asked")) };
  const score = (posterior: Posterior) => Math.abs(Math.log(posterior.priorPrecision.data[0]));
  const options = { on: data(9, 3), score, noise: false, onWarning: () => {} };
  expect(told(await fitted.optimizePriorAsync({ ...options, workers: nobody }))).toEqual(
    told(fitted.optimizePrior(options)),
  );
});
