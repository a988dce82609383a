// Several files, or a folder of them, as one table.

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import type { TableError } from "../src/errors.ts";
import type { ReadOptions } from "../src/table/csv.ts";
import { openTable } from "../src/table/open.ts";
import { inProcess, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (...names: string[]) => join(folder, ...names);
const write = (name: string, text: string) => {
  mkdirSync(join(at(name), ".."), { recursive: true });
  writeFileSync(at(name), text);
  return at(name);
};
async function read(paths: string | readonly string[], options: ReadOptions = {}) {
  const { names, batches, repeated } = await openTable(paths, options);
  const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
  for await (const batch of batches) {
    rows.push(...batch.rows);
    lines.push(...batch.lines);
  }
  return { names, rows, lines, repeated };
}

test("rows follow each other, columns by their names, lines counted on", async () => {
  const files = [
    write("a.csv", "x,y\n1,2\n3,4\n"),
    write("b.csv", "y;x\n6;5\n"),
    write("c.csv", "x,y\n7,8\nx,y\n9,10\n"),
  ];
  expect(await read(files)).toEqual({
    names: ["x", "y"],
    rows: [
      ["1", "2"],
      ["3", "4"],
      ["5", "6"],
      ["7", "8"],
      ["9", "10"],
    ],
    lines: [2, 3, 5, 7, 9],
    repeated: [8],
  });
});

test("a folder is its files by their names, in folders too, but for what is hidden or no table", async () => {
  write("parts/b/part-2.csv", "x,y\n3,4\n");
  write("parts/a.csv", "x,y\n1,2\n");
  write("parts/_SUCCESS", "");
  write("parts/.hidden.csv", "z\n1\n");
  write("parts/notes.md", "no table");
  writeFileSync(at("parts", "c.csv.gz"), gzipSync("x,y\n5,6\n"));
  expect((await read(at("parts"))).rows).toEqual([
    ["1", "2"],
    ["3", "4"],
    ["5", "6"],
  ]);
  mkdirSync(at("none"));
  await expect(openTable(at("none"))).rejects.toThrow(/none has no file of a table/);
});

test("a folder of Parquet files is read as each of them is", async () => {
  mkdirSync(at("parquet"));
  for (const name of ["part-0.parquet", "part-1.parquet"])
    copyFileSync("cli/test/airquality.parquet", at("parquet", name));
  const one = await read("cli/test/airquality.parquet");
  const both = await read(at("parquet"));
  expect(both.names).toEqual(one.names);
  expect(both.rows).toEqual([...one.rows, ...one.rows]);
});

test("other columns, and rows that cannot be read, are named with their file", async () => {
  const first = write("first.csv", "x,y\n1,2\n");
  await expect(read([first, write("less.csv", "x\n1\n")])).rejects.toThrow(
    /less\.csv has no column "y", which .*first\.csv has/,
  );
  await expect(read([first, write("more.csv", "x,y,z\n1,2,3\n")])).rejects.toThrow(
    /more\.csv has a column "z", which .*has not/,
  );
  const bad = write("bad.csv", "x,y\n1\n3,4\n");
  await expect(read([first, bad])).rejects.toThrow(/bad\.csv: line 2: the row has 1 cell/);
  const skipped: TableError[] = [];
  const { rows } = await read([first, bad], { onSkip: (error) => skipped.push(error) });
  expect(rows.length).toBe(2);
  expect(skipped[0].message).toMatch(/bad\.csv: line 2/);
});

test("fit, predict and evaluate take several files, and give what they give of one", async () => {
  const rows = Array.from({ length: 36 }, (_, i) => `${i % 7},${((i * 5) % 11) + (i % 7)}`);
  const whole = write("whole.csv", `a,y\n${rows.join("\n")}\n`);
  const halves = [rows.slice(0, 20), rows.slice(20)].map((own, k) =>
    write(`halves/${k}.csv`, `a,y\n${own.join("\n")}\n`),
  );
  const quick = ["-t", "y", "--task", "regression", "--hidden", "2", "--epochs", "4", "--rounds", "1", "--folds", "2"];
  const fit = async (...data: string[]) => {
    const run = await inProcess(["fit", ...data, ...quick, "-o", at("m.st"), "--no-report", "--json"]);
    return JSON.parse(run.stdout);
  };
  const one = await fit(whole);
  expect((await fit(...halves)).metrics).toEqual(one.metrics);
  expect(await fit(at("halves"))).toMatchObject({ metrics: one.metrics, data: "halves", read: 36 });
  const predictions = await inProcess(["predict", at("m.st"), ...halves]);
  expect(predictions.stdout).toBe((await inProcess(["predict", at("m.st"), whole])).stdout);
  const evaluated = await inProcess(["evaluate", at("m.st"), at("halves"), "--json"]);
  expect(JSON.parse(evaluated.stdout).rows).toBe(36);
});
