// Checks of what functions of cells are given: texts, and columns as a model describes them.

import { ValueError, valueText } from "../errors.ts";

/** @throws ValueError for what is not a text */
export function checkText(where: string, cell: unknown): asserts cell is string {
  if (typeof cell === "string") return;
  throw new ValueError(`${where}: a cell is a text, not ${valueText(cell)}. String(value) makes a text of it.`);
}

/** @throws ValueError for what is not a list of texts */
export function checkTexts(where: string, name: string, cells: unknown): asserts cells is readonly string[] {
  if (!Array.isArray(cells))
    throw new ValueError(`${where}: ${name} must be a list of texts, not ${valueText(cells)}.`);
  for (let i = 0; i < cells.length; i++) {
    if (typeof cells[i] === "string") continue;
    throw new ValueError(
      `${where}: entry ${i} of ${name} is ${valueText(cells[i])}, not a text. String(value) makes a text of it.`,
    );
  }
}

/** @throws ValueError for what is not an object with these texts */
export function checkWritten(where: string, column: unknown, texts: readonly string[]): void {
  if (column === null || typeof column !== "object") {
    throw new ValueError(`${where}: a column, or how it is written, is an object, not ${valueText(column)}.`);
  }
  for (const name of texts) {
    const value = (column as Record<string, unknown>)[name];
    if (typeof value !== "string") throw new ValueError(`${where}: ${name} must be a text, not ${valueText(value)}.`);
  }
}
