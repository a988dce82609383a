// Records of a text, cut where RFC 4180 says: the fast way for the tables that are as they should be. The first record that
// is not (a quote out of place, a row of another length, a lone carriage return) ends it: csv-parse judges from there on.

import { TableError } from "../errors.ts";
import { LONGEST_ROW, oddRows, widthText } from "./odd-rows.ts";

/** Rows in the order of the file, each with the line that it ends on. */
export interface Batch {
  readonly rows: readonly (readonly string[])[];
  readonly lines: readonly number[];
}

/** A batch ends at so many rows, or so many characters. */
const [BATCH_ROWS, BATCH_CHARACTERS] = [256, 2 ** 18];

const [LINE_FEED, CARRIAGE_RETURN, QUOTE] = [10, 13, 34];
/** Instead of the end of a record: the text ends before it does; a lone carriage return; quotes that RFC 4180 does not know. */
const [PARTIAL, ODD, AFTER, WITHIN, UNCLOSED] = [-1, -2, -3, -4, -5];
const quoteErrors: Readonly<Record<number, string | undefined>> = {
  [AFTER]: oddRows.after,
  [WITHIN]: oddRows.within,
  [UNCLOSED]: oddRows.unclosed,
};

/** Collects rows until there are enough for a batch. */
export class Batcher {
  #rows: (readonly string[])[] = [];
  #lines: number[] = [];
  #characters = 0;

  add(row: readonly string[], line: number, characters: number): void {
    this.#rows.push(row);
    this.#lines.push(line);
    this.#characters += characters;
  }

  get full(): boolean {
    return this.#rows.length >= BATCH_ROWS || this.#characters >= BATCH_CHARACTERS;
  }

