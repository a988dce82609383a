// What is fitted of a column of many categories, chosen and said.

import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import type { Rows } from "../src/model/rows.ts";
import { columnLines } from "../src/output/summary.ts";
import { settings } from "./settings.ts";

/** y = sin 2a + u of the level + noise, u ~ N(0, deviation²). */
function tableOf(n: number, levels: number, deviation: number, seed = 4): Rows {
  const random = new Random(seed);
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

test("new categories are as uncertain as known ones differ, of rows with their groups held out too", {
  timeout: 600_000,
}, async () => {
  const rows = tableOf(1800, 300, 1);
  const { model } = await fitted(rows);
  const fresh = tableOf(1000, 500, 1, 77).rows;
  const { mean = [], sd = [] } = model.predict(fresh.map(([a], i) => ({ a, shop: `new ${i}` })));
  const errors = fresh.map(([, , y], i) => (Number(y) - mean[i]) / sd[i]);
  const held = errors.filter((own) => Math.abs(own) < 1.645).length / errors.length;
  // Two rows share a level on average: the standard error is √(2 · 0.9 · 0.1 / 1000) = 0.013.
  expect(Math.abs(held - 0.9)).toBeLessThan(0.05);
  const loss = errors.reduce((sum, own, i) => sum + (own ** 2 + Math.log(2 * Math.PI * sd[i] ** 2)) / 2, 0);
  // Of N(sin 2a, 1 + 0.3²) it is 1.46.
  expect(loss / errors.length).toBeLessThan(1.56);
  const split = { by: "group", column: "shop" } as const;
  const groups = async (kinds: Record<string, "ignored">) =>
    (await fitTable(rows, { ...settings, target: "y", split, kinds }, () => {})).heldOut.metrics;
  const [grouped, without] = [await groups({}), await groups({ shop: "ignored" })];
  // Nothing can be known of their levels.
  expect(grouped.negativeLogLikelihood).toBeLessThan(without.negativeLogLikelihood + 0.05);
  // A fifth is held out, some 60 levels of six rows: the standard error is √(6 · 0.9 · 0.1 / 360) = 0.039.
  expect(Math.abs(grouped.intervalCoverage - 0.9)).toBeLessThan(0.08);
});

test("rows that lack their category are predicted by what such rows were, not by what others are", {
  timeout: 600_000,
}, async () => {
  // Levels of few rows are 2 higher; rows without one are like none of them.
  const random = new Random(3);
  const row = (missing: boolean) => {
    const [a, rare] = [random.normal(), random.uniform() < 0.35];
    const shop = rare ? `rare ${Math.floor(600 * random.uniform())}` : `shop ${Math.floor(40 * random.uniform())}`;
    const y = 0.5 * a + (rare && !missing ? 2 : 0) + 0.3 * random.normal();
    return [a.toFixed(4), missing ? "" : shop, y.toFixed(4)];
  };
  const cells = Array.from({ length: 1500 }, () => row(random.uniform() < 0.1));
  const { model } = await fitted({ names: ["a", "shop", "y"], rows: cells, lines: cells.map((_, i) => i + 2) });
  const fresh = Array.from({ length: 400 }, () => row(true));
  const { mean = [], sd = [] } = model.predict(fresh.map(([a, shop]) => ({ a, shop })));
  const square = fresh.reduce((sum, [, , y], i) => sum + (Number(y) - mean[i]) ** 2 / 400, 0);
  expect(Math.sqrt(square)).toBeLessThan(0.36);
  const held = fresh.filter(([, , y], i) => Math.abs(Number(y) - mean[i]) < 1.645 * sd[i]).length / 400;
  expect(held).toBeGreaterThan(0.87);
  // Rows whose category is new have a deviation of about 1.
  expect(Math.max(...sd)).toBeLessThan(0.8);
});
