// The table of laplace fit where workers see it: they count its cells, so that what its columns become is a sum over its pieces. This
// process reads the rows, which the folds and the report need.

import { statSync } from "node:fs";
import type { Executor, TableColumns } from "laplace-ts";
import { columnsOfCounts, Tree } from "laplace-ts/executor";
import { TableError, UsageError } from "../errors.ts";
import { type ElsewhereSettings, inBucket } from "../fitting/elsewhere.ts";
import type { Rows } from "../model/rows.ts";
import { openCsv, type ReadOptions, type TableStream } from "../table/csv.ts";
import { parquetBytes } from "../table/in-place.ts";
import { parquetTable } from "../table/parquet.ts";
import { type ReadTable, sampledPlaces } from "../table/read.ts";
import { decoded } from "../table/text.ts";
import { addPieces, type CountedPieces, countsTask } from "./counts-task.ts";
import type { PieceJob } from "./piece-tasks.ts";
import { addressInPlace, jobsOfPlaces, openPlaced, type TablePieces, takePieces } from "./placed-table.ts";

/** Options of where the table is. */
export interface FitInPlace extends ElsewhereSettings {
  readonly inPlace?: true;
  readonly onError: "stop" | "skip";
}

/** A table that workers count. */
export interface CountedInPlace {
  /** Its rows, whose bytes are held against the digests by which workers read them. */
  readonly stream: TableStream;
  /**
   * The columns of some rows of it, by what workers count.
   * @param table all that was read of it @param sampled by which seed, and how many at most, where it is a sample
   */
  columnsOf(
    table: ReadTable,
    sampled: { readonly seed: number; readonly most: number | undefined },
  ): (rows: Rows) => Promise<TableColumns>;
}

/**
 * Has workers find the pieces of a table where they see it; undefined where they do not, or cannot read it so.
 * @throws UsageError where it is asked for and cannot be; StoreError; TableError
 */
export async function fitInPlace(
  paths: readonly string[],
  options: FitInPlace,
  on: Executor,
  reading: ReadOptions,
): Promise<CountedInPlace | undefined> {
  const [path] = paths;
  const bucket = paths.find(inBucket);
  const address = paths.length === 1 && path !== "-" ? addressInPlace(path, options) : undefined;
  if (address === undefined && bucket === undefined && options.inPlace === undefined) return undefined;
  const folder = address !== undefined && !inBucket(address) && statSync(address).isDirectory();
  const why =
    paths.length > 1 || path === "-" || folder
      ? "one file of CSV or Parquet is"
      : options.onError === "skip"
        ? "--on-error skip leaves rows out of it"
        : undefined;
  const opened = why ?? (await openPlaced(address as string, on, reading));
  if (typeof opened !== "string") return countedIn(opened, await rowsOf(opened, reading), on);
  if (options.inPlace || bucket !== undefined) {
    throw new UsageError(`the data are not read in place by workers: ${opened}.`);
  }
  return undefined;
}

/** Bytes that are read at a time. */
const CHUNK_BYTES = 2 ** 20;

/** The rows of a table. @throws TableError; StoreError */
function rowsOf({ placed: { table, object } }: TablePieces, reading: ReadOptions): Promise<TableStream> {
  const { size } = object.identity;
  if (table.format === "parquet")
    return parquetTable(
      parquetBytes((first, end) => object.read(first, end), size),
      async () => {},
    );
  async function* chunks() {
    for (let at = 0; at < size; at += CHUNK_BYTES) yield object.read(at, Math.min(size, at + CHUNK_BYTES));
  }
  return openCsv(decoded(chunks()), reading);
}

function countedIn({ placed, file, pieces }: TablePieces, stream: TableStream, on: Executor): CountedInPlace {
  const common = { placed, file, settings: null };
  const count = async (jobs: readonly PieceJob[]): Promise<CountedPieces | undefined> => {
    const tree = new Tree(addPieces);
    await takePieces(on, countsTask, common, jobs, (place, one, level) => tree.take(place, one, level));
    return tree.total();
  };
  return {
    stream,
    columnsOf(table, { seed, most }) {
      const { total, lines } = table;
      const places = lines.length === total ? undefined : sampledPlaces(total, most ?? total, seed);
      // Rows are known by their lines: each ends in one of its own.
      const ordered = lines.every((line, i) => i === 0 || line > lines[i - 1]);
      let counting: Promise<CountedPieces | undefined> | undefined;
      return async (rows) => {
        counting ??= count(pieces.map((piece) => ({ piece })));
        const all = await counting;
        if (all?.cells.length !== total || !ordered) {
          throw new TableError(
            `workers find ${all?.cells.length ?? 0} rows in the table, and this process ${total}: are there quotes or ends of lines that others would read otherwise? Give a copy that is not in the store, and no --in-place.`,
          );
        }
        if (rows.lines.length === total) return columnsOfCounts(all.cells);
        let at = 0;
        const own = rows.lines.map((line) => {
          while (lines[at] < line) at++;
          return places?.[at] ?? at;
        });
        const some = await count(jobsOfPlaces(pieces, own, all.rows));
        return columnsOfCounts(some?.cells ?? all.cells);
      };
    },
  };
}
