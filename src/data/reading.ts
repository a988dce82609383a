// What a cell of a column of numbers or dates says, by what was decided of the column.

import { cellReader } from "./cell-texts.ts";
import type { DatesSettled } from "./date-format.ts";
import type { DateFormat } from "./dates.ts";
import { identityOf } from "./identity.ts";
import { type MissingRule, missingTest } from "./missing.ts";
import { type NumberFormat, readsPlain } from "./number-format.ts";
import { plainNumber } from "./plain-number.ts";
import { checkText, checkTexts, checkWritten } from "./texts.ts";

/** The value of a cell; undefined where it is missing, null where it cannot be read. */
export type Reading = (cell: string) => number | undefined | null;

/** How a column writes what it holds. */
export type ReadAs =
  | (NumberFormat & { readonly kind: "number" })
  | { readonly kind: "date"; readonly format: DateFormat; readonly settled: DatesSettled };

/** What must be decided of a column to read it. */
export type Readable = ReadAs & {
  /** Texts that count as missing. */
  readonly texts: readonly string[];
};

/** How cells of a column are read. */
export function readerOf(column: Readable, rule: MissingRule): Reading {
  checkWritten("readerOf", column, ["kind"]);
  checkTexts("readerOf", "texts", column.texts);
  const missing = missingTest(rule, "numbers");
  const strays = new Set(column.texts.map(identityOf));
  const value = cellReader(column);
  // No text of digits alone is missing, but for those that are named.
  const plain = column.kind === "number" && readsPlain(column) && rule.texts.length === 0;
  return (cell) => {
    if (plain) {
      checkText("readerOf", cell);
      const found = plainNumber(cell);
      if (!Number.isNaN(found)) return found;
    }
    if (missing(cell)) return undefined;
    const found = value(cell);
    if (found !== undefined) return found;
    return strays.size > 0 && strays.has(identityOf(cell.slice(0, 200))) ? undefined : null;
  };
}
