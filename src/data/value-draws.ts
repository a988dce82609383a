// What a missing value may have been: a few values of the training, by their shares.

import { Random } from "../array/random.ts";
import type { Occurrence } from "./identity.ts";
import { momentsOf } from "./moments.ts";

/** Categories by their shares. */
export type CategoryDraws = readonly string[];

/** Values that a missing one may be, tried for each row that lacks one. */
export const DRAWS = 16;
/** Evenly spaced values of a bell curve lack this much of its deviation at most; more is the work of wild values. */
const MOST_STRETCH = 1.2;

/** The middles of equal parts of the sorted values; they have the deviation of all. */
export function numberDraws(sorted: ArrayLike<number>, mean: number, sd: number): number[] {
  const n = sorted.length;
  const draws = Array.from({ length: DRAWS }, (_, k) => sorted[Math.min(n - 1, Math.floor(((k + 0.5) * n) / DRAWS))]);
  const own = momentsOf(draws);
  const stretch = own.sd > 0 ? sd / own.sd : 1;
  if (!(stretch > 1 && stretch <= MOST_STRETCH) || !Number.isFinite(mean)) return draws;
  return draws.map((value) => own.mean + stretch * (value - own.mean));
}

/** Each category by its share of the rows. */
export function categoryDraws(counted: readonly Occurrence[]): CategoryDraws {
  const total = counted.reduce((sum, { count }) => sum + count, 0);
  const draws: string[] = [];
  let [before, i] = [0, 0];
  for (let k = 0; k < DRAWS; k++) {
    const at = ((k + 0.5) * total) / DRAWS;
    while (i < counted.length - 1 && before + counted[i].count <= at) before += counted[i++].count;
    draws.push(counted[i].text);
  }
  return draws;
}

/** An order of draws for each column, so that those of two columns do not go together. */
export function drawOrder(column: number, length: number): number[] {
  const random = new Random(column);
  const order = Array.from({ length }, (_, k) => k);
  for (let k = length - 1; k > 0; k--) {
    const j = Math.floor(random.uniform() * (k + 1));
    [order[k], order[j]] = [order[j], order[k]];
  }
  return order;
}
