// Tuning on held-out data: the reference's grid, golden sections against fine grids, folds, and what is warned of.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  adam,
  array,
  chain,
  type Data,
  dense,
  evaluate,
  folds,
  gaussian,
  type HeldOutOptions,
  laplace,
  loadPosterior,
  mse,
  OptionError,
  type Posterior,
  randomNormal,
  savePosterior,
  splitDataset,
  tanh,
  toyRegression,
  train,
  ValueError,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { readOracle, type Table } from "../laplace/oracles.ts";

const name = "mlp_2_8_8_3_cls";
const fixture = JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8")) as {
  readonly Ytest: Table;
  readonly gridsearch: {
    readonly grid: Table;
    readonly full: { readonly nll: number[]; readonly best: number };
    readonly diag: { readonly nll: number[]; readonly best: number };
    readonly kron: { readonly nll: number[]; readonly best: number };
  };
};
const { net, data, test: inputs } = readOracle(name);
const on = { x: inputs, y: fixture.Ytest.data };
const quiet = { onWarning: () => {} };
const fit = (structure: "full" | "diagonal" | "kronecker" = "full") =>
  laplace(net, { likelihood: "classification", structure, checks: false }).fit(data);

/** A regression's posterior, and data that it did not see. */
async function regression() {
  const all = toyRegression({ samples: 60, noise: 0.3, centerOrigin: true, seed: 3 });
  const [near, held] = splitDataset(all, [2 / 3, 1 / 3], { shuffle: true, seed: 1 });
  const own = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(6, tanh), dense(1));
  await train(own, near, { loss: mse, optimizer: adam({ learningRate: 0.02 }), epochs: 200, batchSize: 40 });
  return { posterior: await laplace(own, { likelihood: "regression", checks: false }).fit(near), near, held };
}

describe("the reference's grid", () => {
  test.each([
    ["full", "full"],
    ["diag", "diagonal"],
    ["kron", "kronecker"],
  ] as const)("%s: every candidate's score, and the best of them", async (key, structure) => {
    const { grid, [key]: due } = fixture.gridsearch;
    const options = { on, method: "grid", grid: { priorPrecision: grid.data }, approximation: "probit" } as const;
    const tuned = (await fit(structure)).optimizePrior(options);
    expect(tuned.priorPrecision.data).toEqual(Float64Array.of(due.best));
    const { curve, value, edges, score } = tuned.tuning?.heldOut ?? { curve: [] };
    expect(curve.map((one) => one.priorPrecision)).toEqual(grid.data.map((delta) => [delta]));
    expect(curve.map((one) => one.score)).toBeAllClose(due.nll, { relative: 1e-9 });
    expect([value, edges, score]).toEqual([Math.min(...curve.map((one) => one.score)), [], "negativeLogLikelihood"]);
    expect(tuned.tuning).toMatchObject({ steps: 21, converged: true });
    expect(memoryUse().inUse).toBe(0);
  });
});

