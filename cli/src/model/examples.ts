// Examples for a network that was trained elsewhere: its inputs as they are, and targets as texts.

import type { NumberFormat } from "laplace-ts";
import { type Rows, rowsAt } from "./rows.ts";

/** Inputs of some examples, and their targets. */
export interface Examples {
  /** Numbers of one example, and those of all, one after the other. */
  readonly width: number;
  readonly x: Float64Array;
  readonly targets: readonly string[];
  /** Each one's line in the file, or its place, the first being 1. */
  readonly lines: readonly number[];
  /** The cells, where there is a table. */
  readonly table?: Rows;
  /** The columns of the inputs, in their order; none of arrays. */
  readonly inputs: readonly string[];
  /** How the numbers of each are written. */
  readonly written?: ReadonlyMap<string, NumberFormat>;
  /** The array of the inputs, where there is no table. */
  readonly array?: string | undefined;
  /** The target's column or array. */
  readonly target: string;
}

/** Some of the examples. */
export function examplesAt(all: Examples, indices: readonly number[]): Examples {
  const { width } = all;
  const x = new Float64Array(indices.length * width);
  indices.forEach((row, i) => {
    x.set(all.x.subarray(row * width, (row + 1) * width), i * width);
  });
  const pick = <T>(list: readonly T[]) => indices.map((i) => list[i]);
  const table = all.table && rowsAt(all.table, indices);
  return { ...all, x, targets: pick(all.targets), lines: pick(all.lines), ...(table && { table }) };
}
