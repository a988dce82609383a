// The examples of laplace posterior that workers read where they lie: this process knows which columns there are, what their cells
// say, and all targets, and no inputs but those of the rows that judge.

import { isAbsolute, relative, resolve } from "node:path";
import {
  type Executor,
  NDArray,
  type Network,
  type NumberFormat,
  type TableFormatOptions,
  writeSafetensors,
} from "laplace-ts";
import { addNumberEvidence, type FarData, formatByEvidence, type Shards } from "laplace-ts/executor";
import type { ObjectIdentity, StoredTask } from "laplace-ts-cluster";
import { TableError, UsageError } from "../errors.ts";
import { clusterPackage, type ElsewhereSettings } from "../fitting/elsewhere.ts";
import type { Reading } from "../fitting/trained.ts";
import type { Examples } from "../model/examples.ts";
import { columnAt } from "../model/rows.ts";
import type { ReadOptions } from "../table/csv.ts";
import { tableExamples } from "../table/examples.ts";
import { openInPlace, type Piece, piecesOfCsv, piecesOfParquet, type TableInPlace } from "../table/in-place.ts";
import {
  type ColumnsOf,
  type ExamplesAs,
  evidenceOf,
  marksTask,
  type PieceFound,
  type PiecesOf,
  placedFile,
  READER,
  RowsInPlace,
  rowsTask,
} from "./in-place-tasks.ts";

/** Bytes of a piece of CSV. */
const PIECE_BYTES = 2 ** 20;

/**
 * Where workers see the data: those of a bucket, of the folder that is the store, or where an option says that they see the same
 * path; undefined where they do not.
 */
