// Tables that are read in pieces where they lie: the rows of the pieces are those of the table, wherever it is cut.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { numberFormat } from "laplace-ts";
import { addNumberEvidence, formatByEvidence, numberEvidence } from "laplace-ts/executor";
import { describe, expect, test } from "vitest";
import { addressInPlace } from "../src/commands/placed-table.ts";
import { openCsv, type ReadOptions } from "../src/table/csv.ts";
import {
  marksOf,
  openInPlace,
  openPiece,
  type Piece,
  piecesOfCsv,
  piecesOfParquet,
  type TableInPlace,
} from "../src/table/in-place.ts";
import { openParquet } from "../src/table/parquet.ts";
import { decoded } from "../src/table/text.ts";

const reads = (bytes: Uint8Array) => async (first: number, end: number) => bytes.subarray(first, end);

/** Rows and lines of batches. */
async function all(
  batches: AsyncIterable<{ readonly rows: readonly (readonly string[])[]; lines: readonly number[] }>,
) {
  const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
  for await (const batch of batches) {
    rows.push(...batch.rows);
    lines.push(...batch.lines);
  }
  return { rows, lines };
}

/** The rows of all pieces, with their lines in the file. */
async function inPieces(bytes: Uint8Array, length: number, options: ReadOptions = {}) {
  const table = (await openInPlace(reads(bytes), bytes.length, options)) as TableInPlace;
  expect(typeof table).toBe("object");
  const marks = [];
  for (let at = table.body; at < bytes.length; at += length) marks.push(marksOf(bytes.subarray(at, at + length)));
  const pieces = piecesOfCsv(table, bytes.length, length, marks);
  expect(pieces.map(([first]) => first)).toEqual([...pieces.map(([first]) => first)].sort((a, b) => a - b));
  const feeds = (first: number, end: number) => bytes.subarray(first, end).filter((byte) => byte === 10).length;
  const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
  for (const piece of pieces) {
    const own = await all((await openPiece(table, reads(bytes), bytes.length, piece)).batches);
    rows.push(...own.rows);
    for (const line of own.lines) lines.push(feeds(0, piece[0]) + line);
  }
  return { names: table.names, pieces, rows, lines };
}

describe("a CSV file in pieces", () => {
  const cell = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.constantFrom("", "a", "ü", "日本", "1,5", 'say "no"', "two\nlines", 'a"\n,"b', "x\r\ny"),
  );
  const quoted = (text: string) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  test("has the rows and lines of the whole, wherever it is cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 4 }).chain((width) =>
          fc.record({
            rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 30 }),
            blanks: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 3 }),
          }),
        ),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom("\n", "\r\n"),
        fc.boolean(),
        fc.boolean(),
        async ({ rows, blanks }, length, ending, marked, ended) => {
          // A record of nothing but an empty cell is an empty line.
          const texts = rows.map((row) => row.map((one, j) => (j === 0 && one === "" ? "0" : quoted(one))).join());
          for (const at of blanks) texts.splice(at, 0, "");
          texts.splice(2, 0, rows[0].map((_, j) => `n${j}`).join());
          const header = rows[0].map((_, j) => `n${j}`).join();
          const text = `${marked ? "\ufeff" : ""}${[header, ...texts].join(ending)}${ended ? ending : ""}`;
          const bytes = new TextEncoder().encode(text);
          const chunks = async function* () {
            yield bytes;
          };
          const whole = await openCsv(decoded(chunks()), {});
          const due = await all(whole.batches);
          const found = await inPieces(bytes, length);
          expect(found.names).toEqual(whole.names);
          expect(found.rows).toEqual(due.rows);
          expect(found.lines).toEqual(due.lines);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("without a header has the same rows; what cannot be cut says why", async () => {
    const bytes = new TextEncoder().encode("1,2\n3,4\n5,6\n");
    const found = await inPieces(bytes, 5, { header: false });
    expect(found).toMatchObject({
      names: ["x1", "x2"],
      rows: [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
      ],
      lines: [1, 2, 3],
    });
    const why = (text: Uint8Array | string, options: ReadOptions = {}) => {
      const own = typeof text === "string" ? new TextEncoder().encode(text) : text;
      return openInPlace(reads(own), own.length, options);
    };
    expect(await why(Uint8Array.of(0x1f, 0x8b, 8, 0))).toMatch(/gzip/);
    expect(await why(Uint8Array.of(0xff, 0xfe, 65, 0))).toMatch(/UTF-16/);
    expect(await why("a,b\n1,2\n", { encoding: "latin1" })).toMatch(/its encoding is latin1/);
    expect(await why("x\na,b\n1,2\n", { skip: 1 })).toMatch(/--skip/);
    expect(await why("sep=;\na;b\n1;2\n")).toMatch(/sep=/);
    await expect(why("")).rejects.toThrow(/empty/);
  });
});

test("a Parquet file in pieces has the rows of the whole", async () => {
  const path = "cli/test/airquality.parquet";
  const bytes = new Uint8Array(readFileSync(path));
  const due = await all((await openParquet(path)).batches);
  const table = (await openInPlace(reads(bytes), bytes.length, {})) as TableInPlace;
  const own: Piece[] = piecesOfParquet(table);
  expect(own.at(-1)?.[1]).toBe(due.rows.length);
  const cut = own.flatMap(([first, end]): Piece[] => [
    [first, first + 1],
    [first + 1, end],
  ]);
  const rows: (readonly string[])[] = [];
  const lines: number[] = [];
  for (const piece of cut) {
    const found = await all((await openPiece(table, reads(bytes), bytes.length, piece)).batches);
    rows.push(...found.rows);
    lines.push(...found.lines);
  }
  expect(rows).toEqual(due.rows);
  expect(lines).toEqual(due.lines);
});

test("how numbers are written is found by parts as by the whole, however it is cut", () => {
  const written = fc.constantFrom(
    "1",
    "12",
    "1234",
    "1.5",
    "1,5",
    "1.500",
    "1,500",
    "1'000",
    "5 €",
    "$5",
    "3 %",
    "x",
    "",
  );
  fc.assert(
    fc.property(fc.array(written, { maxLength: 12 }), fc.nat(12), fc.constantFrom(",", ";"), (texts, at, delimiter) => {
      const [left, right] = [texts.slice(0, at), texts.slice(at)].map(numberEvidence);
      expect(formatByEvidence(addNumberEvidence(left, right), { delimiter })).toEqual(
        numberFormat(texts, { delimiter }),
      );
    }),
  );
});

test("data are in place in a bucket, in the store's folder, and where an option says so", () => {
  expect(addressInPlace("s3://bucket/rows.csv", { store: "/shared" })).toBe("s3://bucket/rows.csv");
  expect(addressInPlace("/shared/data/rows.csv", { store: "/shared" })).toBe("/shared/data/rows.csv");
  expect(addressInPlace("/shared2/rows.csv", { store: "/shared" })).toBeUndefined();
  expect(addressInPlace("/elsewhere/rows.csv", { store: "/shared" })).toBeUndefined();
  expect(addressInPlace("/shared/rows.csv", { store: "s3://bucket/x" })).toBeUndefined();
  expect(addressInPlace("/elsewhere/rows.csv", { store: "/shared", inPlace: true })).toBe("/elsewhere/rows.csv");
});
