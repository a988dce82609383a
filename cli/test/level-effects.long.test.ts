// What is fitted of a column of many categories, chosen and said.

import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import type { Rows } from "../src/model/rows.ts";
import { columnLines } from "../src/output/summary.ts";
import { settings } from "./settings.ts";

/** y = sin 2a + u of the level + noise, u ~ N(0, deviation²). */
function tableOf(n: number, levels: number, deviation: number): Rows {
  const random = new Random(4);
  const effects = Array.from({ length: levels }, () => deviation * random.normal());
  const rows = Array.from({ length: n }, () => {
    const [a, level] = [4 * random.uniform() - 2, Math.floor(levels * random.uniform())];
    return [a.toFixed(5), `shop ${level}`, (Math.sin(2 * a) + effects[level] + 0.3 * random.normal()).toFixed(5)];
  });
  return { names: ["a", "shop", "y"], rows, lines: rows.map((_, i) => i + 2) };
}

const fitted = async (rows: Rows, kinds: Record<string, "ignored"> = {}) => {
  const fit = await fitTable(rows, { ...settings, target: "y", kinds }, () => {});
  return { said: columnLines(fit.model).join("\n"), metrics: fit.heldOut.metrics, model: fit.model };
};

test("500 categories in 1500 rows are learned by effects, which is said, and others are as uncertain as they differ", {
  timeout: 600_000,
}, async () => {
  const rows = tableOf(1500, 500, 1);
  const { said, metrics, model } = await fitted(rows);
  expect(said).toMatch(/3 inputs\n.*shop: a random effect for each of \d{3} categories, which differ by (0\.9|1)/);
  // Known but for its noise and what the others of its level leave open, 0.3 √(1 + 1/2.7) of a row with 2.7 others; without the column 1.04.
  expect(metrics.rootMeanSquaredError).toBeLessThan(0.55);
  expect(Math.abs(metrics.intervalCoverage - 0.9)).toBeLessThan(0.05);
  const [known, unknown] = [rows.rows[0][1], "shop elsewhere"].map((shop) => model.predict([{ a: "0.5", shop }]));
  expect((unknown.sd ?? [])[0]).toBeGreaterThan(0.8);
  expect((known.sd ?? [])[0]).toBeLessThan(0.6 * ((unknown.sd ?? [])[0] ?? 0));
  expect(unknown.unusual).toEqual([[]]);
});

test("categories that do not differ are said to be chance, and do not harm", { timeout: 600_000 }, async () => {
  const rows = tableOf(1500, 500, 0);
  const [all, without] = [await fitted(rows), await fitted(rows, { shop: "ignored" })];
  expect(all.said).toMatch(/shop: an effect for each of \d{3} categories would be chance: they are not told apart/);
  expect(all.metrics.negativeLogLikelihood).toBeLessThan(without.metrics.negativeLogLikelihood + 0.02);
});
