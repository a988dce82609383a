// Cells that could not be read and counted as missing: how many in each column, with an example.

import { plain, printNote } from "./terminal.ts";

/** Columns that are named; the others are counted. */
const NAMED = 8;

/** Counts cells that could not be read. */
export class Unreadable {
  readonly #columns = new Map<string, { count: number; what: string; line: number }>();

  readonly add = (name: string, what: string, line: number): void => {
    const own = this.#columns.get(name);
    if (own === undefined) this.#columns.set(name, { count: 1, what, line });
    else own.count++;
  };

  /** By the names of columns. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#columns].map(([name, { count }]) => [name, count]));
  }

  /** Says so on standard error. */
  print(): void {
    const all = [...this.#columns];
    for (const [name, { count, what, line }] of all.slice(0, NAMED)) {
      const [cells, rows] = count === 1 ? ["cell", "its row is far"] : ["cells", "their rows are far"];
      printNote(
        `"${plain(name)}" has ${count.toLocaleString("en")} ${cells} that cannot be read: taken as missing, ${rows}. Line ${line} has ${plain(what)}`,
      );
    }
    if (all.length > NAMED) printNote(`${all.length - NAMED} more columns have cells that cannot be read`);
  }
}
