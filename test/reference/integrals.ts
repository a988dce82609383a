// Integrals over Gaussians by brute force: long trapezoidal sums, on steps that widen away from the peak.

/** log ∫ e^g for a g with one peak near `at`, whose width there is about `width`: f = at + width sinh(u). */
export function logIntegral(g: (f: number) => number, at: number, width: number, steps = 40_000, reach = 30): number {
  const logs: number[] = [];
  for (let i = 0; i <= steps; i++) {
    const u = -reach + (2 * reach * i) / steps;
    logs.push(g(at + width * Math.sinh(u)) + Math.log(Math.cosh(u)));
  }
  const most = logs.reduce((a, b) => Math.max(a, b));
  const sum = logs.reduce((total, log) => total + Math.exp(log - most), 0);
  return most + Math.log((sum * width * 2 * reach) / steps);
}

/** Where a falling function passes 0. */
export function bisect(slope: (x: number) => number, low: number, high: number): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 200; i++) {
    const middle = (a + b) / 2;
    if (slope(middle) > 0) a = middle;
    else b = middle;
  }
  return a;
}

/** E softmax(f) for f ~ N(m, V) of two or three classes: over one or two differences from the first logit, on a grid. */
export function softmaxMean(mean: readonly number[], covariance: readonly number[]): number[] {
  const n = mean.length;
  const between = (i: number, j: number) =>
    covariance[i * n + j] - covariance[i * n] - covariance[j * n] + covariance[0];
  const a = Math.sqrt(Math.max(between(1, 1), 0));
  const b = n === 3 && a > 0 ? between(2, 1) / a : 0;
  const c = n === 3 ? Math.sqrt(Math.max(between(2, 2) - b * b, 0)) : 0;
  const [steps, reach] = [180, 9];
  const result = mean.map(() => 0);
  const nodes = Array.from({ length: steps + 1 }, (_, i) => -reach + (2 * reach * i) / steps);
  for (const z of nodes) {
    for (const w of n === 3 ? nodes : [0]) {
      const f = [0, mean[1] - mean[0] + a * z, ...(n === 3 ? [mean[2] - mean[0] + b * z + c * w] : [])];
      const largest = Math.max(...f);
      const e = f.map((x) => Math.exp(x - largest));
      const sum = e.reduce((x, y) => x + y, 0);
      e.forEach((x, k) => {
        result[k] += (x / sum) * Math.exp(-(z * z + w * w) / 2);
      });
    }
  }
  const total = result.reduce((x, y) => x + y, 0);
  return result.map((p) => p / total);
}
