// How one column of a table becomes inputs of a network, decided from the rows of the training.

import { ValueError } from "../errors.ts";
import type { DatesSettled } from "./date-format.ts";
import { type DateFormat, daysOf } from "./dates.ts";
import type { ColumnFormat } from "./formats.ts";
import { identityOf, occurrences } from "./identity.ts";
import { areCodes, mayBeOther, numberingOf } from "./ids.ts";
import { type LevelEffects, MOST_ONE_HOT, openEffects } from "./level-effects.ts";
import { looksMissing, type MissingRule, missingTest } from "./missing.ts";
import { momentsOf } from "./moments.ts";
import { nameTexts } from "./naming.ts";
import { type NumberFormat, numberReader, PLAIN } from "./number-format.ts";
import { type ReadAs, type Reading, readerOf } from "./reading.ts";
import { checkTexts } from "./texts.ts";
import { type CategoryDraws, categoryDraws, numberDraws } from "./value-draws.ts";

/** What a column holds. */
export type ColumnKind = "number" | "category" | "date" | "ignored";

/** Inputs that a date can become: the time itself, and cycles as a sine and a cosine. */
export type DatePart = "trend" | "season" | "weekday" | "hour";

/** What columns of numbers and of dates have in common. */
export interface MeasuredColumn {
  readonly name: string;
  readonly mean: number;
  readonly sd: number;
  /** The smallest and the largest in training. */
  readonly low: number;
  readonly high: number;
  /** The median, for a missing value. */
  readonly fill: number;
  /** Whether values were missing in training: then there is an input that says so. */
  readonly missing: boolean;
  /** Texts of the training that are not a number, or not a date, and count as missing. */
  readonly texts: readonly string[];
  /** Values of the training, evenly over their order: a missing value is one of them. */
  readonly draws: readonly number[];
  /** How far draws lie from their mean: 1 as in the training, less where other columns tell the value (a variance). */
  readonly spread: number;
}

/** A column of numbers: (x − mean) / sd. */
export interface NumberColumn extends MeasuredColumn, NumberFormat {
  readonly kind: "number";
}

/** A column of texts: an input for each category, 1 for its own, or an effect of each. */
export interface CategoryColumn {
  readonly name: string;
  readonly kind: "category";
  readonly categories: readonly string[];
  /** Whether training had rarer ones, which are 0 everywhere; otherwise a value that is not listed is unusual. */
  readonly rest: boolean;
  /** The most frequent, for a missing value. */
  readonly fill: string;
  readonly missing: boolean;
  /** Categories as often as in the training: a missing value is one of them. */
  readonly draws: CategoryDraws;
  readonly spread: number;
  /** Of many categories: what each adds to the outputs, in the place of inputs of their own. */
  readonly effects?: LevelEffects | undefined;
}

