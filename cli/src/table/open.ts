// Opens a table by its path: CSV or Parquet, by the file's first bytes; "-" is standard input.

import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { TableError } from "../errors.ts";
import { openCsv, type ReadOptions, type TableStream } from "./csv.ts";
import { openParquet } from "./parquet.ts";
import { decoded } from "./text.ts";

const CHUNK_BYTES = 2 ** 16;

async function isParquet(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "PAR1";
  } finally {
    await handle.close();
  }
}

async function* parquetRefused(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const chunk of chunks) {
    if (first && Buffer.from(chunk.subarray(0, 4)).toString("latin1") === "PAR1") {
      throw new TableError("Parquet begins at its end, so it is no stream: give the file's name instead of -.");
    }
    first = false;
    yield chunk;
  }
}

/** Opens a table; the file is closed when its batches end. @throws TableError; errors of the operating system */
export async function openTable(path: string, options: ReadOptions = {}): Promise<TableStream> {
  if (path === "-") return openCsv(decoded(parquetRefused(process.stdin), options.encoding), options);
  // Pipes and other special files give their bytes once, so they are not opened to look.
  const found = await stat(path);
  if (found.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR", syscall: "open", path });
  if (found.isFile() && (await isParquet(path))) return openParquet(path);
  return openCsv(decoded(createReadStream(path, { highWaterMark: CHUNK_BYTES }), options.encoding), options);
}
