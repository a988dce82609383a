// Intervals and sets that hold their level: each model of a guarantee has not seen its rows, the file keeps what predict needs, and the
// report says how often they held in groups.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadTableModel, Random, tableConformity, tableRegions } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { sureCoverage } from "../src/fitting/guarantee.ts";
import { guaranteeText, heldLess } from "../src/model/guarantee-text.ts";
import type { Rows } from "../src/model/rows.ts";
import { guaranteeLines } from "../src/output/summary.ts";
import { inProcess, workFolder } from "./laplace.ts";
import { regression } from "./report-data.ts";
import { render } from "./report-page.ts";
import { settings } from "./settings.ts";

const random = new Random(2);
const names = ["x", "group", "y"];
const rows = Array.from({ length: 42 }, (_, i) => {
  const x = random.normal();
  return [x.toFixed(4), "ab"[i % 2], (2 * x + (i % 2) + 0.5 * random.normal()).toFixed(4)];
});
const tableOf = (own: readonly (readonly string[])[]): Rows => ({ names, rows: own, lines: own.map((_, i) => i + 2) });
const quick = { ...settings, target: "y", hidden: [3], rounds: 1, epochs: 8, guarantee: true };
const fit = (own: readonly (readonly string[])[], more = {}) => fitTable(tableOf(own), { ...quick, ...more }, () => {});

describe("from folds", () => {
  test("no model of it changes with a target of its own rows", async () => {
    const changed = rows.map((row, i) => (i === 5 ? [row[0], row[1], "9.5"] : row));
    const [first, second] = [await fit(rows, { folds: 3 }), await fit(changed, { folds: 3 })];
    const [a, b] = [first.model.guarantee, second.model.guarantee];
    expect(a?.models.length).toBe(3);
    expect(a?.scores.reduce((sum, { length }) => sum + length, 0)).toBe(42);
    const asked = rows.map(([x, group]) => ({ x, group }));
    const same = a?.models.map((model, k) => {
      const [one, other] = [model, b?.models[k]].map((own) => [...(own?.predict(asked).mean ?? [])]);
      return one.every((value, i) => value === other[i]);
    });
    // That of its fold is the same to the bit; the others have seen it.
    expect(same?.filter(Boolean).length).toBe(1);
    const k = same?.indexOf(true) ?? 0;
    const [before, after] = [a, b].map((own) => Array.from(own?.scores[k] ?? []));
    const different = before.flatMap((own, i) => (own === after[i] ? [] : [i]));
    expect(different.length).toBe(1);
    const score = tableConformity((b as NonNullable<typeof b>).models[k].predict([asked[5]]), [9.5])[0];
    expect(after[different[0]]).toBeCloseTo(score, 12);
    const { guarantee: report } = second;
    expect(report).toMatchObject({ level: 0.9, models: 3, samples: 42 });
    expect(report?.groups.filter(({ by }) => by === "group").map(({ samples }) => samples)).toEqual([21, 21]);
    expect(report?.groups.filter(({ by }) => by === "the interval's width").length).toBeGreaterThan(1);
  });
});

test("from one share: the level is sure, by rows that its model has not seen", async () => {
  const { model, guarantee, heldOut } = await fit(rows, { testFraction: 0.4 });
  expect(model.guarantee?.models.length).toBe(1);
  expect(model.guarantee?.scores[0].length).toBe(heldOut.truth.length);
  expect(guarantee).toMatchObject({ sure: 0.9, samples: heldOut.truth.length });
  const asked = heldOut.indices.map((i) => ({ x: rows[i][0], group: rows[i][1] }));
  const own = model.guarantee?.models[0].predict(asked);
  expect([...(own?.mean ?? [])]).toEqual(heldOut.mean);
});

