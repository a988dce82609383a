// Whether a table's cell says nothing. Texts come from files that nobody vouches for.

import { LONGEST } from "./number-format.ts";

/** Texts that stand for a missing value, in lower case. */
const MISSING: ReadonlySet<string> = new Set(["", "na", "n/a", "#n/a", "nan", "null", "none", "?"]);
/** A number that is not finite is not a measurement. */
export const NOT_FINITE = /^[+-]?(inf|infinity|nan)$/i;

/** Whether a cell is empty or says that its value is missing: NA, N/A, #N/A, NaN, null, None, ?, or an infinity. */
export function isMissing(cell: string): boolean {
  if (cell.length > LONGEST) return cell.trim() === "";
  const text = cell.trim();
  return MISSING.has(text.toLowerCase()) || NOT_FINITE.test(text);
}
