// Opens a table by its path: CSV, plain or packed by gzip, or Parquet, by the file's first bytes; "-" is standard input.

import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { textBytes } from "./bytes.ts";
import { openCsv, type ReadOptions, type TableStream } from "./csv.ts";
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

/** Opens a table; the file is closed when its batches end. @throws TableError; errors of the operating system */
export async function openTable(path: string, options: ReadOptions = {}): Promise<TableStream> {
  if (path === "-") return openCsv(decoded(textBytes(process.stdin), options.encoding), options);
  // Pipes and other special files give their bytes once, so they are not opened to look.
  const found = await stat(path);
  if (found.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR", syscall: "open", path });
  if (found.isFile() && (await isParquet(path))) {
    // What reads it takes as long to load as all the rest: few tables are Parquet.
    const { openParquet } = await import("./parquet.ts");
    return openParquet(path);
  }
  const bytes = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return openCsv(decoded(textBytes(bytes), options.encoding), options);
}