test("what is sure of folds", () => {
  expect(sureCoverage(0.9, 1, 100)).toBe(0.9);
  // 1 − 2 · 0.1 − min(2 · 0.8 / 21, 0.95 / 6)
  expect(sureCoverage(0.9, 5, 100)).toBeCloseTo(0.8 - 1.6 / 21, 12);
  // A fold for each row: jackknife+, 1 − 2α.
  expect(sureCoverage(0.9, 50, 50)).toBeCloseTo(0.8, 12);
  expect(sureCoverage(0.5, 5, 10)).toBe(0);
});

describe("by the command line", () => {
  const folder = workFolder();
  const at = (name: string) => join(folder, name);
  const run = ["--epochs", "8", "--rounds", "1", "--hidden", "3", "--folds", "2", "--no-report", "--guarantee"];
  const cells = (text: string) => {
    const [head, ...lines] = text
      .trim()
      .split("\n")
      .map((line) => line.split(","));
    return lines.map((line) => Object.fromEntries(head.map((name, j) => [name, line[j]])));
  };

  test("numbers: predict writes intervals of each level", async () => {
    writeFileSync(at("t.csv"), [names, ...rows].map((row) => `${row.join(",")}\n`).join(""));
    const fitted = await inProcess(["fit", at("t.csv"), "-t", "y", "-o", at("m.safetensors"), ...run]);
    expect(fitted.code).toBe(0);
    expect(fitted.stdout).toMatch(/guarantee +90 % intervals from 2 folds \(CV\+\); they held \d+(\.\d)? % of 42 rows/);
    const told = ["predict", at("m.safetensors"), at("t.csv"), "--interval", "0.5,0.9,0.99", "-o", at("p.csv")];
    expect((await inProcess(told)).code).toBe(0);
    const written = cells(readFileSync(at("p.csv"), "utf8"));
    const { guarantee } = loadTableModel(readFileSync(at("m.safetensors")));
    expect(guarantee?.models.length).toBe(2);
    let inside = 0;
    for (const row of written) {
      const [low50, low90, low99] = [50, 90, 99].map((level) => Number(row[`guaranteed_lower${level}`]));
      const [high50, high90, high99] = [50, 90, 99].map((level) => Number(row[`guaranteed_upper${level}`]));
      expect(low90).toBeLessThan(low50);
      expect(high50).toBeLessThan(high90);
      // 42 rows say nothing of one in a hundred.
      expect([low99, high99]).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
      if (low90 <= Number(row.y) && Number(row.y) <= high90) inside++;
    }
    expect(inside).toBeGreaterThan(33);
    const evaluated = await inProcess(["evaluate", at("m.safetensors"), at("t.csv"), "--json"]);
    const { guarantee: held } = JSON.parse(evaluated.stdout);
    expect(held).toMatchObject({ level: 0.9, samples: 42, coverage: inside / 42, endless: 0 });
    expect(held.range[0]).toBeLessThan(inside / 42);
    const text = (await inProcess(["evaluate", at("m.safetensors"), at("t.csv")])).stdout;
    expect(text).toMatch(
      /guarantee +90 % intervals held [\d.]+ % of 42 rows \(rows like these: [\d.]+ % to [\d.]+ %\)/,
    );
  });

  test("classes: predict writes sets, of levels that are asked for", async () => {
    const table = [["x", "y"], ...rows.map(([x, , y]) => [x, Number(y) > 0 ? "a|b" : "low"])];
    writeFileSync(at("c.csv"), table.map((row) => `${row.join(",")}\n`).join(""));
    await inProcess(["fit", at("c.csv"), "-t", "y", "-o", at("c.safetensors"), ...run]);
    const told = ["predict", at("c.safetensors"), at("c.csv"), "--interval", "0.6,0.99", "-o", at("q.csv")];
    expect((await inProcess(told)).code).toBe(0);
    // A cell in quotation marks has the class whose name could be taken for two.
    const written = readFileSync(at("q.csv"), "utf8").replaceAll('""a|b""', "A").replaceAll('"', "");
    for (const row of cells(written)) {
      expect(["A", "low", "low | A", "A | low"]).toContain(row.guaranteed_set60);
      expect(row.guaranteed_set99).toMatch(/^(A \| low|low \| A)$/);
    }
    await inProcess(["predict", at("c.safetensors"), at("c.csv"), "-o", at("q90.csv")]);
    const sets = cells(readFileSync(at("q90.csv"), "utf8").replaceAll('""a|b""', "A").replaceAll('"', ""));
    const held = sets.filter((row) => row.guaranteed_set90.includes(row.y.includes("|") ? "A" : "low")).length;
    const evaluated = JSON.parse((await inProcess(["evaluate", at("c.safetensors"), at("c.csv"), "--json"])).stdout);
    const classesInSet = sets.reduce((sum, row) => sum + row.guaranteed_set90.split(" | ").length / 42, 0);
    expect(evaluated.guarantee.coverage).toBeCloseTo(held / 42, 12);
    expect(evaluated.guarantee.classesInSet).toBeCloseTo(classesInSet, 12);
  });

  test("not with rows that are held out by a column", async () => {
    const refused = await inProcess(["fit", at("t.csv"), "-t", "y", "--split", "group:group", ...run]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("give --guarantee or --split group, not both");
  });
});

/** Fits of tables whose noise is three times as wide on one side, and fresh rows of each. */
test("whole fits: about the level of rows that were never given is held, folds or one share", {
  timeout: 240_000,
}, async () => {
  const draws = new Random(11);
  const table = (n: number) =>
    Array.from({ length: n }, (_, i) => {
      const x = draws.normal();
      return [x.toFixed(4), "ab"[i % 2], (2 * x + (x > 0 ? 3 : 1) * draws.normal()).toFixed(4)];
    });
  for (const how of [{ folds: 4 }, { testFraction: 0.5 }]) {
    let [held, all] = [0, 0];
    for (let k = 0; k < 8; k++) {
      const { model } = await fit(table(60), { ...how, seed: k });
      const { guarantee } = model;
      if (guarantee === undefined) throw new Error("there is no guarantee");
      const fresh = table(200);
      const asked = fresh.map(([x, group]) => ({ x, group }));
      const { lower = [], upper = [] } = tableRegions(
        guarantee,
        guarantee.models.map((one) => one.predict(asked)),
        { level: 0.8 },
      );
      held += fresh.filter(([, , y], i) => lower[i] <= Number(y) && Number(y) <= upper[i]).length;
      all += fresh.length;
    }
    // Of one fit the coverage has a deviation of about 0.07 with 30 scores, the mean of eight one of 0.025.
    expect(held / all).toBeGreaterThan(0.72);
    expect(held / all).toBeLessThan(0.92);
  }
});

test("a report says what is guaranteed, and where it held less", () => {
  const group = (name: string, coverage: number, range: readonly [number, number]) => ({
    by: "sex",
    group: name,
    samples: 120,
    coverage,
    range,
  });
  const groups = [group("<f>", 0.8, [0.72, 0.86]), group("m", 0.95, [0.9, 0.98])];
  const own = {
    level: 0.9,
    models: 5,
    sure: 0.75,
    samples: 240,
    coverage: 0.875,
    range: [0.83, 0.91],
    groups,
  } as const;
  expect(heldLess(own).map((one) => one.group)).toEqual(["<f>"]);
  expect(guaranteeLines(own, "regression").join("\n")).toMatch(/held 80 % of 120 rows where sex = <f>/);
  expect(guaranteeText({ ...own, models: 1, sure: 0.9 }, "classification")).toBe(
    "90 % sets from one model and 240 rows that it has not seen; they held 87.5 % of 240 rows; at least 90 % is sure, on average, if new rows are like these",
  );
  const { text } = render({ ...regression(240), guarantee: own });
  expect(text("#guarantee")).toMatch(/90 % intervals from 5 folds \(CV\+\).*sex.*<f>.*120.*80 %.*✕.*72 % to 86 %/);
});
