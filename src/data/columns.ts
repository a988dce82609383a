// How one column of a table becomes inputs of a network, decided from the rows of the training.

import { ValueError } from "../errors.ts";
import { isMissing } from "./cells.ts";
import type { DatesSettled } from "./date-format.ts";
import { type DateFormat, daysOf } from "./dates.ts";
import type { ColumnFormat } from "./formats.ts";
import { nameTexts } from "./naming.ts";
import { type NumberFormat, numberReader } from "./numbers.ts";

/** What a column holds. */
export type ColumnKind = "number" | "category" | "date" | "ignored";

/** Inputs that a date can become: the time itself, and cycles as a sine and a cosine. */
export type DatePart = "trend" | "season" | "weekday" | "hour";

/** A column of numbers: (x − mean) / sd. */
export interface NumberColumn extends NumberFormat {
  readonly name: string;
  readonly kind: "number";
  readonly mean: number;
  readonly sd: number;
  /** The smallest and the largest in training. */
  readonly low: number;
  readonly high: number;
  /** The median, for a missing value. */
  readonly fill: number;
  /** Whether values were missing in training: then there is an input that says so. */
  readonly missing: boolean;
  /** Whether texts that are no number count as missing: they did in training. */
  readonly lenient: boolean;
}

/** A column of texts: an input for each category, 1 for its own. */
export interface CategoryColumn {
  readonly name: string;
  readonly kind: "category";
  readonly categories: readonly string[];
  /** Whether training had rarer ones, which are 0 everywhere; otherwise a value that is not listed is unusual. */
  readonly rest: boolean;
  /** The most frequent, for a missing value. */
  readonly fill: string;
  readonly missing: boolean;
}

/** A column of dates, in days since 1970. */
export interface DateColumn {
  readonly name: string;
  readonly kind: "date";
  readonly format: DateFormat;
  /** What settled the format. */
  readonly settled: DatesSettled;
  readonly parts: readonly DatePart[];
  readonly mean: number;
  readonly sd: number;
  readonly low: number;
  readonly high: number;
  readonly fill: number;
  readonly missing: boolean;
  readonly lenient: boolean;
}

/** A column that has no part in predictions. */
export interface IgnoredColumn {
  readonly name: string;
  readonly kind: "ignored";
  readonly reason: string;
}

/** How a column becomes inputs. */
export type ColumnEncoding = NumberColumn | CategoryColumn | DateColumn | IgnoredColumn;

/** The share of a column's texts that must be numbers, or dates, for the others to count as missing. */
const ENOUGH = 0.95;
/** A category of fewer rows says too little to have an input of its own where there are many categories. */
const MOST_CATEGORIES = 32;
const LONGEST_CATEGORY = 200;
/** Days over which a cycle must be seen. */
const [SEASON_DAYS, WEEKDAY_DAYS] = [60, 14];

/** Mean and standard deviation (of the population). */
export function momentsOf(values: ArrayLike<number>): { mean: number; sd: number } {
  const n = values.length;
  let mean = 0;
  // Divided first: sums of huge values would overflow.
  for (let i = 0; i < n; i++) mean += values[i] / n;
  let square = 0;
  for (let i = 0; i < n; i++) square += (values[i] - mean) ** 2 / n;
  return { mean, sd: Math.sqrt(square) };
}

