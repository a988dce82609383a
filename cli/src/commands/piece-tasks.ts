// Tasks of the pieces of a table that lies where workers see it, each of which is read by itself. Of what is read the digests are
// held against those that were found at first.

import { FileError, type NDArray, readSafetensors } from "laplace-ts";
import {
  type BurstOptions,
  contentsOf,
  type ExamplesReport,
  type Safetensors,
  type Steps,
  valueFrom,
  waitedFor,
} from "laplace-ts/executor";
import { CheckedObject, readIdentity, type StoredTask } from "laplace-ts-cluster";
import type { Rows } from "../model/rows.ts";
import { openPiece, type Piece, type TableInPlace } from "../table/in-place.ts";

export const WHERE = "table";

export const malformed = (what: string) =>
  new FileError("malformed", `${WHERE}: the file is not of a table in place: ${what}.`);

/** A table as all who read it know it: what it is, and its bytes. */
export interface PlacedTable {
  readonly table: TableInPlace;
  readonly object: CheckedObject;
}

/** A table and its digests as a file. */
export function placedFile(table: TableInPlace, { identity }: CheckedObject, digests: NDArray): Safetensors {
  return { tensors: { digests }, metadata: { table: JSON.stringify(table), object: JSON.stringify(identity) } };
}

/** @throws FileError for a stranger's file */
function readPlaced({ tensors, metadata }: Safetensors): PlacedTable {
  const json = (text: string | undefined): unknown => {
    try {
      return JSON.parse(text ?? "");
    } catch {
      throw malformed("it has no table");
    }
  };
  return {
    table: readTableInPlace(json(metadata.table)),
    object: new CheckedObject(readIdentity(json(metadata.object)), tensors.digests),
  };
}

/** @throws FileError */
export function readTableInPlace(value: unknown): TableInPlace {
  const { format, names, nested, delimiter, header, body, groups } = Object(value) as TableInPlace;
  const texts = (list: unknown) => Array.isArray(list) && list.every((one) => typeof one === "string");
  const is = (format === "csv" || format === "parquet") && texts(names) && texts(nested) && Array.isArray(groups);
  if (is && typeof delimiter === "string" && typeof header === "string" && Number.isSafeInteger(body)) {
    return { format, names, nested, delimiter, header, body, groups };
  }
  throw malformed("it does not say what the table is");
}

/** A piece, and of which of its rows something is asked. */
export interface PieceJob {
  readonly piece: Piece;
  /** Their places among the piece's, ascending (default: all rows). */
  readonly rows?: Uint32Array | undefined;
}

/** @throws FileError */
function readJob(value: unknown): PieceJob {
  const { piece, rows } = Object(value) as Partial<PieceJob>;
  const [first, end] = (Array.isArray(piece) ? piece : []) as Piece;
  const is = Number.isSafeInteger(first) && Number.isSafeInteger(end) && first >= 0 && first < end;
  if (is && (rows === undefined || rows instanceof Uint32Array)) return { piece: [first, end], rows };
  throw malformed("it does not say which piece it is of");
}

/** What pieces have in common: the name of the table's file in the store, which `get` finds, and settings. */
export interface PiecesOf<Settings> {
  readonly placed: PlacedTable;
  readonly file: Uint8Array;
  readonly settings: Settings;
}

/** How what is found in pieces is a file, and adds. */
export interface FoundIn<Found, Settings> {
  write(found: Found): Safetensors;
  /** @throws FileError */
  read(contents: Safetensors): Found;
  /** Adds what neighbours have, where it adds. */
  readonly add?: (left: Found, right: Found, settings: Settings) => Found;
}

/** A task of pieces. */
export function pieceTask<Settings, Found>(
  name: string,
  found: (of: PlacedTable, settings: Settings, job: PieceJob) => Promise<Found>,
  { write, read, add }: FoundIn<Found, Settings> = {
    write: contentsOf,
    read: (contents) => valueFrom(WHERE, contents) as Found,
  },
): StoredTask<PiecesOf<Settings>, PieceJob, Found> {
  return {
    name,
    *begin({ placed, settings }) {
      return function* (job): Steps<Found, number> {
        return (yield* waitedFor(() => found(placed, settings, job))) as Found;
      };
    },
    ...(add !== undefined && { add: ({ settings }, left, right) => add(left, right, settings) }),
    writeWork: async ({ file, settings }, put) => contentsOf({ table: await put(file), settings }),
    // Pieces are not examples of a fit.
    writeJob: ({ piece, rows }) => ({ ...contentsOf({ piece: [...piece], rows }), examples: 0 }),
    readResult: (_, contents) => read(contents),
    async open(contents, get) {
      const { table, settings } = Object(valueFrom(WHERE, contents)) as { readonly table: string; settings: Settings };
      const placed = readPlaced(readSafetensors(await get(String(table))));
      return {
        adds: add !== undefined,
        async do(job, { signal }: BurstOptions<ExamplesReport> = {}) {
          signal?.throwIfAborted();
          return write(await found(placed, settings, readJob(valueFrom(WHERE, job))));
        },
        add(left, right) {
          if (add === undefined) throw malformed("pieces do not add");
          return write(add(read(left), read(right), settings));
        },
      };
    },
  };
}

/** All rows of a piece, or those of the job. @throws TableError */
export async function rowsOfPiece({ table, object }: PlacedTable, { piece, rows: asked }: PieceJob): Promise<Rows> {
  const read = (first: number, end: number) => object.read(first, end);
  const { batches } = await openPiece(table, read, object.identity.size, piece);
  const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
  let place = 0;
  for await (const batch of batches) {
    batch.rows.forEach((row, i) => {
      if (asked !== undefined && asked[rows.length] !== place++) return;
      rows.push(row);
      lines.push(batch.lines[i]);
    });
  }
  if (asked !== undefined && rows.length !== asked.length) {
    throw malformed("it names rows that the table does not have");
  }
  return { names: table.names, rows, lines };
}
