// A table whose rows are all there twice, or count twice: candidates that such rows make singular are given up, and the fit is sound.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { laplace, workFolder } from "./laplace.ts";

const folder = workFolder();

const [header, ...rows] = readFileSync("examples/data/airquality.csv", "utf8").trim().split("\n");

test.each([
  ["there twice", [header, ...rows, ...rows], []],
  ["of weight 2", [`${header},w`, ...rows.map((row) => `${row},2`)], ["--weight", "w"]],
  ["of two copies", [`${header},w`, ...rows.map((row) => `${row},2`)], ["--copies", "w"]],
] as const)("rows %s are fitted", async (_, lines, more) => {
  const table = join(folder, "table.csv");
  writeFileSync(table, `${lines.join("\n")}\n`);
  const files = ["-o", join(folder, "model.safetensors"), "--no-report", "--json"];
  const { code, stdout, stderr } = await laplace(["fit", table, "-t", "Ozone", ...files, ...more]);
  expect([code, stderr.includes("error")]).toEqual([0, false]);
  const { metrics, baseline } = JSON.parse(stdout);
  expect(metrics.negativeLogLikelihood).toBeLessThan(baseline.negativeLogLikelihood);
  expect(metrics.rootMeanSquaredError).toBeLessThan(baseline.rootMeanSquaredError);
});
