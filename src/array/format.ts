// Arrays as text: a heading, then rows with their numbers aligned at the decimal point. What does not fit is cut: rows
// with ⋮, columns with …, keeping both ends.

import { checkInteger, checkOptions } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";

/** How much of an array is printed. */
export interface FormatOptions {
  /** Rows shown of a matrix (default 20). */
  maxRows?: number;
  /** Characters in a line (default 80). */
  width?: number;
  /** Significant digits (default 6). */
  digits?: number;
  /** Matrices shown of an array with more axes (default 4). */
  maxSlices?: number;
}

const CUT = -1; // stands for the rows or columns left out

/** First and last positions of `length`, with CUT between them where not all of `limit` fit. */
function ends(length: number, limit: number): number[] {
  if (length <= limit) return Array.from({ length }, (_, i) => i);
  const head = Math.max(1, Math.ceil((limit - 1) / 2));
  const tail = Math.max(0, limit - 1 - head);
  const first = Array.from({ length: head }, (_, i) => i);
  const last = Array.from({ length: tail }, (_, i) => length - tail + i);
  return [...first, CUT, ...last];
}

/** A number with at most `digits` significant digits (17 tell all doubles apart) and no trailing zeros. */
export function formatNumber(value: number, digits = 6): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const rounded = Number(value.toPrecision(Math.min(digits, 17)));
  const size = Math.abs(rounded);
  const plain = size >= 1e-4 && size < 10 ** Math.min(Math.max(digits, 6), 17);
  return plain ? String(rounded) : rounded.toExponential().replace("+", "");
}

/** Pads texts so that their decimal points stand under each other. */
function alignDecimals(cells: readonly string[]): string[] {
  const pointOf = (cell: string) => {
    const at = cell.search(/[.e]/);
    return at < 0 ? cell.length : at;
  };
  const largest = (lengths: readonly number[]) => lengths.reduce((a, b) => Math.max(a, b), 1);
  const left = largest(cells.map(pointOf));
  const padded = cells.map((cell) => " ".repeat(left - pointOf(cell)) + cell);
  const width = largest(padded.map((cell) => cell.length));
  return padded.map((cell) => cell.padEnd(width));
}

function formatMatrix(data: FloatArray, offset: number, rows: number, columns: number, options: Limits): string[] {
  const shownRows = ends(rows, options.maxRows);
  const column = (j: number): string[] => {
    const cells = shownRows.filter((i) => i !== CUT).map((i) => data[offset + i * columns + j]);
    const aligned = alignDecimals(cells.map((value) => formatNumber(value, options.digits)));
    const cut = shownRows.indexOf(CUT);
    if (cut >= 0) aligned.splice(cut, 0, "⋮".padEnd(aligned[0].length));
    return aligned;
  };
  // Columns are taken from both ends in turn until the line is full.
  const taken = new Map<number, string[]>();
  let room = options.width - 2;
  for (let step = 0; step < columns; step++) {
    const j = step % 2 === 0 ? step / 2 : columns - 1 - (step - 1) / 2;
    const cells = column(j);
    const needed = cells[0].length + 2;
    const reserve = taken.size + 1 < columns ? 3 : 0;
    if (needed + reserve > room && taken.size > 0) break;
    room -= needed;
    taken.set(j, cells);
  }
  const shown = [...taken.keys()].sort((a, b) => a - b);
  return shownRows.map((row, line) => {
    let text = "";
    let previous = -1;
    for (const j of shown) {
      if (j !== previous + 1) text += row === CUT ? "  ⋱" : "  …";
      text += `  ${(taken.get(j) as string[])[line]}`;
      previous = j;
    }
    if (previous >= 0 && previous !== columns - 1) text += "  …";
    return text.trimEnd();
  });
}

type Limits = Required<FormatOptions>;

function heading(shape: readonly number[], dtype: string): string {
  if (shape.length === 0) return `number, ${dtype}`;
  if (shape.length === 1) return `vector of ${shape[0]}, ${dtype}`;
  return `${shape.join("×")} ${shape.length === 2 ? "matrix" : "array"}, ${dtype}`;
}

/** The text of an array: see `FormatOptions`. A vector is shown as a column. */
export function format(data: FloatArray, shape: readonly number[], dtype: string, options: FormatOptions): string {
  checkOptions("toString", options, ["maxRows", "width", "digits", "maxSlices"]);
  const { maxRows = 20, width = 80, digits = 6, maxSlices = 4 } = options;
  const limits: Limits = { maxRows, width, digits, maxSlices };
  checkInteger("toString", "maxRows", limits.maxRows, 3);
  checkInteger("toString", "width", limits.width, 10);
  checkInteger("toString", "digits", limits.digits, 1);
  checkInteger("toString", "maxSlices", limits.maxSlices, 1);
  const lines = [heading(shape, dtype)];
  if (data.length === 0) return `${lines[0]} (empty)`;
  if (shape.length <= 1) {
    return lines.concat(formatMatrix(data, 0, data.length, 1, limits)).join("\n");
  }
  const rows = shape[shape.length - 2];
  const columns = shape[shape.length - 1];
  const outer = shape.slice(0, -2);
  const slices = data.length / (rows * columns);
  for (const slice of ends(slices, limits.maxSlices)) {
    if (slice === CUT) {
      lines.push("", "⋮");
      continue;
    }
    if (outer.length > 0) {
      const position: number[] = [];
      let rest = slice;
      for (const length of outer.toReversed()) {
        position.unshift(rest % length);
        rest = Math.floor(rest / length);
      }
      lines.push("", `[${position.join(", ")}, :, :] =`);
    }
    for (const line of formatMatrix(data, slice * rows * columns, rows, columns, limits)) lines.push(line);
  }
  return lines.join("\n");
}
