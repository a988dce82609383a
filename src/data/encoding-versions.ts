// The version that a table's encoding has in a file: the least that knows all that is in it, so that readers of before read what they can.

import type { ColumnEncoding } from "./column-encoding.ts";
import type { TargetEncoding } from "./target.ts";

/** Raised with every change that a reader of before would not understand. */
export const ENCODING_VERSION = 5;
/** That without effects of categories, of counts, of a target on another scale than its own, and of one on its own. */
const [COUNTS_VERSION, SCALE_VERSION, PLAIN_VERSION] = [4, 3, 2];

/** That of an encoding. */
export function versionOf(columns: readonly ColumnEncoding[], target: TargetEncoding): number {
  if (columns.some((column) => column.kind === "category" && column.effects !== undefined)) return ENCODING_VERSION;
  if (target.kind === "classes") return PLAIN_VERSION;
  return target.counts ? COUNTS_VERSION : target.scale === undefined ? PLAIN_VERSION : SCALE_VERSION;
}
