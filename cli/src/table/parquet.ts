// Parquet as a stream of batches of rows, by hyparquet. Values become the texts that a CSV file would have.

import { open } from "node:fs/promises";
import { type AsyncBuffer, parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { TableError } from "../errors.ts";
import { readHeader, type TableStream } from "./csv.ts";
import type { Batch } from "./records.ts";

/** Rows decoded at a time. */
const ROWS = 4096;

/** A value as a CSV file would have it; a missing one is empty. */
export function cellOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) {
    const text = value.toISOString();
    return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text;
  }
  if (typeof value !== "object") return String(value);
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "";
}

/** Digits that tell floats of 32 bits apart. */
const FLOAT_DIGITS = [6, 7, 8, 9] as const;

/** A number of 32 bits as the shortest text that says it, as programs write it in a CSV file: 0.1, not 0.10000000149. */
export function shortest(value: unknown): unknown {
  if (typeof value !== "number" || !Number.isFinite(value)) return value;
  for (const digits of FLOAT_DIGITS) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

/** Opens a Parquet file. @throws TableError for a file that cannot be read */
export async function openParquet(path: string): Promise<TableStream> {
  const handle = await open(path);
  try {
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
    const metadata = await named(() => parquetMetadataAsync(file));
    const columns = parquetSchema(metadata).children.map(({ element }) => element);
    const top = columns.map(({ name }) => name);
    const floats = columns.map(({ type }) => type === "FLOAT");
    const names = readHeader(top);
    const total = Number(metadata.num_rows);
    async function* batches(): AsyncGenerator<Batch, void, undefined> {
      try {
        for (let start = 0; start < total; start += ROWS) {
          const rowEnd = Math.min(start + ROWS, total);
          const options = { file, metadata, compressors, rowStart: start, rowEnd, useOffsetIndex: true };
          const objects = await named(() => parquetReadObjects(options));
          const rows = objects.map((row) =>
            top.map((name, j) => {
              const value = Object.hasOwn(row, name) ? row[name] : null;
              return cellOf(floats[j] ? shortest(value) : value);
            }),
          );
          // The header of a CSV file is line 1.
          yield { rows, lines: rows.map((_, i) => start + i + 2) };
        }
      } finally {
        await handle.close();
      }
    }
    return { names, delimiter: ",", batches: batches(), repeated: [] };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Errors of the reader are errors of the file. */
async function named<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new TableError(`the Parquet file cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
