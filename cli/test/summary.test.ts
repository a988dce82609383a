// What is said of a table's columns.

import { type TableModel, tableEncoding } from "laplace-ts";
import { expect, test } from "vitest";
import { columnLines } from "../src/output/summary.ts";

test("one column of a kind is said as one, and several as many", () => {
  const rows = Array.from({ length: 30 }, (_, i) => [`${Math.sin(i)}`, `${Math.cos(i)}`, "uvw"[i % 3], `${i * i}`]);
  const said = (names: readonly string[]) => {
    const places = names.map((name) => ["a", "b", "c", "y"].indexOf(name));
    const table = { names: [...names], rows: rows.map((row) => places.map((j) => row[j])) };
    return columnLines({ encoding: tableEncoding(table, { target: "y" }) } as TableModel)[0].replace(/\s+/g, " ");
  };
  expect(said(["a", "y"])).toBe("columns 1 number → 1 input");
  expect(said(["a", "b", "c", "y"])).toBe("columns 2 numbers, 1 category → 5 inputs");
});
