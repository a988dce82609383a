// What the command line promises of its longer runs.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { laplace, tables, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const airquality = join(tables, "airquality.csv");
const quick = ["--epochs", "4", "--rounds", "1", "--folds", "2", "--hidden", "4", "--no-report"];

/** A table of x and y = 2 x + noise. */
function smallTable(rows: number): string {
  const lines = Array.from({ length: rows }, (_, i) => `${(i * 7919) % 101},${2 * ((i * 7919) % 101) + (i % 5)}`);
  return `x,y\n${lines.join("\n")}\n`;
}

test("--json is one object on every command", async () => {
  writeFileSync(at("small.csv"), smallTable(40));
  const small = at("small.safetensors");
  const runs = [
    ["fit", at("small.csv"), "-t", "y", "-o", small, ...quick, "--json"],
    ["predict", small, at("small.csv"), "-o", at("small-out.csv"), "--json"],
    ["evaluate", small, at("small.csv"), "--json"],
    ["inspect", small, "--json"],
  ];
  for (const args of runs) {
    const run = await laplace(args);
    expect(run.code).toBe(0);
    expect(typeof JSON.parse(run.stdout)).toBe("object");
  }
  expect(JSON.parse((await laplace(runs[1])).stdout)).toMatchObject({ rows: 40, skipped: 0, far: 0 });
}, 60_000);

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
