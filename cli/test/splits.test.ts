// Which rows are held out together, copies of rows, and columns that give the target away.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { classesApart, leaksOf } from "../src/fitting/leaks.ts";
import { copiesOf, groupSplit, timeSplit } from "../src/model/splits.ts";
import { inTurns } from "../src/turn.ts";
import { inProcess, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const quick = ["--epochs", "4", "--rounds", "1", "--hidden", "4", "--no-report"];

const tableOf = (names: readonly string[], rows: readonly (readonly string[])[]) => ({
  names,
  rows,
  lines: rows.map((_, i) => i + 2),
});

describe("splits", () => {
  const groups = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 4, maxLength: 40 });
  const some = fc.record({
    groups,
    share: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
    seed: fc.nat(),
    labelled: fc.boolean(),
  });

  test("a group is on one side, both sides have rows, and no row is lost", () => {
    fc.assert(
      fc.property(some, ({ groups, share, seed, labelled }) => {
        const split = groupSplit(groups, labelled ? groups.map((group) => group % 2) : undefined);
        const rows = groups.map((_, i) => i);
        const { part, rest } = split.divide(rows, share, seed);
        expect([...part, ...rest].sort((a, b) => a - b)).toEqual(rows);
        expect(Math.min(part.length, rest.length)).toBeGreaterThan(0);
        const folds = split.folds(3, seed);
        expect(folds.flat().sort((a, b) => a - b)).toEqual(rows);
        const sides = new Set(groups).size > 1 ? [part, rest, ...folds] : folds;
        for (const side of sides) {
          const own = new Set(side.map((i) => groups[i]));
          expect(rows.filter((i) => own.has(groups[i])).length).toBe(side.length);
        }
      }),
    );
  });

  test("the last rows in time are held out", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 3, maxLength: 30 }), (times) => {
        const { part, rest } = timeSplit(times).divide(
          times.map((_, i) => i),
          0.2,
          0,
        );
        expect(Math.min(...part.map((i) => times[i]))).toBeGreaterThanOrEqual(Math.max(...rest.map((i) => times[i])));
        expect(part.length + rest.length).toBe(times.length);
      }),
    );
  });
});

describe("copies", () => {
  const rows = Array.from({ length: 60 }, (_, i) => [String((i * 37) % 101), String((i * i) % 89), String(i)]);

  test("rows that were written twice are counted, and share a group", () => {
    const found = copiesOf(tableOf(["a", "b", "y"], [...rows, ...rows]), ["a", "b", "y"]);
    expect(found?.count).toBe(60);
    expect(rows.every((_, i) => found?.groups[i] === found?.groups[i + 60])).toBe(true);
    expect(copiesOf(tableOf(["a", "b", "y"], rows), ["a", "b", "y"])).toBe(undefined);
  });

  test("rows of few values are equal by chance", () => {
    const few = Array.from({ length: 400 }, (_, i) => [
      String((i * 7) % 3),
      String((i * 11) % 4),
      String((i * 13) % 5),
    ]);
    expect(copiesOf(tableOf(["a", "b", "y"], few), ["a", "b", "y"])).toBe(undefined);
  });
});

