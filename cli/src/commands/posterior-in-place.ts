// The examples of laplace posterior that workers read where they lie: this process knows which columns there are, what their cells
// say, and all targets, and no inputs but those of the rows that judge.

import { type Executor, NDArray, type Network, type NumberFormat, type TableFormatOptions } from "laplace-ts";
import { addNumberEvidence, type FarData, formatByEvidence } from "laplace-ts/executor";
import { TableError, UsageError } from "../errors.ts";
import { clusterPackage } from "../fitting/elsewhere.ts";
import type { Reading } from "../fitting/trained.ts";
import type { Examples } from "../model/examples.ts";
import { columnAt } from "../model/rows.ts";
import type { ReadOptions } from "../table/csv.ts";
import { noTarget, tableExamples } from "../table/examples.ts";
import type { TableInPlace } from "../table/in-place.ts";
import { sampledPlaces } from "../table/read.ts";
import {
  type ColumnsOf,
  type ExamplesAs,
  evidenceOf,
  type PieceFound,
  READER,
  RowsInPlace,
  rowsTask,
  tableReader,
} from "./in-place-tasks.ts";
import { jobsOfPlaces, linesAbove, ofPieces, openPlaced } from "./placed-table.ts";

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
  /** Most rows; of more, a random sample, by the seed. */
  readonly most: number | undefined;
  readonly seed: number;
  /** Bytes of a piece. */
  readonly bytes?: number;
  /** Inputs among the columns. @throws UsageError */
  choose(names: readonly string[]): readonly string[];
  formats(names: readonly string[], delimiter: string): TableFormatOptions & { readonly delimiter: string };
}

/**
 * Looks at the cells of a table where it lies: counts and levels of its pieces, added in their order, whoever finds them and when.
 * @returns a text that says why the table cannot be read in place
 * @throws StoreError; TableError with the line; UsageError for columns that are not there
 */
export async function lookInPlace(address: string, options: LookOptions): Promise<LookedAt | string> {
  const { defineReader, indexed, openStore } = await clusterPackage("--queue");
  const { on, target, most, seed, bytes: length } = options;
  const opened = await openPlaced(address, on, options.reading, length);
  if (typeof opened === "string") return opened;
  const { identity, digests, placed, file, pieces } = opened;
  const { table } = placed;
  const { names, delimiter } = table;
  const at = columnAt(names, target);
  const inputs = options.choose(names);
  const nested = table.nested.find((name) => name === names[at]);
  if (nested !== undefined) throw new UsageError(`the column "${nested}" is nested, and cannot be the target.`);
  const columns: ColumnsOf = { target: names[at], inputs };
  const common = { placed, file, settings: columns };
  const found = await ofPieces(
    on,
    rowsTask,
    common,
    pieces.map((piece) => ({ piece })),
  );
  const all = summed(found, table);
  const { where } = all;
  /** Numbers of the rows that are learned from, where they are a sample. */
  const sample =
    most === undefined || all.targets.length <= most ? undefined : sampledPlaces(all.targets.length, most, seed);
  const taken = <T>(list: readonly T[]): readonly T[] => sample?.map((place) => list[place]) ?? list;
  const [targets, lines] = [taken(all.targets), taken(all.lines)];
  const empty = targets.indexOf("");
  if (empty >= 0) throw noTarget(names[at], lines[empty]);
  let { evidence } = all;
  if (sample !== undefined) {
    // How numbers are written is said by the rows of the sample alone, as in one process.
    const counts = found.map((one) => one.targets.length);
    const again = await ofPieces(on, rowsTask, common, jobsOfPlaces(pieces, sample, counts));
    evidence = evidenceIn(again);
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
  const numbersOf = (places: readonly number[]) => (sample === undefined ? places : places.map((i) => sample[i]));
  defineReader(READER, tableReader);
  return {
    targets,
    lines,
    inputs,
    written,
    async examplesAt(places) {
      return tableExamples(await rows.at(numbersOf(places)), { target: names[at], inputs, written });
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
        tensors: { pieces: numbered, places: new NDArray(Float64Array.from(numbersOf(places)), [places.length]) },
        metadata: { examples: JSON.stringify(examples) },
      });
    },
  };
}

/** What pieces say together, in their order. @throws TableError for the first that is wrong */
function summed(found: readonly PieceFound[], table: TableInPlace) {
  let above = linesAbove(table);
  const targets: string[] = [];
  const lines: number[] = [];
  const where: { readonly first: number; readonly above: number }[] = [];
  for (const { wrong, ...own } of found) {
    if (wrong !== undefined) {
      throw new TableError(wrong.message, wrong.line === undefined ? undefined : above + wrong.line);
    }
    // Rows of Parquet have their lines in the whole file.
    const before = table.format === "parquet" ? 0 : above;
    where.push({ first: targets.length, above: before });
    for (const target of own.targets) targets.push(target);
    for (const line of own.lines) lines.push(before + line);
    above += own.feeds;
  }
  return { targets, lines, where, evidence: evidenceIn(found) };
}

/** How the numbers of each input are written in pieces. */
function evidenceIn(found: readonly PieceFound[]): ReturnType<typeof evidenceOf>[] {
  let all: ReturnType<typeof evidenceOf>[] = [];
  for (const { evidence } of found) {
    const said = evidence.map(evidenceOf);
    all = all.length === 0 ? said : all.map((one, i) => addNumberEvidence(one, said[i]));
  }
  return all;
}
