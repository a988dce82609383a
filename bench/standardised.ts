// Tables of numbers, as the programs here read them.

import { readFileSync } from "node:fs";

/** The names of the columns of a CSV file without commas in its cells, and its rows. */
export function readCells(path: string): [head: string[], ...rows: string[][]] {
  const [head, ...rows] = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.replaceAll('"', "").trim().split(","));
  return [head, ...rows];
}

/** A column with the mean 0 and, unless it is constant, the deviation 1. */
export function standardised(values: readonly number[]): number[] {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
  return values.map((v) => (v - mean) / (deviation || 1));
}
