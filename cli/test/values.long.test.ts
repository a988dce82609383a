// What cells mean: what is missing and said to be, values that are one however they are written, columns that number rows.
// Most tables are those of ../shared/faults/tables, whose READMEs say what is right.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { shortest } from "../src/table/parquet-cells.ts";
import { inProcess, random, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const fault = (name: string) => `../shared/faults/tables/${name}`;
const quick = ["--epochs", "8", "--rounds", "2", "--hidden", "16", "--no-report"];

async function fit(data: string, target: string, model: string, ...more: string[]) {
  const run = await inProcess([
    "fit",
    data,
    "-t",
    target,
    "-o",
    at(model),
    ...(more.includes("--epochs") ? ["--no-report"] : quick),
    ...(more.includes("--test-fraction") ? [] : ["--folds", "2"]),
    "--json",
    ...more,
  ]);
  if (run.code !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

const reasons = (fitted: { columns: { name: string; reason?: string }[] }) =>
  Object.fromEntries(fitted.columns.flatMap(({ name, reason }) => (reason === undefined ? [] : [[name, reason]])));

describe("missing", () => {
  test("a class called None is a class, and is said to be one; --na makes it missing", {
    timeout: 60_000,
  }, async () => {
    const data = `${fault("class-none-dropped")}/data.csv`;
    const fitted = await fit(data, "y", "none.st");
    expect(fitted.classes).toEqual(["Apnea", "Insomnia", "None"]);
    expect(fitted.rows.dropped).toBe(0);
    expect(fitted.cells.doubtful).toMatchObject([{ name: "y", texts: [{ text: "None", count: 68 }] }]);
    const without = await fit(data, "y", "none.st", "--na", "None");
    expect(without.classes).toEqual(["Apnea", "Insomnia"]);
    expect(without.rows.dropped).toBe(68);
    expect(without.cells.missing).toMatchObject([{ name: "y", texts: [{ text: "None", count: 68 }] }]);
  });

  test.each(["empty", "dash", "angle-na", "div0", "backslash-n"])("marks of programs: %s", async (name) => {
    const fitted = await fit(`${fault("missing-marks-drop-number-column")}/${name}.csv`, "y", `${name}.st`);
    expect(fitted.columns[0]).toMatchObject({ name: "x", kind: "number", missing: true });
    expect(fitted.cells.missing[0]).toMatchObject({ name: "x", texts: [{ count: 20 }] });
  });

  test("numbers but for one text are named", async () => {
    const next = random(3);
    const rows = Array.from({ length: 200 }, (_, i) => `${i % 8 === 0 ? "n. v." : next()},${next()},${next()}`);
    writeFileSync(at("but.csv"), `a,b,y\n${rows.join("\n")}\n`);
    expect(reasons(await fit(at("but.csv"), "y", "but.st"))).toEqual({ a: 'numbers, but for 25 × "n. v."' });
    const { stdout } = await inProcess(["fit", at("but.csv"), "-t", "y", "-o", at("but.st"), ...quick]);
    expect(stdout).toContain(`--na 'n. v.' makes them missing`);
    const named = await fit(at("but.csv"), "y", "but.st", "--na", "n. v.");
    expect(named.columns[0]).toMatchObject({ kind: "number", missing: true });
  });

  test("--missing refuse refuses texts too, with the line, in fit and in predict", async () => {
    const data = `${fault("refuse-imputes-texts")}/data.csv`;
    const run = await inProcess(["fit", data, "-t", "y", "-o", at("refuse.st"), ...quick, "--missing", "refuse"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('the column "x" has "see note", which is not a number, in line 19');
    const clean = readFileSync(data, "utf8")
      .split("\n")
      .filter((line) => !line.includes("see note"));
    writeFileSync(at("clean.csv"), clean.join("\n"));
    await fit(at("clean.csv"), "y", "refuse.st", "--missing", "refuse");
    const predicted = await inProcess(["predict", at("refuse.st"), `${fault("refuse-imputes-texts")}/predict-err.csv`]);
    expect(predicted.code).toBe(1);
    expect(predicted.stderr).toMatch(/line 2: the column "x" has "ERR"/);
  });

  test("cells that cannot be read are named in fit, and far in predict", { timeout: 60_000 }, async () => {
    const folderOf = fault("text-in-number-column-counts-as-missing");
    const fitted = await fit(`${folderOf}/train.csv`, "y", "text.st");
    expect(fitted.cells.unreadable).toEqual([
      { name: "x", texts: [{ text: "see note", count: 4 }], lines: [19, 92, 202] },
    ]);
    for (const name of ["comma", "unit", "err"]) {
      const run = await inProcess([
        "predict",
        at("text.st"),
        `${folderOf}/predict-${name}.csv`,
        "-o",
        at("p.csv"),
        "--json",
      ]);
      expect(JSON.parse(run.stdout)).toMatchObject({ rows: 50, far: 50, unreadable: { x: 50 } });
      expect(run.stderr).toContain('"x" has 50 cells that cannot be read');
      const skipped = await inProcess([
        "predict",
        at("text.st"),
        `${folderOf}/predict-${name}.csv`,
        "-o",
        at("p.csv"),
        "--json",
        "--on-error",
        "skip",
      ]);
      expect(JSON.parse(skipped.stdout)).toMatchObject({ rows: 0, skipped: 50 });
    }
  });
});

describe("values", () => {
  const one = fault("one-and-one-point-zero-are-two-classes");

  test("1 and 1.0 are one class", { timeout: 60_000 }, async () => {
    expect((await fit(`${one}/mixed.csv`, "y", "mixed.st")).classes).toEqual(["0", "1"]);
    await fit(`${one}/int.csv`, "y", "int.st");
    const run = await inProcess(["evaluate", at("int.st"), `${one}/float.csv`, "--json"]);
    expect(JSON.parse(run.stdout)).toMatchObject({ rows: 200 });
  });

  test("so are True and true, and an é of one character or two; names of columns too", {
    timeout: 60_000,
  }, async () => {
    const next = random(5);
    const rows = (variant: number) =>
      Array.from({ length: 80 }, (_, i) => {
        const yes = next() < 0.5;
        const truth = [String(yes), yes ? "True" : "False", yes ? "TRUE" : "FALSE"][(i + variant) % 3];
        return `${next()},${truth},${["café", "caf\u00e9", "tea"][i % 3].normalize(i % 2 === variant ? "NFC" : "NFD")}`;
      });
    writeFileSync(at("true.csv"), `é,b,y\n${rows(0).join("\n")}\n`.normalize("NFC").replace("é", "e\u0301"));
    writeFileSync(at("true2.csv"), `${"\u00e9"},b,y\n${rows(1).join("\n")}\n`);
    const fitted = await fit(at("true.csv"), "y", "true.st");
    expect(fitted.classes).toEqual(["café".normalize("NFC"), "tea"]);
    expect(fitted.columns[1].categories.length).toBe(2);
    const run = await inProcess(["evaluate", at("true.st"), at("true2.csv"), "--json"]);
    expect(JSON.parse(run.stdout)).toMatchObject({ rows: 80, far: 0 });
  });

  test("numbers of 32 bits are read as they were written", () => {
    for (const value of [0.1, 3.25, 1e-7, 123456.7, 0]) expect(shortest(Math.fround(value))).toBe(value);
    expect(shortest("a")).toBe("a");
  });

  test.each(["offset15", "offset60", "tiny"])("values that differ too little say so: %s", async (name) => {
    const data = `${fault("two-values-called-one")}/${name}.csv`;
    const run = await inProcess(["fit", data, "-t", "y", "-o", at("two.st"), ...quick]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("differ by less than 1e-12 of their size");
    expect(run.stderr).toContain("subtract a constant first");
  });

  test("prices are not classes, and texts that nearly all differ are not either", { timeout: 60_000 }, async () => {
    for (const name of ["thousands-60", "dollar-60", "thousands-200", "dollar-200"]) {
      const fitted = await fit(`${fault("price-texts-become-classes")}/${name}.csv`, "price", "price.st");
      expect(fitted.task).toBe("regression");
    }
    const rows = Array.from({ length: 60 }, (_, i) => `${(i * i) % 17},ref ${i} of ${i + 7}`);
    writeFileSync(at("texts.csv"), `x,y\n${rows.join("\n")}\n`);
    const run = await inProcess(["fit", at("texts.csv"), "-t", "y", "-o", at("price.st"), ...quick]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("60 different values in 60 rows, most of them once: these are not classes");
  });
});

describe("numbers of rows", () => {
  const rows = fault("row-number-is-learned");
  const numbered = expect.stringMatching(/counts the rows|row numbers or ids|index of a data frame/);

  test("are left out after rows were dropped or sampled", { timeout: 60_000 }, async () => {
    expect(reasons(await fit(`${rows}/id-whole.csv`, "y", "id.st"))).toEqual({ id: numbered });
    expect(reasons(await fit(`${rows}/id-one-gap.csv`, "y", "id.st"))).toEqual({ id: numbered });
    const sampled = await fit(`${rows}/id-whole.csv`, "y", "id.st", "--max-rows", "100");
    expect(reasons(sampled)).toEqual({ id: numbered });
    const run = await inProcess(["predict", at("id.st"), `${rows}/id-test.csv`, "-o", at("p.csv"), "--json"]);
    expect(JSON.parse(run.stdout).far).toBeLessThan(3);
  });

  test.each(["split-train.csv", "split-train.parquet"])(
    "an index in any order is not one of the inputs: %s",
    async (name) => {
      const fitted = await fit(`${rows}/${name}`, "y", "split.st");
      const [reason, ...others] = Object.values(reasons(fitted));
      expect([reason, others]).toEqual(["the index of a data frame: it numbers the rows", []]);
    },
  );

  test("codes with leading zeros are categories, and nobody asked for what nobody asked for", async () => {
    const next = random(8);
    const cells = Array.from({ length: 120 }, (_, i) => `0${100 + (i % 7)},${next()},${i + 1000},${next()}`);
    writeFileSync(at("codes.csv"), `zip,x,nr,y\n${cells.join("\n")}\n`);
    const fitted = await fit(at("codes.csv"), "y", "codes.st", "--test-fraction", "0.2");
    expect(fitted.columns[0]).toMatchObject({ name: "zip", kind: "category" });
    expect(reasons(fitted)).toEqual({ nr: numbered });
  });
});

test("the share of far rows does not grow with the columns", { timeout: 120_000 }, async () => {
  const next = random(20);
  const bell = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
  const width = 300;
  const names = Array.from({ length: width }, (_, j) => `g${j}`);
  const table = (rows: number) =>
    [`${names.join()},y`].concat(
      Array.from({ length: rows }, () => {
        const x = names.map(() => Number(bell().toFixed(2)));
        return [...x, x[0] + x[1] + x[2] + 0.5 * bell()].join();
      }),
    );
  writeFileSync(at("wide.csv"), table(200).join("\n"));
  writeFileSync(at("wide-new.csv"), table(200).join("\n"));
  const fitted = await fit(at("wide.csv"), "y", "wide.st");
  expect(fitted.findings.map(({ message }: { message: string }) => message).join()).not.toContain("unlike the rows");
  const run = await inProcess(["evaluate", at("wide.st"), at("wide-new.csv"), "--json"]);
  expect(JSON.parse(run.stdout).far).toBeLessThanOrEqual(10);
});
