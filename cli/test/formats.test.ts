// Tables as people have them: dates and numbers in the ways they are written, compressed, with titles, without headers.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { readOptions } from "../src/commands/options.ts";
import type { ReadOptions } from "../src/table/csv.ts";
import { foreignKind } from "../src/table/magic.ts";
import { openTable } from "../src/table/open.ts";
import { readTable } from "../src/table/read.ts";
import { inProcess, laplace, workFolder } from "./laplace.ts";

const faults = "../shared/faults/tables";
const folder = workFolder();
const at = (name: string) => join(folder, name);
const quick = ["--epochs", "4", "--rounds", "1", "--hidden", "4", "--folds", "2", "--no-report"];

async function read(path: string, options: ReadOptions = {}) {
  return readTable(await openTable(path, options), 1000, 0);
}

/** Writes a table and opens it. */
async function table(content: string | Uint8Array, options: ReadOptions = {}) {
  writeFileSync(at("table.csv"), content);
  return read(at("table.csv"), options);
}

const lines = (n: number, line: (i: number) => string) =>
  `${Array.from({ length: n }, (_, i) => line(i)).join("\n")}\n`;

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
    expect(refused.stdout.split("\n")[1].endsWith(",true")).toBe(true);
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
    const found = await table(
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

  test("a target that is no number is named with its line and column, or skipped", { timeout: 60_000 }, async () => {
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

describe("compressed and foreign files", () => {
  const compressed = join(faults, "compressed-file-called-latin1");

  test("gzip is read, in one member or several, in fit's way and in predict's", async () => {
    const bytes = readFileSync(join(compressed, "data.csv.gz"));
    const plain = await table(gunzipSync(bytes));
    expect(await read(join(compressed, "data.csv.gz"))).toEqual(plain);
    const text = gunzipSync(bytes);
    expect(await table(Buffer.concat([gzipSync(text.subarray(0, 1001)), gzipSync(text.subarray(1001))]))).toEqual(
      plain,
    );
  });

  test("gzip that is cut or damaged is an error, with no partial file", { timeout: 60_000 }, async () => {
    const bytes = gzipSync(`x,y\n${lines(20_000, (i) => `${(i * 7919) % 1013},${i}`)}`);
    await expect(table(bytes.subarray(0, bytes.length - 20))).rejects.toThrow("it is cut short");
    const damaged = Uint8Array.from(bytes);
    damaged[bytes.length - 6] ^= 255;
    await expect(table(damaged)).rejects.toThrow("damaged");
    await expect(table(gzipSync(bytes))).rejects.toThrow("twice");
    writeFileSync(at("x.csv"), `x,y\n${lines(40, (i) => `${i * i},${i}`)}`);
    await inProcess(["fit", at("x.csv"), "-t", "y", "-o", at("x.st"), ...quick]);
    writeFileSync(at("cut.csv.gz"), bytes.subarray(0, bytes.length - 20));
    const before = readdirSync(folder).sort();
    const run = await inProcess(["predict", at("x.st"), at("cut.csv.gz"), "-o", at("p.csv")]);
    expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining("cut short") });
    expect(readdirSync(folder).sort()).toEqual(before);
    const whole = await laplace(["predict", at("x.st"), "-"], { input: gzipSync("x\n4\n9\n") });
    expect(whole.stdout).toBe((await laplace(["predict", at("x.st"), "-"], { input: "x\n4\n9\n" })).stdout);
  });

  test("a workbook is named", async () => {
    await expect(read(join(compressed, "zipped.xlsx"))).rejects.toThrow("Excel workbook");
  });

  test.each([
    ["PK\u0003\u0004……[Content_Types].xml", "an Excel workbook (.xlsx)"],
    ["PK\u0003\u0004……mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "(.ods)"],
    ["\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1", "(.xls)"],
    ["ARROW1\0\0", "Arrow"],
    ["SQLite format 3\0", "SQLite"],
    ["\u0089HDF\r\n\u001a\n", "HDF5"],
    ["\u0080\u0004\u0095abc", "pickle"],
    ["%PDF-1.7", "PDF"],
    ["\u0093NUMPY", "NumPy"],
    ["BZh91AY&SY", "bzip2"],
    ["ORC\u0000\u0011", "ORC"],
    ["GIF89a", "picture"],
    ["\u00fd7zXZ\0", "xz"],
    ["(\u00b5/\u00fd", "Zstandard"],
    ["<!DOCTYPE html><html>", "web page"],
    ['[{"a": 1}]', "JSON"],
    [`${"x".repeat(257)}ustar`, "tar"],
  ])("%j", (start, kind) => expect(foreignKind(Buffer.from(start, "latin1"))?.kind).toContain(kind));

  test.each([
    "a,b\n1,2\n",
    '"a","b"\n',
    ...["PK", "ORC", "ORCID", "RDX", "BZh", "GIF8", "FEA1", "ARROW1", "Rar!", "MATLAB 5.0", "Obj"].map(
      (name) => `${name},b\n1,2\n`,
    ),
  ])("%j is a table", (text) => {
    expect(foreignKind(Buffer.from(text))).toBeUndefined();
  });

  test("another encoding is named with its line", async () => {
    await expect(read(join(compressed, "latin1.csv"))).rejects.toThrow(
      /^line 2: the byte 0x.. behind "0.3456,8.6127,r" is not UTF-8.*--encoding latin1/,
    );
    const late = Buffer.concat([
      Buffer.from(`a,b\n${lines(30_000, (i) => `é${i},${i}`)}`),
      Buffer.from([0x78, 0xe9, 0x2c, 0x31, 10]),
    ]);
    await expect(table(late)).rejects.toThrow("line 30002: the byte 0xe9");
    const cyrillic = Buffer.concat([
      Buffer.from("a,b\n"),
      Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2]),
      Buffer.from(",1\n"),
    ]);
    await expect(table(cyrillic)).rejects.toThrow("windows-1251");
    await expect(table(Buffer.from("a,b\n1,2\n", "utf16le"))).rejects.toThrow(
      "line 1: the text has NUL characters: it is UTF-16 without a byte-order mark. Try --encoding utf-16le",
    );
    await expect(table(Buffer.concat([Buffer.from("a,b\n1,"), Buffer.from([0xc3])]))).rejects.toThrow(
      "line 2: the file ends in the middle of a character",
    );
  });
});

