// What texts are that are neither numbers nor dates nor categories, for the reason why a column has no part.

import { daysOf, isDateLike } from "./dates.ts";
import { foreignUnit, isNumberLike } from "./numbers.ts";

/** What most of the texts are that look like numbers or dates and were not read; undefined for other texts. */
export function nameTexts(texts: readonly string[]): string | undefined {
  const some = texts.length > 400 ? texts.filter((_, i) => i % Math.floor(texts.length / 200) === 0) : texts;
  const most = (is: (text: string) => boolean) => 2 * some.filter(is).length > some.length;
  const shown = (is: (text: string) => boolean) => JSON.stringify(some.find(is)?.trim().slice(0, 60));
  const dayFirst = (text: string) => daysOf(text, "mdy") === undefined && daysOf(text, "dmy") !== undefined;
  const monthFirst = (text: string) => daysOf(text, "dmy") === undefined && daysOf(text, "mdy") !== undefined;
  if (some.some(dayFirst) && some.some(monthFirst)) {
    return `dates in two orders: ${shown(dayFirst)} has the day first, ${shown(monthFirst)} the month: write them in one, or say which by --date-format dmy or mdy`;
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
