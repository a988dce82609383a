// How often intervals or sets hold their target, by groups of samples: a level on average may hide who it fails.

import { type ArrayLike, asArray, shapeText } from "../array/ndarray.ts";
import { checkInteger, checkOptions, OptionError, ShapeError, ValueError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";

/** What is asked whether it holds its target: intervals' bounds [N], or sets of labels, such as the conformal functions give. */
export type Regions =
  | { readonly lower: ArrayLike; readonly upper: ArrayLike }
  | { readonly sets: readonly (readonly number[])[] };

/** How often the samples of a group were held. */
export interface Coverage {
  /** How many samples the group has. */
  readonly samples: number;
  /** The share of them whose interval or set holds the target. */
  readonly coverage: number;
  /** Where the group's true coverage is with a confidence of 95 %, by its number of samples alone (Wilson, 1927). */
  readonly range: readonly [lower: number, upper: number];
}

/** The coverage of a group that has a name. */
export interface GroupCoverage extends Coverage {
  readonly group: string | number;
}

/** The coverage of the samples whose uncertainty lies in a range. */
export interface SlabCoverage extends Coverage {
  /** The smallest uncertainty in the slab. */
  readonly from: number;
  /** The largest uncertainty in the slab. */
  readonly to: number;
}

/** The options of `coverageBySlab`. */
export interface SlabOptions {
  /** The number of slabs of as equal numbers of samples as ties allow (default 5). */
  slabs?: number;
  /** The uncertainty of each sample, [N]; the width of its interval, or the size of its set, by default. */
  by?: ArrayLike;
}

/** Numbers of N samples, [N] or [N, 1], infinite ones too. @throws ShapeError, ValueError */
function column(where: string, name: string, values: ArrayLike, samples?: number): FloatArray {
  const { shape, size, data } = asArray(values);
  if (size !== shape[0] || size === 0 || (samples !== undefined && size !== samples)) {
    throw new ShapeError(
      `${where}: expected ${name} of shape [${samples ?? "N"}], one number for each sample, got ${shapeText(shape)}. Take one output at a time.`,
    );
  }
  const at = data.findIndex(Number.isNaN);
  if (at >= 0) throw new ValueError(`${where}: ${name} has NaN (element ${at}).`);
  return data;
}

/** Whether each sample is held, and how large its region is. */
function read(where: string, regions: Regions, targets: ArrayLike): { held: boolean[]; size: number[] } {
  if (
    regions === null ||
    typeof regions !== "object" ||
    !("sets" in regions || ("lower" in regions && "upper" in regions))
  ) {
    throw new ValueError(`${where}: expected { lower, upper } or { sets }, got ${valueText(regions)}.`);
  }
  const y = Array.from(column(where, "targets", targets));
  if ("sets" in regions) {
    const { sets } = regions;
    if (!Array.isArray(sets) || sets.length !== y.length || !sets.every(Array.isArray)) {
      throw new ShapeError(
        `${where}: expected ${y.length} sets of labels, one for each target, got ${valueText(sets)}.`,
      );
    }
    return { held: y.map((label, i) => sets[i].includes(label)), size: sets.map(({ length }) => length) };
  }
  const [lower, upper] = (["lower", "upper"] as const).map((name) => column(where, name, regions[name], y.length));
  const crossed = y.findIndex((_, i) => lower[i] > upper[i]);
  if (crossed >= 0) {
    throw new ValueError(
      `${where}: the lower bound ${lower[crossed]} of sample ${crossed} is above its upper bound ${upper[crossed]}.`,
    );
  }
  const width = (i: number) => (lower[i] === upper[i] ? 0 : upper[i] - lower[i]);
  return { held: y.map((target, i) => lower[i] <= target && target <= upper[i]), size: y.map((_, i) => width(i)) };
}

const Z = 1.959963984540054; // the normal quantile of 0.975

function coverageOf(held: readonly boolean[], members: readonly number[]): Coverage {
  const n = members.length;
  const share = members.filter((i) => held[i]).length / n;
  const center = share + Z ** 2 / (2 * n);
  const spread = Z * Math.sqrt((share * (1 - share)) / n + Z ** 2 / (4 * n * n));
  const scale = 1 + Z ** 2 / n;
  const range = [Math.max(0, (center - spread) / scale), Math.min(1, (center + spread) / scale)] as const;
  return { samples: n, coverage: share, range };
}

/**
 * The coverage of each group of samples, in the order in which groups first come up.
 *
 * A group's `range` covers its true coverage with a probability of about 95 % (Wilson, 1927) if the samples are independent and of the
 * kind to come, and neither model, calibration nor groups were chosen by their targets. Groups calibrated apart each hold their level (Vovk, 2012).
 *
 * `coverageByGroup(conformalIntervals(…), y, rows.map((row) => row.species))`
 * @param regions { lower, upper } [N] or [N, 1], or { sets } of N @param targets [N] or [N, 1]
 * @param groups N names or numbers @throws ShapeError, ValueError
 */
export function coverageByGroup(
  regions: Regions,
  targets: ArrayLike,
  groups: readonly (string | number)[] | FloatArray | Int32Array,
): readonly GroupCoverage[] {
  const where = "coverageByGroup";
  const { held } = read(where, regions, targets);
  const names = Array.isArray(groups) || ArrayBuffer.isView(groups) ? groups : [];
  if (names.length !== held.length) {
    throw new ShapeError(`${where}: expected ${held.length} groups, one for each sample, got ${valueText(groups)}.`);
  }
  const members = new Map<string | number, number[]>();
  for (const [i, group] of (names as readonly unknown[]).entries()) {
    if (typeof group !== "string" && typeof group !== "number") {
      throw new ValueError(`${where}: group ${valueText(group)} of sample ${i} is not a name or a number.`);
    }
    const found = members.get(group);
    if (found === undefined) members.set(group, [i]);
    else found.push(i);
  }
  return Array.from(members, ([group, of]) => ({ group, ...coverageOf(held, of) }));
}

/**
 * The coverage of samples in slabs of their uncertainty, the surest first: size-stratified coverage (Angelopoulos, Bates,
 * Malik & Jordan, 2021). Intervals that adapt hold their level in every slab; intervals of one width fail in the last. A slab's
 * `range` needs what a group's needs; without assumptions no interval of finite length has its level at every input (Lei & Wasserman, 2014).
 *
 * `coverageBySlab(conformalIntervals(…), y, { by: posterior.predict(x).variance })`
 * @param regions { lower, upper } [N] or [N, 1], or { sets } of N @param targets [N] or [N, 1]
 * @throws ShapeError, ValueError; OptionError
 */
export function coverageBySlab(
  regions: Regions,
  targets: ArrayLike,
  options: SlabOptions = {},
): readonly SlabCoverage[] {
  const where = "coverageBySlab";
  checkOptions(where, options, ["slabs", "by"]);
  const { slabs = 5, by } = options;
  checkInteger(where, "slabs", slabs, 1);
  const { held, size } = read(where, regions, targets);
  if (slabs > held.length) {
    throw new OptionError(`${where}: slabs must be at most the number of samples, ${held.length}, not ${slabs}.`);
  }
  const uncertainty = by === undefined ? size : column(where, "by", by, held.length);
  const order = Array.from(held.keys()).sort((a, b) => {
    return uncertainty[a] === uncertainty[b] ? a - b : uncertainty[a] < uncertainty[b] ? -1 : 1;
  });
  const found: SlabCoverage[] = [];
  let start = 0;
  for (let slab = 1; slab <= slabs; slab++) {
    let end = Math.max(start, Math.round((slab * order.length) / slabs));
    // Samples of equal uncertainty stay together.
    while (end > start && end < order.length && uncertainty[order[end]] === uncertainty[order[end - 1]]) end++;
    if (end === start) continue;
    const members = order.slice(start, end);
    const [from, to] = [uncertainty[members[0]], uncertainty[members[members.length - 1]]];
    found.push({ from, to, ...coverageOf(held, members) });
    start = end;
  }
  return found;
}