describe("what stands around a table", () => {
  const odd = join(faults, "excel-sep-line-and-preambles");

  test("sep= is obeyed", async () => {
    expect((await read(join(odd, "sep.csv"))).names).toEqual(["x1", "x2", "c", "y"]);
    expect(await table("sep=|\r\na|b\r\n1,5|2\r\n")).toMatchObject({
      names: ["a", "b"],
      rows: [["1,5", "2"]],
      lines: [3],
    });
  });

  test.each([
    ["title", "line 1: the line has 1 cell, the lines below 4.", "--skip 1", { skip: 1 }],
    [
      "comment",
      "line 1: the line has 1 cell, the lines below 4.",
      '--skip 2 leaves it out, and --comment "#"',
      { skip: 2 },
    ],
    ["comment", "line 1: ", "--comment", { comment: "#" }],
  ])("%s is named, and read as advised", async (name, start, advice, options) => {
    const path = join(odd, `${name}.csv`);
    await expect(read(path)).rejects.toThrow(start);
    await expect(read(path)).rejects.toThrow(advice);
    const found = await read(path, options);
    expect(found.names).toEqual(["x1", "x2", "c", "y"]);
    expect(found.total).toBe(200);
    // Lines are those of the file.
    const text = readFileSync(path, "utf8").split(/\r?\n/);
    expect(text[found.lines[0] - 1]).toBe(found.rows[0].join(","));
  });

  test("a footer is named, and left out as advised", { timeout: 60_000 }, async () => {
    const run = await inProcess(["fit", join(odd, "footer.csv"), "-t", "y", "-o", at("f.st"), ...quick]);
    expect(run).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("line 202: the row has 1 cell, the header 4."),
    });
    expect(run.stderr).toContain("--on-error skip");
    const skip = await inProcess([
      "fit",
      join(odd, "footer.csv"),
      "-t",
      "y",
      "-o",
      at("f.st"),
      ...quick,
      "--on-error",
      "skip",
    ]);
    expect(skip).toMatchObject({ code: 0, stdout: expect.stringContaining("200, 1 skipped") });
  });

  test("without a header; the model remembers, and can be told", { timeout: 60_000 }, async () => {
    const path = join(odd, "noheader.csv");
    const run = await inProcess(["fit", path, "-t", "y"]);
    expect(run).toMatchObject({ code: 2, stderr: expect.stringContaining("--no-header names the columns x1, x2") });
    const fit = await inProcess(["fit", path, "-t", "x4", "--no-header", "-o", at("n.st"), ...quick, "--json"]);
    expect(JSON.parse(fit.stdout)).toMatchObject({ read: 200, target: "x4" });
    const predicted = await inProcess(["predict", at("n.st"), path]);
    expect(predicted.stdout.split("\n")).toHaveLength(202);
    expect(predicted.stdout.startsWith("x1,x2,x3,x4,mean")).toBe(true);
    writeFileSync(
      at("h.csv"),
      `x1,x2,x3\n${readFileSync(path, "utf8")
        .split("\n")
        .map((line) => line.split(",").slice(0, 3).join(","))
        .join("\n")}`,
    );
    const headed = await inProcess(["predict", at("n.st"), at("h.csv"), "--header"]);
    const added = (stdout: string, from: number) => stdout.split("\n").map((line) => line.split(",").slice(from));
    expect(added(headed.stdout, 3)).toEqual(added(predicted.stdout, 4));
  });

  test("headers that are repeated are left out, and said to be", async () => {
    const found = await openTable(at("again.csv"), {}).catch(() => undefined);
    expect(found).toBeUndefined();
    writeFileSync(at("again.csv"), "a,b\n1,2\na,b\n3,4\n\ufeffa,b\n5,6\n");
    const stream = await openTable(at("again.csv"));
    const { rows, lines: numbers } = await readTable(stream, 10, 0);
    expect({ rows, numbers, repeated: stream.repeated }).toEqual({
      rows: [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
      ],
      numbers: [2, 4, 6],
      repeated: [3, 5],
    });
  });

  test.each<[string, string, ReadOptions, readonly string[], readonly string[][]]>([
    [
      "comments among rows",
      "#x\na,b\n1,2\n# y, z\n3,4\n#",
      { comment: "#" },
      ["a", "b"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
    ],
    [
      "comments behind odd rows",
      'a,b\n"1"x,2\n#"\n3,4\n',
      { comment: "#", onSkip: () => {} },
      ["a", "b"],
      [["3", "4"]],
    ],
    ["lines that end in \\r", "title\r\ra,b\r1,2\r", { skip: 2 }, ["a", "b"], [["1", "2"]]],
    [
      "a title with commas above semicolons",
      "a, b, c\na;b\n1,5;2\n2,5;3\n",
      { skip: 1 },
      ["a", "b"],
      [
        ["1,5", "2"],
        ["2,5", "3"],
      ],
    ],
    [
      "no header",
      "1;2\n3;4\n",
      { header: false },
      ["x1", "x2"],
      [
        ["1", "2"],
        ["3", "4"],
      ],
    ],
    [
      "decimal commas in all rows",
      "a;b;c\n1,5;2,5;3,5\n1,5;2,5;3,5\n",
      {},
      ["a", "b", "c"],
      [
        ["1,5", "2,5", "3,5"],
        ["1,5", "2,5", "3,5"],
      ],
    ],
  ])("%s", async (_, content, options, names, rows) => {
    const found = await table(content, options);
    expect(found).toMatchObject({ names, rows });
  });

  test("quotes out of place cost a line each where rows are skipped, and no more", async () => {
    const skipped: string[] = [];
    const onSkip = ({ message }: Error) => skipped.push(message.slice(0, 42));
    const odd = 'a,b\n"never closed,3\n1,2\n"a"b,4\n3,4\nx "y",5\n"multi\nline",6\n1,2,3\n"1","2\n",3\n7,8\n"9"x';
    expect(await table(odd, { onSkip })).toMatchObject({
      rows: [
        ["1", "2"],
        ["3", "4"],
        ["multi\nline", "6"],
        ["7", "8"],
      ],
      lines: [3, 5, 8, 12],
    });
    expect(skipped).toEqual(
      [
        "line 2: a quoted cell goes on after its clo",
        "line 4: a quoted cell goes on after its clo",
        "line 6: a quote stands within a cell that d",
        "line 9: the row has 3 cells, the header 2. ",
        "line 11: the row has 3 cells, the header 2.",
        "line 13: a quoted cell goes on after its cl",
      ].map((text) => text.slice(0, 42)),
    );
    // A quote that is never closed: the rows behind it are rows.
    const open: string[] = [];
    const found = await table(`a,b\n1,2\n"open,3\n${lines(5000, (i) => `${i},2`)}`, {
      onSkip: ({ message }) => open.push(message),
    });
    expect(found.rows.length).toBe(1000);
    expect(found.total).toBe(5001);
    expect(open).toEqual(["line 3: a quote is not closed: it opens in this row, and the file ends before it does."]);
    // Where nothing is skipped, the line is that of the quote.
    await expect(table(`a,b\n1,2\n"open,3\n${lines(50, (i) => `${i},2`)}`)).rejects.toThrow(
      "line 3: a quote is not closed: it opens in this row",
    );
  });

  test("row names without a name, as R writes them, are said to be that", async () => {
    await expect(table(`a,b\n${lines(5, (i) => `${i},1,2`)}`)).rejects.toThrow(
      "If the first column has no name, give it one",
    );
  });
});

test("fit without a target lists the columns", async () => {
  const run = await inProcess(["fit", join(faults, "thousands-in-few-cells-imputed/plain.csv")]);
  expect(run).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--target says which column to predict. The columns are .*y/),
  });
});

test("options come before what the model remembers", () => {
  const reading = { skip: 2, delimiter: ";", header: false } as const;
  expect(readOptions({ skip: 0, header: true, dateFormat: [] }, reading)).toEqual({
    skip: 0,
    delimiter: ";",
    header: true,
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
