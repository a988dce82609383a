// Parts of a dataset.

import { checkFinite } from "../array/arguments.ts";
import { type ArrayLike, namedArray, shapeText } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkBoolean, checkOptions, OptionError, ShapeError, valueText } from "../errors.ts";
import { type Data, readWhole } from "./batches.ts";
import { type Dataset, takeBatch } from "./dataset.ts";

/**
 * The samples at these positions, in this order, as a copy: `take(data, [3, 0])`. Negative ones count from the end.
 * @throws ShapeError for positions that are not there, or none; ValueError for bad data
 */
export function take(data: Data, rows: ArrayLike): Dataset {
  const whole = readWhole("take", data);
  const [samples] = whole.x.shape;
  const given = namedArray("take", "rows", rows);
  checkFinite("take", "rows", given);
  if (given.rank !== 1 || given.size === 0) {
    throw new ShapeError(
      `take: rows must be a list of positions, at least one, not of shape ${shapeText(given.shape)}.`,
    );
  }
  const positions = Uint32Array.from(given, (row) => {
    const position = row < 0 ? row + samples : row;
    if (Number.isInteger(row) && position >= 0 && position < samples) return position;
    throw new ShapeError(`take: ${row} is not a position among ${samples} samples.`);
  });
  return takeBatch(whole, positions);
}

/** Options of `splitDataset`. */
export interface SplitOptions {
  /** Seed of the draw (default 0). */
  seed?: number | undefined;
  /** Whether samples are drawn (default true), or cut as they lie: for series, whose future is not to be learned from. */
  shuffle?: boolean | undefined;
  /** Whether every label of y has its share of each part, up to a sample (default false). */
  stratify?: boolean | undefined;
}

/**
 * Cuts a dataset into parts without common samples: `const [training, test] = splitDataset(data, [0.8, 0.2])`. Within a part
 * samples stay in their order. Where no sample is in a part, there is an error.
 * @param shares numbers above 0 that add up to 1, or whole numbers of samples that add up to all
 * @throws OptionError for other shares; ShapeError, ValueError for bad data
 */
export function splitDataset(data: Data, shares: readonly number[], options: SplitOptions = {}): Dataset[] {
  const where = "splitDataset";
  checkOptions(where, options, ["seed", "shuffle", "stratify"]);
  const { seed = 0, shuffle = true, stratify = false } = options;
  checkBoolean(where, "shuffle", shuffle);
  checkBoolean(where, "stratify", stratify);
  if (stratify && !shuffle) throw new OptionError(`${where}: stratify draws samples, which shuffle: false forbids.`);
  const whole = readWhole(where, data);
  const [samples] = whole.x.shape;
  const ends = endsOf(where, shares, samples);
  const order = shuffle ? new Random(seed).permutation(samples) : Uint32Array.from({ length: samples }, (_, i) => i);
  const dealt = stratify ? interleaved(whole, order) : order;
  return ends.map((end, i) => takeBatch(whole, dealt.slice(ends[i - 1] ?? 0, end).sort()));
}

/** Where the parts end. */
function endsOf(where: string, shares: readonly number[], samples: number): number[] {
  const valid =
    Array.isArray(shares) &&
    shares.length > 0 &&
    Array.from(shares).every((share) => Number.isFinite(share) && share > 0);
  const sum = valid ? shares.reduce((total, share) => total + share, 0) : Number.NaN;
  const counts = valid && shares.every(Number.isInteger) && sum === samples;
  if (!counts && !(Math.abs(sum - 1) <= 1e-9)) {
    throw new OptionError(
      `${where}: shares must be numbers above 0 that add up to 1, such as [0.8, 0.2], or to the ${samples} samples, not ${Array.isArray(shares) ? `[${shares.map(valueText).join(", ")}]` : valueText(shares)}.`,
    );
  }
  let [before, last] = [0, 0];
  return shares.map((share) => {
    before += share;
    const end = counts ? before : Math.round((before / sum) * samples);
    if (end <= last) throw new OptionError(`${where}: the share ${share} of ${samples} samples has no sample.`);
    last = end;
    return end;
  });
}

/** An order in which every stretch has each label's share. */
function interleaved({ y }: Dataset, order: Uint32Array): Uint32Array {
  const groups = new Map<string, number[]>();
  const width = y.size / y.shape[0];
  for (const row of order) {
    const label = y.data.subarray(row * width, (row + 1) * width).join();
    const group = groups.get(label) ?? [];
    group.push(row);
    groups.set(label, group);
  }
  const placed = [...groups.values()].flatMap((rows) =>
    rows.map((row, i) => ({ row, place: (i + 0.5) / rows.length })),
  );
  return Uint32Array.from(
    placed.sort((a, b) => a.place - b.place || a.row - b.row),
    ({ row }) => row,
  );
}
