// Searches without derivatives for the least value of a function of a few coordinates: a grid, and golden sections.

import type { Steps } from "../kernels/steps.ts";

/** A function of a few coordinates: smaller is better, and infinite is worst. It must not keep or change u. */
export type Measure<Report> = (u: Float64Array) => Steps<number, Report>;

/** Where a search ended. */
export interface Least {
  readonly u: Float64Array;
  readonly value: number;
  /** Whether no coordinate moved any more; a grid is done when all of it was measured. */
  readonly converged: boolean;
}

/** How golden sections go. */
export interface GoldenOptions {
  /** Is told which points are measured next, as far as it is known; each may be known otherwise by then. */
  readonly ahead?: ((points: readonly Float64Array[]) => void) | undefined;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** Points at which a coordinate is measured at first, ends included, at least 3. */
  readonly points: number;
  /** A coordinate is found when it lies between two that are at most so far apart. */
  readonly tolerance: number;
  /** At most so many points are measured. */
  readonly most: number;
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * All points of a grid, the last coordinate running fastest; of equal values the first is taken.
 * @param ahead is told all of them before
 */
export function* gridSearch<Report>(
  f: Measure<Report>,
  axes: readonly (readonly number[])[],
  ahead?: (points: readonly Float64Array[]) => void,
): Steps<Least, Report> {
  let best: { u: Float64Array; value: number } | undefined;
  const total = axes.reduce((product, axis) => product * axis.length, 1);
  const points = Array.from({ length: total }, (_, i) => {
    const u = new Float64Array(axes.length);
    let rest = i;
    for (let k = axes.length - 1; k >= 0; k--) {
      u[k] = axes[k][rest % axes[k].length];
      rest = Math.floor(rest / axes[k].length);
    }
    return u;
  });
  ahead?.(points);
  for (const u of points) {
    const value = yield* f(u.slice());
    if (best === undefined || value < best.value) best = { u, value };
  }
  return { ...(best as { u: Float64Array; value: number }), converged: true };
}

/**
 * One coordinate after the other: at first over the whole range, at `points` places and by golden sections (Kiefer 1953) between
 * the neighbours of the best, then by golden sections around where it is, until none of them moves. The value returned is
 * the least that was met.
 */
export function* goldenSearch<Report>(
  f: Measure<Report>,
  start: Float64Array,
  options: GoldenOptions,
): Steps<Least, Report> {
  const { lower, upper, points, tolerance, most, ahead } = options;
  const known = new Map<string, number>();
  const best = { u: start.map((x, i) => Math.min(Math.max(x, lower[i]), upper[i])), value: Number.POSITIVE_INFINITY };
  /** Coordinate i at x, the others at the best so far. */
  const pointAt = (i: number, x: number) => {
    const u = best.u.slice();
    u[i] = x;
    return u;
  };
  /** Says that these are next. */
  const say = (i: number, xs: readonly number[]) => {
    const next = xs.map((x) => pointAt(i, x)).filter((u) => !known.has(u.join()));
    ahead?.(next.slice(0, most - known.size));
  };
  const at = function* (i: number, x: number): Steps<number, Report> {
    const u = pointAt(i, x);
    const key = u.join();
    const before = known.get(key);
    if (before !== undefined) return before;
    if (known.size >= most) return Number.POSITIVE_INFINITY;
    const value = yield* f(u.slice());
    known.set(key, value);
    if (value < best.value) Object.assign(best, { u, value });
    return value;
  };
  for (let sweep = 0; ; sweep++) {
    const from = best.u.slice();
    for (let i = 0; i < start.length; i++) {
      const step = (upper[i] - lower[i]) / (points - 1);
      if (sweep === 0) {
        const last = points - 1;
        const places = Array.from({ length: points }, (_, k) => (k === last ? upper[i] : lower[i] + k * step));
        say(i, places);
        for (const place of places) yield* at(i, place);
      }
      let [a, b] = [Math.max(lower[i], best.u[i] - step), Math.min(upper[i], best.u[i] + step)];
      let [x, y] = [b - GOLDEN * (b - a), a + GOLDEN * (b - a)];
      while (b - a > tolerance) {
        say(i, [x, y]);
        if ((yield* at(i, x)) <= (yield* at(i, y))) {
          [b, y, x] = [y, x, y - GOLDEN * (y - a)];
        } else {
          [a, x, y] = [x, y, x + GOLDEN * (b - x)];
        }
        if (known.size >= most) break;
      }
    }
    const still = best.u.every((x, i) => Math.abs(x - from[i]) <= tolerance);
    const full = known.size >= most;
    if (full || still || (start.length === 1 && sweep === 0)) {
      return { ...best, converged: !full || still };
    }
  }
}
