// What workers do with a table that lies where they see it: find where its records begin, say what its cells are, and read the rows
// of a shard. Of what they read the digests are held against those that were found at first.

import { NDArray, type NumberFormat, numberReader } from "laplace-ts";
import { type NumberEvidence, numberEvidence } from "laplace-ts/executor";
import type { Index, Reader } from "laplace-ts-cluster";
import { TableError } from "../errors.ts";
import { numbersOf, type Reading } from "../fitting/trained.ts";
import { columnAt, type Rows } from "../model/rows.ts";
import { tableExamples } from "../table/examples.ts";
import { lineFeeds, type Marks, marksOf, type Piece, type TableInPlace } from "../table/in-place.ts";
import { malformed, type PlacedTable, pieceTask, readTableInPlace, rowsOfPiece } from "./piece-tasks.ts";

/** Where records begin in ranges of bytes. */
export const marksTask = pieceTask<null, Marks>("laplace table marks", async ({ object }, _, { piece }) =>
  marksOf(await object.read(...piece)),
);

/** Which columns are what. */
export interface ColumnsOf {
  readonly target: string;
  readonly inputs: readonly string[];
}

/** What a piece of a table says, in the order of its rows. */
export interface PieceFound {
  readonly targets: readonly string[];
  /** Each row's line, from the piece's first. */
  readonly lines: Uint32Array;
  /** Lines that end in it. */
  readonly feeds: number;
  /** Of each input, how its numbers are written, as lists of what was seen and how often. */
  readonly evidence: readonly { readonly counts: [string, number][]; readonly units: [string, number][] }[];
  /** Lines of headers that were repeated. */
  readonly repeated: number;
  /** What is wrong with it, and the line, from the piece's first. */
  readonly wrong?: { readonly message: string; readonly line: number | undefined };
}

/** What `numberEvidence` gave. */
export const evidenceOf = ({ counts, units }: PieceFound["evidence"][number]): NumberEvidence => ({
  counts: new Map(counts),
  units: new Map(units),
});

/** What the cells of pieces say. */
export const rowsTask = pieceTask<ColumnsOf, PieceFound>("laplace posterior rows", async (placed, settings, job) => {
  const { piece } = job;
  const { target, inputs } = settings;
  const { table, object } = placed;
  const at = columnAt(table.names, target);
  const columns = inputs.map((name) => columnAt(table.names, name));
  if ([at, ...columns].some((j) => j < 0)) throw malformed("it names columns that the table does not have");
  const feeds = table.format === "csv" ? lineFeeds(await object.read(...piece)) : piece[1] - piece[0];
  const nothing = { targets: [], lines: new Uint32Array(0), feeds, evidence: [], repeated: 0 };
  try {
    const { rows, lines } = await rowsOfPiece(placed, job);
    return {
      targets: rows.map((row) => row[at].trim()),
      lines: Uint32Array.from(lines),
      feeds,
      evidence: columns.map((j) => {
        const { counts, units } = numberEvidence(rows.map((row) => row[j]));
        return { counts: [...counts], units: [...units] };
      }),
      repeated: 0,
    };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    const { message, line } = error;
    return { ...nothing, wrong: { message: message.replace(/^line \d+: /, ""), line } };
  }
});

/** By which name workers have the reader. */
export const READER = "laplace posterior";

/** How rows become examples. */
export interface ExamplesAs extends ColumnsOf {
  readonly table: TableInPlace;
  readonly reading: Reading;
  readonly written: readonly (readonly [name: string, format: NumberFormat])[];
  /** Of one example: the network's inputs, and its outputs where a target has as many axes. */
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
}

/** Pieces as an index has them: [pieces, 4], bytes or rows, the number of the first row, and the lines above it. */
interface IndexedPiece {
  readonly piece: Piece;
  readonly first: number;
  readonly above: number;
}

/** Reads rows of a table by their numbers among all rows. */
export class RowsInPlace {
  readonly #placed: PlacedTable;
  readonly #pieces: readonly IndexedPiece[];
  /** The rows of the last piece: the next shard begins in it. */
  #kept: { readonly at: number; readonly rows: Rows } | undefined;

  constructor(placed: PlacedTable, pieces: NDArray) {
    this.#placed = placed;
    this.#pieces = Array.from({ length: pieces.shape[0] }, (_, i) => {
      const [first, end, row, above] = pieces.data.subarray(4 * i, 4 * i + 4);
      return { piece: [first, end], first: row, above };
    });
  }

  /** Rows by their numbers, which ascend. @throws StoreError; TableError; FileError for rows that there are not */
  async at(numbers: ArrayLike<number>): Promise<Rows> {
    const [rows, lines]: [(readonly string[])[], number[]] = [[], []];
    let at = 0;
    for (let i = 0; i < numbers.length; i++) {
      while (at + 1 < this.#pieces.length && this.#pieces[at + 1].first <= numbers[i]) at++;
      const { first, above } = this.#pieces[at];
      const own = await this.#piece(at);
      const row = own.rows[numbers[i] - first];
      if (row === undefined) throw malformed("it names rows that the table does not have");
      rows.push(row);
      lines.push(above + own.lines[numbers[i] - first]);
    }
    return { names: this.#placed.table.names, rows, lines };
  }

  async #piece(at: number): Promise<Rows> {
    if (this.#kept?.at !== at)
      this.#kept = { at, rows: await rowsOfPiece(this.#placed, { piece: this.#pieces[at].piece }) };
    return this.#kept.rows;
  }
}

/** Reads the rows of a shard. */
export const tableReader: Reader = ({ objects, tensors, metadata }: Index) => {
  let said: ExamplesAs;
  try {
    said = JSON.parse(metadata.examples ?? "") as ExamplesAs;
    for (const [, format] of said.written) numberReader(format);
  } catch {
    throw malformed("the index does not say what its rows are");
  }
  const { pieces, places } = tensors;
  if (objects.length !== 1 || pieces?.shape[1] !== 4 || places?.rank !== 1) throw malformed("the index has no pieces");
  const table = readTableInPlace(said.table);
  const rows = new RowsInPlace({ table, object: objects[0] }, pieces);
  const { reading, target, inputs, written, inputShape, outputShape } = said;
  return async (first, end) => {
    if (end > places.size) throw malformed("the index has fewer rows");
    const own = await rows.at(places.data.subarray(first, end));
    const examples = tableExamples(own, { target, inputs, written: new Map(written) });
    const n = end - first;
    return {
      x: new NDArray(examples.x, [n, ...inputShape]),
      y: new NDArray(numbersOf(examples, reading), reading.task === "classification" ? [n] : [n, ...outputShape]),
    };
  };
};
