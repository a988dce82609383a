// What was tried, as JSON: by the fit, and by whoever has the model's file.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTableModel, saveTableModel, tableModel } from "laplace-ts";
import { beforeAll, expect, test } from "vitest";
import { writtenCandidates } from "../src/fitting/said.ts";
import { inProcess, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);

interface Tried {
  readonly name: string;
  readonly negativeLogLikelihood: number | null;
  readonly weight: number;
  readonly members: number;
  readonly evidence?: number;
}
let fitted: {
  readonly candidates: readonly Tried[];
  readonly portfolio: { readonly steps: readonly object[]; readonly overLinear: { readonly gain: number } };
};

beforeAll(async () => {
  const lines = Array.from({ length: 60 }, (_, i) => {
    const x = ((i * 37) % 61) / 10;
    return `${x},${Math.sin(x) + 0.1 * ((i * 7) % 5)}`;
  });
  writeFileSync(at("table.csv"), `x,y\n${lines.join("\n")}\n`);
  const run = await inProcess(["fit", at("table.csv"), "-t", "y", "-o", at("m.st"), "--no-report", "--json"]);
  fitted = JSON.parse(run.stdout);
});

test("the fit says of each candidate its density, evidence and weight, and what the steps to the mixture gain", () => {
  const { candidates, portfolio } = fitted;
  expect(candidates.length).toBeGreaterThan(3);
  const losses = candidates.map((one) => one.negativeLogLikelihood ?? Number.POSITIVE_INFINITY);
  expect(losses).toEqual(losses.toSorted((a, b) => a - b));
  expect(candidates.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 9);
  for (const { weight, members } of candidates) expect(members > 0).toBe(weight > 0);
  const evidences = candidates.flatMap(({ evidence }) => (evidence === undefined ? [] : [evidence]));
  expect(Math.max(...evidences)).toBe(0);
  // A line does not follow a sine.
  expect(portfolio.overLinear.gain).toBeGreaterThan(0.3);
  expect(portfolio.steps.at(-1)).toMatchObject({ name: "the mixture of all" });
});

test.each(["inspect", "evaluate"])("%s says the same candidates", async (command) => {
  const data = command === "evaluate" ? [at("table.csv")] : [];
  const { stdout } = await inProcess([command, at("m.st"), ...data, "--json"]);
  expect(JSON.parse(stdout).candidates).toEqual(fitted.candidates);
});

test("what was given up has no density; notes of another form are not repeated", async () => {
  const one = { name: "a line", weight: 0, members: 0 };
  const [written] = writtenCandidates([{ ...one, negativeLogLikelihood: Number.POSITIVE_INFINITY }]);
  expect(written).toEqual({ ...one, negativeLogLikelihood: null });
  const model = loadTableModel(readFileSync(at("m.st")));
  const found = async (candidates: unknown) => {
    writeFileSync(at("other.st"), saveTableModel(tableModel({ ...model, notes: { candidates } as never })));
    return JSON.parse((await inProcess(["inspect", at("other.st"), "--json"])).stdout).candidates;
  };
  expect(await found([written])).toEqual([written]);
  for (const other of [[{ ...one, name: 3 }], [{ ...one, negativeLogLikelihood: "much" }], [7], {}, []])
    expect(await found(other)).toBeUndefined();
});
