// What is known of inputs, by the columns that they are of.

import { inputNames, type TableEncoding } from "laplace-ts";

/** The relevance of columns: of each the largest of its inputs'. */
export function relevanceOf(encoding: TableEncoding, relevance: readonly number[] = []): Map<string, number> {
  const found = new Map<string, number>();
  let at = 0;
  for (const column of encoding.columns) {
    const { length } = inputNames(column);
    const own = relevance.slice(at, at + length);
    at += length;
    if (own.length > 0) found.set(column.name, Math.max(...own));
  }
  return found;
}
