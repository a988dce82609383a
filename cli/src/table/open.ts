// Opens a table by its path: CSV, plain or packed by gzip, or Parquet, by the file's first bytes; "-" is standard input; several files,
// or those of a folder, are one table.

import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { TableError } from "../errors.ts";
import { textBytes } from "./bytes.ts";
import { openCsv, type ReadOptions, type TableStream } from "./csv.ts";
import { oneAfterTheOther } from "./several.ts";
import { decoded } from "./text.ts";

const CHUNK_BYTES = 2 ** 16;
/** The files of a folder that are of its table. */
const OF_TABLES = /\.(csv|tsv|txt|parquet|pq)(\.gz)?$/i;

async function isParquet(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "PAR1";
  } finally {
    await handle.close();
  }
}

/**
 * Opens a table; files are closed when its batches end. Of several files, or those of a folder, which are taken by their names, the first
 * says which columns there are.
 * @throws TableError; errors of the operating system
 */
export async function openTable(paths: string | readonly string[], options: ReadOptions = {}): Promise<TableStream> {
  const files: string[] = [];
  for (const path of [paths].flat()) files.push(...(await filesOf(path)));
  const [first] = files;
  if (files.length === 1) return openFile(first, options);
  const { onSkip } = options;
  const skipIn = (file: string) => (error: TableError) => onSkip?.(new TableError(`${file}: ${error.message}`));
  return oneAfterTheOther(files, (file) => openFile(file, { ...options, onSkip: onSkip && skipIn(file) }));
}

/** A file itself; of a folder its files of tables, those of folders in it too, but for hidden ones. @throws TableError where there are none */
async function filesOf(path: string): Promise<string[]> {
  if (path === "-" || !(await stat(path)).isDirectory()) return [path];
  const found = await within(path);
  if (found.length === 0) {
    throw new TableError(`the folder ${path} has no file of a table (.csv, .tsv, .txt, .parquet; .gz beside CSV).`);
  }
  return found;
}

async function within(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  // As programs that write such folders have it, what begins with "_" or "." is not a part of the table.
  const shown = entries.filter(({ name }) => !/^[_.]/.test(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const found: string[] = [];
  for (const { name } of shown) {
    const path = join(folder, name);
    const { isFile, isFolder } = await stat(path).then((one) => ({
      isFile: one.isFile(),
      isFolder: one.isDirectory(),
    }));
    if (isFolder) found.push(...(await within(path)));
    else if (isFile && OF_TABLES.test(name)) found.push(path);
  }
  return found;
}

async function openFile(path: string, options: ReadOptions): Promise<TableStream> {
  if (path === "-") return openCsv(decoded(textBytes(process.stdin), options.encoding), options);
  // Pipes and other special files give their bytes once, so they are not opened to look.
  const found = await stat(path);
  if (found.isFile() && (await isParquet(path))) {
    // What reads it takes as long to load as all the rest: few tables are Parquet.
    const { openParquet } = await import("./parquet.ts");
    return openParquet(path);
  }
  const bytes = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return openCsv(decoded(textBytes(bytes), options.encoding), options);
}
