// A table in pieces that lie where they are, each of which somebody reads by itself: byte ranges of CSV that end where records do,
// and ranges of rows of a Parquet file.

import { openCsv, type ReadOptions, type TableStream } from "./csv.ts";
import { isGzip, refuseForeign } from "./magic.ts";
import { parquetGroups, parquetTable } from "./parquet.ts";
import { decoded } from "./text.ts";

/** Reads bytes from one to before another. */
export type ReadBytes = (first: number, end: number) => Promise<Uint8Array>;

/** What is known of a table before its rows are read: of CSV also what stands before the first row. */
export interface TableInPlace {
  readonly format: "csv" | "parquet";
  readonly names: readonly string[];
  readonly nested: readonly string[];
  readonly delimiter: string;
  /** Text up to the end of the header, which stands before the text of each piece; where there is none, one is made. */
  readonly header: string;
  /** Bytes up to there. */
  readonly body: number;
  /** Of Parquet, the rows of each piece, one after the other. */
  readonly groups: readonly number[];
}

/** Bytes that are looked at for the header, and those of a chunk, as files are read. */
const [LOOK, CHUNK_BYTES] = [2 ** 20, 2 ** 16];
/** Rows of a piece of a Parquet file, at most. */
const MOST_ROWS = 2 ** 16;
const [LINE_FEED, QUOTE] = [10, 34];

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** Bytes of a file as the reader of Parquet has them. */
export const parquetBytes = (read: ReadBytes, size: number) => ({
  byteLength: size,
  slice: async (first: number, end = size) => {
    const bytes = await read(first, end);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  },
});

/**
 * What a table in place is; a text that says why it cannot be read so.
 * @throws TableError for a table that cannot be read at all
 */
export async function openInPlace(read: ReadBytes, size: number, options: ReadOptions): Promise<TableInPlace | string> {
  const head = await read(0, Math.min(size, LOOK));
  if (new TextDecoder("latin1").decode(head.subarray(0, 4)) === "PAR1") {
    const file = parquetBytes(read, size);
    const { names, nested = [], delimiter, batches } = await parquetTable(file, async () => {}, [0, 0]);
    await batches.return();
    const groups = (await parquetGroups(file)).flatMap((rows) =>
      Array.from({ length: Math.ceil(rows / MOST_ROWS) }, (_, i) => Math.min(MOST_ROWS, rows - i * MOST_ROWS)),
    );
    return { format: "parquet", names, nested, delimiter, header: "", body: 0, groups };
  }
  const { encoding, skip = 0, comment, header: headed = true } = options;
  if (isGzip(head)) return "it is compressed by gzip, which begins at its beginning only";
  if (encoding !== undefined && !/^utf-?8$/i.test(encoding)) return `its encoding is ${encoding}, not UTF-8`;
  if (head[0] === 0xff || head[0] === 0xfe) return "its encoding is UTF-16, not UTF-8";
  if (skip > 0 || comment !== undefined) return "--skip and --comment leave lines out of it";
  refuseForeign(head, false);
  const text = new TextDecoder().decode(head.subarray(0, 16));
  if (/^\ufeff?"?sep=/i.test(text)) return 'it begins with a line "sep="';
  const { names, delimiter, batches } = await openCsv(decoded(chunksOf(head)), options);
  await batches.return();
  if (!headed) {
    return { format: "csv", names, nested: [], delimiter, header: `${names.join(delimiter)}\n`, body: 0, groups: [] };
  }
  // The header is the first record that has anything in it.
  let body = 0;
  for (let at = 0; ; ) {
    const { outside } = marksOf(head.subarray(at));
    if (outside < 0) {
      if (size > head.length) return `its header is longer than ${LOOK} bytes`;
      body = size;
      break;
    }
    const record = new TextDecoder().decode(head.subarray(at, at + outside)).replace(/^\ufeff/, "");
    at += outside;
    body = at;
    if (record.trim() !== "") break;
  }
  const header = new TextDecoder().decode(head.subarray(0, body));
  return {
    format: "csv",
    names,
    nested: [],
    delimiter,
    header: header.endsWith("\n") ? header : `${header}\n`,
    body,
    groups: [],
  };
}

/** Where records begin in a range of bytes. */
export interface Marks {
  /** Whether there is an odd number of quotes in it: then it ends within quotes, if it began outside, or the other way round. */
  readonly odd: boolean;
  /** Behind the first line feed that ends a record, if the range begins outside of quotes, and if it begins within; −1 for none. */
  readonly outside: number;
  readonly inside: number;
}

/** The marks of a range of bytes, whatever stands before it: in UTF-8 the bytes of quotes and line feeds are nothing else. */
export function marksOf(bytes: Uint8Array): Marks {
  let [odd, outside, inside] = [false, -1, -1];
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) odd = !odd;
    else if (bytes[at] === LINE_FEED) {
      if (odd) {
        if (inside < 0) inside = at + 1;
      } else if (outside < 0) outside = at + 1;
    }
  }
  return { odd, outside, inside };
}

/** A piece of a table: bytes of CSV, rows of Parquet, from one to before another. */
export type Piece = readonly [first: number, end: number];

/**
 * The pieces of CSV: each begins where a record does.
 * @param marks of ranges of so many bytes each, one after the other from the body on
 */
export function piecesOfCsv({ body }: TableInPlace, size: number, length: number, marks: readonly Marks[]): Piece[] {
  const begins = [body];
  let quoted = false;
  marks.forEach(({ odd, outside, inside }, i) => {
    const at = quoted ? inside : outside;
    // The first range begins with a record.
    if (i > 0 && at >= 0) begins.push(body + i * length + at);
    if (odd) quoted = !quoted;
  });
  const ends = [...begins.slice(1), size];
  return begins.flatMap((first, i) => (first < ends[i] ? [[first, ends[i]] as const] : []));
}

/** The pieces of a Parquet file. */
export function piecesOfParquet({ groups }: TableInPlace): Piece[] {
  let at = 0;
  return groups.flatMap((rows) => {
    at += rows;
    return rows > 0 ? [[at - rows, at] as const] : [];
  });
}

/** The rows of a piece; of CSV their lines are counted from its first. @throws TableError */
export async function openPiece(
  table: TableInPlace,
  read: ReadBytes,
  size: number,
  [first, end]: Piece,
): Promise<Pick<TableStream, "batches">> {
  if (table.format === "parquet") return parquetTable(parquetBytes(read, size), async () => {}, [first, end]);
  const bytes = await read(first, end);
  const head = new TextEncoder().encode(table.header);
  const above = lineFeeds(head);
  async function* chunks() {
    yield head;
    yield* chunksOf(bytes);
  }
  const { batches } = await openCsv(decoded(chunks()), { delimiter: table.delimiter });
  async function* counted() {
    for await (const { rows, lines } of batches) yield { rows, lines: lines.map((line) => line - above) };
  }
  return { batches: counted() };
}

/** How many lines end in bytes. */
export function lineFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if (byte === LINE_FEED) count++;
  return count;
}
