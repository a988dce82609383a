// A table or a file of arrays as examples for a network: numbers as they stand, nothing standardised, because the network was
// trained with inputs of its own.

import { type NumberFormat, numberFormat, numberReader, type TableFormatOptions } from "laplace-ts";
import { TableError, UsageError } from "../errors.ts";
import type { Examples } from "../model/examples.ts";
import { cellsAt, columnAt, type Rows, rowsAt } from "../model/rows.ts";
import type { NpyArray } from "./npz.ts";

/** Which columns are what. */
export interface Choice {
  /** Without one, examples have inputs alone. */
  readonly target?: string | undefined;
  /** The inputs' columns in the network's order; without it all but the target. */
  readonly inputs?: readonly string[] | undefined;
  readonly formats?: TableFormatOptions & { readonly delimiter?: string };
  /** How numbers of some columns are written, where that is known; found out for others. */
  readonly written?: ReadonlyMap<string, NumberFormat>;
  /** Called for each row that cannot be read, instead of an error. */
  readonly onSkip?: ((error: TableError) => void) | undefined;
}

/** What a cell holds: a number, or a list of them in brackets. */
function valuesOf(cell: string, read: (cell: string) => number | undefined): readonly number[] | undefined {
  if (!cell.startsWith("[")) {
    const value = read(cell);
    return value === undefined ? undefined : [value];
  }
  try {
    const list = (JSON.parse(cell) as unknown[]).flat(Number.POSITIVE_INFINITY);
    return list.every((one) => typeof one === "number") ? (list as number[]) : undefined;
  } catch {
    return undefined;
  }
}

/** The error of a row without a target. */
export const noTarget = (target: string, line: number): TableError =>
  new TableError(`the target "${target}" has no value. Fill the cell, or leave such rows out: --on-error skip.`, line);

/** A table's examples. @throws TableError with the line of a cell that is not a number, or of a row without a target */
export function tableExamples(table: Rows, choice: Choice): Examples {
  const { target, formats = {}, written, onSkip } = choice;
  const at = target === undefined ? -1 : columnAt(table.names, target);
  const inputs = choice.inputs ?? table.names.filter((_, i) => i !== at);
  const columns = inputs.map((name) => columnAt(table.names, name));
  const { decimal, thousands, delimiter } = formats;
  const hints = { decimal, thousands: thousands === "none" ? ("" as const) : thousands, delimiter };
  const found = columns.map((j, i) => {
    return written?.get(inputs[i]) ?? numberFormat(cellsAt(table, j), hints);
  });
  const readers = found.map(numberReader);
  let width: number | undefined;
  const numbers = (row: readonly string[], line: number): number[] => {
    if (at >= 0 && row[at].trim() === "") throw noTarget(target ?? "", line);
    const all = columns.flatMap((j, i) => {
      const values = valuesOf(row[j], readers[i]);
      if (values !== undefined) return values;
      const shown = JSON.stringify(row[j].length > 60 ? `${row[j].slice(0, 60)}…` : row[j]);
      throw new TableError(
        `"${inputs[i]}" has ${shown}, not a number as the network takes it. Leave such rows out by --on-error skip, the column by --ignore, or write numbers as the training had them.`,
        line,
      );
    });
    width ??= all.length;
    if (all.length !== width) throw new TableError(`the row has ${all.length} numbers, others ${width}.`, line);
    return all;
  };
  const kept: number[] = [];
  const count = table.rows.length;
  let x = new Float64Array(0);
  for (let i = 0; i < count; i++) {
    try {
      const own = numbers(table.rows[i], table.lines[i]);
      if (kept.length === 0) x = new Float64Array(count * own.length);
      x.set(own, kept.length * own.length);
      kept.push(i);
    } catch (error) {
      if (onSkip === undefined || !(error instanceof TableError)) throw error;
      onSkip(error);
    }
  }
  const own = kept.length === count ? table : rowsAt(table, kept);
  return {
    width: width ?? 0,
    x: x.subarray(0, kept.length * (width ?? 0)),
    targets: at < 0 ? [] : cellsAt(own, at).map((cell) => cell.trim()),
    lines: own.lines,
    table: own,
    inputs,
    written: new Map(inputs.map((name, i) => [name, found[i]])),
    target: target ?? "",
  };
}

/** Examples of arrays: the target's, and the one of the inputs. @throws UsageError for arrays that are not there or do not fit */
export function arrayExamples(arrays: ReadonlyMap<string, NpyArray>, { target, inputs }: Choice): Examples {
  const list = [...arrays].map(([name, { shape }]) => `"${name}" [${shape.join(", ")}]`).join(", ");
  const y = target === undefined ? undefined : arrays.get(target);
  if (y === undefined && target !== undefined)
    throw new UsageError(`there is no array "${target}" for the target. The arrays are ${list}.`);
  const rest = [...arrays.keys()].filter((name) => name !== target);
  const name = inputs?.[0] ?? (rest.length === 1 ? rest[0] : rest.find((one) => one.toLowerCase() === "x"));
  const x = name === undefined ? undefined : arrays.get(name);
  if (x === undefined || x.values.length === 0 || (inputs?.length ?? 1) > 1) {
    throw new UsageError(`--inputs says which one array has the inputs. The arrays are ${list}.`);
  }
  const [n] = x.shape;
  if (!(x.values instanceof Float64Array) || (y !== undefined && y.values.length !== n)) {
    throw new UsageError(`the inputs and the target need as many rows of numbers. The arrays are ${list}.`);
  }
  const targets = Array.from((y?.values ?? []) as ArrayLike<number | string>, String);
  const lines = Array.from({ length: n }, (_, i) => i + 1);
  return { width: x.values.length / n, x: x.values, targets, lines, inputs: [], array: name, target: target ?? "" };
}
