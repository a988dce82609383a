// How tables write dates and numbers.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { inProcess, workFolder } from "./laplace.ts";
import { faults, lines, quick, read, written } from "./written.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);

describe("dates", () => {
  const common = join(faults, "common-dates-are-ignored");
  const both = join(faults, "day-first-dates-read-month-first");
  const files = [common, both].flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.endsWith(".csv"))
      .map((name) => join(dir, name)),
  );

  test.each(files)("%s: the inputs are those of ISO dates", async (path) => {
    const iso = await read(join(both, "iso.csv"));
    const due = tableEncoding(iso, { target: "y" });
    const found = await read(path);
    const encoding = tableEncoding(found, { target: "y" });
    const inputs = (rows: typeof found, by: typeof due) => by.encode(rows.rows.map(([day]) => ({ day }))).x;
    expect(encoding.inputs).toEqual(due.inputs);
    expect(inputs(found, encoding)).toEqual(inputs(iso, due));
  });

  test("what was read is said, kept in the model, and can be said", { timeout: 60_000 }, async () => {
    const data = join(both, "dmy-slash.csv");
    const fit = await inProcess(["fit", data, "-t", "y", "-o", at("d.st"), ...quick]);
    expect(fit.stdout).toContain(
      'day: "01/02/2012" was read as 2012-02-01, the day first (as their sequence says; --date-format mdy',
    );
    writeFileSync(at("mdy.csv"), "day\n03/25/2012\n");
    const refused = await inProcess(["predict", at("d.st"), at("mdy.csv")]);
    // A cell that cannot be read makes its row far, and is named.
    expect(refused.stdout.split("\n")[1].endsWith(",true,day")).toBe(true);
    expect(refused.stderr).toContain('"03/25/2012"');
    const said = await inProcess(["predict", at("d.st"), at("mdy.csv"), "--date-format", "mdy"]);
    writeFileSync(at("iso.csv"), "day\n2012-03-25\n");
    const iso = await inProcess(["predict", at("d.st"), at("iso.csv")]);
    expect(said.stdout.split("\n")[1].split(",").slice(1)).toEqual(iso.stdout.split("\n")[1].split(",").slice(1));
  });

  test("where nothing settles it, that is said", { timeout: 60_000 }, async () => {
    const days = ["07/02/2012", "01/09/2012", "03/05/2011", "11/04/2012"];
    writeFileSync(at("open.csv"), `day,y\n${lines(20, (i) => `${days[i % 4]},${i * i}`)}`);
    const open = await inProcess(["fit", at("open.csv"), "-t", "y", "-o", at("o.st"), ...quick]);
    expect(open.stdout).toContain(
      'day: "07/02/2012" was read as 2012-07-02; every row can be read with the day or the month first',
    );
    const said = await inProcess([
      "fit",
      at("open.csv"),
      "-t",
      "y",
      "-o",
      at("o.st"),
      ...quick,
      "--date-format",
      "day=dmy",
      "--json",
    ]);
    expect(JSON.parse(said.stdout).columns[0]).toMatchObject({ format: "dmy", settled: "option" });
    const wrong = await inProcess(["fit", at("open.csv"), "-t", "y", "--date-format", "dd=dmy"]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no such column") });
  });

  test("other dates are named", async () => {
    const found = await written(
      at("table.csv"),
      `day,y\n${lines(60, (i) => `${2012 + (i % 3)}|${100 + i}@7:${10 + (i % 9)},${i % 7}`)}x\n`.replaceAll("x\n", ""),
    );
    expect(
      tableEncoding(
        { ...found, names: ["day", "x", "y"], rows: found.rows.map(([day, y], i) => [day, `${i * i}`, y]) },
        { target: "y" },
      ).columns[0],
    ).toMatchObject({
      kind: "ignored",
      reason: expect.stringContaining("dates that are not understood"),
    });
  });
});

