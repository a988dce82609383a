// Effects of many categories: their closed form against matrices of rows × rows, and what a table becomes by them.

import fc from "fast-check";
import { Random, readTableEncoding, TableEncoding, tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { randomEffects } from "../../test/reference/random-effects.ts";
import { Fitter } from "../src/fitting/fitter.ts";
import { doJob } from "../src/fitting/jobs.ts";
import type { Lanes } from "../src/fitting/lanes.ts";
import { withLevelEffects } from "../src/fitting/level-effects.ts";
import { type Design, designSums, type LeveledRows, levelEstimator } from "../src/fitting/level-estimates.ts";
import { effectsText } from "../src/model/level-texts.ts";
import { numbersOf, type Rows } from "../src/model/rows.ts";

function done<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const { done: ended, value } = steps.next();
    if (ended) return value;
  }
}

/** Effects on one output. */
function levelEffects(y: readonly number[], design: Design, rows: LeveledRows, weights?: readonly number[]) {
  const sums = done(designSums(design, y.length, weights));
  return done(done(levelEstimator(sums, rows))(y));
}

/** Rows of levels with a line and a bend beside them. */
function simulated(n: number, levels: number, deviation: number, seed: number, alike = false) {
  const random = new Random(seed);
  const effects = Array.from({ length: levels }, () => deviation * random.normal());
  const a = Array.from({ length: n }, () => random.normal());
  const level = Array.from({ length: n }, (_, i) => (alike ? i % levels : Math.floor(levels * random.uniform())));
  const y = a.map((own, i) => 0.7 * own + effects[level[i]] + 0.4 * random.normal());
  return { a, level, y, effects };
}

const designOf = (a: readonly number[]) => ({
  width: 2,
  write(i: number, into: Float64Array) {
    into[0] = 1;
    into[1] = a[i];
  },
});

const RATIOS = [1000, 300, 100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01];

describe("effects of levels", () => {
  test("are those of whole matrices, at the ratio of the greatest evidence", () => {
    const setting = fc.record({
      seed: fc.integer({ min: 0, max: 1e6 }),
      deviation: fc.constantFrom(0.5, 1, 2),
      // So many with as many rows that they share a product, or of all kinds.
      alike: fc.boolean(),
      weighted: fc.boolean(),
    });
    fc.assert(
      fc.property(setting, ({ seed, deviation, alike, weighted }) => {
        const levels = alike ? 20 : 8;
        const { a, level, y } = simulated(40, levels, deviation, seed, alike);
        const random = new Random(seed + 1);
        const weights = weighted ? y.map(() => 0.3 + 2 * random.uniform()) : undefined;
        const w = weights ?? y.map(() => 1);
        const found = levelEffects(y, designOf(a), { level: Int32Array.from(level), levels }, weights);
        const design = a.map((own) => [1, own]);
        const all = RATIOS.flatMap((ratio) =>
          [1, 10, 100].map((ridge) => ({
            ratio,
            ridge,
            ...randomEffects(y, design, level, levels, ratio, ridge, weights),
          })),
        );
        const best = all.reduce((least, one) => (one.loss < least.loss ? one : least));
        if (!Number.isFinite(found.ratio)) return;
        expect(found.ratio).toBe(best.ratio);
        expect(found.deviation).toBeCloseTo(Math.sqrt(best.variance / best.ratio), 8);
        for (const [l, own] of best.effect.entries()) expect(found.effect[l]).toBeCloseTo(own, 8);
        // Without a row: its level's sums of the others' residuals.
        for (let i = 0; i < y.length; i++) {
          const others = y.flatMap((_, j) => (j !== i && level[j] === level[i] ? [j] : []));
          const sum = others.reduce((total, j) => total + w[j] * (y[j] - best.beta[0] - best.beta[1] * a[j]), 0);
          const known = others.reduce((total, j) => total + w[j], 0);
          expect(found.without[i]).toBeCloseTo(sum / (known + best.ratio), 8);
        }
      }),
      { numRuns: 20 },
    );
  });

  test("weights are rows that are there so often, but for a row's own", () => {
    const { a, level, y } = simulated(60, 10, 1, 3);
    const weights = y.map((_, i) => 1 + (i % 3));
    const weighted = levelEffects(y, designOf(a), { level: Int32Array.from(level), levels: 10 }, weights);
    const places = y.flatMap((_, i) => new Array<number>(weights[i]).fill(i));
    const repeated = levelEffects(
      places.map((i) => y[i]),
      designOf(places.map((i) => a[i])),
      { level: Int32Array.from(places, (i) => level[i]), levels: 10 },
    );
    expect(weighted.ratio).toBe(repeated.ratio);
    for (let l = 0; l < 10; l++) expect(weighted.effect[l]).toBeCloseTo(repeated.effect[l], 10);
  });

  test("of many outputs look at the design once, and pause between few rows", () => {
    const { a, level, y } = simulated(3000, 500, 1, 8);
    let looks = 0;
    const counted: Design = {
      width: 80,
      write(i, into) {
        looks++;
        for (let k = 0; k < into.length; k++) into[k] = Math.cos(k * a[i]);
      },
    };
    let turns = 0;
    const paused = <T>(steps: Generator<unknown, T>) => {
      for (;;) {
        const { done: ended, value } = steps.next();
        if (ended) return value;
        turns++;
      }
    };
    const sums = paused(designSums(counted, y.length));
    const estimate = paused(levelEstimator(sums, { level: Int32Array.from(level), levels: 500 }));
    const once = turns;
    const found = [1, 2, 4].map((scale) => paused(estimate(y.map((own) => scale * own))));
    expect(looks).toBe(3000);
    expect(once).toBeGreaterThan(11);
    for (const [k, scale] of [1, 2, 4].entries()) expect(found[k].deviation).toBeCloseTo(scale * found[0].deviation, 8);
  });

  test("there are none where levels do not differ, in nearly all of 40 tables", () => {
    let taken = 0;
    for (let seed = 0; seed < 40; seed++) {
      const { a, level, y } = simulated(600, 200, 0, seed);
      const found = levelEffects(y, designOf(a), { level: Int32Array.from(level), levels: 200 });
      if (Number.isFinite(found.ratio)) taken++;
      else expect(found.effect.every((own) => own === 0) && found.without.every((own) => own === 0)).toBe(true);
    }
    expect(taken).toBeLessThanOrEqual(2);
  });

  test("explain what a row's own level adds, without the row", () => {
    const { a, level, y, effects } = simulated(3000, 1000, 1, 5);
    const found = levelEffects(y, designOf(a), { level: Int32Array.from(level), levels: 1000 });
    const squares = (guess: (i: number) => number) =>
      y.reduce((sum, _, i) => sum + (effects[level[i]] - guess(i)) ** 2, 0) / y.length;
    expect(found.deviation).toBeGreaterThan(0.8);
    expect(found.deviation).toBeLessThan(1.25);
    // Three rows of a level on average: the others leave a fraction of what is open without them.
    expect(squares((i) => found.without[i])).toBeLessThan(0.3 * squares(() => 0));
    // Honest: a regression of the truth on them has the slope 1.
    const slope =
      y.reduce((sum, _, i) => sum + (y[i] - 0.7 * a[i]) * found.without[i], 0) /
      found.without.reduce((sum, own) => sum + own * own, 0);
    expect(Math.abs(slope - 1)).toBeLessThan(0.08);
  });
});

