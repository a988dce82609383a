// CSV as a stream of batches of rows: its delimiter and its header, then records.

import { numberOf } from "laplace-ts";
import { TableError } from "../errors.ts";
import { cellsOf, LONGEST_ROW } from "./odd-rows.ts";
import { parsedRecords } from "./parser.ts";
import { type Batch, cutRecords, firstWidths } from "./records.ts";

/** A table that is read once, batch by batch. */
export interface TableStream {
  readonly names: readonly string[];
  /** What stands between two cells; "," for other formats than CSV. */
  readonly delimiter: string;
  readonly batches: AsyncGenerator<Batch, void, undefined>;
  /** Lines of headers that were repeated among the rows, and left out, as far as the table has been read. */
  readonly repeated: readonly number[];
  /** Columns of which a row has several values: lists, structs and maps. */
  readonly nested?: readonly string[];
}

/** How tables are read. */
export interface ReadOptions {
  readonly encoding?: string | undefined;
  readonly delimiter?: string | undefined;
  /** Lines above the header. */
  readonly skip?: number | undefined;
  /** Lines that begin with it are left out. */
  readonly comment?: string | undefined;
  /** Whether the first line has the names of the columns (default true); otherwise they are x1, x2, …. */
  readonly header?: boolean | undefined;
  /** Called for each row that cannot be read, instead of an error. */
  readonly onSkip?: ((error: TableError) => void) | undefined;
}

/** How much is looked at to find the delimiter. */
const LOOK_AHEAD = 2 ** 16;
/** Records that are looked at to tell a header from what stands above it. */
const LOOK_RECORDS = 20;
const DELIMITERS = [",", ";", "\t", "|"] as const;
/** The line in which Excel says what stands between cells. */
const SEPARATOR_LINE = /^\ufeff?"?sep=(.)"?\r?\n/i;

/** How often each delimiter stands in each of the first lines, outside quotes. */
function delimiterCounts(text: string): number[][] {
  const lines: number[][] = [];
  let counts = DELIMITERS.map(() => 0);
  let [quoted, empty] = [false, true];
  const end = () => {
    if (!empty) lines.push(counts);
    [counts, empty] = [DELIMITERS.map(() => 0), true];
  };
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "\n" || character === "\r")) {
      end();
      if (lines.length === LOOK_RECORDS) return lines;
      continue;
    } else if (!quoted) {
      const which = DELIMITERS.indexOf(character as (typeof DELIMITERS)[number]);
      if (which >= 0) counts[which]++;
    }
    empty = false;
  }
  // The last line may go on behind the text.
  if (lines.length === 0) end();
  return lines;
}

