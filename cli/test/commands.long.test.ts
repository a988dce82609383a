// What the command line promises of its longer runs.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { laplace, tables, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const airquality = join(tables, "airquality.csv");
const quick = ["--epochs", "4", "--rounds", "1", "--folds", "2", "--hidden", "4", "--no-report"];

test("the same seed gives the same file", async () => {
  const fit = (name: string) => laplace(["fit", airquality, "-t", "Ozone", "-o", at(name), ...quick, "--seed", "3"]);
  await Promise.all([fit("one.safetensors"), fit("two.safetensors")]);
  expect(readFileSync(at("one.safetensors")).equals(readFileSync(at("two.safetensors")))).toBe(true);
}, 60_000);

test("the notebook runs from the build", async () => {
  const run = await laplace(["notebook", "--json"]);
  expect(run.code).toBe(0);
  expect(Object.keys(JSON.parse(run.stdout))).toContain("training");
}, 120_000);
