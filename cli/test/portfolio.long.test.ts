// The mixture of candidates does not end at the mean.

import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";

test("a line of 15 rows is found, which a strong prior took for its mean", { timeout: 240_000 }, async () => {
  const rows = Array.from({ length: 15 }, (_, i) => [String(58 + i), String(115 + 3.5 * i + 0.3 * ((i * 7) % 5))]);
  const table = { names: ["height", "weight"], rows, lines: rows.map((_, i) => i + 2) };
  const settings = {
    activation: "tanh",
    missing: "impute",
    structure: "auto",
    memoryBudget: 2 ** 30,
    kinds: {},
  } as const;
  const fit = await fitTable(table, { ...settings, target: "weight", rounds: 5, seed: 0 }, () => {});
  expect(fit.heldOut.metrics.rootMeanSquaredError).toBeLessThan(0.2 * fit.heldOut.baseline.rootMeanSquaredError);
  expect(fit.candidates).toHaveLength(8);
  expect(fit.candidates.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 10);
});
