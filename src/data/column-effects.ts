// Which columns can have effects of their categories, and columns to which they are brought.

import { OptionError, ValueError } from "../errors.ts";
import type { ColumnEncoding } from "./column-encoding.ts";
import { checkEffects, type LevelEffects, mostLevels } from "./level-effects.ts";
import type { TargetEncoding } from "./target.ts";

/** Outputs beyond which an input for each effect on them would be too many. */
const MOST_EFFECTS = 16;

/** How many levels of categories have effects, and on how many outputs; undefined where those are too many. */
export function levelsOf(target: TargetEncoding, columns: number) {
  const outputs = target.kind === "number" || target.classes.length === 2 ? 1 : target.classes.length;
  return outputs > MOST_EFFECTS ? undefined : { most: mostLevels(Math.max(1, columns), outputs), outputs };
}

/** Columns with effects, by name. @throws OptionError for a column that has none; ValueError for effects that do not belong to it */
export function broughtEffects(
  where: string,
  columns: readonly ColumnEncoding[],
  effects: Readonly<Record<string, LevelEffects>>,
): ColumnEncoding[] {
  const has = (column: ColumnEncoding) => column.kind === "category" && column.effects !== undefined;
  for (const name of Object.keys(effects)) {
    if (!columns.some((column) => column.name === name && has(column)))
      throw new OptionError(`${where}: there is no column "${name}" whose categories have effects.`);
  }
  return columns.map((column) => {
    if (column.kind !== "category" || column.effects === undefined || !Object.hasOwn(effects, column.name))
      return column;
    const found = checkEffects(where, effects[column.name], column.categories.length);
    const outputs = column.effects.deviations.length;
    if (found.deviations.length !== outputs)
      throw new ValueError(`${where}: expected effects of "${column.name}" on ${outputs} outputs.`);
    return { ...column, effects: found };
  });
}