describe("numbers", () => {
  const same = async (odd: string, plain: string, target: string) => {
    const [one, other] = [await read(odd), await read(plain)];
    const [a, b] = [one, other].map((rows) => tableEncoding(rows, { target }));
    const inputs = (rows: typeof one, by: typeof a) =>
      by.encode(rows.rows.map((row) => Object.fromEntries(rows.names.map((name, j) => [name, row[j]])))).x;
    expect(a.inputs.length).toBe(b.inputs.length);
    expect(inputs(one, a)).toEqual(inputs(other, b));
  };

  test("thousands in few cells are those of the plain table", () =>
    same(
      join(faults, "thousands-in-few-cells-imputed/with-commas.csv"),
      join(faults, "thousands-in-few-cells-imputed/plain.csv"),
      "y",
    ));

  test.each(["thousands-60", "thousands-200", "dollar-60", "dollar-200"])("%s is a regression", async (name) => {
    const { names, rows } = await read(join(faults, `price-texts-become-classes/${name}.csv`));
    const encoding = tableEncoding({ names, rows }, { target: "price" });
    const cell = rows[0][names.indexOf("price")];
    const { target } = encoding;
    if (target.kind !== "number") throw new Error("classes");
    expect((encoding.encodeTarget(cell) ?? 0) * target.sd + target.mean).toBeCloseTo(
      Number(cell.replace(/[$,]/g, "")),
      6,
    );
  });

  test.each(["inputs-thousands", "inputs-dollar"])("%s are inputs", async (name) => {
    const found = await read(join(faults, `price-texts-become-classes/${name}.csv`));
    expect(tableEncoding(found, { target: "y" }).columns.map(({ kind }) => kind)).not.toContain("ignored");
  });

  test("a semicolon file with decimal commas: fit, predict, evaluate, and other signs by option", {
    timeout: 60_000,
  }, async () => {
    const row = (i: number) => `${i},25;1.${100 + i},5;${i % 7},5`;
    writeFileSync(at("de.csv"), `a;b;y\n${lines(40, row)}`);
    const fit = await inProcess(["fit", at("de.csv"), "-t", "y", "-o", at("de.st"), ...quick]);
    expect(fit.stdout).toContain('b: "1.100,5" was read as 1100.5');
    const german = await inProcess(["predict", at("de.st"), at("de.csv")]);
    expect(german.code).toBe(0);
    writeFileSync(at("en.csv"), `a;b;y\n${lines(40, (i) => `${i}.25;1,${100 + i}.5;${i % 7}.5`)}`);
    expect((await inProcess(["predict", at("de.st"), at("en.csv")])).stderr).toContain(
      "as the training wrote them (such as 1",
    );
    const english = await inProcess(["predict", at("de.st"), at("en.csv"), "--decimal", ".", "--thousands", ","]);
    const added = (stdout: string) =>
      stdout
        .split("\n")
        .slice(1)
        .map((line) => line.split(";").slice(3));
    expect(added(english.stdout)).toEqual(added(german.stdout));
    const evaluated = await inProcess([
      "evaluate",
      at("de.st"),
      at("en.csv"),
      "--decimal",
      ".",
      "--thousands",
      ",",
      "--json",
    ]);
    expect(JSON.parse(evaluated.stdout).metrics).toEqual(
      JSON.parse((await inProcess(["evaluate", at("de.st"), at("de.csv"), "--json"])).stdout).metrics,
    );
  });

  test("--number takes a column of texts and numbers as numbers", { timeout: 60_000 }, async () => {
    writeFileSync(at("mixed.csv"), `a,y\n${lines(40, (i) => `${i % 3 === 0 ? "low" : i},${i * i}`)}`);
    const fit = await inProcess([
      "fit",
      at("mixed.csv"),
      "-t",
      "y",
      "-o",
      at("m.st"),
      ...quick,
      "--number",
      "a",
      "--json",
    ]);
    expect(JSON.parse(fit.stdout).columns[0]).toMatchObject({ kind: "number" });
    const both = await inProcess(["fit", at("mixed.csv"), "-t", "y", "--number", "a", "--category", "a"]);
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("both name the column") });
  });

  test("a target that is not a number is named with its line and column, or skipped", { timeout: 60_000 }, async () => {
    writeFileSync(at("bad.csv"), `a,y\n${lines(60, (i) => `${i * i},${i === 30 ? "oops" : i}.5`)}`);
    const stopped = await inProcess(["fit", at("bad.csv"), "-t", "y", "-o", at("b.st"), ...quick]);
    expect(stopped).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('the target "y" has "oops.5", which is not a number, in line 32'),
    });
    const skipped = await inProcess([
      "fit",
      at("bad.csv"),
      "-t",
      "y",
      "-o",
      at("b.st"),
      ...quick,
      "--on-error",
      "skip",
    ]);
    expect(skipped).toMatchObject({ code: 0, stderr: expect.stringContaining("skipped line 32") });
    expect(skipped.stdout).toContain("59, 1 skipped");
  });
});

test("a few dates in two orders, which make categories, are named", async () => {
  const dates = ["13/02/2024", "02/14/2024", "05/06/2024", "11/12/2024"];
  const rows = Array.from({ length: 40 }, (_, i) => `${dates[i % 4]},${(i * 7) % 11},${(i * 13) % 17}.5`);
  writeFileSync(at("orders.csv"), ["when,x,y", ...rows].join("\n"));
  const run = await inProcess(["fit", at("orders.csv"), "-t", "y", "-o", at("orders.st"), ...quick]);
  expect(run.stdout).toContain(
    '"when": dates in two orders, taken as categories: "13/02/2024" (line 2) has the day first, "02/14/2024" (line 3) the month: write them in one, or say which: --date-format when=dmy or when=mdy',
  );
  const one = ["fit", at("orders.csv"), "-t", "y", "-o", at("orders.st"), ...quick, "--date-format", "when=dmy"];
  expect((await inProcess(one)).stdout).not.toContain("two orders");
});
