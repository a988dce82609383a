// What a table's cell says: nothing, a number, a day. Texts come from files that nobody vouches for.

/** Texts that stand for a missing value, in lower case. */
const MISSING: ReadonlySet<string> = new Set(["", "na", "n/a", "#n/a", "nan", "null", "none", "?"]);
/** A number that is not finite is no measurement. */
const NOT_FINITE = /^[+-]?(inf|infinity|nan)$/i;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const DECIMAL_COMMA = /^[+-]?\d+,\d+$/;
/** Longer texts are no number and no date; this bounds the work of the patterns. */
const LONGEST = 64;

/** Whether a cell is empty or says that its value is missing: NA, N/A, #N/A, NaN, null, None, ?, or an infinity. */
export function isMissing(cell: string): boolean {
  if (cell.length > LONGEST) return cell.trim() === "";
  const text = cell.trim();
  return MISSING.has(text.toLowerCase()) || NOT_FINITE.test(text);
}

/** The number a cell says, in decimal digits with a point; undefined if it says none. */
export function numberOf(cell: string): number | undefined {
  if (cell.length > LONGEST) return undefined;
  const text = cell.trim();
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** Whether most of the texts are numbers with a comma for the decimals, which `numberOf` does not read: 1,5 may be 1.5 or 15. */
export function haveDecimalCommas(texts: readonly string[]): boolean {
  const count = texts.reduce((n, text) => n + (DECIMAL_COMMA.test(text.slice(0, LONGEST).trim()) ? 1 : 0), 0);
  return 2 * count > texts.length;
}

/** How a table writes its dates: year first, day first, or month first. */
export type DateFormat = "iso" | "dmy" | "mdy";

const TIME = String.raw`(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?\s?(Z|[+-]\d{2}:?\d{2})?)?`;
const ISO = new RegExp(String.raw`^(\d{4})([-/])(\d{1,2})\2(\d{1,2})${TIME}$`);
const DAY_FIRST = new RegExp(String.raw`^(\d{1,2})([./-])(\d{1,2})\2(\d{4})${TIME}$`);
/** Points between them are written where the day comes first. */
const MONTH_FIRST = new RegExp(String.raw`^(\d{1,2})([/-])(\d{1,2})\2(\d{4})${TIME}$`);
const patterns: Readonly<Record<DateFormat, RegExp>> = { iso: ISO, dmy: DAY_FIRST, mdy: MONTH_FIRST };
const SECONDS = 86_400;

/** Days since 1970-01-01 (UTC) that a cell says in this format; undefined if it says none, or no day that exists. */
export function daysOf(cell: string, format: DateFormat): number | undefined {
  if (cell.length > LONGEST) return undefined;
  const found = patterns[format].exec(cell.trim());
  if (found === null) return undefined;
  const [, first, , second, third, hour = "0", minute = "0", second60 = "0", zone = "Z"] = found;
  const [year, month, day] =
    format === "iso" ? [first, second, third] : format === "dmy" ? [third, second, first] : [third, first, second];
  const midnight = new Date(0);
  midnight.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  // February 30 would have become a day in March.
  if (midnight.getUTCMonth() !== Number(month) - 1 || midnight.getUTCDate() !== Number(day)) return undefined;
  const [h, m, s] = [Number(hour), Number(minute), Number(second60)];
  if (h > 23 || m > 59 || s > 59) return undefined;
  const east = zone === "Z" ? 0 : Number(`${zone[0]}1`) * (60 * Number(zone.slice(1, 3)) + Number(zone.slice(-2)));
  return midnight.getTime() / (1000 * SECONDS) + (3600 * h + 60 * (m - east) + s) / SECONDS;
}

/** The format in which most of the texts are dates; where days and months can be exchanged, the month comes first. */
export function dateFormat(texts: readonly string[]): DateFormat | undefined {
  const formats = ["iso", "mdy", "dmy"] as const;
  const counts = formats.map((format) =>
    texts.reduce((n, text) => n + (daysOf(text, format) === undefined ? 0 : 1), 0),
  );
  const most = Math.max(...counts);
  return most === 0 ? undefined : formats[counts.indexOf(most)];
}

/** Days since 1970-01-01 as a text: 1973-05-01, with the time of day if there is one. */
export function dayText(days: number): string {
  const text = new Date(Math.round(days * SECONDS) * 1000).toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, -14) : text.replace(".000Z", "Z");
}
