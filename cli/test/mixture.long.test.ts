// The mixture of a table: what it reports of held-out rows agrees with rows that were never given, and it knows less far away.

import { readFileSync } from "node:fs";
import { loadTableModel, saveTableModel, tableScores } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { type Rows, rowsAt, shuffled } from "../src/model/rows.ts";
import { tables } from "./laplace.ts";
import { settings } from "./settings.ts";

/** A table of numbers and texts without quotes that matter, rows without a target left out. */
function read(name: string, target: string): Rows {
  const [header, ...lines] = readFileSync(`${tables}/${name}.csv`, "utf8").replaceAll('"', "").trim().split(/\r?\n/);
  const names = header.split(",");
  const at = names.indexOf(target);
  const rows = lines.map((line) => line.split(",")).filter((row) => row[at] !== "" && row[at] !== "NA");
  return { names, rows, lines: rows.map((_, i) => i + 2) };
}

/** Splits of each table, and the rows that a fit has at most: the others cost a prediction alone. */
const [SPLITS, MOST_ROWS] = [10, 120];

const cases = [
  ["diabetes", "progression"],
  ["airquality", "Ozone"],
  ["iris", "species"],
] as const;

describe.each(cases)("%s", (name, target) => {
  const table = read(name, target);

  test("held-out figures agree with fresh rows", { timeout: 600_000 }, async () => {
    // Of each split a share is never given; differences of the mean losses, in all.
    const differences: number[] = [];
    for (let split = 0; split < SPLITS; split++) {
      const order = shuffled(table.rows.length, split);
      const count = Math.max(Math.round(0.3 * order.length), order.length - MOST_ROWS);
      const [fresh, given] = [rowsAt(table, order.slice(0, count)), rowsAt(table, order.slice(count))];
      const { model, heldOut } = await fitTable(given, { ...settings, target }, () => {});
      const rows = fresh.rows.map((row) => Object.fromEntries(table.names.map((one, j) => [one, row[j]])));
      const predicted = model.predict(rows);
      const at = table.names.indexOf(target);
      const truth = fresh.rows.map((row) => model.encoding.encodeTarget(row[at]) ?? 0);
      const encoded = model.encoding.target;
      const losses =
        encoded.kind === "number"
          ? Array.from(
              tableScores(
                predicted,
                truth.map((y) => model.encoding.ofTarget(y)),
              ).negativeLogDensity,
            )
          : truth.map((label, i) => -(predicted.logProbabilities?.at(i, label) ?? Number.NaN));
      const mean = losses.reduce((sum, loss) => sum + loss / losses.length, 0);
      differences.push(mean - heldOut.metrics.negativeLogLikelihood);
    }
    const mean = differences.reduce((sum, one) => sum + one / SPLITS, 0);
    const square = differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (SPLITS - 1);
    // Splits share rows, so that their own spread is less than that of the mean.
    expect(Math.abs(mean)).toBeLessThan(2 * Math.sqrt(square));
  });

  test("far away it knows less, and its file says the same", { timeout: 120_000 }, async () => {
    const { model } = await fitTable(table, { ...settings, target }, () => {});
    const { encoding } = model;
    const rows = table.rows.slice(0, 40).map((row) => Object.fromEntries(table.names.map((one, j) => [one, row[j]])));
    const { x } = encoding.encode(rows);
    const nothing = rows.map(() => []);
    const inside = model.predictEncoded(x, nothing);
    // Numbers are standardised: ten times as far from the middle.
    const outside = model.predictEncoded(
      x.map((value) => 10 * value),
      nothing,
    );
    const mean = (values: ArrayLike<number>) =>
      Array.from(values).reduce((sum: number, value) => sum + value / values.length, 0);
    expect(mean(outside.functionVariance)).toBeGreaterThan(2 * mean(inside.functionVariance));
    if (inside.sd !== undefined && outside.sd !== undefined) {
      expect(Math.min(...outside.sd)).toBeGreaterThan(Math.max(...inside.sd));
    }
    expect(loadTableModel(saveTableModel(model)).predict(rows)).toEqual(model.predict(rows));
  });
});
