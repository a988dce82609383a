// CSV as a stream of batches of rows: csv-parse behind a small interface, with its errors in plain words.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { CsvError, type Info, type Parser, parse } from "csv-parse";
import { TableError } from "../errors.ts";

/** Some rows, each with its line in the file. */
export interface Batch {
  readonly rows: readonly (readonly string[])[];
  readonly lines: readonly number[];
}

/** A table that is read once, batch by batch. */
export interface TableStream {
  readonly names: readonly string[];
  /** What stands between two cells; "," for other formats than CSV. */
  readonly delimiter: string;
  readonly batches: AsyncGenerator<Batch, void, undefined>;
}

/** How tables are read. */
export interface ReadOptions {
  readonly encoding?: string | undefined;
  readonly delimiter?: string | undefined;
  /** Called for each row that cannot be read, instead of an error. */
  readonly onSkip?: ((error: TableError) => void) | undefined;
}

/** A batch ends at so many rows, or so many characters. */
const [BATCH_ROWS, BATCH_CHARACTERS] = [1024, 2 ** 21];
/** Beyond any row of a real table; a quote that is never closed must not read the whole file into memory. */
const LONGEST_ROW = 2 ** 22;
/** How much is looked at to find the delimiter. */
const LOOK_AHEAD = 2 ** 16;
const DELIMITERS = [",", ";", "\t", "|"] as const;

/** The delimiter that the first line has most of, outside quotes. */
export function findDelimiter(text: string): string {
  const counts = new Map<string, number>(DELIMITERS.map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) break;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  return DELIMITERS.reduce((best, next) => ((counts.get(next) ?? 0) > (counts.get(best) ?? 0) ? next : best), ",");
}

/** The chunks, the first of them at least as long as the look ahead, and the text looked at. */
async function lookAhead(chunks: AsyncIterable<string>) {
  const iterator = chunks[Symbol.asyncIterator]();
  let first = "";
  while (first.trim() === "" || (first.length < LOOK_AHEAD && !/\n[^\n]/.test(first))) {
    const { done, value } = await iterator.next();
    if (done) break;
    first += value;
    if (first.length > LONGEST_ROW) break;
  }
  async function* all() {
    yield first;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  }
  return { first: first.trimStart(), all: all() };
}

const messages: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "a quote is not closed before the end of the file.",
  CSV_INVALID_CLOSING_QUOTE: 'a quoted cell goes on after its closing quote. A quote within a cell is written "".',
  INVALID_OPENING_QUOTE: "a quote stands within a cell that does not begin with one. Quote the whole cell.",
  CSV_MAX_RECORD_SIZE: `a row has more than ${LONGEST_ROW} characters. Likely cause: a quote that is not closed.`,
};

function tableError(error: unknown): unknown {
  if (!(error instanceof CsvError)) return error;
  const line = "lines" in error && typeof error.lines === "number" ? error.lines : undefined;
  const [, due, found] = /expect (\d+), got (\d+)/.exec(error.message) ?? [];
  const text =
    messages[error.code] ??
    (found === undefined
      ? `${error.message}.`
      : `the row has ${found} cells, the header ${due}. Is the delimiter right (--delimiter)?`);
  return new TableError(text, line);
}

interface Row {
  readonly record: readonly string[];
  readonly info: Info;
}

/** Opens a CSV text: reads its header, and gives the rows as they come. @throws TableError */
export async function openCsv(chunks: AsyncIterable<string>, options: ReadOptions): Promise<TableStream> {
  const { first, all } = await lookAhead(chunks);
  if (first === "") throw new TableError("the table is empty: a header and rows are due.");
  const delimiter = options.delimiter ?? findDelimiter(first);
  const { onSkip } = options;
  const parser = parse({
    delimiter,
    info: true,
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    max_record_size: LONGEST_ROW,
    ...(onSkip && {
      skip_records_with_error: true,
      on_skip: (error: unknown) => {
        const named = tableError(error);
        if (named instanceof TableError) onSkip(named);
      },
    }),
  });
  // Its errors reach the reader through the parser, which it destroys.
  pipeline(Readable.from(all), parser).catch(() => undefined);
  const rows = records(parser);
  const header = await rows.next().catch((error: unknown) => {
    throw tableError(error);
  });
  if (header.done) throw new TableError("the table is empty: a header and rows are due.");
  const names = readHeader(header.value.record);
  return { names, delimiter, batches: batched(rows) };
}

/** Names of columns; those without one are called by their place. @throws TableError for a name that comes twice */
export function readHeader(cells: readonly string[]): string[] {
  const names = cells.map((cell, j) => cell.trim() || `column ${j + 1}`);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new TableError(`two columns have the name "${name.slice(0, 60)}". Rename one.`, 1);
    seen.add(name);
  }
  return names;
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

async function* batched(source: AsyncGenerator<Row>): AsyncGenerator<Batch, void, undefined> {
  let [rows, lines, characters]: [(readonly string[])[], number[], number] = [[], [], 0];
  try {
    for await (const { record, info } of source) {
      rows.push(record);
      lines.push(info.lines);
      for (const cell of record) characters += cell.length;
      if (rows.length < BATCH_ROWS && characters < BATCH_CHARACTERS) continue;
      yield { rows, lines };
      [rows, lines, characters] = [[], [], 0];
    }
  } catch (error) {
    throw tableError(error);
  }
  if (rows.length > 0) yield { rows, lines };
}
