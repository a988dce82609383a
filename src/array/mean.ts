// What samples say of their mean.

/** The mean of samples, and its standard error. */
export function meanOf(samples: readonly number[]): { mean: number; error: number } {
  const n = samples.length;
  const mean = samples.reduce((sum, x) => sum + x, 0) / n;
  const square = samples.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, error: Math.sqrt(square / Math.max(1, n - 1) / n) };
}
