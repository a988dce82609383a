// A table in memory by its columns gives back every text as it was written, whatever a column turns out to hold, and is read as one of
// rows is.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { cellsAt, numbersOf, type Rows, rowsAt, tableOf } from "../src/model/rows.ts";
import { copiesOf } from "../src/model/splits.ts";
import { Cells } from "../src/table/cells.ts";
import { openCsv } from "../src/table/csv.ts";
import { openTable } from "../src/table/open.ts";
import { readTable } from "../src/table/read.ts";
import { inTurns } from "../src/turn.ts";
import { workFolder } from "./laplace.ts";

/** What cells hold: numbers as programs write them and as people do, marks of missing values, codes, dates and any text. */
const cell = fc.oneof(
  fc.integer().map(String),
  fc.double().map(String),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).chain((value) => fc.nat(20).map((places) => value.toFixed(places))),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }).map((value) => value.toPrecision(5)),
  fc.constantFrom(
    "",
    "NA",
    "-0",
    "-0.0",
    "0.0",
    "+1",
    "007",
    "1e5",
    "1E5",
    "1.",
    ".5",
    " 3",
    "1,5",
    "2020-01-02",
    "ﬁ",
    "é",
  ),
  fc.constantFrom("9007199254740993", "0.1234567890123456789", "1e-7", "1.50", "-1.005", "123456789012345678901.5"),
  fc.string(),
  fc.string({ unit: "binary" }),
);

describe("cells", () => {
  test("come back as they were, while texts are few and when they are many", () => {
    fc.assert(
      fc.property(fc.array(cell, { maxLength: 60 }), fc.nat(20), (texts, most) => {
        const cells = new Cells(most);
        for (const text of texts) cells.push(text);
        expect(cells.length).toBe(texts.length);
        expect(texts.map((_, i) => cells.at(i))).toEqual(texts);
      }),
    );
  });

  test("come back beyond a chunk, and where one text is longer than a chunk", () => {
    const texts = Array.from({ length: 200_000 }, (_, i) => `text ${i}${"–".repeat(i % 7)}`);
    texts[100_000] = "long ".repeat(400_000);
    const cells = new Cells(8);
    for (const text of texts) cells.push(text);
    for (let i = 0; i < texts.length; i++) if (cells.at(i) !== texts[i]) expect(cells.at(i)).toBe(texts[i]);
  });
});

const rowOf = fc.tuple(
  fc.oneof(
    fc.double({ noNaN: true, min: -9, max: 9 }).map((x) => x.toFixed(3)),
    fc.constantFrom("", "NA", "n. v."),
  ),
  fc.constantFrom("red", "green", "Green", "blue", ""),
  fc.integer({ min: 0, max: 400 }).map((day) => new Date(86_400_000 * day).toISOString().slice(0, 10)),
  cell.filter((text) => !text.includes("\0")),
  fc.integer({ min: -99, max: 99 }).map(String),
);
const names = ["a", "b", "c", "d", "y"];
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

/** The same text read as rows, and by columns from row `few` on. */
async function bothWays(rows: readonly (readonly string[])[], few: number): Promise<[Rows, Rows]> {
  const text = [names, ...rows].map((row) => row.map(quoted).join(",")).join("\n");
  const open = () => openCsv(Readable.from([`${text}\n`]), {});
  return [await readTable(await open()), await readTable(await open(), undefined, 0, undefined, few)];
}