describe("golden sections", () => {
  test("find what a fine grid finds", async () => {
    const posterior = await fit();
    const golden = posterior.optimizePrior({ on });
    const at = golden.priorPrecision.at(0);
    const fine = Array.from({ length: 41 }, (_, i) => at * 2 ** ((i - 20) / 20));
    const grid = posterior.optimizePrior({ on, method: "grid", grid: { priorPrecision: fine } });
    expect(Math.abs(Math.log(at / grid.priorPrecision.at(0)))).toBeLessThan(0.05);
    expect(golden.tuning?.heldOut?.value).toBeLessThan((grid.tuning?.heldOut?.value ?? 0) + 1e-5);
    expect(evaluate(golden, on).negativeLogLikelihood).toBe(golden.tuning?.heldOut?.value);
    expect(golden.tuning?.steps).toBeLessThan(30);
  });

  test("of prior, noise and temperature together: no neighbour is better", async () => {
    const { posterior, held } = await regression();
    const tuned = posterior.optimizePrior({ on: held, temperature: true, ...quiet });
    const value = tuned.tuning?.heldOut?.value ?? 0;
    const delta = tuned.priorPrecision.at(0);
    const noise = tuned.noise.at(0);
    for (const factor of [0.7, 1.4]) {
      for (const change of [{ priorPrecision: factor * delta }, { noise: factor * noise }]) {
        expect(evaluate(tuned.with(change), held).negativeLogLikelihood).toBeGreaterThan(value - 1e-9);
      }
    }
    expect(Object.keys(tuned.tuning?.heldOut?.curve[0] ?? {})).toEqual([
      "priorPrecision",
      "noise",
      "temperature",
      "score",
    ]);
    // The evidence chooses otherwise, and predicts these data no better.
    expect(evaluate(posterior.optimizePrior(), held).negativeLogLikelihood).toBeGreaterThan(value);
  });

  test("one precision for each parameter, in the order of the option weights", async () => {
    const weights = { parameters: ["2.weight", "0.weight"] };
    const own = await laplace(net, { likelihood: "classification", weights, checks: false }).fit(data);
    const tuned = own.optimizePrior({ on, priorStructure: "perParameter", ...quiet });
    const curve = tuned.tuning?.heldOut?.curve ?? [];
    const best = curve.find((one) => one.score === tuned.tuning?.heldOut?.value);
    expect(best?.priorPrecision).toEqual([...tuned.priorPrecision.data]);
    expect(evaluate(tuned, on).negativeLogLikelihood).toBe(best?.score);
    const scalar = own.optimizePrior({ on, ...quiet }).tuning?.heldOut?.value ?? 0;
    expect(best?.score).toBeLessThan(scalar + 1e-9);
  });

  test("a noise for each output", async () => {
    const x = randomNormal([40, 1], { seed: 1 });
    const y = randomNormal([40, 2], { seed: 2 });
    const scaled = array(
      y.data.map((value: number, i: number) => value * (i % 2 ? 10 : 0.1)),
      { shape: [40, 2] },
    );
    const two = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(2));
    two.parameters.data.fill(0);
    const posterior = await laplace(two, { likelihood: "regression", checks: false }).fit({ x, y: scaled });
    const { noise } = posterior.optimizePrior({ on: { x, y: scaled }, ...quiet });
    expect(noise.at(1) / noise.at(0)).toBeGreaterThan(50);
    expect(noise.at(1) / noise.at(0)).toBeLessThan(200);
  });
});

describe("scores", () => {
  test.each(["negativeLogLikelihood", "brierScore", "expectedCalibrationError", "accuracy"] as const)(
    "by %s",
    async (score) => {
      const tuned = (await fit("diagonal")).optimizePrior({ on, score, ...quiet });
      const { curve, value } = tuned.tuning?.heldOut ?? { curve: [], value: 0 };
      const scores = curve.map((one) => one.score);
      expect(value).toBe(score === "accuracy" ? Math.max(...scores) : Math.min(...scores));
      expect(evaluate(tuned, on)[score]).toBe(value);
    },
  );

  test("by a function, which gets the candidate and the data", async () => {
    const score = (posterior: Posterior, held: Data) => evaluate(posterior, held).brierScore ?? 0;
    const posterior: Posterior = await fit("diagonal");
    const named = posterior.optimizePrior({ on, score: "brierScore", ...quiet });
    const own = posterior.optimizePrior({ on, score, ...quiet });
    expect(own.priorPrecision).toEqual(named.priorPrecision);
    expect(own.tuning?.heldOut?.score).toBe("a function");
  });

  test("of a prediction that fails is the worst, and alone is told", async () => {
    const posterior: Posterior = await fit("diagonal");
    const failing = (one: Posterior) => {
      if (one.priorPrecision.at(0) < 100) throw new ValueError("none");
      return one.priorPrecision.at(0);
    };
    const grid = { priorPrecision: [1, 10, 100, 1000] };
    const tuned = posterior.optimizePrior({ on, method: "grid", grid, score: failing });
    expect(tuned.priorPrecision.at(0)).toBe(100);
    const some = { priorPrecision: [1, 10] };
    expect(() => posterior.optimizePrior({ on, method: "grid", grid: some, score: failing })).toThrow("none");
    const never = { on, method: "grid", grid: some, score: () => Number.NaN } as const;
    expect(() => posterior.optimizePrior(never)).toThrow(/no candidate has a score that is a number/);
  });
});

test("an edge is warned of, found by diagnose, and kept in files", async () => {
  const warnings: string[] = [];
  const posterior = await fit();
  const onWarning = (text: string) => warnings.push(text);
  const tuned = posterior.optimizePrior({ on, range: { priorPrecision: [1e-3, 1] }, onWarning });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatch(/the best prior precision, 1.*, is at the edge of what was tried, 0.001000 to 1.000/);
  expect(tuned.tuning).toMatchObject({ converged: false, heldOut: { edges: ["prior precision"] } });
  const found = tuned.diagnose().findings.find(({ code }) => code === "tuning-not-converged");
  expect(found?.message).toMatch(/On held-out data the best prior precision is at the edge/);
  const loaded = loadPosterior(savePosterior(tuned));
  expect(loaded.tuning).toEqual({ ...tuned.tuning, heldOut: { ...tuned.tuning?.heldOut, curve: [] } });
});

