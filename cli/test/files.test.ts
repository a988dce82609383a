// Files as people have them: compressed, of other programs, with titles above the table, without headers.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readOptions } from "../src/commands/options.ts";
import type { ReadOptions } from "../src/table/csv.ts";
import { foreignKind } from "../src/table/magic.ts";
import { openTable } from "../src/table/open.ts";
import { readTable } from "../src/table/read.ts";
import { inProcess, laplace, workFolder } from "./laplace.ts";
import { faults, lines, quick, read, written } from "./written.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const table = (content: string | Uint8Array, options?: ReadOptions) => written(at("table.csv"), content, options);

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
