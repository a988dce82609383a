// A table in memory by its columns, in few bytes for a cell; rows and columns of texts are made when they are asked for.

import type { Rows } from "../model/rows.ts";
import { Cells } from "./cells.ts";

/** Collects rows. */
export class ColumnarTable {
  readonly #names: readonly string[];
  readonly #columns: readonly Cells[];
  readonly #lines: number[] = [];

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#columns = names.map(() => new Cells());
  }

  push(row: readonly string[], line: number): void {
    for (let j = 0; j < this.#columns.length; j++) this.#columns[j].push(row[j]);
    this.#lines.push(line);
  }

  /** All rows. */
  rows(): Rows {
    return rowsOf(this.#names, this.#columns, this.#lines, undefined);
  }
}

/** @param places of the rows among those of the columns, where they are not all */
function rowsOf(
  names: readonly string[],
  columns: readonly Cells[],
  lines: readonly number[],
  places: Int32Array | undefined,
): Rows {
  const place = places === undefined ? (i: number) => i : (i: number) => places[i];
  return {
    names,
    lines,
    rows: madeRows(lines.length, (i) => columns.map((column) => column.at(place(i)))),
    column: (j) => {
      const cells = new Array<string>(lines.length);
      for (let i = 0; i < cells.length; i++) cells[i] = columns[j].at(place(i));
      return cells;
    },
    pick: (indices) => {
      const own = Int32Array.from(indices, place);
      const picked = indices.map((i) => lines[i]);
      return rowsOf(names, columns, picked, own);
    },
  };
}

/** A list whose rows are made when they are asked for, again each time. */
function madeRows(length: number, rowAt: (i: number) => readonly string[]): readonly (readonly string[])[] {
  const placeOf = (key: string | symbol) => (typeof key === "string" && /^\d+$/.test(key) ? Number(key) : -1);
  const there = (key: string | symbol) => placeOf(key) >= 0 && placeOf(key) < length;
  return new Proxy<(readonly string[])[]>([], {
    get(list, key, receiver) {
      if (key === "length") return length;
      return there(key) ? rowAt(placeOf(key)) : Reflect.get(list, key, receiver);
    },
    has: (list, key) => there(key) || Reflect.has(list, key),
  });
}
