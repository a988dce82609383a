// Which rows are held out together: at random, with copies on one side; by groups; or the last ones in time.

import type { Rows } from "./rows.ts";
import { divide, foldsOf, shuffled } from "./rows.ts";

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
        folds.reduce((least, fold) => (fold.length < least.length ? fold : least)).push(...group);
      }
      return folds.map((fold) => fold.sort((a, b) => a - b));
    },
    divide(indices, share, seed) {
      const all = dealt(indices, seed);
      if (all.length < 2) return divide(undefined, indices.length, share, seed);
      let part: number[] = [];
      let seen = 0;
      for (const group of all) {
        seen += group.length;
        if (part.length + group.length / 2 <= share * seen) part = part.concat(group);
      }
      // Both sides have a group, whatever the share.
      const smallest = all.reduce((least, group) => (group.length < least.length ? group : least));
      if (part.length === 0) part = smallest;
      const chosen = new Set(part);
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
export function copiesOf({ rows, names }: Rows, columns: readonly string[]): Copies | undefined {
  const places = columns.map((name) => names.indexOf(name));
  const known = new Map<string, number>();
  const sizes: number[] = [];
  const groups = Int32Array.from(rows, (row) => {
    const key = JSON.stringify(places.map((j) => row[j]));
    const group = known.get(key) ?? known.size;
    known.set(key, group);
    sizes[group] = (sizes[group] ?? 0) + 1;
    return group;
  });
  const count = rows.length - known.size;
  if (count === 0) return undefined;
  const pairs = sizes.reduce((sum, size) => sum + (size * (size - 1)) / 2, 0);
  let expected = (rows.length * (rows.length - 1)) / 2;
  for (const j of places) {
    const seen = new Map<string, number>();
    for (const row of rows) seen.set(row[j], (seen.get(row[j]) ?? 0) + 1);
    let same = 0;
    for (const size of seen.values()) same += (size / rows.length) ** 2;
    expected *= same;
  }
  return pairs > BEYOND_CHANCE * expected ? { count, groups } : undefined;
}
