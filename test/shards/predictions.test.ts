// Predictions in shards: the bits of one thread, however rows are cut, whoever predicts them and in whatever order they come.

import fc from "fast-check";
import { expect, test } from "vitest";
import { evaluationOf, predictedRows } from "../../src/evaluation/evaluate.ts";
import { array, chain, dense, evaluate, evaluateAsync, laplace, OptionError, randomNormal } from "../../src/index.ts";
import { inBursts } from "../../src/kernels/steps.ts";
import { inShards, labelsTask, lengthOfRows, predictAllOn, predictTask } from "../../src/prediction/in-shards.ts";
import { predictLabels } from "../../src/prediction/log-probabilities.ts";
import type { Approximation, PredictOptions } from "../../src/prediction/prediction.ts";
import type { Structure } from "../../src/structures/curvature.ts";
import { casesOf, everyStructure, given, lanes, permuting } from "./given.ts";

const askedOf = (structure: Structure, dtype: "float32" | "float64") =>
  fc.record({
    // Each shard's variances of an operator are solves with products over all batches, so few of both.
    one: casesOf(structure, dtype).map((one) =>
      structure === "operator" ? { ...one, examples: Math.min(one.examples, 4) } : one,
    ),
    which: fc.constantFrom("network", "usual", "last"),
    length: fc.integer({ min: 1, max: 9 }),
  });

test.each(everyStructure)(
  "are the same bits by 1, 2, 3 and 8 in any order: $structure, $dtype",
  async ({ structure, dtype }) => {
    await fc.assert(
      fc.asyncProperty(askedOf(structure, dtype), async ({ one, which, length }) => {
        const { approximation: la, batches } = given(one);
        const posterior = await la.fit(batches());
        const { links } = posterior.likelihood;
        const approximation = which === "network" ? which : which === "usual" ? links[0] : links[links.length - 1];
        const options: PredictOptions = { approximation: approximation as Approximation, samples: 3 };
        const { inputShape } = posterior.net;
        const inputs = array(randomNormal([one.examples, ...inputShape], { seed: one.seed }), { dtype: one.dtype });
        const of = { where: "test", posterior, options };
        const { mean, variance, functionMean, functionVariance } = posterior.predict(inputs, options);
        const labels = one.convolution && (await inBursts(predictLabels("test", posterior, inputs, options)));
        const due = evaluate(posterior, batches(), options);
        for (const on of [permuting(one.seed), ...[1, 2, 3, 8].map((count) => lanes(count, one.seed))]) {
          const found = await inBursts(inShards(predictTask, of, [{ inputs }], length, on));
          expect(Object.assign({ functionVariance }, found)).toEqual({
            mean,
            variance,
            functionMean,
            functionVariance,
          });
          if (labels) expect(await inBursts(inShards(labelsTask, of, [{ inputs }], length, on))).toEqual(labels);
          // Batches of their own size, and shards of another.
          const rows = await inBursts(predictAllOn("evaluate", predictedRows, of, batches(), on, length));
          expect(await inBursts(evaluationOf("test", posterior, rows, options))).toEqual(due);
        }
      }),
      { numRuns: 3 },
    );
  },
);

const net = chain({ inputs: 3, seed: 1, dtype: "float64" }, dense(4), dense(2));
const x = randomNormal([9, 3], { seed: 1 });
const posterior = await laplace(net, { likelihood: "regression", structure: "diagonal", checks: false }).fit({
  x,
  y: randomNormal([9, 2], { seed: 2 }),
});

test("a value that overflows is named by its place among all inputs", async () => {
  const large = chain({ inputs: 1, seed: 1 }, dense(1));
  large.parameters.data.fill(1e10);
  const fitted = laplace(large, { likelihood: "regression", checks: false });
  const far = await fitted.fit({ x: [[0]], y: [[1]] });
  const inputs = array(
    Array.from({ length: 9 }, (_, i) => [i === 3 || i === 6 ? 3.4e38 : 1]),
    { dtype: "float32" },
  );
  const of = { where: "predict", posterior: far, options: {} };
  const whole = await far.predictAsync(inputs).catch((error: Error) => error.message);
  expect(whole).toMatch(/at example 3 /);
  for (const on of [1, 2, 3].map(permuting)) {
    await expect(inBursts(inShards(predictTask, of, [{ inputs }], 3, on))).rejects.toThrow(/at example [36] /);
  }
});

test("few rows are one shard, which this thread does", async () => {
  const nobody = { run: () => Promise.reject(new Error("asked")) };
  expect(await posterior.predictAsync(x, { on: nobody })).toEqual(posterior.predict(x));
  expect(lengthOfRows(posterior, {})).toBe(32768);
  expect(lengthOfRows(posterior, { approximation: "network", samples: 1e6 })).toBeLessThan(64);
});

test("on goes with the asynchronous forms, and must be an executor", async () => {
  const on = { run: async () => {} };
  expect(() => posterior.predict(x, { on } as never)).toThrow('unknown option "on"');
  expect(() => evaluate(posterior, { x, y: x }, { on } as never)).toThrow('unknown option "on"');
  await expect(posterior.predictAsync(x, { on: {} as never })).rejects.toThrow(OptionError);
  await expect(evaluateAsync(posterior, { x, y: x }, { on: {} as never })).rejects.toThrow("evaluate: on must be");
});
