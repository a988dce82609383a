// How a table's rows are held out, as its columns and its copies say.

import { OptionError, readerOf, type TableEncoding } from "laplace-ts";
import { cellsAt, columnAt, type Rows } from "../model/rows.ts";
import { copiesOf, groupSplit, type Split, timeSplit } from "../model/splits.ts";

/** A column that says how rows are held out. */
export interface SplitBy {
  readonly by: "time" | "group";
  readonly column: string;
}

/** Rows that are held out without a column that says how. */
export const RANDOM = "chosen at random";

/** How rows are held out: undefined for at random; with the number of copies, and in words. @throws OptionError */
export function splitOf(
  rows: Rows,
  encoding: TableEncoding,
  asked: SplitBy | undefined,
): { readonly split?: Split; readonly copies: number; readonly how: string } {
  const used = encoding.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
  const found = copiesOf(rows, [...used, encoding.target.name]);
  const copies = found?.count ?? 0;
  if (asked === undefined) {
    if (found === undefined) return { copies, how: RANDOM };
    return {
      split: groupSplit(found.groups, labelsOf(rows, encoding)),
      copies,
      how: `${RANDOM}, copies of a row together`,
    };
  }
  const at = columnAt(rows.names, asked.column);
  if (at < 0) {
    const given = `${asked.by}:${asked.column}`;
    throw new OptionError(`fit: there is no column "${asked.column}" for --split ${given}.`);
  }
  const cells = cellsAt(rows, at);
  if (asked.by === "time") {
    const times = timesOf(rows.names[at], cells, encoding, rows.lines);
    return { split: timeSplit(times), copies, how: `the last ones by "${asked.column}"` };
  }
  const numbers = new Map<string, number>();
  for (const cell of cells) if (!numbers.has(cell)) numbers.set(cell, numbers.size);
  if (numbers.size < 3) {
    throw new OptionError(
      `fit: the column "${asked.column}" of --split has ${numbers.size} different values; at least 3 groups are needed.`,
    );
  }
  const groups = cells.map((cell) => numbers.get(cell) ?? 0);
  return { split: groupSplit(groups), copies, how: `groups by "${asked.column}" together` };
}

function labelsOf(rows: Rows, encoding: TableEncoding): number[] | undefined {
  if (encoding.target.kind === "number") return undefined;
  const at = rows.names.indexOf(encoding.target.name);
  return cellsAt(rows, at).map((cell) => encoding.encodeTarget(cell) ?? 0);
}

function timesOf(name: string, cells: readonly string[], encoding: TableEncoding, lines: readonly number[]): number[] {
  const column = encoding.columns.find((one) => one.name === name);
  const read = column?.kind === "number" || column?.kind === "date" ? readerOf(column, encoding.rule) : Number;
  return cells.map((cell, i) => {
    const time = cell.trim() === "" ? undefined : read(cell);
    if (typeof time === "number" && Number.isFinite(time)) return time;
    throw new OptionError(
      `fit: --split needs a number or a date in every row; line ${lines[i]} has ${JSON.stringify(cell.slice(0, 60))} in "${name}".`,
    );
  });
}