export function addressInPlace(path: string, { store, inPlace }: ElsewhereSettings & { readonly inPlace?: true }) {
  if (/^s3:\/\//i.test(path)) return path;
  const absolute = resolve(path);
  if (inPlace) return absolute;
  if (store === undefined || /^[a-z][a-z0-9+.-]+:/i.test(store)) return undefined;
  const within = relative(resolve(store), absolute);
  return within !== "" && !within.startsWith("..") && !isAbsolute(within) ? absolute : undefined;
}

/** A table in place whose cells were looked at. */
export interface LookedAt {
  readonly targets: readonly string[];
  readonly lines: readonly number[];
  readonly inputs: readonly string[];
  readonly written: ReadonlyMap<string, NumberFormat>;
  /** Some rows, read here. @throws StoreError, TableError */
  examplesAt(places: readonly number[]): Promise<Examples>;
  /** Some rows as data that whoever sums them reads. */
  farAt(places: readonly number[], reading: Reading, net: Network): Promise<FarData>;
}

/** How a table is looked at. */
export interface LookOptions {
  readonly store: string;
  readonly on: Executor;
  readonly reading: ReadOptions;
  readonly target: string;
  /** Most rows. */
  readonly most: number | undefined;
  /** Bytes of a piece. */
  readonly bytes?: number;
  /** Inputs among the columns. @throws UsageError */
  choose(names: readonly string[]): readonly string[];
  formats(names: readonly string[], delimiter: string): TableFormatOptions & { readonly delimiter: string };
}

/** Has pieces done, and gives what came of them in their order. */
async function ofPieces<Settings, Found>(
  on: Executor,
  task: StoredTask<PiecesOf<Settings>, Piece, Found>,
  common: PiecesOf<Settings>,
  jobs: readonly Piece[],
): Promise<Found[]> {
  const found: Found[] = [];
  const shards: Shards<PiecesOf<Settings>, Piece, Found> = {
    where: "posterior",
    task,
    // biome-ignore lint/correctness/useYield: there is nothing to wait for
    *prepare() {
      return common;
    },
    jobs,
    take(place, one) {
      found[place] = one;
    },
  };
  if (jobs.length > 0) await on.run(shards);
  return found;
}

/**
 * Looks at the cells of a table where it lies: counts and levels of its pieces, added in their order, whoever finds them and when.
 * @returns a text that says why the table cannot be read in place
 * @throws StoreError; TableError with the line; UsageError for columns that are not there
 */
export async function lookInPlace(address: string, options: LookOptions): Promise<LookedAt | string> {
  const { CheckedObject, bytesOfObject, defineReader, digestsOfObjects, identityOfObject, indexed, openStore } =
    await clusterPackage("--queue");
  const { on, target, most, bytes: length = PIECE_BYTES } = options;
  const identity: ObjectIdentity = await identityOfObject("posterior", address);
  const { size } = identity;
  const table = await openInPlace(
    (first, end) => bytesOfObject("posterior", identity, first, end),
    size,
    options.reading,
  );
  if (typeof table === "string") return table;
  const { names, delimiter } = table;
  const at = columnAt(names, target);
  const inputs = options.choose(names);
  const nested = table.nested.find((name) => name === names[at]);
  if (nested !== undefined) throw new UsageError(`the column "${nested}" is nested, and cannot be the target.`);
  const [digests] = await digestsOfObjects([identity], on);
  const object = new CheckedObject(identity, digests);
  const { tensors, metadata } = placedFile(table, object, digests);
  const placed = { table, object };
  const file = writeSafetensors(tensors, metadata);
  const pieces =
    table.format === "parquet"
      ? piecesOfParquet(table)
      : piecesOfCsv(table, size, length, await marksOfRanges({ placed, file, settings: null }, size, length, on));
  const columns: ColumnsOf = { target: names[at], inputs };
  const found = await ofPieces(on, rowsTask, { placed, file, settings: columns }, pieces);
  const { targets, lines, where, evidence } = summed(found, table);
  if (most !== undefined && targets.length > most) {
    throw new UsageError(
      `the data have ${targets.length.toLocaleString("en")} rows, and --max-rows is ${most}: what workers read in place is taken whole. Leave --max-rows out.`,
    );
  }
  const { decimal, thousands } = options.formats(names, delimiter);
  const hints = { decimal, thousands: thousands === "none" ? ("" as const) : thousands, delimiter };
  const written = new Map(
    inputs.map((name, i) => [name, formatByEvidence(evidence[i] ?? { counts: new Map(), units: new Map() }, hints)]),
  );
  const numbered = new NDArray(
    Float64Array.from(pieces.flatMap(([first, end], i) => [first, end, where[i].first, where[i].above])),
    [pieces.length, 4],
  );
  const rows = new RowsInPlace(placed, numbered);
  const { tableReader } = await import("./in-place-tasks.ts");
  defineReader(READER, tableReader);
  return {
    targets,
    lines,
    inputs,
    written,
    async examplesAt(places) {
      return tableExamples(await rows.at(places), { target: names[at], inputs, written });
    },
    async farAt(places, reading, net) {
      const examples: ExamplesAs = {
        ...columns,
        table,
        reading,
        written: [...written],
        inputShape: net.inputShape,
        outputShape: net.outputShape,
      };
      return indexed(openStore("posterior", options.store), {
        kind: READER,
        objects: [identity],
        digests: [digests],
        examples: places.length,
        tensors: { pieces: numbered, places: new NDArray(Float64Array.from(places), [places.length]) },
        metadata: { examples: JSON.stringify(examples) },
      });
    },
  };
}

/** The marks of ranges of bytes from the body on. */
async function marksOfRanges(common: PiecesOf<null>, size: number, length: number, on: Executor) {
  const { body } = common.placed.table;
  const ranges = Array.from(
    { length: Math.ceil((size - body) / length) },
    (_, i): Piece => [body + i * length, Math.min(size, body + (i + 1) * length)],
  );
  return ofPieces(on, marksTask, common, ranges);
}

/** What pieces say together, in their order. @throws TableError for the first that is wrong */
function summed(found: readonly PieceFound[], table: TableInPlace) {
  // The header of a Parquet file counts as a line.
  let above = table.format === "parquet" ? 1 : (table.header.match(/\n/g)?.length ?? 0);
  if (table.format === "csv" && table.body === 0) above = 0;
  const targets: string[] = [];
  const lines: number[] = [];
  const where: { readonly first: number; readonly above: number }[] = [];
  let evidence: ReturnType<typeof evidenceOf>[] = [];
  for (const { wrong, ...own } of found) {
    if (wrong !== undefined) {
      throw new TableError(wrong.message, wrong.line === undefined ? undefined : above + wrong.line);
    }
    // Rows of Parquet have their lines in the whole file.
    const before = table.format === "parquet" ? 0 : above;
    where.push({ first: targets.length, above: before });
    for (const target of own.targets) targets.push(target);
    for (const line of own.lines) lines.push(before + line);
    const said = own.evidence.map(evidenceOf);
    evidence = evidence.length === 0 ? said : evidence.map((one, i) => addNumberEvidence(one, said[i]));
    above += own.feeds;
  }
  return { targets, lines, where, evidence };
}
