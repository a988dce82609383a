// What is drawn of many values: every n-th, or how many fall where. Nothing here is random.

/** At most `limit` of the items, evenly spaced, the first and the last among them. */
export function thin<T>(items: readonly T[], limit: number): readonly T[] {
  if (items.length <= limit) return items;
  return Array.from({ length: limit }, (_, i) => items[Math.round((i * (items.length - 1)) / (limit - 1))]);
}

/**
 * Numbers in [−½, ½) that fill the interval evenly from the first on; with `dimension` 1 others, such that the two fill a
 * square (the R₂ sequence of Roberts, 2018).
 */
export function spread(i: number, dimension: 0 | 1 = 0): number {
  const step = dimension === 0 ? 0.7548776662466927 : 0.5698402909980532;
  return (((i + 1) * step) % 1) - 0.5;
}

/** The ends of an axis that shows all finite values, with a little room; some interval if they are all the same. */
export function extent(values: Iterable<number>, room = 0.04): [low: number, high: number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const span = high - low;
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Numbers so small that a part of them is 0 are the same.
  const [least, tenth] = [1e-290, 0.1 * size];
  const margin = span > Math.max(1e-9 * size, least) ? room * span : tenth > least ? tenth : 1;
  return [low - margin, high + margin];
}

/** A bin of a histogram: from `from` to `to`, with the sum of the weights in it. */
export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly sums: readonly number[];
}

/**
 * Equal bins from `low` to `high`; values outside go into the first and the last.
 * @param weights for each sum a function of the item's number (default: one sum, the count)
 */
export function histogram(
  values: readonly number[],
  [low, high]: readonly [number, number],
  bins: number,
  weights: readonly ((i: number) => number)[] = [() => 1],
): Bin[] {
  const sums = Array.from({ length: bins }, () => weights.map(() => 0));
  const width = (high - low) / bins;
  values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const bin = sums[Math.min(bins - 1, Math.max(0, Math.floor((value - low) / width)))];
    for (const [k, weight] of weights.entries()) bin[k] += weight(i);
  });
  return sums.map((bin, i) => ({ from: low + i * width, to: low + (i + 1) * width, sums: bin }));
}

/** The middle value of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
