// What texts are that are neither numbers nor dates nor categories, for the reason why a column has no part.

import { daysOf, isDateLike } from "./dates.ts";
import { foreignUnit, isNumberLike } from "./number-format.ts";

/** A date with the day first and one with the month first, where texts have both. */
export function twoOrders(texts: readonly string[]): readonly [dayFirst: string, monthFirst: string] | undefined {
  const only = (order: "dmy" | "mdy", other: "dmy" | "mdy") =>
    texts.find((text) => daysOf(text, other) === undefined && daysOf(text, order) !== undefined)?.trim();
  const [day, month] = [only("dmy", "mdy"), only("mdy", "dmy")];
  return day === undefined || month === undefined ? undefined : [day, month];
}

/** What most of the texts are that look like numbers or dates and were not read; undefined for other texts. */
export function nameTexts(texts: readonly string[]): string | undefined {
  // Different ones: those are in the same order, however often each is there.
  const all = [...new Set(texts)];
  const some = all.length > 400 ? all.filter((_, i) => i % Math.floor(all.length / 200) === 0) : all;
  const most = (is: (text: string) => boolean) => 2 * some.filter(is).length > some.length;
  const shown = (is: (text: string) => boolean) => JSON.stringify(some.find(is)?.trim().slice(0, 60));
  const orders = twoOrders(some);
  if (orders !== undefined) {
    const [day, month] = orders.map((text) => JSON.stringify(text.slice(0, 60)));
    return `dates in two orders: ${day} has the day first, ${month} the month: write them in one, or say which: --date-format <column>=dmy or <column>=mdy`;
  }
  if (most(isNumberLike)) {
    return `numbers in several units or formats, such as ${shown(isNumberLike)}: write them in one, or take them as numbers by --number`;
  }
  const hasUnit = (text: string) => foreignUnit(text) !== undefined;
  if (most(hasUnit)) return `numbers with a unit, such as ${shown(hasUnit)}: write them without it`;
  if (most(isDateLike)) {
    return `dates that are not understood, such as ${shown(isDateLike)}: say how they are written by --date-format, such as "%Y-%m-%d %H.%M"`;
  }
  return undefined;
}
