// Days of the calendar, from the parts of a date.

import { FIRST_NAMES, MONTHS, zoneMinutes } from "./time-names.ts";

/** Seconds of a day. */
export const SECONDS = 86_400;

/**
 * What a pattern found: y, m, d; name (of a month), wd (of a weekday); q (quarter), week, wday, yday; h, mi, s, f (of a second),
 * ap (a or p), z (zone).
 */
export type Groups = Readonly<Record<string, string | undefined>>;

/** The year of two digits: 69 is 1969, 68 is 2068 (POSIX, as strptime reads %y). */
function fullYear(text: string): number {
  const year = Number(text);
  return text.length > 2 ? year : year + (year < 69 ? 2000 : 1900);
}

/** Midnight of a day, in days since 1970-01-01; undefined for a day that does not exist. */
function midnight(year: number, month: number, day: number): number | undefined {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  // February 30 would have become a day in March.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.getTime() / (1000 * SECONDS);
}

/** The share of a day that a clock and its zone say; undefined for a time or a zone that does not exist. */
function timeOfDay({ h = "0", mi = "0", s = "0", f = "", ap, z = "Z" }: Groups): number | undefined {
  let hour = Number(h);
  const [minute, second] = [Number(mi), Number(s)];
  if (ap !== undefined) {
    if (hour < 1 || hour > 12) return undefined;
    hour = (hour % 12) + (ap.toLowerCase() === "p" ? 12 : 0);
  }
  const east = zoneMinutes(z);
  const fraction = f === "" ? 0 : Number(`0.${f}`);
  // A leap second is the 60th.
  if (hour > 23 || minute > 59 || second > 60 || east === undefined) return undefined;
  return (3600 * hour + 60 * (minute - east) + second + fraction) / SECONDS;
}

/** Days since 1970-01-01 that the groups of a pattern say; undefined for a day or a time that does not exist. */
export function daysIn(groups: Groups): number | undefined {
  const year = fullYear(groups.y ?? "1970");
  let month = Number(groups.m ?? "1");
  if (groups.name !== undefined) {
    const found = MONTHS.get(groups.name.toLowerCase());
    if (found === undefined) return undefined;
    month = found;
  }
  if (groups.wd !== undefined && !FIRST_NAMES.has(groups.wd.toLowerCase().slice(0, 2))) return undefined;
  if (groups.yday !== undefined) {
    const day = midnight(year, 1, 1);
    const own = Number(groups.yday);
    const time = timeOfDay(groups);
    if (day === undefined || time === undefined || own < 1 || own > 366) return undefined;
    return day + own - 1 + time;
  }
  if (groups.q !== undefined) month = 3 * Number(groups.q) - 2;
  let day = midnight(year, month, Number(groups.d ?? "1"));
  if (day !== undefined && groups.week !== undefined) {
    // The first week of ISO 8601 is that of January 4.
    const fourth = day + 3;
    const monday = fourth - ((((fourth + 3) % 7) + 7) % 7);
    const week = Number(groups.week);
    if (week < 1 || week > 53) return undefined;
    day = monday + 7 * (week - 1) + Number(groups.wday ?? "1") - 1;
  }
  const time = timeOfDay(groups);
  return day === undefined || time === undefined ? undefined : day + time;
}
