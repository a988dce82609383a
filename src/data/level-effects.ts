// What categories with many levels become in the place of an input for each: an effect of each level, and how much of it is open.

import { ValueError } from "../errors.ts";
import { DRAWS } from "./value-draws.ts";

/**
 * Effects of a column's categories, as a model of random effects has them (BLUP: Henderson 1975): an input for each output that they
 * move, and one that says how much is open. What estimates them brings them.
 */
export interface LevelEffects {
  /** In deviations of the effects, [categories · outputs], those of a category side by side. */
  readonly values: readonly number[];
  /** How much of each effect is open, 0 where nothing is, [categories]: the logarithm of what that makes of the noise's variance suits. */
  readonly open: readonly number[];
  /** The deviation of effects among categories, in what is learned of the target, [outputs]; 0 where they do not differ. */
  readonly deviations: readonly number[];
}

/** Categories with more levels than these have effects. */
export const MOST_ONE_HOT = 256;
/** Numbers and texts of all levels of a table's columns that a file has, and levels of a column. */
const [MOST_VALUES, MOST_LEVELS] = [2 ** 18, 2 ** 16];

/** Levels that a column can have, of so many columns, each with so many effects. */
export function mostLevels(columns: number, outputs: number): number {
  return Math.max(MOST_ONE_HOT, Math.min(MOST_LEVELS, Math.floor(MOST_VALUES / (columns * (outputs + 2)))));
}

/** Effects of which nothing is known. */
export function openEffects(categories: number, outputs: number): LevelEffects {
  return {
    values: new Array<number>(categories * outputs).fill(0),
    open: new Array<number>(categories).fill(1),
    deviations: new Array<number>(outputs).fill(0),
  };
}

/** Effects as they were given. @throws ValueError for lengths that do not belong to so many categories, or what are not numbers */
export function checkEffects(where: string, given: LevelEffects, categories: number): LevelEffects {
  const { values, open, deviations } = given ?? {};
  const numbers = (list: unknown, size: number) =>
    Array.isArray(list) && list.length === size && list.every((one) => typeof one === "number" && Number.isFinite(one));
  const outputs = Array.isArray(deviations) ? deviations.length : 0;
  if (outputs === 0 || !numbers(deviations, outputs) || deviations.some((one) => one < 0))
    throw new ValueError(`${where}: expected a deviation of at least 0 for each output.`);
  if (!numbers(open, categories) || open.some((one) => !(one >= 0)))
    throw new ValueError(`${where}: expected ${categories} numbers of at least 0 in open, one for each category.`);
  if (!numbers(values, categories * outputs))
    throw new ValueError(`${where}: expected ${categories * outputs} numbers in values, ${outputs} for each category.`);
  return { values, open, deviations };
}

/** Categories evenly along their first effect, so many: by default what one that is not listed may be. */
export function levelsAlong(
  categories: readonly string[],
  { values, deviations }: LevelEffects,
  count: number = DRAWS,
): string[] {
  const first = (place: number) => values[place * deviations.length];
  const order = categories.map((_, place) => place).sort((a, b) => first(a) - first(b) || a - b);
  return Array.from({ length: count }, (_, k) => categories[order[Math.floor(((k + 0.5) * order.length) / count)]]);
}
