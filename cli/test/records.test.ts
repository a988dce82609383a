// Records cut the fast way are those that csv-parse reads, whatever the text and wherever it is cut into chunks.

import { CsvError, parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TableError } from "../src/errors.ts";
import { openCsv } from "../src/table/csv.ts";
import { parsedRecords } from "../src/table/parser.ts";
import { readTable } from "../src/table/read.ts";
import { cutRecords } from "../src/table/records.ts";

async function* inChunks(text: string, size: number): AsyncGenerator<string, void, undefined> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

/** All that csv-parse reads, with the line that each record ends on; or that it refuses. */
function parsed(text: string, delimiter: string) {
  try {
    const found = parse(text, {
      delimiter,
      info: true,
      record_delimiter: ["\r\n", "\n", "\r"],
      skip_empty_lines: true,
    });
    // With "info", records are objects of both, which its types do not say.
    const records = found as unknown as { record: string[]; info: { lines: number } }[];
    return { rows: records.map(({ record }) => record), lines: records.map(({ info }) => info.lines) };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    return { refused: true };
  }
}

/** What both ways read together: cut, and parsed from the first odd record on. */
async function read(text: string, chunk: number, delimiter: string) {
  const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
  const chunks = inChunks(text, chunk);
  async function* both() {
    const rest = yield* cutRecords(chunks, delimiter);
    if (rest !== undefined) yield* parsedRecords(chunks, rest, delimiter, undefined);
    return rest === undefined;
  }
  try {
    const batches = both();
    for (let next = await batches.next(); ; next = await batches.next()) {
      if (next.done) return { rows, lines, cut: next.value };
      rows.push(...next.value.rows);
      lines.push(...next.value.lines);
    }
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return { refused: true };
  }
}

/** Texts of quotes, delimiters, line ends and little else, in all orders. */
const pieces = fc.constantFrom(
  "a",
  "bc",
  "7.5",
  '"',
  '""',
  ",",
  ",",
  ";",
  "\n",
  "\n",
  "\r\n",
  "\r",
  " ",
  "é",
  '"x,y"',
  '"\n"',
);
const wild = fc.array(pieces, { maxLength: 25 }).map((list) => list.join(""));
/** Records as RFC 4180 writes them, all of one width. */
const formed = fc
  .record({
    width: fc.integer({ min: 1, max: 4 }),
    cells: fc.array(
      fc.array(pieces, { maxLength: 3 }).map((list) => list.join("")),
      { minLength: 1, maxLength: 30 },
    ),
    quoteAll: fc.boolean(),
    end: fc.constantFrom("\n", "\r\n"),
    last: fc.boolean(),
  })
  .map(({ width, cells, quoteAll, end, last }) => {
    const quoted = cells.map((cell) => (quoteAll || /[",;\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell));
    const rows = Array.from({ length: Math.ceil(quoted.length / width) }, (_, i) =>
      Array.from({ length: width }, (_, j) => quoted[(i * width + j) % quoted.length]).join(","),
    );
    return rows.join(end) + (last ? end : "");
  });

describe("records", () => {
  test("are those of csv-parse, for any text and any chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(wild, formed),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(",", ";"),
        async (text, chunk, delimiter) => {
          const due = parsed(text, delimiter);
          const found = await read(text, chunk, delimiter);
          expect(found.refused).toBe(due.refused);
          expect(found.rows).toEqual(due.rows);
          // csv-parse counts a carriage return within quotes as a line of its own.
          if (!text.includes("\r")) expect(found.lines).toEqual(due.lines);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("well-formed tables are cut to their end", async () => {
    await fc.assert(
      fc.asyncProperty(formed, fc.integer({ min: 1, max: 40 }), async (text, chunk) => {
        const due = parsed(text, ",");
        expect(await read(text, chunk, ",")).toMatchObject({ rows: due.rows, cut: true });
      }),
      { numRuns: 1000 },
    );
  });

  test("after an odd record, rows, lines and refusals are those of the file", async () => {
    const skipped: string[] = [];
    const text = 'x,y\n1,2\n"a\nb",3\n1,2,3\n4,5\n\n6,"7"8\n9,10\n';
    const table = await openCsv(inChunks(text, 3), { onSkip: ({ message }) => skipped.push(message) });
    const { rows, lines } = await readTable(table, 10, 0);
    expect(rows.slice(0, 3)).toEqual([
      ["1", "2"],
      ["a\nb", "3"],
      ["4", "5"],
    ]);
    expect(lines.slice(0, 3)).toEqual([2, 4, 6]);
    expect(skipped[0]).toContain("line 5: the row has 3 cells, the header 2");
    expect(skipped[1]).toContain("line 8: ");
  });

  test("lone carriage returns end lines", async () => {
    const table = await openCsv(inChunks("x,y\r1,2\r3,4", 2), {});
    expect(await readTable(table, 10, 0)).toMatchObject({
      names: ["x", "y"],
      rows: [
        ["1", "2"],
        ["3", "4"],
      ],
    });
  });
});
