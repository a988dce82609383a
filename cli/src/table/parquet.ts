// Parquet as a stream of batches of rows, by hyparquet. Values become the texts that a CSV file would have.

import { open } from "node:fs/promises";
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { TableError } from "../errors.ts";
import { readHeader, type TableStream } from "./csv.ts";
import { bytesText, cellText, nanosText, parquetColumn } from "./parquet-cells.ts";
import type { Batch } from "./records.ts";

/** Rows of a batch. */
const ROWS = 4096;
/** Rows, and cells, that are decoded at a time: each time the pages of a group of rows are gone through from its beginning. */
const [MOST_ROWS, MOST_CELLS] = [2 ** 16, 2 ** 21];

/** Opens a Parquet file. @throws TableError for a file that cannot be read */
export async function openParquet(path: string): Promise<TableStream> {
  const handle = await open(path);
  const { size } = await handle.stat();
  const file: AsyncBuffer = {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(end - start);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
      if (bytesRead < bytes.length) throw new Error("the file ends before its tables say");
      return bytes.buffer;
    },
  };
  return parquetTable(file, () => handle.close());
}

/** Rows of each group of a Parquet file, in order. @throws TableError */
export async function parquetGroups(file: AsyncBuffer): Promise<number[]> {
  const { row_groups } = await named(() => parquetMetadataAsync(file));
  return row_groups.map(({ num_rows }) => Number(num_rows));
}

/**
 * The table of a Parquet file.
 * @param close is called when its rows have ended
 * @param rows those from one to before another (default: all)
 * @throws TableError for a file that cannot be read
 */
export async function parquetTable(
  file: AsyncBuffer,
  close: () => Promise<void>,
  rows?: readonly [first: number, end: number],
): Promise<TableStream> {
  try {
    const found = await named(() => parquetMetadataAsync(file));
    const fields = parquetSchema(found).children;
    const columns = fields.map(({ element, children }) => {
      const nested = children.length > 0 || element.repetition_type === "REPEATED";
      return { name: element.name, nested, ...(nested ? { element, cellOf: cellText } : parquetColumn(element)) };
    });
    const elements = new Map(fields.map(({ element }, j) => [element, columns[j].element]));
    const metadata = { ...found, schema: found.schema.map((element) => elements.get(element) ?? element) };
    const names = readHeader(columns.map(({ name }) => name));
    const [from, total] = rows ?? [0, Number(metadata.num_rows)];
    async function* batches(): AsyncGenerator<Batch, void, undefined> {
      try {
        const most = Math.max(ROWS, Math.min(MOST_ROWS, Math.floor(MOST_CELLS / Math.max(1, columns.length))));
        for (let start = from; start < total; start += most) {
          const rowEnd = Math.min(start + most, total);
          const options = { file, metadata, compressors, parsers, rowStart: start, rowEnd, useOffsetIndex: true };
          const objects = await named(() => parquetReadObjects({ ...options, utf8: false }));
          for (let first = 0; first < objects.length; first += ROWS) {
            const rows = objects
              .slice(first, first + ROWS)
              .map((row) => columns.map(({ name, cellOf }) => cellOf(Object.hasOwn(row, name) ? row[name] : null)));
            // The header of a CSV file is line 1.
            yield { rows, lines: rows.map((_, i) => start + first + i + 2) };
          }
        }
      } finally {
        await close();
      }
    }
    const nested = names.filter((_, j) => columns[j].nested);
    return { names, delimiter: ",", batches: batches(), repeated: [], nested };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Texts, not what JavaScript makes of them. */
const parsers = {
  timestampFromNanoseconds: nanosText,
  jsonFromBytes: (bytes: Uint8Array) => bytes && bytesText(bytes),
} as object;

/** Errors of the reader are errors of the file. */
async function named<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new TableError(`the Parquet file cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
