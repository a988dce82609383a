// CSV as a stream of batches of rows: its delimiter and its header, then records.

import { TableError } from "../errors.ts";
import { parsedRecords } from "./parser.ts";
import { type Batch, cutRecords, LONGEST_ROW } from "./records.ts";

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
    try {
      yield first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { first: first.trimStart(), all: all() };
}

/** Opens a CSV text: reads its header, and gives the rows as they come. @throws TableError */
export async function openCsv(chunks: AsyncIterable<string>, options: ReadOptions): Promise<TableStream> {
  const { first, all } = await lookAhead(chunks);
  if (first === "") throw new TableError("the table is empty: a header and rows are due.");
  const delimiter = options.delimiter ?? findDelimiter(first);
  const batches = readBatches(all, delimiter, options.onSkip);
  const { done, value } = await batches.next();
  if (done) throw new TableError("the table is empty: a header and rows are due.");
  const [[header, ...rows], [, ...lines]] = [value.rows, value.lines];
  const names = readHeader(header);
  async function* body(): AsyncGenerator<Batch, void, undefined> {
    if (rows.length > 0) yield { rows, lines };
    yield* batches;
  }
  return { names, delimiter, batches: body() };
}

/** The records of a text, the header among them: cut where they are well formed, parsed from the first that is not. */
async function* readBatches(
  chunks: AsyncGenerator<string, void, undefined>,
  delimiter: string,
  onSkip: ReadOptions["onSkip"],
): AsyncGenerator<Batch, void, undefined> {
  try {
    const rest = yield* cutRecords(chunks, delimiter);
    if (rest !== undefined) yield* parsedRecords(chunks, rest, delimiter, onSkip);
  } finally {
    await chunks.return();
  }
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
