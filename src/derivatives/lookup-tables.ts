// The derivatives of a table whose rows are looked up: of one example Σ_t e(token_t) ⊗ r_t, with r_t what arrives at
// position t. One-hot rows are as long as the vocabulary, so they are not written: what arrives is added where it belongs.

import { allocateFloats, bytesPerElement, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import { chunkLength } from "../network/chunks.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, positionsOf, siteUseOf } from "../network/primitive.ts";

/** Whether a site's weight is a table [rows, n], of which every use looks rows up. */
export function isTable(nodes: readonly Node[]): boolean {
  return nodes.length > 0 && nodes.every((node) => siteUseOf(node).table === true);
}

/**
 * Adds what arrives at an example's positions to the rows of `to`, [rows, n] for each example and column.
 * @param example elements from one example to the next in `to` @param column from one column to the next
 */
export function addToTables(
  backward: Backward,
  { inputs: n }: LinearSite,
  nodes: readonly Node[],
  to: Pointer,
  example: number,
  column: number,
): void {
  const { batch, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  inMemory(dtype, (memory) => {
    for (const node of nodes) {
      const { positions: t, padding } = siteUseOf(node);
      const tokens = backward.value(node.inputs[0]) / bytes;
      let from = backward.cotangent(node) / bytes;
      for (let k = 0; k < columns; k++) {
        for (let b = 0; b < batch; b++) {
          const table = to / bytes + b * example + k * column;
          for (let i = 0; i < t; i++, from += n) {
            const token = memory[tokens + b * t + i];
            if (token === padding) continue;
            const row = table + token * n;
            for (let j = 0; j < n; j++) memory[row + j] += memory[from + j];
          }
        }
      }
    }
  });
}

/** What arrives at the rows that some examples look up. */
export interface TableRows {
  /** The first example. */
  readonly first: number;
  readonly count: number;
  /** T, the positions of an example. */
  readonly positions: number;
  /** The row of each position, [count, T]. */
  readonly tokens: Uint32Array;
  /** [count, K, T, n]: the sum for a row at the first of an example's positions that look it up, 0 at its others. */
  readonly rows: Pointer;
}

/** Numbers that `eachTableRows` allocates for each example of a chunk. */
function rowNumbers({ inputs }: LinearSite, nodes: readonly Node[], columns: number): number {
  return columns * inputs * nodes.reduce((total, node) => total + positionsOf(node), 0);
}

/** Calls `visit` with the rows of one chunk of examples after the other, within a scope each. */
export function eachTableRows(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  visit: (rows: TableRows) => void,
): void {
  const { batch, columns, dtype } = backward;
  const length = chunkLength(dtype, batch, rowNumbers(site, nodes, columns));
  for (let first = 0; first < batch; first += length) {
    scope(() => visit(rowsOf(backward, site, nodes, first, Math.min(length, batch - first))));
  }
}

function rowsOf(
  backward: Backward,
  { inputs: n }: LinearSite,
  nodes: readonly Node[],
  first: number,
  count: number,
): TableRows {
  const { kernels, batch, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const positions = nodes.reduce((total, node) => total + positionsOf(node), 0);
  const step = positions * n;
  const rows = allocateFloats(dtype, count * columns * step);
  kernels.fill(count * columns * step, 0, rows);
  const tokens = new Uint32Array(count * positions);
  inMemory(dtype, (memory) => {
    for (let b = 0; b < count; b++) {
      const places = new Map<number, number>();
      let position = 0;
      for (const node of nodes) {
        const { positions: t, padding } = siteUseOf(node);
        const own = backward.value(node.inputs[0]) / bytes + (first + b) * t;
        const arrives = backward.cotangent(node) / bytes + (first + b) * node.size;
        for (let i = 0; i < t; i++, position++) {
          const token = memory[own + i];
          const place = places.get(token) ?? position;
          places.set(token, place);
          tokens[b * positions + position] = token;
          if (token === padding) continue;
          for (let k = 0; k < columns; k++) {
            const to = rows / bytes + (b * columns + k) * step + place * n;
            const from = arrives + k * batch * node.size + i * n;
            for (let j = 0; j < n; j++) memory[to + j] += memory[from + j];
          }
        }
      }
    }
  });
  return { first, count, positions, tokens, rows };
}

/** Adds the squares of all rows, over examples and columns, to a table `to`. */
export function addTableSquares(
  { columns, dtype }: Backward,
  { inputs: n }: LinearSite,
  { count, positions, tokens, rows }: TableRows,
  to: Pointer,
): void {
  const bytes = bytesPerElement(dtype);
  inMemory(dtype, (memory) => {
    let from = rows / bytes;
    for (let b = 0; b < count; b++) {
      for (let k = 0; k < columns; k++) {
        for (let i = b * positions; i < (b + 1) * positions; i++, from += n) {
          const row = to / bytes + tokens[i] * n;
          for (let j = 0; j < n; j++) memory[row + j] += memory[from + j] ** 2;
        }
      }
    }
  });
}

/** Multiplies every row by the roots of that of a table, entry by entry. */
export function scaleTableRows(
  { columns, dtype }: Backward,
  { inputs: n }: LinearSite,
  { count, positions, tokens, rows }: TableRows,
  table: ArrayLike<number>,
): void {
  inMemory(dtype, (memory) => {
    let at = rows / bytesPerElement(dtype);
    for (let b = 0; b < count; b++) {
      for (let k = 0; k < columns; k++) {
        for (let i = b * positions; i < (b + 1) * positions; i++) {
          for (let j = 0; j < n; j++) memory[at++] *= Math.sqrt(table[tokens[i] * n + j]);
        }
      }
    }
  });
}
