// What the tests of outputs share: a small table, its model and predictions, and a shell.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import { inProcess, workFolder } from "./laplace.ts";

export const faults = "../shared/faults/tables";
export const source = join(faults, "output-overwrites-input/data.csv");
export const folder = workFolder();
export const at = (name: string) => join(folder, name);
export const model = at("model.safetensors");
export const fitArgs = (data: string, ...more: string[]) => [
  "fit",
  data,
  "-t",
  "y",
  ...["--rounds", "1", "--epochs", "4", "--hidden", "4", "--folds", "2"],
  ...more,
];
export const predictions = () => readFileSync(at("right.csv"), "utf8");

/** Runs a command line through a shell, for what only a shell does: redirections, limits. */
export function shell(script: string): { code: number | null; stdout: string; stderr: string } {
  const run = spawnSync("bash", ["-c", script], {
    encoding: "utf8",
    env: { ...process.env, DATA: source, MODEL: model },
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}
export const cli = `"${process.execPath}" cli/laplace.js`;

beforeAll(async () => {
  expect((await inProcess(fitArgs(source, "-o", model, "--no-report"))).code).toBe(0);
  expect((await inProcess(["predict", model, source, "-o", at("right.csv")])).code).toBe(0);
}, 60_000);
