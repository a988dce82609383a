// Timing for the examples: two or more ways of doing one thing, in turn, so that both meet the machine in the same mood.

/** What is known of a repeated measurement; times in microseconds. */
export interface Timing {
  readonly minUs: number;
  readonly medianUs: number;
  readonly meanUs: number;
  readonly deviationUs: number;
  readonly maxUs: number;
  /** Bytes of arrays that one call allocates. */
  readonly bytes: number;
  /** Every time, in order. */
  readonly samples: Float64Array;
}

/** Times each of `ways` about `milliseconds` long in all, at least 50 times, after a warm-up that lets them compile. */
export function measure(ways: readonly (() => unknown)[], milliseconds: number): Timing[] {
  const warm = performance.now() + milliseconds / 4;
  while (performance.now() < warm) for (const way of ways) way();
  const times: number[][] = ways.map(() => []);
  const end = performance.now() + milliseconds;
  while (performance.now() < end || times[0].length < 50) {
    ways.forEach((way, i) => {
      const start = performance.now();
      way();
      times[i].push(1000 * (performance.now() - start));
    });
  }
  return ways.map((way, i) => summarise(Float64Array.from(times[i]), bytesAllocated(way)));
}

function summarise(samples: Float64Array, bytes: number): Timing {
  const sorted = samples.slice().sort();
  const mean = samples.reduce((sum, t) => sum + t, 0) / samples.length;
  const variance = samples.reduce((sum, t) => sum + (t - mean) ** 2, 0) / (samples.length - 1);
  return {
    minUs: sorted[0],
    medianUs: (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2,
    meanUs: mean,
    deviationUs: Math.sqrt(variance),
    maxUs: sorted[sorted.length - 1],
    bytes,
    samples,
  };
}

/** The growth of array memory over one call, as Node counts it; the median of several, in case memory was collected. */
function bytesAllocated(way: () => unknown): number {
  const growth = Array.from({ length: 9 }, () => {
    const before = process.memoryUsage().arrayBuffers;
    const result = way();
    const after = process.memoryUsage().arrayBuffers;
    return result === undefined ? 0 : after - before;
  });
  return growth.sort((a, b) => a - b)[4];
}

/** Times as a row of bars from the fastest to the 98th percentile: how many fell into each of `bins` intervals. */
export function histogram({ samples }: Timing, bins = 48): { bars: string; from: number; to: number } {
  const sorted = samples.slice().sort();
  const from = sorted[0];
  const to = sorted[Math.floor(0.98 * (sorted.length - 1))];
  const counts = new Array<number>(bins).fill(0);
  for (const t of sorted) {
    if (t <= to) counts[Math.min(bins - 1, Math.floor((bins * (t - from)) / (to - from || 1)))]++;
  }
  const most = Math.max(...counts);
  const bars = counts.map((count) => " ▁▂▃▄▅▆▇█"[Math.ceil((8 * count) / most)]).join("");
  return { bars, from, to };
}
