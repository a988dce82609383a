// Which rows are held out together: at random, with copies on one side; by groups; or the last ones in time.

import { cellsAt, divide, foldsOf, type Rows, shuffled } from "./rows.ts";

/** Rows that a model is judged by, and the others, as places among those that were divided. */
export interface Division {
  readonly part: number[];
  readonly rest: number[];
}

/** How rows are held out. */
export interface Split {
  /** Folds of all rows; indices ascending in each. */
  folds(count: number, seed: number): number[][];
  /** A share of some of the rows. */
  divide(indices: readonly number[], share: number, seed: number): Division;
}

/** At random, each class by its share. */
export function randomSplit(labels: ArrayLike<number> | undefined, rows: number): Split {
  return {
    folds: (count, seed) => foldsOf(labels, rows, count, seed),
    divide: (indices, share, seed) =>
      divide(labels && Float64Array.from(indices, (i) => labels[i]), indices.length, share, seed),
  };
}

/**
 * Rows of a group on one side, at random; where rows of a group have one label, each class by its share.
 * @param groups the group of each row
 */
export function groupSplit(groups: ArrayLike<number>, labels?: ArrayLike<number>): Split {
  const rows = Array.from({ length: groups.length }, (_, i) => i);
  /** Places by group, the groups at random. */
  const dealt = (indices: readonly number[], seed: number) => {
    const places = new Map<number, number[]>();
    indices.forEach((row, place) => {
      const own = places.get(groups[row]);
      if (own === undefined) places.set(groups[row], [place]);
      else own.push(place);
    });
    const all = [...places.values()];
    const order = shuffled(all.length, seed).map((i) => all[i]);
    if (labels !== undefined) order.sort(([a], [b]) => labels[indices[a]] - labels[indices[b]]);
    return order;
  };
  return {
    folds(count, seed) {
      const folds: number[][] = Array.from({ length: count }, () => []);
      const all = dealt(rows, seed);
      // The largest first, so that folds are as even as groups allow.
      if (labels === undefined) all.sort((a, b) => b.length - a.length);
      for (const group of all) {
        const smallest = folds.reduce((least, fold) => (fold.length < least.length ? fold : least));
        for (const place of group) smallest.push(place);
      }
      return folds.map((fold) => fold.sort((a, b) => a - b));
    },
    divide(indices, share, seed) {
      const all = dealt(indices, seed);
      if (all.length < 2) return divide(undefined, indices.length, share, seed);
      const part: number[] = [];
      let seen = 0;
      for (const group of all) {
        seen += group.length;
        if (part.length + group.length / 2 <= share * seen) for (const place of group) part.push(place);
      }
      // Both sides have a group, whatever the share.
      const smallest = all.reduce((least, group) => (group.length < least.length ? group : least));
      const chosen = new Set(part.length === 0 ? smallest : part);
      if (chosen.size === indices.length) for (const place of smallest) chosen.delete(place);
      const places = indices.map((_, place) => place);
      return { part: places.filter((place) => chosen.has(place)), rest: places.filter((place) => !chosen.has(place)) };
    },
  };
}

/** The last rows in time. @param times of each row */
export function timeSplit(times: ArrayLike<number>): Split {
  const last = (indices: readonly number[], share: number): Division => {
    const order = indices.map((_, place) => place).sort((a, b) => times[indices[a]] - times[indices[b]] || a - b);
    const count = Math.min(order.length - 1, Math.max(1, Math.round(share * order.length)));
    const cut = order.length - count;
    const ascending = (places: number[]) => places.sort((a, b) => a - b);
    return { part: ascending(order.slice(cut)), rest: ascending(order.slice(0, cut)) };
  };
  return {
    folds: (count) => [
      last(
        Array.from(times, (_, i) => i),
        1 / count,
      ).part,
    ],
    divide: (indices, share) => last(indices, share),
  };
}

/** Copies of rows: how many repeat an earlier one, and a number for each row that copies share. */
export interface Copies {
  readonly count: number;
  readonly groups: Int32Array;
}

/** Pairs of equal rows beyond those expected by chance, from which on rows are taken for copies. */
const BEYOND_CHANCE = 10;

/**
 * Rows that are copies of others in all of some columns; undefined where there are none, or no more than columns of so few
 * values make by chance, were they independent: n (n − 1) / 2 · Π_j Σ_v p_jv² pairs.
 */
export function copiesOf(table: Rows, columns: readonly string[]): Copies | undefined {
  const places = columns.map((name) => table.names.indexOf(name));
  const rows = table.rows.length;
  const groups = groupsOf(table, places);
  const sizes: number[] = [];
  for (const group of groups) sizes[group] = (sizes[group] ?? 0) + 1;
  const count = rows - sizes.length;
  if (count === 0) return undefined;
  const pairs = sizes.reduce((sum, size) => sum + (size * (size - 1)) / 2, 0);
  let expected = (rows * (rows - 1)) / 2;
  for (const j of places) {
    const seen = new Map<string, number>();
    for (const cell of cellsAt(table, j)) seen.set(cell, (seen.get(cell) ?? 0) + 1);
    let same = 0;
    for (const size of seen.values()) same += (size / rows) ** 2;
    expected *= same;
  }
  return pairs > BEYOND_CHANCE * expected ? { count, groups } : undefined;
}

/**
 * A number for each row, that of its first like: column by column groups are divided by their cells, and a row that is alone is not
 * looked at again, so that no text of a whole row is ever made.
 */
function groupsOf(table: Rows, places: readonly number[]): Int32Array {
  const rows = table.rows.length;
  const groups = new Int32Array(rows);
  // Rows whose group has others, and their groups.
  let left: Int32Array = Int32Array.from(groups, (_, i) => i);
  let within: Int32Array = new Int32Array(rows);
  let known = 1;
  for (const j of places) {
    if (left.length === 0) break;
    const cells = cellsAt(table, j);
    const codes = new Map<string, number>();
    const pairs = new Map<number, number>();
    const sizes: number[] = [];
    const own = new Int32Array(left.length);
    for (let k = 0; k < left.length; k++) {
      const cell = cells[left[k]];
      const code = codes.get(cell) ?? codes.size;
      codes.set(cell, code);
      const key = within[k] * rows + code;
      const place = pairs.get(key) ?? pairs.size;
      pairs.set(key, place);
      sizes[place] = (sizes[place] ?? 0) + 1;
      own[k] = place;
    }
    for (let k = 0; k < left.length; k++) groups[left[k]] = known + own[k];
    known += pairs.size;
    left = left.filter((_, k) => sizes[own[k]] > 1);
    within = own.filter((place) => sizes[place] > 1);
  }
  const order = new Int32Array(known).fill(-1);
  let count = 0;
  return groups.map((group) => {
    if (order[group] < 0) order[group] = count++;
    return order[group];
  });
}
