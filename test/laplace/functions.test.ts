// laplace-ts/mini: functions of values in the place of names and methods, with the same numbers.

import { describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import * as mini from "../../src/mini.ts";
import type { Structure } from "../../src/structures/curvature.ts";

const data = mini.toyRegression({ samples: 30, seed: 1 });
const net = mini.chain({ inputs: 1, seed: 1, dtype: "float64" }, mini.dense(5, mini.tanh), mini.dense(1));
await mini.train(net, data, { loss: mini.mse, optimizer: mini.adam({ learningRate: 0.02 }), epochs: 100 });
const x = [[-1], [0.3], [9]];
const rows: Record<Exclude<Structure, "operator">, mini.StructureValue> = {
  full: mini.full,
  diagonal: mini.diagonal,
  kronecker: mini.kronecker,
  ekfac: mini.ekfac,
  kfoc: mini.kfoc,
  lowRank: mini.lowRank,
  functional: mini.functional,
};
const options = { checks: false, priorPrecision: 0.7, points: [[-2], [0], [1], [3]] } as const;

describe.each(Object.keys(rows) as (keyof typeof rows)[])("with the structure %s", (structure) => {
  test("fit, evidence, tuning and predictions are those of laplace-ts, to the bit", async () => {
    const ours = await mini
      .laplace(net, { ...options, likelihood: mini.gaussian(), structure: rows[structure] })
      .fit(data);
    const theirs = await library.laplace(net, { ...options, likelihood: "regression", structure }).fit(data);
    expect(mini.evidence(ours)).toEqual(theirs.evidence());
    expect(mini.predict(ours, x)).toEqual(theirs.predict(x));
    const [tuned, other] = [mini.optimizePrior(ours), theirs.optimizePrior()];
    expect(tuned.tuning).toEqual(other.tuning);
    expect(mini.predict(tuned, x)).toEqual(other.predict(x));
    expect(await mini.predictAsync(await mini.optimizePriorAsync(ours), x)).toEqual(other.predict(x));
    // What takes any posterior takes these too.
    expect(library.evaluate(tuned, data)).toEqual(library.evaluate(other, data));
    expect(mini.predict(other, x)).toEqual(other.predict(x));
  });
});

test("names of structures and tasks are refused, with what to write", () => {
  const likelihood = mini.gaussian();
  const wrong = { likelihood, structure: "full" } as unknown as mini.ValueOptions<"normal">;
  expect(() => mini.laplace(net, wrong)).toThrow("laplace: the structure must be full, diagonal, kronecker or ekfac");
  expect(() => mini.laplace(net, wrong)).toThrow(library.OptionError);
  const task = { likelihood: "regression", structure: mini.full } as unknown as mini.ValueOptions<"normal">;
  expect(() => mini.laplace(net, task)).toThrow("laplace: the likelihood must be gaussian()");
  expect(() => mini.laplace(net, undefined as never)).toThrow(library.OptionError);
  expect(() => mini.laplace(undefined as never, { likelihood, structure: mini.full })).toThrow(library.LaplaceError);
});

const { predict, optimizePrior, evidence, predictAsync, optimizePriorAsync } = mini;

test.each(Object.entries({ predict, optimizePrior, evidence }))("%s refuses what is not a posterior", (name, of) => {
  const call = of as (posterior: unknown, x: unknown) => unknown;
  for (const value of [
    undefined,
    null,
    1,
    {},
    net,
    mini.laplace(net, { likelihood: mini.gaussian(), structure: mini.full }),
  ]) {
    expect(() => call(value, x)).toThrow(`${name}: the first argument must be a posterior`);
  }
});

test.each(Object.entries({ predictAsync, optimizePriorAsync }))("%s refuses what is not a posterior", async (_, of) => {
  await expect((of as (posterior: unknown) => Promise<unknown>)(1)).rejects.toThrow("must be a posterior");
});
