// A table that workers read where it lies: where that is, its digests, and its pieces, which workers find.

import { isAbsolute, relative, resolve } from "node:path";
import { type Executor, type NDArray, writeSafetensors } from "laplace-ts";
import type { Shards } from "laplace-ts/executor";
import type { ObjectIdentity, StoredTask } from "laplace-ts-cluster";
import { clusterPackage, type ElsewhereSettings, inBucket } from "../fitting/elsewhere.ts";
import type { ReadOptions } from "../table/csv.ts";
import { openInPlace, type Piece, piecesOfCsv, piecesOfParquet, type TableInPlace } from "../table/in-place.ts";
import { marksTask } from "./in-place-tasks.ts";
import { type PieceJob, type PiecesOf, type PlacedTable, placedFile } from "./piece-tasks.ts";

/** Bytes of a piece of CSV. */
const PIECE_BYTES = 2 ** 20;

/**
 * Where workers see the data: those of a bucket, of the folder that is the store, or where an option says that they see the same
 * path; undefined where they do not.
 */
export function addressInPlace(path: string, { store, inPlace }: ElsewhereSettings & { readonly inPlace?: true }) {
  if (inBucket(path)) return path;
  const absolute = resolve(path);
  if (inPlace) return absolute;
  if (store === undefined || /^[a-z][a-z0-9+.-]+:/i.test(store)) return undefined;
  const within = relative(resolve(store), absolute);
  return within !== "" && !within.startsWith("..") && !isAbsolute(within) ? absolute : undefined;
}

/** A table whose pieces are known. */
export interface TablePieces {
  readonly identity: ObjectIdentity;
  readonly digests: NDArray;
  readonly placed: PlacedTable;
  /** What the table's file in the store has. */
  readonly file: Uint8Array;
  readonly pieces: readonly Piece[];
}

/**
 * Finds the pieces of a table.
 * @param length bytes of a piece
 * @returns a text that says why the table cannot be read in place
 * @throws StoreError; TableError
 */
export async function openPlaced(
  address: string,
  on: Executor,
  reading: ReadOptions,
  length = PIECE_BYTES,
): Promise<TablePieces | string> {
  const { CheckedObject, bytesOfObject, digestsOfObjects, identityOfObject } = await clusterPackage("--queue");
  const identity = await identityOfObject("data", address);
  const { size } = identity;
  const table = await openInPlace((first, end) => bytesOfObject("data", identity, first, end), size, reading);
  if (typeof table === "string") return table;
  const [digests] = await digestsOfObjects([identity], on);
  const object = new CheckedObject(identity, digests);
  const { tensors, metadata } = placedFile(table, object, digests);
  const [placed, file] = [{ table, object }, writeSafetensors(tensors, metadata)];
  const pieces =
    table.format === "parquet"
      ? piecesOfParquet(table)
      : piecesOfCsv(table, size, length, await marksOfRanges({ placed, file, settings: null }, size, length, on));
  return { identity, digests, placed, file, pieces };
}

/** The marks of ranges of bytes from the body on. */
async function marksOfRanges(common: PiecesOf<null>, size: number, length: number, on: Executor) {
  const { body } = common.placed.table;
  const ranges = Array.from(
    { length: Math.ceil((size - body) / length) },
    (_, i): Piece => [body + i * length, Math.min(size, body + (i + 1) * length)],
  );
  return ofPieces(
    on,
    marksTask,
    common,
    ranges.map((piece) => ({ piece })),
  );
}

/** Has pieces done. */
export async function takePieces<Settings, Found>(
  on: Executor,
  task: StoredTask<PiecesOf<Settings>, PieceJob, Found>,
  common: PiecesOf<Settings>,
  jobs: readonly PieceJob[],
  take: (place: number, found: Found, level?: number) => void,
): Promise<void> {
  const shards: Shards<PiecesOf<Settings>, PieceJob, Found> = {
    where: "table",
    task,
    // biome-ignore lint/correctness/useYield: there is nothing to wait for
    *prepare() {
      return common;
    },
    jobs,
    take,
  };
  if (jobs.length > 0) await on.run(shards);
}

/** Has pieces done, and gives what came of them in their order. */
export async function ofPieces<Settings, Found>(
  on: Executor,
  task: StoredTask<PiecesOf<Settings>, PieceJob, Found>,
  common: PiecesOf<Settings>,
  jobs: readonly PieceJob[],
): Promise<Found[]> {
  const found: Found[] = [];
  await takePieces(on, task, common, jobs, (place, one) => {
    found[place] = one;
  });
  return found;
}

/** The lines above the first piece. The header of a Parquet file counts as a line. */
export function linesAbove({ format, header, body }: TableInPlace): number {
  if (format === "parquet") return 1;
  return body === 0 ? 0 : (header.match(/\n/g)?.length ?? 0);
}

/**
 * Pieces, each with those of some rows that are in it; none that has none of them.
 * @param places of the rows among all, ascending @param counts of each piece, how many rows it has
 */
export function jobsOfPlaces(
  pieces: readonly Piece[],
  places: readonly number[],
  counts: readonly number[],
): PieceJob[] {
  let [first, at] = [0, 0];
  return pieces.flatMap((piece, i) => {
    const [before, from] = [first, at];
    first += counts[i];
    while (at < places.length && places[at] < first) at++;
    return at > from ? [{ piece, rows: Uint32Array.from(places.slice(from, at), (place) => place - before) }] : [];
  });
}
