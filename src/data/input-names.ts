// The inputs that columns become.

import type { ColumnEncoding } from "./column-encoding.ts";
import { checkTexts, checkWritten } from "./texts.ts";

/** A name for each input that a column becomes: "age", "city = Bern", "day season (sin)", "age missing". */
export function inputNames(column: ColumnEncoding): string[] {
  checkWritten("inputNames", column, column?.kind === "ignored" ? ["kind"] : ["kind", "name"]);
  if (column.kind === "ignored") return [];
  const { name } = column;
  const missing = column.missing ? [`${name} missing`] : [];
  if (column.kind === "number") return [name, ...missing];
  if (column.kind === "category" && column.effects !== undefined) {
    const { deviations } = column.effects;
    const own = deviations.map((_, k) => (deviations.length === 1 ? `${name} effect` : `${name} effect ${k + 1}`));
    return [...own, `${name} open`, ...missing];
  }
  if (column.kind === "category") checkTexts("inputNames", "categories", column.categories);
  if (column.kind === "category") return [...column.categories.map((category) => `${name} = ${category}`), ...missing];
  checkTexts("inputNames", "parts", column.parts);
  const parts = column.parts.flatMap((part) =>
    part === "trend" ? [name] : [`${name} ${part} (sin)`, `${name} ${part} (cos)`],
  );
  return [...parts, ...missing];
}
