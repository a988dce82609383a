// The real tables, from a file to predictions, as a user would: no option but the target.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTableModel } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { laplace, tables, unfinished, workFolder } from "./laplace.ts";

const folder = workFolder();

const cases = [
  { name: "iris", target: "species", rows: 150, task: "classification" },
  { name: "diabetes", target: "progression", rows: 442, task: "regression" },
  { name: "breast_cancer", target: "diagnosis", rows: 569, task: "classification" },
  { name: "airquality", target: "Ozone", rows: 116, task: "regression" },
  { name: "infert", target: "case", rows: 248, task: "classification" },
] as const;

describe.each(cases)("$name", ({ name, target, rows, task }) => {
  const data = join(tables, `${name}.csv`);
  const [model, report, predictions] = ["safetensors", "html", "csv"].map((end) => join(folder, `${name}.${end}`));
  const coverageOf = (metrics: Record<string, number>) => metrics.intervalCoverage ?? metrics.setCoverage;

  // Another seed, another network and other held-out parts: what holds must not hang on one of them.
  test.each([0, 1])("fit with seed %d", { timeout: 120_000 }, async (seed) => {
    const seeded = seed === 0 ? [] : ["--seed", String(seed), "--hidden", "16"];
    const files = seed === 0 ? ["-o", model, "--report", report] : ["-o", `${model}-${seed}`, "--no-report"];
    const run = await laplace(["fit", data, "--target", target, ...seeded, ...files, "--json"]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const fit = JSON.parse(run.stdout);
    expect(fit).toMatchObject({ task, taskGuessed: true, target, rows: { test: rows } });
    expect(fit.metrics.negativeLogLikelihood).toBeLessThan(fit.baseline.negativeLogLikelihood - 0.03);
    expect(coverageOf(fit.metrics)).toBeGreaterThanOrEqual(0.84);
    expect(coverageOf(fit.metrics)).toBeLessThanOrEqual(0.96);
    expect(fit.findings.filter(({ severity }: { severity: string }) => severity === "problem")).toEqual([]);
  });

  test("predict, evaluate and inspect", { timeout: 120_000 }, async () => {
    const predicted = await laplace(["predict", model, data, "-o", predictions]);
    expect(predicted.code).toBe(0);
    const [header, ...lines] = readFileSync(predictions, "utf8").trim().split("\n");
    const input = readFileSync(data, "utf8").trim().split(/\r?\n/);
    expect(lines.length).toBe(input.length - 1);
    const added =
      task === "regression"
        ? "mean,sd,lower90,upper90,epistemic_share,far,far_columns"
        : "epistemic_share,far,far_columns";
    expect(header.endsWith(added)).toBe(true);
    expect(lines.every((line, i) => line.startsWith(input[i + 1].replaceAll('"', "")))).toBe(true);

    const evaluated = await laplace(["evaluate", model, data, "--json"]);
    expect(evaluated.code).toBe(0);
    const { metrics, baseline, rows: count } = JSON.parse(evaluated.stdout);
    expect(count).toBe(rows);
    expect(metrics.negativeLogLikelihood).toBeLessThan(baseline.negativeLogLikelihood);
    expect(coverageOf(metrics)).toBeGreaterThanOrEqual(0.84);
    // These rows were learned from: of few, chance may cover more.
    expect(coverageOf(metrics)).toBeLessThanOrEqual(0.9 + Math.max(0.06, 3 * Math.sqrt(0.09 / rows)));

    const inspected = await laplace(["inspect", model, "--json"]);
    expect(JSON.parse(inspected.stdout)).toMatchObject({ task, heldOut: { rows }, examples: rows });
    expect(existsSync(report)).toBe(true);
    expect(unfinished(folder)).toEqual([]);
  });

  test("the library predicts what the command line wrote", () => {
    const [header, ...lines] = readFileSync(predictions, "utf8").trim().split("\n");
    const names = header.split(",");
    const records = lines.map((line) => {
      const cells = line.split(",");
      return Object.fromEntries(names.map((column, j) => [column, cells[j]]));
    });
    const predicted = loadTableModel(readFileSync(model)).predict(records);
    records.forEach((record, i) => {
      expect(Number(record.epistemic_share)).toBeCloseTo(predicted.epistemic[i], 8);
      if (predicted.mean !== undefined) expect(Number(record.mean)).toBeCloseTo(predicted.mean[i], 5);
      expect(record.far).toBe(String(predicted.far[i]));
    });
  });
});

test("a table of hundreds of columns has a report of the most important", async () => {
  const columns = Array.from({ length: 300 }, (_, j) => `v${j}`);
  const rows = Array.from({ length: 40 }, (_, i) => [...columns.map((_, j) => ((i + 1) * (j + 7)) % 41), i % 13]);
  const [wide, report] = [join(folder, "wide.csv"), join(folder, "wide.html")];
  writeFileSync(wide, `${[[...columns, "y"], ...rows].map((row) => row.join()).join("\n")}\n`);
  const files = ["-o", join(folder, "wide.safetensors"), "--report", report];
  const quick = ["--epochs", "4", "--rounds", "1", "--folds", "2", "--hidden", "4"];
  const run = await laplace(["fit", wide, "-t", "y", ...files, ...quick]);
  expect(run).toMatchObject({ code: 0, stderr: "" });
  expect(existsSync(report)).toBe(true);
}, 60_000);