/** The delimiter that most of the first lines have the same number of; of two, the one that the first line has most of. */
export function findDelimiter(text: string): string {
  const lines = delimiterCounts(text);
  const scores = DELIMITERS.map((_, which) => {
    const found = new Map<number, number>();
    for (const counts of lines) if (counts[which] > 0) found.set(counts[which], (found.get(counts[which]) ?? 0) + 1);
    return Math.max(0, ...found.values());
  });
  const better = (one: number, best: number) =>
    scores[one] > scores[best] || (scores[one] === scores[best] && (lines[0]?.[one] ?? 0) > (lines[0]?.[best] ?? 0));
  const best = DELIMITERS.reduce((most, _, which) => (better(which, most) ? which : most), 0);
  return DELIMITERS[best];
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
  const separator = SEPARATOR_LINE.exec(first);
  async function* all() {
    try {
      yield separator === null ? first : first.slice(separator[0].length);
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  const text = separator === null ? first : first.slice(separator[0].length);
  return { first: text.trimStart(), text, separator: separator?.[1], all: all() };
}

/** A text without its first lines. */
async function* withoutLines(chunks: AsyncIterable<string>, count: number): AsyncGenerator<string> {
  let left = count;
  /** Whether the last character was a carriage return: a line feed behind it ends the same line. */
  let returned = false;
  for await (const chunk of chunks) {
    let at = 0;
    for (; at < chunk.length && (left > 0 || returned); at++) {
      const character = chunk[at];
      if (returned && character !== "\n" && left === 0) break;
      if (character === "\r" || (character === "\n" && !returned)) left--;
      returned = character === "\r";
    }
    if (at < chunk.length) yield chunk.slice(at);
  }
}

const EMPTY = "the table is empty: expected a header and rows.";

/** Opens a CSV text: reads its header, and gives the rows as they come. @throws TableError */
export async function openCsv(chunks: AsyncIterable<string>, options: ReadOptions): Promise<TableStream> {
  const { skip = 0, comment, header: headed = true } = options;
  const { first, text, separator, all } = await lookAhead(skip > 0 ? withoutLines(chunks, skip) : chunks);
  if (first === "") throw new TableError(EMPTY);
  const delimiter = options.delimiter ?? separator ?? findDelimiter(withoutComments(first, comment));
  const line = 1 + skip + (separator === undefined ? 0 : 1);
  const batches = readBatches(all, delimiter, line, options);
  if (headed && comment === undefined) checkPreamble(text, delimiter, line);
  const { done, value } = await batches.next();
  if (done) throw new TableError(EMPTY);
  const header = headed ? value.rows[0] : undefined;
  const names = header === undefined ? value.rows[0].map((_, j) => `x${j + 1}`) : readHeader(header, value.lines[0]);
  const from = headed ? 1 : 0;
  const repeated: number[] = [];
  async function* body(): AsyncGenerator<Batch, void, undefined> {
    const [rows, lines] = [value?.rows.slice(from) ?? [], value?.lines.slice(from) ?? []];
    if (rows.length > 0) yield withoutHeaders({ rows, lines }, header, repeated);
    for await (const batch of batches) yield withoutHeaders(batch, header, repeated);
  }
  return { names, delimiter, batches: body(), repeated };
}

function withoutComments(text: string, comment: string | undefined): string {
  if (comment === undefined) return text;
  const lines = text.split(/(?<=\n)/);
  return lines.filter((line) => !line.startsWith(comment)).join("");
}

/** The rows that are not the header again, as in files that were put behind each other. */
function withoutHeaders(batch: Batch, header: readonly string[] | undefined, repeated: number[]): Batch {
  if (header === undefined || header.length < 2) return batch;
  const same = (row: readonly string[]) =>
    (row[0] === header[0] || row[0] === `\ufeff${header[0]}`) && row.every((cell, j) => j === 0 || cell === header[j]);
  if (!batch.rows.some(same)) return batch;
  const kept = batch.rows.flatMap((row, i) => (same(row) ? [] : [i]));
  batch.rows.forEach((row, i) => {
    if (same(row)) repeated.push(batch.lines[i]);
  });
  return { rows: kept.map((i) => batch.rows[i]), lines: kept.map((i) => batch.lines[i]) };
}

/** Names a first line that is not as wide as all others. @throws TableError */
function checkPreamble(text: string, delimiter: string, line: number): void {
  const [head, ...others] = firstWidths(text, delimiter, LOOK_RECORDS);
  if (others.length < 2 || others.some(({ width }) => width === head.width)) return;
  const width = others[others.length - 1].width;
  const header = others.findIndex(
    (one, i) => one.width === width && others.slice(i).every((next) => next.width === width),
  );
  if (header < 0 || others.length - header < 2 || width < 2) return;
  const last = header === 0 ? head : others[header - 1];
  const skip = line - 1 + last.line;
  const lines = text.split(/\r?\n/);
  const mark = /^(#+|%+|\/\/|!+|\*+|--|;+)/.exec(lines[head.line - 1])?.[0];
  const option = mark === undefined ? "" : `, and --comment "${mark[0]}" all lines that begin with it`;
  const above = header === 0 ? "Is it a title or a comment" : "Are there titles or comments";
  let advice = head.width === width - 1 && header === 0 ? "If the first column has no name, give it one. " : "";
  if (head.width === width + 1 && lines[head.line - 1].endsWith(delimiter)) {
    advice = "If it is the header, take off the delimiter at its end. ";
  }
  throw new TableError(
    `the line has ${cellsOf(head.width)}, the lines below ${width}. ${advice}${above} above the header? --skip ${skip} leaves it out${option}.`,
    line - 1 + head.line,
  );
}

/** The records of a text, the header among them: cut where they are well formed, parsed from the first that is not. */
async function* readBatches(
  chunks: AsyncGenerator<string, void, undefined>,
  delimiter: string,
  first: number,
  { onSkip, comment }: ReadOptions,
): AsyncGenerator<Batch, void, undefined> {
  try {
    const rest = yield* cutRecords(chunks, delimiter, { first, comment, onSkip });
    if (rest !== undefined) yield* parsedRecords(chunks, rest, delimiter, onSkip, comment);
  } finally {
    await chunks.return();
  }
}

/** Names of columns; those without one are called by their place. @throws TableError for a name that comes twice */
export function readHeader(cells: readonly string[], line = 1): string[] {
  const names = cells.map((cell, j) => cell.trim() || `column ${j + 1}`);
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      const advice = headerAdvice(names) || " Rename one.";
      throw new TableError(`two columns have the name "${name.slice(0, 60)}".${advice}`, line);
    }
    seen.add(name);
  }
  return names;
}

/** What to do where names look like data; "" where they look like names. */
export function headerAdvice(names: readonly string[]): string {
  if (!names.some((name) => numberOf(name) !== undefined)) return "";
  return " The first line looks like data: if it is not a header, --no-header names the columns x1, x2, ….";
}