describe("leaks", () => {
  const rows = Array.from({ length: 60 }, (_, i) => {
    const y = (i * 37) % 61;
    const high = y > 30 ? "high" : "low";
    return [String(2.5 * y), String(Math.exp(y / 20)), high, high === "high" ? "A" : "B", String((i * 17) % 23)];
  });
  const names = ["y", "curve", "level", "letter", "other"];
  const leaks = (target: string) =>
    inTurns(leaksOf(tableOf(names, rows), tableEncoding(tableOf(names, rows), { target })));

  test.each([
    ["y", ["curve"]],
    ["level", ["y", "curve", "letter"]],
    ["other", []],
  ])("of %s", async (target, expected) => {
    expect(await leaks(target)).toEqual(expected);
  });

  test("of columns with gaps", async () => {
    const some = rows.map((row, i) => [...row.slice(0, 3), i % 9 === 0 ? "" : row[0], i % 9 === 0 ? "NA" : row[4]]);
    const table = tableOf(["y", "curve", "level", "gaps", "other"], some);
    const found = (target: string) => inTurns(leaksOf(table, tableEncoding(table, { target })));
    expect(await found("level")).toEqual(["y", "curve", "gaps"]);
    expect(await found("y")).toEqual(["curve", "gaps"]);
  });

  test("are classes that are apart, as rows in the order of their values say", () => {
    /** As many changes of class as there are classes, less one, and one class for equal values. */
    const inOrder = (values: readonly number[], labels: readonly number[]) => {
      const pairs = values.map((value, i) => ({ value, label: labels[i] })).sort((a, b) => a.value - b.value);
      const classes = [...new Set(labels)];
      const few = classes.some((one) => labels.filter((label) => label === one).length < 5);
      const changes = pairs.filter(({ label }, i) => i > 0 && label !== pairs[i - 1].label).length;
      const mixed = pairs.some((a) => pairs.some((b) => a.value === b.value && a.label !== b.label));
      return classes.length > 1 && !few && changes + 1 === classes.length && !mixed;
    };
    // Values of a class in a range of its own, 4 wide, and a few rows anywhere.
    const value = fc.oneof(fc.integer({ min: -8, max: 11 }), fc.constantFrom(-0, 0.5, 3.75));
    const own = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 9 });
    const odd = fc.array(fc.tuple(value, fc.nat(3)), { maxLength: 2 });
    const seen = { apart: 0, not: 0 };
    fc.assert(
      fc.property(fc.array(own, { maxLength: 4 }), odd, (ranges, more) => {
        const pairs = [...ranges.flatMap((all, k) => all.map((one) => [4 * k + one - 8, (3 * k) % 4])), ...more];
        const [values, labels] = [pairs.map(([one]) => one), pairs.map(([, label]) => label)];
        const apart = inOrder(values, labels);
        seen[apart ? "apart" : "not"]++;
        expect(classesApart(values, labels)).toBe(apart);
      }),
    );
    expect(Math.min(seen.apart, seen.not)).toBeGreaterThan(0);
  });
});

describe("the command", () => {
  const lines = Array.from({ length: 40 }, (_, i) => `${i % 4},${i},${(i * 29) % 41},${((i * 29) % 41) * 2 + (i % 3)}`);
  const data = at("table.csv");
  writeFileSync(data, ["person,day,x,y", ...lines, ...lines.slice(0, 5)].join("\n"));

  test("says copies, and how rows were held out", { timeout: 60_000 }, async () => {
    const fit = async (...more: string[]) => {
      const run = await inProcess([
        "fit",
        data,
        "-t",
        "y",
        "-o",
        at("m.st"),
        "--json",
        "--folds",
        "2",
        ...quick,
        ...more,
      ]);
      expect(run.stderr).toBe("");
      return JSON.parse(run.stdout);
    };
    expect(await fit()).toMatchObject({ copies: 5, heldOut: expect.stringContaining("copies of a row together") });
    expect(await fit("--split", "group:person")).toMatchObject({
      heldOut: expect.stringContaining('groups by "person" together'),
    });
    const run = await inProcess(["fit", data, "-t", "y", "-o", at("m.st"), "--json", ...quick, "--split", "time:day"]);
    expect(JSON.parse(run.stdout)).toMatchObject({
      heldOut: '9 rows were held out, the last ones by "day"; then the model was fitted again, to all rows',
    });
  });

  test.each([
    [["--split", "group:nobody"], 'there is no column "nobody"'],
    [["--split", "sometimes"], "It is random, time:COLUMN or group:COLUMN."],
    [["--split", "time:day", "--folds", "2"], "give --folds or --split time"],
  ])("refuses %s", async (more, message) => {
    const run = await inProcess(["fit", data, "-t", "y", "-o", at("m.st"), ...quick, ...more]);
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain(message);
  });

  test("writes intervals of any level, one inside the other", async () => {
    await inProcess(["fit", data, "-t", "y", "-o", at("m.st"), "--folds", "2", ...quick]);
    const run = await inProcess(["predict", at("m.st"), data, "--interval", "0.5,0.9,0.995"]);
    const [names, ...rows] = run.stdout
      .trim()
      .split("\n")
      .map((line) => line.split(","));
    expect(names.slice(4, 12)).toEqual("mean,sd,lower50,upper50,lower90,upper90,lower99.5,upper99.5".split(","));
    for (const row of rows) {
      const [mean, sd, lower50, upper50, lower90, upper90, lower99, upper99] = row.slice(4, 12).map(Number);
      expect([lower99, lower90, lower50, mean, upper50, upper90, upper99]).toEqual(
        [lower99, lower90, lower50, mean, upper50, upper90, upper99].sort((a, b) => a - b),
      );
      expect((upper50 - mean) / sd).toBeCloseTo(0.6744898, 4);
      expect((upper99 - mean) / sd).toBeCloseTo(2.8070338, 4);
    }
  });
});