/** A column of dates, in days since 1970. */
export interface DateColumn extends MeasuredColumn {
  readonly kind: "date";
  readonly format: DateFormat;
  /** What settled the format. */
  readonly settled: DatesSettled;
  readonly parts: readonly DatePart[];
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
/** Categories that have an input each, however few their rows; of more, those of so many rows, up to the most. */
const [MANY_CATEGORIES, FEWEST_ROWS] = [32, 3];
const LONGEST_CATEGORY = 200;
/** The share of rows with a text of their own from which on texts are not categories. */
const NEARLY_ALL = 0.9;
/** Different texts in place of a number that are remembered. */
const MOST_TEXTS = 1000;
/** Days over which a cycle must be seen. */
const [SEASON_DAYS, WEEKDAY_DAYS] = [60, 14];
/** Values that differ by a smaller part of their size differ by rounding alone. */
const ROUNDING = 1e-12;

/**
 * Why values cannot be told apart, in words; undefined if they can.
 * @param texts what the cells say, where two numbers may have become one
 */
export function whyOneValue(values: readonly number[], sd: number, texts: () => readonly string[]): string | undefined {
  const size = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  if (sd > ROUNDING * size) return undefined;
  if (new Set(texts().map(identityOf)).size < 2) return "one value";
  const exact = size >= 2 ** 53 ? " (integers beyond 2^53 are not exact)" : "";
  return `values that differ by less than ${ROUNDING} of their size${exact}: subtract a constant first`;
}

/** Texts that are not numbers among many that are, if they are nearly always one: "n. v." in place of a number. */
export function numbersBut(
  cells: readonly string[],
  rule: MissingRule,
  format: NumberFormat = PLAIN,
): { readonly text: string; readonly count: number } | undefined {
  checkTexts("numbersBut", "cells", cells);
  const missing = missingTest(rule, "numbers");
  const present = cells.filter((cell) => !missing(cell));
  const read = numberReader(format);
  const others = present.filter((cell) => read(cell) === undefined);
  if (others.length === 0 || 2 * others.length > present.length) return undefined;
  const [first] = occurrences(others);
  return first.count > 1 && first.count >= ENOUGH * others.length ? first : undefined;
}

/** The kind that a column's texts suggest. */
export function kindOf(
  cells: readonly string[],
  rule: MissingRule,
  { numbers, dates }: ColumnFormat,
): Exclude<ColumnKind, "ignored"> {
  const missing = missingTest(rule, "numbers");
  const present = cells.filter((cell) => !missing(cell));
  if (present.length === 0) return "category";
  const share = (read: (cell: string) => number | undefined) =>
    present.reduce((n, cell) => n + (read(cell) !== undefined ? 1 : 0), 0) / present.length;
  const areNumbers = () => share(numberReader(numbers)) >= ENOUGH;
  const numberOrCode = () => (areCodes(present) ? "category" : "number");
  // A pattern that was given may read dates without separators, which are numbers as well.
  if (dates?.settled !== "option" && areNumbers()) return numberOrCode();
  if (dates !== undefined && share((cell) => daysOf(cell, dates.format)) >= ENOUGH) return "date";
  return dates?.settled === "option" && areNumbers() ? numberOrCode() : "category";
}

const ignored = (name: string, reason: string): IgnoredColumn => ({ name, kind: "ignored", reason });

/** How columns are decided. */
export interface ColumnOptions {
  /** What the column holds, where that is known. */
  readonly kind?: ColumnKind | undefined;
  /** Whether a missing value is an error. */
  readonly refuse: boolean;
  readonly rule: MissingRule;
  /** How the column writes numbers and dates. */
  readonly format: ColumnFormat;
  /** Whether a program wrote the column to name the rows. */
  readonly index: boolean;
  /** Whether integers in any order may be the numbers of rows. */
  readonly numbering: boolean;
  /** Rows of the table that the rows are a sample of. */
  readonly total: number;
  /** A row in words, for errors. */
  readonly place: (row: number) => string;
  /** How many categories have an effect each, and on how many outputs, where they are too many for an input each (default: none has). */
  readonly levels?: ManyLevels | undefined;
}

/** How many levels of categories have effects at most, and the outputs that they move. */
export interface ManyLevels {
  readonly most: number;
  readonly outputs: number;
}

/**
 * How a column becomes inputs, from its cells in training.
 * @throws ValueError for missing values where they are refused
 */
export function columnEncoding(
  where: string,
  name: string,
  cells: readonly string[],
  options: ColumnOptions,
): ColumnEncoding {
  const { rule, refuse } = options;
  const { numbers, dates } = options.format;
  if (options.kind === "ignored") return ignored(name, "as asked for");
  const kind = options.kind ?? kindOf(cells, rule, options.format);
  const missing = missingTest(rule, kind === "category" ? "texts" : "numbers");
  const refused = (what: string, row: number) =>
    new ValueError(
      `${where}: the column "${name}" has ${what} in ${options.place(row)}, and missing values are refused. Fill them, ignore the column, or let them be imputed.`,
    );
  const gap = cells.findIndex(missing);
  if (refuse && gap >= 0) throw refused("no value", gap);
  const present = gap < 0 ? cells : cells.filter((cell) => !missing(cell));
  if (present.length === 0) return ignored(name, "no values");
  const index = options.index && options.kind === undefined;
  if (kind === "category") {
    const texts = new Set(present.map(identityOf)).size;
    if (index && texts === present.length) return ignored(name, "the index of a data frame: it names the rows");
    const decided = { missing: undefined, levels: options.levels };
    return categories(name, cells, rule, decided, options.kind === undefined ? numbers : undefined);
  }
  const as: ReadAs =
    kind === "number" ? { kind, ...numbers } : { kind, ...(dates ?? { format: "iso", settled: "cells" }) };
  const read = readerOf({ ...as, texts: [] }, rule);
  const strays: { readonly cell: string; readonly row: number }[] = [];
  for (let row = 0; row < cells.length; row++) {
    if (read(cells[row]) === null) strays.push({ cell: cells[row], row });
  }
  if (refuse && strays.length > 0) {
    throw refused(`${JSON.stringify(strays[0].cell.slice(0, 60))}, which is not a ${kind},`, strays[0].row);
  }
  const texts = occurrences(strays.map(({ cell }) => cell)).map(({ text }) => text);
  const decided = texts.slice(0, MOST_TEXTS).map((text) => text.slice(0, LONGEST_CATEGORY));
  const column = measured(name, as, decided, cells, rule, strays.length > 0 || gap >= 0);
  if (column.kind !== "number" || options.kind !== undefined) return column;
  const values = numbersIn(cells, read);
  if (index && values.every(Number.isInteger)) return ignored(name, "the index of a data frame: it numbers the rows");
  const numbering = numberingOf(name, values, options.total);
  return numbering === undefined || (!options.numbering && mayBeOther(numbering)) ? column : ignored(name, numbering);
}

/**
 * The same column from other rows: its kind, what counts as missing and whether an input says so stay as they were decided. Effects of
 * categories are open again. @param most levels that have effects
 */
export function columnOfRows(
  column: ColumnEncoding,
  cells: readonly string[],
  rule: MissingRule,
  most: number,
): ColumnEncoding {
  if (column.kind === "ignored") return column;
  if (column.kind === "category") {
    const { missing, effects } = column;
    const levels = effects && { most, outputs: effects.deviations.length, always: true };
    return categories(column.name, cells, rule, { missing, levels }, undefined);
  }
  return measured(
    column.name,
    asOf(column),
    column.texts,
    cells,
    rule,
    column.missing,
    column.kind === "date" ? column.parts : undefined,
  );
}

/** How a column's cells are read. */
function asOf(column: NumberColumn | DateColumn): ReadAs {
  if (column.kind === "date") return { kind: "date", format: column.format, settled: column.settled };
  const { decimal, thousands, unit, settled } = column;
  return { kind: "number", decimal, thousands, unit, settled };
}

/** The values of cells that say one. */
function numbersIn(cells: readonly string[], read: Reading): number[] {
  const values: number[] = [];
  for (const cell of cells) {
    const value = read(cell);
    if (typeof value === "number") values.push(value);
  }
  return values;
}

/** A column of numbers or dates. */
function measured(
  name: string,
  as: ReadAs,
  texts: readonly string[],
  cells: readonly string[],
  rule: MissingRule,
  missing: boolean,
  parts?: readonly DatePart[],
): ColumnEncoding {
  const read = readerOf({ ...as, texts }, rule);
  const values = numbersIn(cells, read);
  if (values.length === 0) return ignored(name, `no ${as.kind}s`);
  // Sums in this order are the same, in whatever order the rows come.
  const sorted = Float64Array.from(values).sort();
  const { mean, sd } = momentsOf(sorted);
  if (!Number.isFinite(sd)) return ignored(name, "values beyond 1e154");
  const one = whyOneValue(values, sd, () => cells.filter((cell) => typeof read(cell) === "number"));
  // Where values differ by rounding alone there is nothing to standardise.
  if (one !== undefined && !missing) return ignored(name, one);
  const [low, high, fill] = [sorted[0], sorted[sorted.length - 1], sorted[sorted.length >> 1]];
  const draws = numberDraws(sorted, mean, sd);
  const shared = { name, mean, sd: one === undefined ? sd : 1, low, high, fill, missing, texts, draws, spread: 1 };
  if (as.kind === "number") return { ...shared, ...as };
  return { ...shared, ...as, parts: parts ?? dateParts(values, high - low) };
}

function dateParts(days: readonly number[], span: number): DatePart[] {
  const parts: DatePart[] = ["trend"];
  if (span >= SEASON_DAYS) parts.push("season");
  const weekdays = new Set(days.map((day) => Math.floor(day) % 7));
  if (span >= WEEKDAY_DAYS && weekdays.size > 2) parts.push("weekday");
  if (new Set(days.map((day) => day - Math.floor(day))).size > 2) parts.push("hour");
  return parts;
}

/**
 * A column of texts.
 * @param decided whether an input says that a value is missing, undefined where the rows decide; whether categories have effects
 * @param guessed how the column writes numbers, if that it holds categories is a guess: texts that nearly all differ are not
 */
function categories(
  name: string,
  cells: readonly string[],
  rule: MissingRule,
  decided: {
    readonly missing: boolean | undefined;
    readonly levels: (ManyLevels & { readonly always?: boolean }) | undefined;
  },
  guessed: NumberFormat | undefined,
): ColumnEncoding {
  const absent = missingTest(rule, "texts");
  const present = cells.filter((cell) => !absent(cell));
  const { levels } = decided;
  const missing = decided.missing ?? present.length < cells.length;
  if (present.some((text) => text.length > LONGEST_CATEGORY)) {
    return ignored(name, `texts of more than ${LONGEST_CATEGORY} characters`);
  }
  const counted = occurrences(present);
  if (counted.length === 0) return ignored(name, "no values");
  if (counted.length === 1 && !missing) {
    return ignored(name, looksMissing(counted[0].text) ? "no values" : "one value");
  }
  const alone = counted.filter(({ count }) => count === 1).length;
  const many = counted.length > MANY_CATEGORIES;
  if (guessed !== undefined && (alone > NEARLY_ALL * present.length || (many && 2 * counted.length > present.length))) {
    return ignored(name, whyNoCategories(present, counted.length, rule, guessed));
  }
  if (levels !== undefined && (levels.always || counted.length > MOST_ONE_HOT)) {
    const kept = counted.slice(0, levels.most);
    const names = kept.map(({ text }) => text).sort();
    const effects = openEffects(names.length, levels.outputs);
    const shared = { name, kind: "category", categories: names, fill: counted[0].text, missing, spread: 1 } as const;
    // One that is not listed is nothing unusual: its effect is as any of those that are known.
    return { ...shared, rest: true, draws: categoryDraws(kept), effects };
  }
  const frequent = counted.filter(({ count }) => count >= FEWEST_ROWS).length;
  const kept = counted.slice(0, many ? Math.min(MOST_ONE_HOT, Math.max(MANY_CATEGORIES, frequent)) : counted.length);
  const rest = kept.length < counted.length;
  const names = kept.map(({ text }) => text).sort();
  const draws = categoryDraws(kept);
  return { name, kind: "category", categories: names, rest, fill: counted[0].text, missing, draws, spread: 1 };
}

/** Why texts that nearly all differ are not categories. */
function whyNoCategories(
  present: readonly string[],
  different: number,
  rule: MissingRule,
  numbers: NumberFormat,
): string {
  const repeated = numbersBut(present, rule, numbers);
  if (repeated !== undefined) return `numbers, but for ${repeated.count} × ${JSON.stringify(repeated.text)}`;
  const named = nameTexts(present);
  if (named !== undefined) return named;
  const read = numberReader(numbers);
  const others = present.filter((cell) => read(cell) === undefined);
  if (2 * others.length <= present.length && others.length > 0) {
    return `${others.length} of ${present.length} values are not numbers, such as ${JSON.stringify(others[0].slice(0, 40))}`;
  }
  if (others.length === 0) return `${different} different codes in ${present.length} rows`;
  return `${different} different texts in ${present.length} rows`;
}
