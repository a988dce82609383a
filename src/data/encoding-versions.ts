// The version that a table's encoding has in a file: the least that knows all that is in it, so that readers of before read what they can.

import type { ColumnEncoding } from "./column-encoding.ts";
import type { TargetEncoding } from "./target.ts";

/** Raised with every change that a reader of before would not understand. */
export const ENCODING_VERSION = 6;
/** That without ends of the target, without effects of categories, of counts, of a target on another scale than its own, and of one on its own. */
const [EFFECTS_VERSION, COUNTS_VERSION, SCALE_VERSION, PLAIN_VERSION] = [5, 4, 3, 2];

/** That of an encoding. */
export function versionOf(columns: readonly ColumnEncoding[], target: TargetEncoding): number {
  if (target.kind === "number" && target.low !== undefined) return ENCODING_VERSION;
  if (columns.some((column) => column.kind === "category" && column.effects !== undefined)) return EFFECTS_VERSION;
  if (target.kind === "classes") return PLAIN_VERSION;
  return target.counts ? COUNTS_VERSION : target.scale === undefined ? PLAIN_VERSION : SCALE_VERSION;
}
