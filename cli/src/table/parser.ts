// Records that are not as they should be: csv-parse decides what they are, and its errors become plain words.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CsvError, type Info, type Parser, parse } from "csv-parse";
import { TableError } from "../errors.ts";
import { LONGEST_ROW, oddRows, widthText } from "./odd-rows.ts";
import { type Batch, Batcher, type Rest } from "./records.ts";

const messages: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: oddRows.unclosed,
  CSV_INVALID_CLOSING_QUOTE: oddRows.after,
  INVALID_OPENING_QUOTE: oddRows.within,
  CSV_MAX_RECORD_SIZE: oddRows.long,
};

/** An error of csv-parse as one of the table, `before` lines later than the parser counts; the row began behind line `last`. */
function tableError(error: unknown, before: number, last: number): unknown {
  if (!(error instanceof CsvError)) return error;
  const { code, message } = error;
  const counted = "lines" in error && typeof error.lines === "number" ? error.lines + before : undefined;
  const [, header, found] = /expect (\d+), got (\d+)/.exec(message) ?? [];
  const text = messages[code] ?? (found === undefined ? `${message}.` : widthText(Number(found), Number(header)));
  return new TableError(text, code === "CSV_QUOTE_NOT_CLOSED" ? last + 1 : counted);
}

interface Row {
  readonly record: readonly string[];
  readonly info: Info;
}

/** Parses the rest of a text and the chunks that follow it. @throws TableError, unless `onSkip` takes it */
export async function* parsedRecords(
  chunks: AsyncGenerator<string, void, undefined>,
  { text, line, width }: Rest,
  delimiter: string,
  onSkip: ((error: TableError) => void) | undefined,
  comment?: string,
): AsyncGenerator<Batch, void, undefined> {
  // A row of its own tells the parser how many cells to expect. It has a line as well.
  const first = width === undefined ? "" : `${Array(width).fill("_").join(delimiter)}\n`;
  const before = line - (width === undefined ? 1 : 2);
  async function* all() {
    yield first + text;
    yield* chunks;
  }
  let last = line - 1;
  const parser = parse({
    delimiter,
    info: true,
    on_record: (record: string[], { lines }: { lines: number }) => {
      last = lines + before;
      return record;
    },
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    ...(comment !== undefined && { comment, comment_no_infix: true }),
    max_record_size: LONGEST_ROW,
    ...(onSkip && {
      skip_records_with_error: true,
      on_skip: (error: unknown) => {
        const named = tableError(error, before, last);
        if (named instanceof TableError) onSkip(named);
      },
    }),
  });
  // Its errors reach the reader through the parser, which it destroys.
  pipeline(Readable.from(all()), parser).catch(() => undefined);
  const batcher = new Batcher();
  let skip = width !== undefined;
  try {
    for await (const { record, info } of records(parser)) {
      if (skip) {
        skip = false;
        continue;
      }
      batcher.add(
        record,
        info.lines + before,
        record.reduce((sum, cell) => sum + cell.length, 0),
      );
      if (batcher.full) yield batcher.take();
    }
  } catch (error) {
    throw tableError(error, before, last);
  }
  const batch = batcher.take();
  if (batch.rows.length > 0) yield batch;
}

/** What the parser has read, row by row, in turns with it. */
async function* records(parser: Parser): AsyncGenerator<Row, void, undefined> {
  let failed: { error: unknown } | undefined;
  let ended = false;
  let wake = () => {};
  const woken = () => wake();
  parser.on("readable", woken);
  parser.on("end", () => {
    ended = true;
    wake();
  });
  parser.on("error", (error) => {
    failed = { error };
    wake();
  });
  try {
    for (;;) {
      const row: Row | null = parser.read();
      if (row !== null) yield row;
      else if (failed) throw failed.error;
      else if (ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    parser.destroy();
  }
}
