// Categories with many levels: what is learned of them, what is said of those that are not, and how wide predictions of new ones are.

import { Random, tableScores } from "laplace-ts";
import { expect, test } from "vitest";
import { findingsOf } from "../src/fitting/findings.ts";
import { type FitSettings, fitTable } from "../src/fitting/fit.ts";
import type { Rows } from "../src/model/rows.ts";
import { columnLines } from "../src/output/summary.ts";
import { settings } from "./settings.ts";

const NOISE = 0.3;

/** y = sin 2a + the effect of a shop + noise; shops from one number on have no rows in the table. */
function simulated(shops: number, known: number, rows: number, fresh: number, seed: number) {
  const random = new Random(seed);
  const effects = Array.from({ length: shops }, () => random.normal());
  const draw = (first: number, end: number) => {
    const shop = first + Math.floor(random.uniform() * (end - first));
    const a = 4 * random.uniform() - 2;
    return { a, shop, y: Math.sin(2 * a) + effects[shop] + NOISE * random.normal() };
  };
  const cells = (n: number, first: number, end: number) => Array.from({ length: n }, () => draw(first, end));
  const given = cells(rows, 0, known);
  const table: Rows = {
    names: ["a", "shop", "y"],
    rows: given.map(({ a, shop, y }) => [String(a), `shop ${shop}`, String(y)]),
    lines: given.map((_, i) => i + 2),
  };
  return { table, ofKnown: cells(fresh, 0, known), ofNew: known < shops ? cells(fresh, known, shops) : [] };
}

const average = (values: ArrayLike<number>) => Array.from(values).reduce((sum, one) => sum + one / values.length, 0);

const fit = (table: Rows, own: Partial<FitSettings> = {}) =>
  fitTable(table, { ...settings, target: "y", ...own }, () => {});

test("effects of levels are learned, and new levels are predicted as wide as levels differ", {
  timeout: 300_000,
}, async () => {
  const { table, ofKnown, ofNew } = simulated(80, 25, 500, 400, 3);
  const { model } = await fit(table);
  const judge = (rows: typeof ofKnown) => {
    const predicted = model.predict(rows.map(({ a, shop }) => ({ a: String(a), shop: `shop ${shop}` })));
    const { mean = [], sd = [], lower = [], upper = [] } = predicted;
    return {
      predicted,
      error: Math.sqrt(average(rows.map(({ y }, i) => (y - mean[i]) ** 2))),
      sd: average(sd),
      held: average(rows.map(({ y }, i) => Number(y >= lower[i] && y <= upper[i]))),
      loss: average(
        tableScores(
          predicted,
          rows.map(({ y }) => y),
        ).negativeLogDensity,
      ),
    };
  };
  const [known, unknown] = [judge(ofKnown), judge(ofNew)];
  expect(known.error).toBeLessThan(1.25 * NOISE);
  expect(known.held).toBeGreaterThan(0.84);
  // The truth for a new level: N(sin 2a, 1 + noise²), of which the effects of 25 levels say as much as such a number can.
  expect(unknown.predicted.unusual.every(([name]) => name === "shop")).toBe(true);
  expect(unknown.sd).toBeGreaterThan(2 * known.sd);
  expect(unknown.held).toBeGreaterThan(0.78);
  expect(unknown.loss).toBeLessThan(0.5 * Math.log(2 * Math.PI * Math.E * (1 + NOISE ** 2)) + 0.25);
});

test("each of 10⁴ categories has an effect, which is said with their number, and is right", {
  timeout: 120_000,
}, async () => {
  const { table, ofKnown } = simulated(10_000, 10_000, 24_000, 300, 4);
  const own = await fit(table, { hidden: [2], rounds: 1, epochs: 4, kinds: {} });
  const different = new Set(table.rows.map(([, shop]) => shop)).size.toLocaleString("en");
  expect(columnLines(own.model).join("\n")).toMatch(
    new RegExp(`shop: a random effect for each of ${different} categories, which differ by (0\\.[89]|1)`),
  );
  expect(findingsOf(own).some(({ message }) => message.startsWith('"shop" has'))).toBe(false);
  // The effect of a shop explains most of what a model without it leaves: sin 2a and effects of deviation 1.
  const { mean = [] } = own.model.predict(ofKnown.map(({ a, shop }) => ({ a: String(a), shop: `shop ${shop}` })));
  const error = Math.sqrt(average(ofKnown.map(({ y }, i) => (y - mean[i]) ** 2)));
  expect(error).toBeLessThan(0.85 * Math.sqrt(average(ofKnown.map(({ y }) => y ** 2))));
});

test("10⁴ categories of nearly as many rows are texts, and are said to be left out", { timeout: 120_000 }, async () => {
  const { table } = simulated(10_000, 10_000, 4000, 0, 5);
  const own = await fit(table, { hidden: [2], rounds: 1, epochs: 4 });
  expect(own.model.encoding.columns[1]).toMatchObject({ kind: "ignored", reason: /different (texts|codes)/ });
  expect(findingsOf(own).some(({ message }) => message.startsWith('"shop" has'))).toBe(false);
});
