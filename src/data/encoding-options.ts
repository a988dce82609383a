// What may be said of a table before its encoding is decided.

import type { ColumnKind } from "./column-encoding.ts";
import type { TableFormatOptions } from "./formats.ts";
import type { TargetTask } from "./target.ts";

/** Options of `tableEncoding`. */
export interface TableEncodingOptions extends TableFormatOptions {
  /** The column to predict. */
  target: string;
  /** "regression" for numbers, "classification" for classes (default: guessed from the target's values). */
  task?: TargetTask | undefined;
  /** Whether a missing value becomes the column's median, or its most frequent text, or is refused (default "impute"). */
  missing?: "impute" | "refuse" | undefined;
  /** What columns hold, by name, where it should not be guessed; "ignored" leaves one out. */
  kinds?: Readonly<Record<string, ColumnKind>> | undefined;
  /** Texts that count as missing in every column, the target's too, besides empty cells and the usual marks. */
  missingTexts?: readonly string[] | undefined;
  /**
   * Whether the usual marks count as missing (default true): among numbers and dates NA, null, ?, - and their like; among
   * texts, which may mean them, only what programs write, such as `NaN`, `<NA>`, `#N/A` and `\\N`.
   */
  usualMissing?: boolean | undefined;
  /** More than 256 categories have inputs for the most frequent (default), or an effect of each, open until `withEffects` brings it. */
  manyCategories?: "frequent" | "effects" | undefined;
  /** Rows of the table that these rows are a sample of (default: as many as there are). */
  total?: number | undefined;
  /** A row in words, for errors, the first being 0 (default "row 1 of the training"). */
  place?: ((row: number) => string) | undefined;
}

export const optionNames = [
  ...["target", "task", "missing", "kinds", "missingTexts", "usualMissing", "manyCategories", "total", "place"],
  ...["decimal", "thousands", "dateFormat", "delimiter"],
];
export const kindNames: readonly ColumnKind[] = ["number", "category", "date", "ignored"];