test("where the evidence drives a number to 0 or infinity, tuning warns", async () => {
  const line = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(1));
  const x = randomNormal([30, 1], { seed: 1 });
  const warnings: string[] = [];
  const onWarning = (text: string) => void warnings.push(text);
  // Targets that are met exactly say that there is no noise.
  const exact = await laplace(line, { likelihood: "regression", checks: false }).fit({ x, y: line.forward(x) });
  expect(exact.optimizePrior({ onWarning }).tuning?.converged).toBe(false);
  // Weights of 0 say that they are known.
  line.parameters.data.fill(0);
  const likelihood = gaussian({ noise: 1 });
  const zero = await laplace(line, { likelihood, checks: false }).fit({ x, y: randomNormal([30, 1], { seed: 2 }) });
  zero.optimizePrior({ noise: false, onWarning });
  expect(warnings).toEqual([
    expect.stringMatching(/tuning drove the noise to 0: the data do not hold it/),
    expect.stringMatching(/tuning drove the prior precision to infinity, where the weights count as known/),
  ]);
  // What the data hold is not warned of.
  const posterior = await fit();
  for (const priorStructure of ["scalar", "perWeight"] as const) posterior.optimizePrior({ priorStructure, onWarning });
  expect(warnings).toHaveLength(2);
});

test("one precision for each weight: a few evaluations, though most weights are switched off", async () => {
  const { posterior } = await regression();
  const wide = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(40, tanh), dense(1));
  const x = randomNormal([60, 1], { seed: 5 });
  await train(wide, { x, y: x }, { loss: mse, optimizer: adam({ learningRate: 0.02 }), epochs: 100, batchSize: 60 });
  const many = await laplace(wide, { likelihood: "regression", checks: false }).fit({ x, y: x });
  for (const one of [posterior, many]) {
    let evaluations = 0;
    const onProgress = (report: { readonly evaluations: number }) => {
      evaluations = report.evaluations;
    };
    const tuned = await one.optimizePriorAsync({ priorStructure: "perWeight", onProgress, ...quiet });
    expect(evaluations).toBeLessThan(60);
    expect(tuned.tuning?.gradientNorm).toBeLessThan(1e-5);
    expect(tuned.logMarginalLikelihood()).toBeGreaterThan(one.optimizePrior(quiet).logMarginalLikelihood());
  }
});

test("folds are models that never saw their data, scored together", async () => {
  const all = toyRegression({ samples: 31, noise: 0.3, centerOrigin: true, seed: 3 });
  const seen: number[] = [];
  const made = await folds(all, 3, async (rest, k) => {
    seen.push(rest.x.shape[0]);
    const own = chain({ inputs: 1, seed: k, dtype: "float64" }, dense(4, tanh), dense(1));
    await train(own, rest, { loss: mse, optimizer: adam({ learningRate: 0.02 }), epochs: 50, batchSize: 40 });
    return laplace(own, { likelihood: "regression", checks: false }).fit(rest);
  });
  expect(seen).toEqual([21, 20, 21]);
  expect(made.flatMap(({ rows }) => [...rows]).sort((a, b) => a - b)).toEqual(Array.from({ length: 31 }, (_, i) => i));
  for (const { rows, data: held } of made)
    rows.forEach((row, i) => void expect(held.x.at(i, 0)).toBe(all.x.at(row, 0)));
  const [{ posterior }] = made;
  const tuned = posterior.optimizePrior({ on: made, ...quiet });
  const hyper = { priorPrecision: tuned.priorPrecision, noise: tuned.noise.at(0) };
  const scores = made.map((one) => {
    const own = one.posterior.with(hyper);
    return one.rows.length * evaluate(own, one.data).negativeLogLikelihood;
  });
  expect(tuned.tuning?.heldOut?.value).toBeCloseTo(scores.reduce((sum, one) => sum + one, 0) / 31, 12);
  const ordered = await folds(all, 2, () => posterior, { shuffle: false });
  expect([...ordered[1].rows]).toEqual(Array.from({ length: 15 }, (_, i) => i + 16));
});