describe("a table by its columns", () => {
  const tables = fc.tuple(fc.array(rowOf, { minLength: 12, maxLength: 40 }), fc.nat(11));

  test("has the rows, lines, columns and parts that one of rows has", async () => {
    await fc.assert(
      fc.asyncProperty(tables, fc.array(fc.nat(11), { maxLength: 8 }), async ([rows, few], some) => {
        const [plain, columnar] = await bothWays(rows, few);
        expect(columnar.column).toBeDefined();
        for (const [one, other] of [
          [plain, columnar],
          [rowsAt(plain, some), rowsAt(columnar, some)],
          [
            rowsAt(rowsAt(plain, some), [0].slice(0, some.length)),
            rowsAt(rowsAt(columnar, some), [0].slice(0, some.length)),
          ],
        ]) {
          expect(other.names).toEqual(one.names);
          expect(other.lines).toEqual(one.lines);
          expect(other.rows.length).toBe(one.rows.length);
          expect(other.rows.map((row) => row)).toEqual(one.rows);
          for (const j of names.keys()) expect(cellsAt(other, j)).toEqual(cellsAt(one, j));
        }
      }),
    );
  });

  test("is encoded to the same bits, and has the same copies", async () => {
    await fc.assert(
      fc.asyncProperty(tables, async ([rows, few]) => {
        const [plain, columnar] = await bothWays([...rows, ...rows.slice(0, 3)], few);
        const encodingOf = (table: Rows) => {
          try {
            return tableEncoding(tableOf(table), { target: "y", task: "regression" });
          } catch (error) {
            return String(error);
          }
        };
        const [one, other] = [encodingOf(plain), encodingOf(columnar)];
        expect(JSON.stringify(other)).toBe(JSON.stringify(one));
        if (typeof one === "string" || typeof other === "string") return;
        expect(JSON.stringify(other.ofRows(tableOf(columnar)))).toBe(JSON.stringify(one.ofRows(tableOf(plain))));
        expect(await inTurns(numbersOf(columnar, other))).toEqual(await inTurns(numbersOf(plain, one)));
        expect(copiesOf(columnar, names)).toEqual(copiesOf(plain, names));
      }),
    );
  });
});

describe("copies of rows", () => {
  test("are grouped as texts of whole rows are", () => {
    const few = fc.constantFrom("1", "2", "3");
    fc.assert(
      fc.property(fc.array(fc.tuple(few, few, few), { minLength: 2, maxLength: 40 }), (rows) => {
        // Columns of rare values beside them, so that copies are beyond chance.
        const all = [...rows, ...rows].map((row, i) => [...row, `${i % rows.length}`, "0"]);
        const table = { names, rows: all, lines: all.map((_, i) => i) };
        const known = new Map<string, number>();
        const groups = all.map((row) => {
          const key = row.join();
          known.set(key, known.get(key) ?? known.size);
          return known.get(key);
        });
        const found = copiesOf(table, names);
        if (found !== undefined) expect(Array.from(found.groups)).toEqual(groups);
        if (rows.length > 20) expect(found?.count).toBe(rows.length);
      }),
    );
  });
});

describe("a column whose meaning changes late", () => {
  const folder = workFolder();
  const path = join(folder, "late.csv");
  const count = 60_000;
  // Whole numbers, then decimals, at last a category among the numbers; another column has texts at the end alone.
  const row = (i: number) =>
    `${i < 50_000 ? i : i < 59_000 ? (i / 7).toFixed(2) : "n. v."},${i < 59_990 ? i % 7 : "late"},${i % 100}`;
  const text = `x,k,y\n${Array.from({ length: count }, (_, i) => row(i)).join("\n")}\n`;
  writeFileSync(path, text);
  const check = (table: Rows) => {
    const cells = Array.from({ length: count }, (_, i) => row(i).split(","));
    for (const j of [0, 1, 2]) expect(cellsAt(table, j)).toEqual(cells.map((own) => own[j]));
    const encoding = tableEncoding(tableOf(table), { target: "y" });
    const plain = tableEncoding({ names: table.names, rows: cells }, { target: "y" });
    expect(JSON.stringify(encoding)).toBe(JSON.stringify(plain));
  };

  test("in a file", async () => check(await readTable(await openTable(path))));

  test("from standard input, which is read once", async () => {
    const cat = spawn("cat", [path]);
    const stream = await openCsv(cat.stdout.setEncoding("utf8"), {});
    check(await readTable(stream));
  });
});
