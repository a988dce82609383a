// Dates and times as tables write them. Year first and names of months can be read in one way; digits with the day or the
// month first are read by the column's format. A date is days since 1970-01-01 (UTC): a time with a zone is an instant.

import { ValueError, valueText } from "../errors.ts";
import { daysIn, SECONDS } from "./calendar.ts";
import { datePattern } from "./date-patterns.ts";
import { numberOf } from "./number-format.ts";
import { MONTHS } from "./time-names.ts";

/**
 * How a table writes its dates: year first (2012-03-01, 20120301T1200, 2012年3月1日, 2012-03, 2012-W09-4), day first, month
 * first, year first with two digits, with the names of months; a time of day alone (13:30:00, 1:30 PM), a share of a day;
 * numbers: days since 1900 as Excel counts them, seconds since 1970; or a pattern such as "%d.%m.%y %H:%M".
 */
export type DateFormat = "iso" | "dmy" | "mdy" | "ymd" | "names" | "time" | "excel" | "unix" | `${string}%${string}`;

/** The formats that have a name. */
export const dateFormats = ["iso", "mdy", "dmy", "ymd", "names", "time", "excel", "unix"] as const;

/** JavaScript writes longer dates than any other; this bounds the work of the patterns. */
const LONGEST = 100;
/** 1899-12-30: Excel believes that 1900 was a leap year. */
const EXCEL_EPOCH = -25_569;

const HALF = String.raw`\s?[AaPp]\.?\s?[Mm]\.?`;
/** 13:30, 13.30.15, 13h30, 1:30 PM, 1 PM, 13:30 Uhr. */
const CLOCK = String.raw`(?<h>\d{1,2})(?:[:.h](?<mi>\d{2})(?:[:.](?<s>\d{2})(?:[.,](?<f>\d{1,9}))?)?|(?=${HALF}))(?:\s?(?<ap>[AaPp])\.?\s?[Mm]\.?|\s(?:Uhr|h))?`;
const ZONE = String.raw`(?:\s?(?<z>[Zz]|(?:UTC|GMT|UT)?[+\-−]\d{1,2}(?::?\d{2})?|[A-Z]{2,5})(?:\s?\([^)]{1,50}\)|\[[^\]]{1,40}\])?)?`;
const TIME = String.raw`(?:(?:[T :_-]|,\s|\s-\s|\s(?:at|um|à)\s)\s?${CLOCK}${ZONE})?`;
const NAME = String.raw`(?<name>\p{L}{3,10})\.?`;
const DAY_NAME = String.raw`(?:(?<wd>\p{L}{2,10})\.?,?\s)?`;
const pattern = (text: string) => new RegExp(`^${text}$`, "u");

const ISO = [
  pattern(String.raw`(?<y>\d{4})(?<sep>[-/.])\s?(?<m>\d{1,2})\k<sep>\s?(?<d>\d{1,2})\.?${TIME}`),
  pattern(
    String.raw`(?<y>\d{4})-?(?<m>\d{2})-?(?<d>\d{2})(?:T|[ _-](?=\d{4}))(?<h>\d{2})(?:(?<mi>\d{2})(?:(?<s>\d{2})(?:[.,](?<f>\d{1,9}))?)?)?${ZONE}`,
  ),
  // 1234-05 is more often a code.
  pattern(String.raw`(?<y>(?:1[89]|2[01])\d{2})(?:[-/]|\s?M)(?<m>\d{1,2})`),
  pattern(String.raw`(?<m>\d{1,2})[-/](?<y>(?:1[89]|2[01])\d{2})`),
  pattern(String.raw`(?<y>\d{4})-?W(?<week>\d{2})(?:-?(?<wday>[1-7]))?`),
  pattern(String.raw`(?<y>\d{4})[-/ ]?[Qq](?<q>[1-4])`),
  pattern(String.raw`[Qq](?<q>[1-4])[-/ ]?(?<y>\d{4})`),
  pattern(String.raw`(?<q>[1-4])[Qq][-/ ]?(?<y>\d{4}|\d{2})`),
  pattern(String.raw`(?<y>\d{4})[年년]\s?(?<m>\d{1,2})[月월](?:\s?(?<d>\d{1,2})[日일])?(?:\s?${CLOCK}${ZONE})?`),
];
const NAMED = [
  // Sun, 01 Jan 2012 00:00:00 GMT; 01-Jan-12; 1. März 2012
  pattern(
    String.raw`${DAY_NAME}(?<d>\d{1,2})(?:st|nd|rd|th|er|\.)?(?:[-/\s]|\sde\s|\sof\s)?${NAME}(?:[-/\s]|,\s|\sde\s)?(?<y>\d{4}|\d{2})${TIME}`,
  ),
  // Jan 1, 2012; January 1st 2012 3:00 PM; Sun Jan 01 2012 00:00:00 GMT+0100 (CET)
  pattern(String.raw`${DAY_NAME}${NAME}[-/\s]\s?(?<d>\d{1,2})(?:st|nd|rd|th)?(?:,\s?|[-/\s])(?<y>\d{4})${TIME}`),
  // Sun Jan  1 00:00:00 UTC 2012
  pattern(String.raw`${DAY_NAME}${NAME}\s{1,2}(?<d>\d{1,2})\s${CLOCK}(?:\s(?<z>[A-Z]{2,5}|[+-]\d{4}))?\s(?<y>\d{4})`),
  // 2012-Jan-01
  pattern(String.raw`(?<y>\d{4})[-/\s]${NAME}[-/\s](?<d>\d{1,2})${TIME}`),
  // Jan 2012; January-12; 2012 Jan
  pattern(String.raw`${NAME}(?:[-/\s]|,\s|\sde\s)(?<y>\d{4})`),
  pattern(String.raw`${NAME}[-/'](?<y>\d{2})`),
  pattern(String.raw`(?<y>\d{4})[-/\s]${NAME}`),
];
const YEAR = String.raw`(?<y>\d{4}|\d{2})`;
const DIGITS = {
  dmy: [pattern(String.raw`${DAY_NAME}(?<d>\d{1,2})(?<sep>[./-])\s?(?<m>\d{1,2})\k<sep>\s?${YEAR}\.?${TIME}`)],
  // Points between them are written where the day comes first.
  mdy: [pattern(String.raw`${DAY_NAME}(?<m>\d{1,2})(?<sep>[/-])(?<d>\d{1,2})\k<sep>${YEAR}${TIME}`)],
  ymd: [pattern(String.raw`${YEAR}(?<sep>[./-])(?<m>\d{1,2})\k<sep>(?<d>\d{1,2})${TIME}`)],
} as const;

