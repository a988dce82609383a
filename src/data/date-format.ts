// Which way of writing dates a column has, settled by all of its cells.

import { SECONDS } from "./calendar.ts";
import { type DateFormat, daysOf } from "./dates.ts";

/**
 * What settled a column's dates: cells that can be read in one way only, their sequence (evenly spaced, or in order), the
 * table's other columns, an option; or nothing (default).
 */
export type DatesSettled = "cells" | "sequence" | "table" | "option" | "default";

/** The dates of a column: their format, what settled it, and how many cells are dates in it. */
export interface DateReading {
  readonly format: DateFormat;
  readonly settled: DatesSettled;
  readonly count: number;
}

/** Steps between dates are even below this deviation over the mean; months differ by 0.03. */
const EVEN = 0.25;
/** Fewer different days say nothing of their spacing. */
const FEWEST_DAYS = 4;
/** Of dates that come again out of order, fewer different ones may first come in order by chance. */
const FEWEST_AGAIN = 7;

const isDay = (days: number | undefined): days is number => days !== undefined;

/**
 * The format in which most of the texts are dates; undefined where none is one. Where the day and the month can be exchanged
 * in every cell, their sequence decides (the firsts of months, dates in order), or the table's other columns; otherwise the
 * month comes first.
 * @param texts in the order of the rows; of those that are alike, all but the first and the last may be elsewhere between the two
 * @param table the format of the other columns
 */
export function dateReading(texts: readonly string[], table?: DateFormat): DateReading | undefined {
  // A column without a date is found to have none by few of its texts.
  if (texts.length > 400) {
    const different = [...new Set(texts)];
    if (different.length > 400 && dateReading(evenly(different, 200)) === undefined) return undefined;
  }
  const formats = ["iso", "names", "mdy", "dmy", "ymd", "time"] as const;
  const readings = new Map(formats.map((format) => [format, texts.map((text) => daysOf(text, format))] as const));
  const countOf = (format: (typeof formats)[number]) => readings.get(format)?.filter(isDay).length ?? 0;
  const count = Math.max(...formats.map(countOf));
  if (count === 0) return undefined;
  const open = formats.filter((format) => countOf(format) === count);
  const [format] = open;
  // Year first and names are read in every format, and two digits are the year's at the end.
  if (format !== "mdy" || !open.includes("dmy")) return { format, settled: "cells", count };
  const [month, day] = [readings.get("mdy") ?? [], readings.get("dmy") ?? []];
  if (month.every((days, i) => days === day[i])) return { format, settled: "cells", count };
  const likely = bySequence(month.filter(isDay), day.filter(isDay));
  if (likely !== undefined) return { format: likely, settled: "sequence", count };
  if (table === "dmy" || table === "mdy") return { format: table, settled: "table", count };
  return { format, settled: "default", count };
}

function evenly<T>(items: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]);
}

/** Of two readings of the same cells, the one whose dates follow each other as calendars and records have them. */
function bySequence(month: readonly number[], day: readonly number[]): "mdy" | "dmy" | undefined {
  const [asMonth, asDay] = [month, day].map(sequence);
  if (asMonth.days < FEWEST_DAYS || asDay.days < FEWEST_DAYS) return undefined;
  const better = (one: Sequence, other: Sequence) =>
    // The same day of the months against the first days of one month.
    (one.oneDay && !other.oneDay && (other.years > 1 || (one.days === 12 && other.days === 12))) ||
    (one.ordered && !other.ordered) ||
    (one.spread < EVEN && other.spread > EVEN && one.spread < 0.3 * other.spread) ||
    // By the hour on days that follow each other, against hours of one day a month.
    (one.hours && one.step < 2 && other.step > 20);
  const [forMonth, forDay] = [better(asMonth, asDay), better(asDay, asMonth)];
  if (forMonth === forDay) return undefined;
  return forMonth ? "mdy" : "dmy";
}

type Sequence = ReturnType<typeof sequence>;

function sequence(values: readonly number[]) {
  const days = [...new Set(values.map(Math.floor))].sort((a, b) => a - b);
  const steps = days.slice(1).map((day, i) => day - days[i]);
  const step = (days[days.length - 1] - days[0]) / steps.length;
  const square = steps.reduce((sum, one) => sum + (one - step) ** 2 / steps.length, 0);
  const dates = days.map((day) => new Date(day * SECONDS * 1000));
  // In the order of the rows, or as dates first come: the same ones may come again for another place or person.
  const firsts = [...new Set(values)];
  const isOrdered = (all: readonly number[]) =>
    [1, -1].some((sign) => all.every((value, i) => i === 0 || sign * (value - all[i - 1]) >= 0));
  return {
    days: days.length,
    /** The mean distance of days, and its deviation over the mean. */
    step,
    spread: Math.sqrt(square) / step,
    oneDay: new Set(dates.map((date) => date.getUTCDate())).size === 1,
    years: new Set(dates.map((date) => date.getUTCFullYear())).size,
    ordered: isOrdered(values) || (firsts.length >= FEWEST_AGAIN && isOrdered(firsts)),
    hours: values.some((value) => value !== Math.floor(value)),
  };
}

/** The format in which most of the texts are dates. */
export function dateFormat(texts: readonly string[]): DateFormat | undefined {
  return dateReading(texts)?.format;
}