function tableOf(levels: number, n: number, target: (y: number) => string): Rows {
  const { a, level, y } = simulated(n, levels, 1, 9);
  return {
    names: ["a", "city", "y"],
    rows: a.map((own, i) => [own.toFixed(6), `c${level[i]}`, target(y[i])]),
    lines: a.map((_, i) => i + 2),
  };
}

describe("a table with a column of many categories", () => {
  test("has two inputs for it, however many there are, and what a row is given is not of its own target", () => {
    for (const levels of [300, 1500]) {
      const rows = tableOf(levels, 3 * levels, String);
      const encoding = tableEncoding(rows, { target: "y", manyCategories: "effects" });
      expect(encoding.inputs).toEqual(["a", "city effect", "city open"]);
      const numbers = done(numbersOf(rows, encoding));
      const found = done(withLevelEffects(rows, encoding, numbers));
      expect(found.numbers.x.size).toBe(9 * levels);
      // The others' x is as it was.
      const at = (i: number, j: number) => found.numbers.x.data[3 * i + j];
      expect(at(7, 0)).toBe(numbers.x.data[21]);
      // Another target of one row does not change what it is given, beyond what all rows share.
      const changed = { ...rows, rows: rows.rows.map((row, i) => (i === 7 ? [row[0], row[1], "3"] : row)) };
      const other = done(withLevelEffects(changed, encoding, done(numbersOf(changed, encoding))));
      expect(Math.abs(other.numbers.x.data[22] - at(7, 1))).toBeLessThan(0.05);
      expect(at(7, 2)).toBeGreaterThan(0);
    }
  });

  test("knows its categories by their effects, others by the prior, in the file too", () => {
    const rows = tableOf(400, 1200, String);
    const encoding = tableEncoding(rows, { target: "y", manyCategories: "effects" });
    const found = done(withLevelEffects(rows, encoding, done(numbersOf(rows, encoding)))).encoding;
    const column = found.columns[1];
    if (column.kind !== "category" || column.effects === undefined) throw new Error("effects are expected");
    const again = readTableEncoding(JSON.stringify(found));
    const cells = [
      { a: "0", city: column.categories[5] },
      { a: "0", city: "nowhere" },
    ];
    for (const one of [found, again]) {
      const { x, unusual, gaps } = one.encode(cells);
      expect(Array.from(x.subarray(1, 3))).toEqual([column.effects.values[5], column.effects.open[5]]);
      expect(Math.abs(x[4])).toBeLessThan(0.1);
      expect([unusual, gaps]).toEqual([
        [[], []],
        [[], [1]],
      ]);
    }
    expect(effectsText(column, found)).toMatch(
      /^a random effect for each of \d+ categories, which differ by (0\.9\d?|1|1\.\d) of the target/,
    );
    // Other rows of the table: their own categories, whose effects are open again.
    const half = found.ofRows({ names: rows.names, rows: rows.rows.slice(0, 300) }).columns[1];
    expect(half).toMatchObject({ kind: "category", effects: { deviations: [0] } });
  });

  test("rows without a category, or with one that is not listed, are fitted on what they are predicted by", () => {
    const all = tableOf(300, 1200, String);
    // Every tenth row lacks its category, and the fit does not list those of the rest of the table.
    const rows = { ...all, rows: all.rows.map((row, i) => (i % 10 === 0 ? [row[0], "", row[2]] : row)) };
    const half = { names: rows.names, rows: rows.rows.slice(0, 600), lines: rows.lines.slice(0, 600) };
    const encoding = tableEncoding(rows, { target: "y", manyCategories: "effects" }).ofRows(half);
    expect(encoding.inputs).toEqual(["a", "city effect", "city open", "city missing"]);
    const given = done(numbersOf(rows, encoding));
    const found = done(withLevelEffects(rows, encoding, given));
    const again = done(numbersOf(rows, found.encoding));
    const column = found.encoding.columns[1];
    const listed = new Set(column.kind === "category" ? column.categories : []);
    let others = 0;
    for (const [i, [, city]] of rows.rows.entries()) {
      if (listed.has(city)) continue;
      if (city !== "") others++;
      const inputs = ({ x }: typeof found.numbers) => Array.from(x.data.subarray(4 * i, 4 * i + 4));
      expect(inputs(found.numbers)).toEqual(inputs(again));
      expect(inputs(again)[3]).toBe(city === "" ? 1 : 0);
    }
    expect(others).toBeGreaterThan(5);
    // What is known of rows without one says nothing of those with another.
    const { columns, target, missing, rule, margin } = found.encoding;
    const narrow = columns.map((one) => (one.kind === "category" ? { ...one, spread: 0.01 } : one));
    const open = new TableEncoding({ columns: narrow, target, missing, rule, margin });
    const deviationOf = (city: string) => {
      const { x, gaps } = open.encode([{ a: "0", city }]);
      const drawn = open.draw(x, gaps[0]);
      expect(drawn.length).toBeGreaterThan(4);
      const effects = drawn.filter((_, k) => k % 4 === 1);
      expect(drawn.filter((_, k) => k % 4 === 3).every((own) => own === Number(city === ""))).toBe(true);
      const mean = effects.reduce((sum, own) => sum + own / effects.length, 0);
      return Math.sqrt(effects.reduce((sum, own) => sum + (own - mean) ** 2 / effects.length, 0));
    };
    expect(deviationOf("")).toBeLessThan(0.2 * deviationOf("nowhere"));
    expect(deviationOf("")).toBeGreaterThan(0);
    expect(deviationOf("nowhere")).toBeGreaterThan(0.7);
  });

  test("has effects on the scale on which its target is learned", async () => {
    const all = tableOf(300, 900, (y) => String(Math.exp(2 * y)));
    const lanes: Lanes = { do: (job, onShare) => doJob(job, onShare), close() {} };
    const encoding = tableEncoding(all, { target: "y", manyCategories: "effects" });
    const fitter = new Fitter(all, encoding, undefined, lanes);
    const prepared = await fitter.prepare(all.rows.map((_, i) => i));
    expect(prepared.encoding.target).toMatchObject({ scale: { kind: "log" } });
    const again = done(withLevelEffects(all, prepared.encoding, prepared.numbers));
    expect(again.encoding.columns).toEqual(prepared.encoding.columns);
    expect(again.numbers.x.data).toEqual(prepared.numbers.x.data);
    // 1 / √(0.7² + 1 + 0.4²) = 0.78 of the logarithm's, as near as the ratios that are tried.
    const column = prepared.encoding.columns[1];
    const [deviation] = column.kind === "category" ? (column.effects?.deviations ?? []) : [];
    expect(Math.abs(Math.log(deviation / 0.78))).toBeLessThan(Math.log(Math.sqrt(3)));
  });

  test("has an effect on each class, one of two classes", () => {
    const three = tableOf(300, 900, (y) => (y < -0.5 ? "low" : y < 0.5 ? "middle" : "high"));
    const encoding = tableEncoding(three, { target: "y", manyCategories: "effects" });
    expect(encoding.inputs).toEqual(["a", "city effect 1", "city effect 2", "city effect 3", "city open"]);
    const { numbers } = done(withLevelEffects(three, encoding, done(numbersOf(three, encoding))));
    expect(new Set(Array.from({ length: 900 }, (_, i) => numbers.x.data[5 * i + 1])).size).toBeGreaterThan(50);
    const two = tableOf(300, 900, (y) => (y < 0 ? "no" : "yes"));
    expect(tableEncoding(two, { target: "y", manyCategories: "effects" }).inputs).toHaveLength(3);
  });
});