/** 13:30, 13:30:15.5, 1:30 PM. */
const CLOCKS = [
  pattern(
    String.raw`(?<h>\d{1,2}):(?<mi>\d{2})(?::(?<s>\d{2})(?:[.,](?<f>\d{1,9}))?)?(?:\s?(?<ap>[AaPp])\.?\s?[Mm]\.?)?`,
  ),
];

function first(patterns: readonly RegExp[], text: string): number | undefined {
  for (const one of patterns) {
    const found = one.exec(text);
    const days = found?.groups && daysIn(found.groups);
    if (days !== undefined) return days;
  }
  return undefined;
}

/**
 * Days since 1970-01-01 (UTC) that a cell says in this format; undefined if it says none, or no day that exists. Dates that
 * can be read in one way only, year first or with the name of a month, are read in all formats; of numbers and patterns only
 * those with the year first.
 */
export function daysOf(cell: string, format: DateFormat): number | undefined {
  if (cell.length > LONGEST) return undefined;
  const text = cell.trim().replace(/[\u00a0\u202f]/g, " ");
  if (format === "excel" || format === "unix") return countedDays(text, format) ?? first(ISO, text);
  if (format.includes("%")) return datePattern(format)(text) ?? first(ISO, text);
  if (format === "time") return first(CLOCKS, text);
  return first(ISO, text) ?? (format === "iso" ? undefined : ownDays(text, format));
}

function ownDays(text: string, format: DateFormat): number | undefined {
  if (format === "dmy" || format === "mdy" || format === "ymd") {
    const days = first(DIGITS[format], text);
    if (days !== undefined) return days;
  }
  return first(NAMED, text);
}

/** Days from a count: days as Excel has them, or seconds, or milliseconds where that many seconds would be the year 5138. */
function countedDays(text: string, format: "excel" | "unix"): number | undefined {
  const value = numberOf(text);
  if (value === undefined) return undefined;
  const days = format === "excel" ? value + EXCEL_EPOCH : value / SECONDS / (Math.abs(value) >= 1e11 ? 1000 : 1);
  return Math.abs(days) < 1e8 ? days : undefined;
}

/** The moment so many days after 1970-01-01, to the second. @throws ValueError for one that no date is */
export function dateOf(where: string, days: number): Date {
  const date = new Date(typeof days === "number" ? Math.round(days * SECONDS) * 1000 : Number.NaN);
  if (Number.isFinite(date.getTime())) return date;
  throw new ValueError(`${where}: ${valueText(days)} is not a number of days that a date has.`);
}

/** Days since 1970-01-01 as a text: 1973-05-01, with the time of day if there is one. */
export function dayText(days: number): string {
  const text = dateOf("dayText", days).toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, -14) : text.replace(".000Z", "Z");
}

/** Whether a text looks like a date: three groups of digits or two and the name of a month, or a time. */
export function isDateLike(text: string): boolean {
  if (text.length > LONGEST || !/\d/.test(text)) return false;
  if (/\d{1,4}[-./\s年]\d{1,2}[-./\s月]\d{1,4}/u.test(text) || /\d{1,2}:\d{2}/.test(text)) return true;
  return [...text.matchAll(/\p{L}{3,}/gu)].some(([word]) => MONTHS.has(word.toLowerCase()));
}
