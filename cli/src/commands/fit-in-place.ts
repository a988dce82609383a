// The table of laplace fit where workers see it: they count its cells, so that what its columns become is a sum over its pieces. This
// process reads the rows, which the folds and the report need.

import { statSync } from "node:fs";
import type { Executor, Table, TableColumns } from "laplace-ts";
import { columnsOfCounts, Tree } from "laplace-ts/executor";
import { TableError, UsageError } from "../errors.ts";
import { type ElsewhereSettings, inBucket } from "../fitting/elsewhere.ts";
import { type Rows, tableOf } from "../model/rows.ts";
import { openCsv, type ReadOptions, type TableStream } from "../table/csv.ts";
import { parquetBytes } from "../table/in-place.ts";
import { parquetTable } from "../table/parquet.ts";
import { type ReadTable, sampledPlaces } from "../table/read.ts";
import { decoded } from "../table/text.ts";
import { addPieces, type CountedPieces, type CountSettings, countsTask } from "./counts-task.ts";
import type { PieceJob } from "./piece-tasks.ts";
import { addressInPlace, jobsOfPlaces, openPlaced, type TablePieces, takePieces } from "./placed-table.ts";

/** Options of where the table is. */
export interface FitInPlace extends ElsewhereSettings {
  readonly inPlace?: true;
  readonly onError: "stop" | "skip";
  /** Different cells of a column up to which it is counted (default 2^24). */
  readonly mostDifferent?: number;
  /** Called where this process decides the columns after all, with the reason. */
  readonly onHere?: (text: string) => void;
}

/** A table that workers count. */
export interface CountedInPlace {
  /** Its rows, whose bytes are held against the digests by which workers read them. */
  readonly stream: TableStream;
  /**
   * The columns of some rows of it, by what workers count.
   * @param table all that was read of it @param of by which seed, and how many at most, where it is a sample; the columns of which nothing
   * is asked
   */
  columnsOf(
    table: ReadTable,
    of: { readonly seed: number; readonly most: number | undefined; readonly leftOut?: readonly string[] },
  ): (rows: Rows) => Promise<Table | TableColumns>;
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
  if (typeof opened !== "string") return countedIn(opened, await rowsOf(opened, reading), on, options);
  if (options.inPlace || bucket !== undefined) {
    throw new UsageError(`the data are not read in place by workers: ${opened}.`);
  }
  return undefined;
}

/** Different cells of a column that one Map has. */
const MOST_DIFFERENT = 2 ** 24;

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

function countedIn(
  { placed, file, pieces }: TablePieces,
  stream: TableStream,
  on: Executor,
  { inPlace, mostDifferent = MOST_DIFFERENT, onHere }: FitInPlace,
): CountedInPlace {
  return {
    stream,
    columnsOf(table, { seed, most, leftOut = [] }) {
      const { names, total, lines } = table;
      const used = names.flatMap((name, j) => (leftOut.includes(name) ? [] : [j]));
      const settings: CountSettings = { used, most: mostDifferent };
      const count = async (jobs: readonly PieceJob[]): Promise<CountedPieces | undefined> => {
        const tree = new Tree((left: CountedPieces, right: CountedPieces) => addPieces(left, right, settings));
        const common = { placed, file, settings };
        await takePieces(on, countsTask, common, jobs, (place, one, level) => tree.take(place, one, level));
        return tree.total();
      };
      /** Why what workers count does not say what columns become. */
      const whyNot = (all: CountedPieces | undefined): string | undefined => {
        const found = all?.cells.length ?? 0;
        if (found !== total) {
          return `workers find ${found} rows in the table, and this process ${total}: are there quotes or ends of lines that others would read otherwise?`;
        }
        // Rows are known by their lines: each ends in one of its own.
        if (lines.some((line, i) => i > 0 && line <= lines[i - 1])) return "several of its rows are in one line.";
        if (all === undefined || all.open.length === 0) return undefined;
        const [open] = all.open.map((j) => names[j]);
        return `the column "${open}" has more than ${mostDifferent.toLocaleString("en")} different cells: --ignore leaves it out.`;
      };
      const places = lines.length === total ? undefined : sampledPlaces(total, most ?? total, seed);
      const counting = once(async () => {
        const all = await count(pieces.map((piece) => ({ piece })));
        const why = whyNot(all);
        if (why === undefined) return all;
        if (inPlace)
          throw new TableError(
            `workers do not decide what the columns become: ${why} Without --in-place this process does.`,
          );
        onHere?.(`this process decides what the columns become, and not workers: ${why}`);
        return undefined;
      });
      return async (rows) => {
        const all = await counting();
        // There may be no row.
        if (all === undefined) return tableOf(rows);
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

/** Does something when it is first asked for, and no more. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