/** How often each text occurs, the most frequent first, ties in the order of the alphabet. */
export function frequencies(cells: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const cell of cells) counts.set(cell, (counts.get(cell) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

function summaryOf(values: number[]) {
  const { mean, sd } = momentsOf(values);
  const sorted = Float64Array.from(values).sort();
  return { mean, sd, low: sorted[0], high: sorted[sorted.length - 1], fill: sorted[sorted.length >> 1] };
}

/** The kind that a column's texts suggest. */
export function kindOf(present: readonly string[], format: ColumnFormat): Exclude<ColumnKind, "ignored"> {
  const share = (read: (cell: string) => number | undefined) =>
    present.reduce((n, cell) => n + (read(cell) !== undefined ? 1 : 0), 0) / present.length;
  const { numbers, dates } = format;
  // A pattern that was given may read dates without separators, which are numbers as well.
  if (dates?.settled !== "option" && share(numberReader(numbers)) >= ENOUGH) return "number";
  if (dates !== undefined && share((cell) => daysOf(cell, dates.format)) >= ENOUGH) return "date";
  return dates?.settled === "option" && share(numberReader(numbers)) >= ENOUGH ? "number" : "category";
}

const ignored = (name: string, reason: string): IgnoredColumn => ({ name, kind: "ignored", reason });

/**
 * How a column becomes inputs, from its cells in training.
 * @param kind what it holds, where that is known
 * @throws ValueError for missing values where they are refused
 */
export function columnEncoding(
  where: string,
  name: string,
  cells: readonly string[],
  options: { readonly kind?: ColumnKind | undefined; readonly refuse: boolean; readonly format: ColumnFormat },
): ColumnEncoding {
  if (options.kind === "ignored") return ignored(name, "as asked for");
  const gap = cells.findIndex(isMissing);
  if (options.refuse && gap >= 0) {
    throw new ValueError(
      `${where}: the column "${name}" has no value in row ${gap + 1} of the training, and missing values are refused. Fill them, ignore the column, or let them be imputed.`,
    );
  }
  const present = gap < 0 ? cells : cells.filter((cell) => !isMissing(cell));
  if (present.length === 0) return ignored(name, "no values");
  const { numbers, dates } = options.format;
  const kind = options.kind ?? kindOf(present, options.format);
  const missing = present.length < cells.length;
  if (kind === "category") return categories(name, present, missing);
  const { format, settled } = dates ?? { format: "iso", settled: "cells" };
  const read = kind === "number" ? numberReader(numbers) : (cell: string) => daysOf(cell, format);
  const values = present.map(read).filter((value) => value !== undefined);
  if (values.length === 0) return ignored(name, `no ${kind}s`);
  const lenient = values.length < present.length;
  const summary = summaryOf(values);
  // Where values differ by rounding alone, or their squares are beyond numbers, there is nothing to standardise.
  const spread = summary.sd > 1e-12 * Math.max(Math.abs(summary.low), Math.abs(summary.high));
  if (!Number.isFinite(summary.sd)) return ignored(name, "values beyond 1e154");
  if (!spread && !missing && !lenient) return ignored(name, "one value");
  const shared = { name, ...summary, sd: spread ? summary.sd : 1, missing: missing || lenient, lenient };
  if (kind === "number") {
    if (counts(values)) return ignored(name, "it counts the rows");
    return { ...shared, ...numbers, kind: "number" };
  }
  return { ...shared, kind: "date", format, settled, parts: dateParts(values, summary.high - summary.low) };
}

/** Whether the values are 1, 2, 3, … or 0, 1, 2, … . */
function counts(values: readonly number[]): boolean {
  return values.length > 2 && (values[0] === 0 || values[0] === 1) && values.every((x, i) => x === values[0] + i);
}

function dateParts(days: readonly number[], span: number): DatePart[] {
  const parts: DatePart[] = ["trend"];
  if (span >= SEASON_DAYS) parts.push("season");
  const weekdays = new Set(days.map((day) => Math.floor(day) % 7));
  if (span >= WEEKDAY_DAYS && weekdays.size > 2) parts.push("weekday");
  if (new Set(days.map((day) => day - Math.floor(day))).size > 2) parts.push("hour");
  return parts;
}

function categories(name: string, texts: readonly string[], missing: boolean): ColumnEncoding {
  if (texts.some((text) => text.length > LONGEST_CATEGORY)) {
    return ignored(name, `texts of more than ${LONGEST_CATEGORY} characters`);
  }
  const present = texts.map((text) => text.trim());
  const counted = frequencies(present);
  if (counted.length === 1 && !missing) return ignored(name, "one value");
  if (counted.length > MOST_CATEGORIES && counted.length > present.length / 2) {
    return ignored(name, nameTexts(present) ?? `${counted.length} different texts in ${present.length} rows`);
  }
  const many = counted.length > MOST_CATEGORIES;
  const kept = many ? counted.slice(0, MOST_CATEGORIES) : counted;
  const names = kept.map(([category]) => category).sort();
  return { name, kind: "category", categories: names, rest: many, fill: counted[0][0], missing };
}
