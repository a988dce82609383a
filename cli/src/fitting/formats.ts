// How numbers and dates of a table were read, in words with an example: what could have been read otherwise is said.

import { cellReader, type DateColumn, dayText, type NumberFormat, numberOf, numberReader } from "laplace-ts";
import { cellsAt, rowsAt } from "../model/rows.ts";
import type { TableFit } from "./fit.ts";
import { MANY_ROWS } from "./many-rows.ts";

/** How a column was read. */
export interface FormatNote {
  readonly column: string;
  /** Whether no cell settles it: it is a guess. */
  readonly open: boolean;
  readonly message: string;
}

const settledWords: Readonly<Record<string, string>> = {
  cells: "as its cells say",
  sequence: "as their sequence says",
  table: "as the other columns say",
  delimiter: "by the delimiter alone",
  option: "as asked for",
};
const orders: Readonly<Record<string, string>> = {
  dmy: "the day first",
  mdy: "the month first",
  ymd: "the year first",
};
/** 20120131: a number to a machine, a day to a person. */
const COMPACT_DAY = /^(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])$/;

/** What is to be said of the columns' formats, the open ones first; nothing of plain numbers and of years that come first. */
export function formatNotes({ model, rows: all }: Pick<TableFit, "model" | "rows">): FormatNote[] {
  const { columns, target } = model.encoding;
  // Examples are found among the first of many rows.
  const rows = all.rows.length <= MANY_ROWS ? all : rowsAt(all, [...new Array(MANY_ROWS).keys()]);
  const notes = [...columns, target].flatMap((column): FormatNote[] => {
    const at = rows.names.indexOf(column.name);
    const cells = () => cellsAt(rows, at).filter((cell) => cell.trim() !== "");
    const note =
      column.kind === "date"
        ? dateNote(column, cells())
        : column.kind === "number"
          ? numberNote(column, cells())
          : undefined;
    return note === undefined ? [] : [{ column: column.name, ...note }];
  });
  return notes.sort((a, b) => Number(b.open) - Number(a.open));
}

function numberNote(column: NumberFormat & { readonly name: string }, cells: readonly string[]) {
  const { settled, decimal, thousands, unit } = column;
  const { name } = column;
  if (settled === "plain" && unit === "") {
    if (cells.length === 0 || !cells.every((cell) => COMPACT_DAY.test(cell.trim()))) return undefined;
    const message = `${name}: ${cells[0].trim()} was read as a number; if it is a day, --date-format "${name}=%Y%m%d" says so`;
    return { open: true, message };
  }
  const read = numberReader(column);
  // The cell that says most: with a separator that stands between thousands, or with a sign.
  const odd = cells.filter((cell) => numberOf(cell) === undefined && read(cell) !== undefined);
  const example =
    odd.find((cell) => thousands !== "" && cell.includes(thousands)) ??
    odd[0] ??
    cells.find((cell) => /[.,]/.test(cell));
  if (example === undefined) return undefined;
  const open = settled === "delimiter";
  const other = decimal === "." ? "," : ".";
  const by = settledWords[settled];
  const percent = unit === "%" ? ", in percent" : "";
  const options = open ? `; --decimal "${other}" says otherwise` : "";
  return {
    open,
    message: `${name}: ${JSON.stringify(example.trim())} was read as ${read(example)}${percent}${by === undefined ? "" : ` (${by}${options})`}`,
  };
}

function dateNote(column: DateColumn, cells: readonly string[]) {
  const { name, format, settled } = column;
  const order = Object.hasOwn(orders, format) ? orders[format] : undefined;
  if (order === undefined && settled === "cells") return undefined;
  const read = cellReader(column);
  // A cell whose day and month differ shows which is which.
  const example =
    cells.find((cell) => !/^0?(\d{1,2})\D0?\1\D/.test(cell.trim()) && read(cell) !== undefined) ?? cells[0];
  const days = example === undefined ? undefined : read(example);
  if (example === undefined || days === undefined) return undefined;
  const reading = `${JSON.stringify(example.trim())} was read as ${dayText(days)}`;
  const other = format === "dmy" ? "mdy" : "dmy";
  if (settled === "default") {
    return {
      open: true,
      message: `${name}: ${reading}; every row can be read with the day or the month first, and ${order} was taken: --date-format ${other} says otherwise`,
    };
  }
  const options = settled === "cells" || settled === "option" ? "" : `; --date-format ${other} says otherwise`;
  return {
    open: false,
    message: `${name}: ${reading}${order === undefined ? "" : `, ${order}`} (${settledWords[settled]}${options})`,
  };
}
