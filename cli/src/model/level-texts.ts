// What is said of columns whose categories have effects.

import type { CategoryColumn, TableEncoding } from "laplace-ts";

/** A column of many categories in words: how many have an effect, and by how much they differ; undefined where each has an input. */
export function effectsText({ categories, effects }: CategoryColumn, { target }: TableEncoding): string | undefined {
  if (effects === undefined) return undefined;
  const largest = Math.max(...effects.deviations);
  const count = categories.length.toLocaleString("en");
  if (largest === 0) return `an effect for each of ${count} categories would be chance: they are not told apart`;
  const plain = target.kind === "number" && target.scale === undefined && target.counts !== true;
  const by = plain
    ? `, which differ by ${Number((largest * target.sd).toPrecision(2))} of the target (standard deviation)`
    : "";
  return `a random effect for each of ${count} categories${by}; others are as any of them`;
}