test("in bursts: the same posterior, with progress, and an abort in between", async () => {
  const posterior = await fit("diagonal");
  const reports: number[] = [];
  const onProgress = ({ evaluations }: { readonly evaluations: number }) => void reports.push(evaluations);
  const tuned = await posterior.optimizePriorAsync({ on, onProgress });
  const atOnce = posterior.optimizePrior({ on });
  expect(tuned.tuning).toEqual(atOnce.tuning);
  expect(tuned.priorPrecision).toEqual(atOnce.priorPrecision);
  expect(reports).toEqual(Array.from({ length: atOnce.tuning?.steps ?? 0 }, (_, i) => i + 1));
  const controller = new AbortController();
  const stop = posterior.optimizePriorAsync({ on, signal: controller.signal, onProgress: () => controller.abort() });
  await expect(stop).rejects.toThrow(/aborted/);
  expect(memoryUse().inUse).toBe(0);
});

test.each<[string, unknown, new (...args: never[]) => Error, RegExp]>([
  ["a score that there is not", { score: "rmse" }, OptionError, /score must be/],
  ["a score of another likelihood", { score: "crps" }, OptionError, /there is no crps of a categorical likelihood/],
  ["a method of the evidence", { method: "adam" }, OptionError, /method must be/],
  ["a structure without end", { priorStructure: "perWeight" }, OptionError, /priorStructure must be/],
  ["noise that there is not", { noise: true }, OptionError, /has no noise to tune/],
  ["nothing", { prior: false }, OptionError, /nothing is to be tuned/],
  ["a range the wrong way round", { range: { priorPrecision: [1, 0.1] } }, OptionError, /the smaller first/],
  ["a range of what is not tuned", { range: { sigma: [1, 2] } }, OptionError, /sigma/],
  ["a grid without its method", { grid: { priorPrecision: [1] } }, OptionError, /grid goes with method: "grid"/],
  ["an empty grid", { method: "grid", grid: { priorPrecision: [] } }, OptionError, /list of positive numbers/],
  ["a negative grid", { method: "grid", grid: { priorPrecision: [-1] } }, OptionError, /list of positive numbers/],
  ["a score that is not a number", { score: () => "0.5" }, OptionError, /the score must be a number/],
  ["no data", { on: 3 }, ValueError, /data must be/],
  ["folds without posteriors", { on: [{ posterior: 1, data: on }] }, ValueError, /the posterior of fold 0/],
  ["no function for warnings", { onWarning: 1 }, OptionError, /onWarning must be a function/],
])("refuses %s", async (_, options, Class, message) => {
  const posterior = await fit("diagonal");
  const call = () => posterior.optimizePrior({ on, ...(options as object) } as HeldOutOptions<typeof posterior>);
  expect(call).toThrow(Class);
  expect(call).toThrow(message);
});

test("folds are made so many at a time, in order, and an error is that of the first fold that failed", async () => {
  const { near, posterior } = await regression();
  const due = await folds(near, 5, () => posterior);
  for (const concurrency of [1, 2, 3, 8]) {
    let [running, most] = [0, 0];
    const begun: number[] = [];
    const waiting: (() => void)[] = [];
    const make = async (_: Data, k: number) => {
      begun.push(k);
      most = Math.max(most, ++running);
      const all = running === Math.min(concurrency, 5) || begun.length === 5;
      // Those that began last end first.
      if (!all) await new Promise<void>((go) => waiting.push(go));
      for (let go = waiting.pop(); go !== undefined; go = waiting.pop()) go();
      running--;
      return posterior;
    };
    expect(await folds(near, 5, make, { concurrency })).toEqual(due);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    expect(most).toBe(Math.min(concurrency, 5));
  }
  const ended: number[] = [];
  const fails = async (_: Data, k: number) => {
    // Later folds fail before, and the others are waited for.
    for (let turns = 9 - 3 * k; turns > 0; turns--) await new Promise(setImmediate);
    ended.push(k);
    if (k < 2) throw new Error(`fold ${k}`);
    return posterior;
  };
  await expect(folds(near, 5, fails, { concurrency: 2 })).rejects.toThrow("fold 0");
  expect(ended).toEqual([1, 0]);
  await expect(folds(near, 5, fails, { concurrency: 0 })).rejects.toThrow(OptionError);
});

test("folds refuses what makes none", async () => {
  const all = toyRegression({ samples: 5, seed: 3 });
  const anything = (() => 1) as never;
  await expect(folds(all, 1, anything)).rejects.toThrow(/count must be an integer of at least 2/);
  await expect(folds(all, 6, anything)).rejects.toThrow(/6 folds of 5 samples/);
  await expect(folds(all, 2, 1 as never)).rejects.toThrow(/must be a function that trains/);
  await expect(folds(all, 2, anything)).rejects.toThrow(/what the function gives of fold 0 must be a posterior/);
});
