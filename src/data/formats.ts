// How the columns of a table write numbers and dates: each column by all of its cells, and where a column leaves it open, by
// the table's other columns.

import { checkChoice, OptionError } from "../errors.ts";
import { each, type Steps } from "../kernels/steps.ts";
import { type DatesSettled, dateReading } from "./date-format.ts";
import { datePattern } from "./date-patterns.ts";
import { type DateFormat, dateFormats, daysOf } from "./dates.ts";
import type { MissingTest } from "./missing.ts";
import { type NumberFormat, numberFormat, numberReader } from "./number-format.ts";
import { checkText } from "./texts.ts";

/** How a column writes what it holds, numbers or dates. */
export interface ColumnFormat {
  readonly numbers: NumberFormat;
  /** Where its texts are dates. */
  readonly dates?: { readonly format: DateFormat; readonly settled: DatesSettled } | undefined;
}

/** What is said of the formats of a table. */
export interface TableFormatOptions {
  /** What stands before the decimals (default: settled by the cells). */
  decimal?: "." | "," | undefined;
  /** What stands between groups of digits; "none" for no groups (default: settled by the cells). */
  thousands?: "," | "." | " " | "'" | "none" | undefined;
  /** How dates are written, in all columns of dates or by the column's name (default: settled by the cells). */
  dateFormat?: DateFormat | Readonly<Record<string, DateFormat>> | undefined;
  /** What stands between the cells of the file: beside semicolons, a comma that may be either stands before decimals. */
  delimiter?: string | undefined;
}

/** Checks the options of formats. @throws OptionError */
export function checkFormats(where: string, { decimal, thousands, dateFormat }: TableFormatOptions): void {
  if (decimal !== undefined) checkChoice(where, "decimal", decimal, [".", ","]);
  if (thousands !== undefined) checkChoice(where, "thousands", thousands, [",", ".", " ", "'", "none"]);
  if (thousands !== undefined && thousands === (decimal ?? (thousands === "." ? undefined : "."))) {
    throw new OptionError(`${where}: "${thousands}" cannot stand before the decimals and between thousands.`);
  }
  const given = typeof dateFormat === "string" ? [dateFormat] : Object.values(dateFormat ?? {});
  for (const one of given) checkDateFormat(where, one);
  if (dateFormat === "excel" || dateFormat === "unix") {
    throw new OptionError(
      `${where}: dates written as numbers (${dateFormat}) need the names of their columns, such as { day: "${dateFormat}" }.`,
    );
  }
}

/** Checks the name of a date format, or its pattern. @throws OptionError */
export function checkDateFormat(where: string, format: string): asserts format is DateFormat {
  checkText(where, format);
  if (format.includes("%")) datePattern(format);
  else if (!dateFormats.some((known) => known === format)) {
    throw new OptionError(
      `${where}: a date format is one of ${dateFormats.join(", ")}, or a pattern such as "%d.%m.%Y %H:%M"; got "${format}".`,
    );
  }
}

/** The number hints that options give. */
function numberHints({ decimal, thousands, delimiter }: TableFormatOptions) {
  return { decimal, thousands: thousands === "none" ? ("" as const) : thousands, delimiter };
}

/** Whether most texts are read, whatever their order; no more are read than that takes. */
function mostAre(texts: readonly string[], read: (text: string) => number | undefined): boolean {
  let [found, others] = [0, 0];
  for (const text of texts) {
    if (read(text) === undefined) others++;
    else found++;
    if (2 * found > texts.length) return true;
    if (2 * others >= texts.length) return false;
  }
  return false;
}

/**
 * How each column writes its numbers and dates, in steps; the texts of one column at a time are in memory.
 * @param cells the cells of each column, missing ones among them
 * @param missing which they are
 */
export function* tableFormats(
  names: readonly string[],
  cells: (column: number) => readonly string[],
  options: TableFormatOptions,
  missing: MissingTest,
): Steps<ColumnFormat[]> {
  const textsOf = (j: number) => cells(j).filter((cell) => !missing(cell));
  const hints = numberHints(options);
  const first = yield* each(names, (name, j) => {
    const texts = textsOf(j);
    const format = formatOf(name, texts, options, {});
    const { numbers, dates } = format;
    // Columns of texts say nothing of numbers.
    const says = dates === undefined && numbers.settled === "cells" && mostAre(texts, numberReader(numbers));
    return { format, says, points: numbers.settled === "plain" && texts.some((text) => text.includes(".")) };
  });
  const agreed = <T>(values: readonly (T | undefined)[]): T | undefined => {
    const said = new Set(values.filter((value) => value !== undefined));
    return said.size === 1 ? [...said][0] : undefined;
  };
  const decimal = agreed(first.map(({ format, says }) => (says ? format.numbers.decimal : undefined)));
  const order = agreed(
    first.map(({ format: { dates } }) =>
      dates !== undefined && dates.settled !== "default" && (dates.format === "dmy" || dates.format === "mdy")
        ? dates.format
        : undefined,
    ),
  );
  return yield* each(first, ({ format: { numbers, dates }, points }, j) => {
    const openNumbers = decimal !== undefined && (numbers.settled === "delimiter" || points);
    const openDates = order !== undefined && dates?.settled === "default";
    return {
      numbers: openNumbers ? numberFormat(textsOf(j), { ...hints, table: decimal }) : numbers,
      dates: openDates && dates !== undefined ? { ...dates, format: order, settled: "table" } : dates,
    };
  });
}

/** How one column writes its numbers and dates, by its texts. */
export function formatOf(
  name: string,
  texts: readonly string[],
  options: TableFormatOptions,
  { decimal, order }: { decimal?: "." | ","; order?: DateFormat },
): ColumnFormat {
  const numbers = numberFormat(texts, { ...numberHints(options), table: decimal });
  const { dateFormat } = options;
  const own = typeof dateFormat === "object" && Object.hasOwn(dateFormat, name) ? dateFormat[name] : undefined;
  if (own !== undefined) return { numbers, dates: { format: own, settled: "option" } };
  if (typeof dateFormat === "string" && dateFormat.includes("%")) {
    const fits = mostAre(texts, (text) => daysOf(text, dateFormat));
    if (fits) return { numbers, dates: { format: dateFormat, settled: "option" } };
  }
  if (mostAre(texts, numberReader(numbers))) return { numbers };
  const reading = dateReading(texts, order);
  if (reading === undefined) return { numbers };
  const { format, settled } = reading;
  const named = typeof dateFormat === "string" && !dateFormat.includes("%") && format !== "names" && format !== "time";
  return { numbers, dates: named ? { format: dateFormat, settled: "option" } : { format, settled } };
}

/** What a person calls a way of writing dates. */
export function dateFormatWords(format: DateFormat): string {
  const words: Readonly<Record<string, string>> = {
    iso: "the year first",
    dmy: "the day first",
    mdy: "the month first",
    ymd: "the year first",
    names: "the months by name",
    time: "times of day",
    excel: "days counted from 1900",
    unix: "seconds counted from 1970",
  };
  return Object.hasOwn(words, format) ? words[format] : `the pattern ${format}`;
}
