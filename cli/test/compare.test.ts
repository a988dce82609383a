// laplace compare: scores of models on the same rows, their paired differences, and what cannot be compared.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  binaryCrossEntropy,
  chain,
  dense,
  gaussNewton,
  laplace,
  loadTableModel,
  mse,
  NDArray,
  normalCdf,
  poisson,
  Random,
  saveTableModel,
  tableEncoding,
  tableModel,
  tableScores,
  train,
} from "laplace-ts";
import { expect, test } from "vitest";
import { pairedMeans, pairedRoots } from "../src/model/paired.ts";
import { inProcess, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const random = new Random(11);
const rows = Array.from({ length: 80 }, () => {
  const [a, b] = [random.normal(), random.normal()];
  const y = 2 * a + b + 0.3 * random.normal();
  return { a: String(a), b: String(b), y: String(y), sort: y > 0 ? "high" : "low", n: String(Math.round(Math.abs(y))) };
});
const names = ["a", "b", "y", "sort", "n"] as const;
writeFileSync(
  at("rows.csv"),
  [names.join(","), ...rows.map((row) => names.map((name) => row[name]).join(","))].join("\n"),
);
writeFileSync(at("few.csv"), ["a,b,y", ...rows.slice(0, 5).map(({ a, b, y }) => `${a},${b},${y}`)].join("\n"));

/** Writes a linear model of some of the columns. */
async function model(
  file: string,
  target: "y" | "sort" | "n",
  inputs: readonly ("a" | "b")[],
  task?: "regression" | "count",
) {
  const columns = [...inputs, target];
  const table = { names: columns, rows: rows.map((row) => columns.map((name) => row[name])) };
  const encoding = tableEncoding(table, { target, ...(task && { task }) });
  const { x } = encoding.encode(rows);
  const y = Float64Array.from(rows, (row) => encoding.encodeTarget(row[target]) ?? 0);
  const data = { x: new NDArray(x, [80, inputs.length]), y: new NDArray(y, [80, 1]) };
  const net = chain({ inputs: inputs.length, seed: 1, dtype: "float64" }, dense(1));
  await train(net, data, {
    loss: target === "sort" ? binaryCrossEntropy : task === "count" ? poisson() : mse,
    optimizer: gaussNewton(),
    epochs: 20,
    weightDecay: 0.01,
  });
  const likelihood = target === "sort" ? "binary" : task === "count" ? "count" : "regression";
  const posterior = await laplace(net, { likelihood, structure: "full", checks: false }).fit(data);
  writeFileSync(at(file), saveTableModel(tableModel({ posterior, encoding })));
}

test("scores are those of each model, differences those of rows, and a column more is beyond chance", async () => {
  await model("both.st", "y", ["a", "b"]);
  await model("one.st", "y", ["a"]);
  const run = await inProcess(["compare", at("both.st"), at("one.st"), at("rows.csv"), "--json"]);
  expect(run.code).toBe(0);
  const { task, models, rows: count } = JSON.parse(run.stdout);
  expect([task, count]).toEqual(["regression", 80]);
  const truth = rows.map(({ y }) => Number(y));
  const found = ["both.st", "one.st"].map((file) => {
    const predicted = loadTableModel(readFileSync(at(file))).predict(rows);
    const { negativeLogDensity, crps } = tableScores(predicted, truth);
    const squares = truth.map((y, i) => ((predicted.mean?.[i] ?? 0) - y) ** 2);
    return { negativeLogLikelihood: [...negativeLogDensity], crps: [...crps], squares };
  });
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  for (const [k, { metrics }] of models.entries()) {
    expect(metrics.negativeLogLikelihood).toBeCloseTo(mean(found[k].negativeLogLikelihood), 10);
    expect(metrics.crps).toBeCloseTo(mean(found[k].crps), 10);
    expect(metrics.rootMeanSquaredError).toBeCloseTo(Math.sqrt(mean(found[k].squares)), 10);
  }
  const { negativeLogLikelihood: own } = models[1].lessFirst;
  const parts = found[1].negativeLogLikelihood.map((loss, i) => loss - found[0].negativeLogLikelihood[i]);
  const deviation = Math.sqrt(parts.reduce((sum, part) => sum + (part - mean(parts)) ** 2, 0) / 79);
  expect(own.difference).toBeCloseTo(mean(parts), 10);
  expect(own.standardError).toBeCloseTo(deviation / Math.sqrt(80), 10);
  expect(own.beyondChance).toBe(true);
  const text = await inProcess(["compare", at("both.st"), at("one.st"), at("both.st"), at("rows.csv")]);
  expect(text.stdout).toMatch(/RMSE .*both\.st is better, beyond chance \(p < 0\.001\)/);
  expect(text.stdout).toMatch(/NLL +0 ± 0\.0 +no more than chance may make \(p 1\.0\)/);
  expect(text.stderr).toContain("flatter");
});

test("classes have accuracy and the Brier score, counts the scores of numbers", async () => {
  await model("sort.st", "sort", ["a", "b"]);
  await model("sort-one.st", "sort", ["b"]);
  const run = await inProcess(["compare", at("sort.st"), at("sort-one.st"), at("rows.csv"), "--json"]);
  const { task, models } = JSON.parse(run.stdout);
  expect(task).toBe("classification");
  const predicted = loadTableModel(readFileSync(at("sort.st"))).predict(rows);
  const right = rows.filter(({ sort }, i) => ["high", "low"][predicted.predicted?.[i] ?? 0] === sort).length / 80;
  expect(models[0].metrics.accuracy).toBeCloseTo(right, 12);
  expect(models[1].lessFirst.accuracy.difference).toBeLessThan(0);
  expect(models[0].metrics.brierScore).toBeLessThan(models[1].metrics.brierScore);
  await model("n.st", "n", ["a", "b"], "count");
  const counts = JSON.parse((await inProcess(["compare", at("n.st"), at("n.st"), at("rows.csv"), "--json"])).stdout);
  expect(counts.task).toBe("count");
  expect(counts.models[1].lessFirst.crps).toEqual({ difference: 0, standardError: 0, pValue: 1, beyondChance: false });
});

test("models of other targets or tasks, a single model and few rows are refused, and why is said", async () => {
  await model("m.st", "y", ["a"]);
  await model("s.st", "sort", ["a"]);
  await model("c.st", "n", ["a"], "count");
  await model("r.st", "n", ["a"], "regression");
  for (const [args, code, message] of [
    [["m.st", "s.st", "rows.csv"], 2, /predicts "y", .*s\.st "sort"/],
    [["c.st", "r.st", "rows.csv"], 2, /predicts "n" as count, .*r\.st as regression.*--task/],
    [["m.st", "rows.csv"], 2, /name two models or more/],
    [["m.st", "m.st", "few.csv"], 1, /5 rows have a value of "y"; at least 10/],
    [["s.st", "s.st", "few.csv"], 1, /no column "sort"/],
  ] as const) {
    const run = await inProcess(["compare", ...args.map(at)]);
    expect(run.code).toBe(code);
    expect(run.stderr).toMatch(message);
    expect(run.stdout).toBe("");
  }
});

test("where there is no difference, 5 % of them are beyond chance, whatever rows have in common", () => {
  const draws = new Random(5);
  const tries = 2000;
  let [means, roots] = [0, 0];
  for (let t = 0; t < tries; t++) {
    const shared = Array.from({ length: 60 }, () => 10 * draws.normal());
    const [a, b] = [0, 1].map(() => shared.map((one) => one + draws.normal()));
    if (pairedMeans(a, b).beyondChance) means++;
    if (
      pairedRoots(
        a.map((one) => one ** 2),
        b.map((one) => one ** 2),
      ).beyondChance
    )
      roots++;
  }
  // Of a normal law in the place of Student's, 5.5 %; three standard errors of the share are 1.5 %.
  for (const share of [means / tries, roots / tries]) expect(Math.abs(share - 0.053)).toBeLessThan(0.018);
  expect(pairedMeans([1, 2, 4, 5], [0, 0, 0, 0]).pValue).toBeCloseTo(2 * normalCdf(-3 / Math.sqrt(10 / 3 / 4)), 12);
});