  /** What was collected; nothing is then. */
  take(): Batch {
    const batch = { rows: this.#rows, lines: this.#lines };
    [this.#rows, this.#lines, this.#characters] = [[], [], 0];
    return batch;
  }
}

/** What was not read: the text from the first odd record on, the line that begins it, and the cells that a row should have. */
export interface Rest {
  readonly text: string;
  readonly line: number;
  readonly width: number | undefined;
}

/** How records are cut. */
export interface CutOptions {
  /** The number of the first line. */
  readonly first?: number;
  readonly comment?: string | undefined;
  /** Takes rows that are not records, so that these do not end it: of quotes out of place one line is left out. */
  readonly onSkip?: ((error: TableError) => void) | undefined;
}

/** Reads batches of records, all as wide as the first; gives the rest where an odd one comes. Empty lines are not records. */
export async function* cutRecords(
  chunks: AsyncIterator<string>,
  delimiter: string,
  { first = 1, comment, onSkip }: CutOptions = {},
): AsyncGenerator<Batch, Rest | undefined, undefined> {
  const batcher = new Batcher();
  let [text, line]: [string, number] = ["", first];
  let width: number | undefined;
  for (let ended = false; !ended; ) {
    const { done, value } = await chunks.next();
    ended = done === true;
    if (!ended) text += value;
    let at = 0;
    while (at < text.length) {
      if (comment !== undefined && text.startsWith(comment, at)) {
        const end = lineEnd(text, at);
        if (end < 0 && !ended) break;
        line += end >= 0 && text.charCodeAt(end - 1) === LINE_FEED ? 1 : 0;
        at = end < 0 ? text.length : end;
        continue;
      }
      const cells: string[] = [];
      let end = readRecord(text, at, ended, delimiter, cells);
      if (end === PARTIAL && text.length - at <= LONGEST_ROW) break;
      if (onSkip !== undefined && width !== undefined && end !== ODD) {
        const long = end === PARTIAL || end - at > LONGEST_ROW;
        const quotes = long ? oddRows.long : quoteErrors[end];
        if (quotes !== undefined) {
          onSkip(new TableError(quotes, line));
          end = lineEnd(text, at);
          line++;
          at = end < 0 ? text.length : end;
          continue;
        }
        if (cells.length !== width && !(cells.length === 1 && /^\r?\n?$/.test(text.slice(at, end)))) {
          line += lineFeeds(text, at, end);
          onSkip(
            new TableError(widthText(cells.length, width), text.charCodeAt(end - 1) === LINE_FEED ? line - 1 : line),
          );
          at = end;
          continue;
        }
      }
      const empty = cells.length === 1 && end - at <= 2 && /^\r?\n?$/.test(text.slice(at, end));
      width ??= empty || end < 0 ? undefined : cells.length;
      if (end < 0 || end - at > LONGEST_ROW || (!empty && cells.length !== width)) {
        const batch = batcher.take();
        if (batch.rows.length > 0) yield batch;
        return { text: text.slice(at), line, width };
      }
      const ends = text.charCodeAt(end - 1) === LINE_FEED ? 1 : 0;
      const own = lineFeeds(text, at, end) - ends;
      if (!empty) batcher.add(cells, line + own, end - at);
      line += own + ends;
      at = end;
      if (batcher.full) yield batcher.take();
    }
    text = text.slice(at);
  }
  const batch = batcher.take();
  if (batch.rows.length > 0) yield batch;
  return undefined;
}

/** Where the line at a place has ended; below 0 where it does not end. */
function lineEnd(text: string, at: number): number {
  const found = /\r\n|\n|\r(?=[\s\S])/g;
  found.lastIndex = at;
  return found.test(text) ? found.lastIndex : -1;
}

/** The widths of the first records of a text, as far as they are well formed, and the line that each begins on. */
export function firstWidths(text: string, delimiter: string, most: number): { width: number; line: number }[] {
  const widths: { width: number; line: number }[] = [];
  for (let [at, line] = [0, 1]; at < text.length && widths.length < most; ) {
    const cells: string[] = [];
    const end = readRecord(text, at, false, delimiter, cells);
    if (end < 0) break;
    const empty = cells.length === 1 && cells[0].trim() === "";
    if (!empty) widths.push({ width: cells.length, line });
    line += lineFeeds(text, at, end);
    at = end;
  }
  return widths;
}

/** Reads the cells of the record at `start`. Gives where the next one begins, or what is below 0. */
function readRecord(text: string, start: number, ended: boolean, delimiter: string, cells: string[]): number {
  const feed = text.indexOf("\n", start);
  if (feed < 0 && !ended) return PARTIAL;
  const line = text.slice(start, feed < 0 ? text.length : feed);
  if (!line.includes('"')) {
    const returned = line.indexOf("\r");
    if (returned >= 0 && (returned < line.length - 1 || feed < 0)) return ODD;
    for (const cell of (returned < 0 ? line : line.slice(0, -1)).split(delimiter)) cells.push(cell);
    return feed < 0 ? text.length : feed + 1;
  }
  const between = delimiter.charCodeAt(0);
  for (let at = start; ; at++) {
    if (text.charCodeAt(at) === QUOTE) {
      const close = closingQuote(text, at);
      // What follows a quote at the end of the text says whether it is a closing one.
      if (close < 0 || (close + 1 === text.length && !ended)) return ended ? UNCLOSED : PARTIAL;
      const cell = text.slice(at + 1, close);
      cells.push(cell.includes('"') ? cell.replaceAll('""', '"') : cell);
      at = close + 1;
    } else {
      const end = endOfCell(text, at, between);
      cells.push(text.slice(at, end));
      at = end;
    }
    if (at >= text.length) return ended ? at : PARTIAL;
    const code = text.charCodeAt(at);
    if (code === between) continue;
    if (code === LINE_FEED) return at + 1;
    if (code === QUOTE) return WITHIN;
    if (code !== CARRIAGE_RETURN) return AFTER;
    if (at + 1 === text.length && !ended) return PARTIAL;
    return text.charCodeAt(at + 1) === LINE_FEED ? at + 2 : ODD;
  }
}

/** The quote that closes the one at a place; two of them stand for one in the cell. Below 0 where none does. */
function closingQuote(text: string, open: number): number {
  let at = text.indexOf('"', open + 1);
  while (at >= 0 && text.charCodeAt(at + 1) === QUOTE) at = text.indexOf('"', at + 2);
  return at;
}

/** Where a cell without quotes ends: at a delimiter, the line's end, or a quote that should not be there. */
function endOfCell(text: string, start: number, delimiter: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === delimiter || code === LINE_FEED || code === CARRIAGE_RETURN || code === QUOTE) break;
  }
  return at;
}

function lineFeeds(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", start); at >= 0 && at < end; at = text.indexOf("\n", at + 1)) count++;
  return count;
}
