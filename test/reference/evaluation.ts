// Metrics by their definitions: plain loops over plain lists, nothing shared with the library.

export type Rows = readonly (readonly number[])[];

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Top-label confidence and whether the top label is right. */
function tops(p: Rows, y: readonly number[]) {
  return p.map((row, i) => {
    const confidence = Math.max(...row);
    return { confidence, right: row.indexOf(confidence) === y[i] ? 1 : 0 };
  });
}

export function accuracy(p: Rows, y: readonly number[]): number {
  return meanOf(tops(p, y).map(({ right }) => right));
}

export function negativeLogLikelihood(p: Rows, y: readonly number[]): number {
  return meanOf(p.map((row, i) => -Math.log(row[y[i]])));
}

export function brierScore(p: Rows, y: readonly number[]): number {
  return meanOf(p.map((row, i) => row.reduce((sum, q, c) => sum + (q - (y[i] === c ? 1 : 0)) ** 2, 0)));
}

/** |accuracy − confidence| and the share of samples, of every bin (lo, hi] that is not empty. */
export function gaps(p: Rows, y: readonly number[], bins: number) {
  const all = tops(p, y);
  return Array.from({ length: bins }, (_, b) =>
    all.filter(({ confidence }) => confidence > b / bins && confidence <= (b + 1) / bins),
  )
    .filter((members) => members.length > 0)
    .map((members) => ({
      gap: Math.abs(meanOf(members.map(({ right }) => right)) - meanOf(members.map(({ confidence }) => confidence))),
      share: members.length / all.length,
    }));
}

/** Over all pairs of a positive and a negative. */
export function auroc(scores: readonly number[], y: readonly number[]): number {
  const won = scores.flatMap((s, i) =>
    y[i] === 0 ? [] : scores.filter((_, j) => y[j] === 0).map((t) => (s > t ? 1 : s === t ? 0.5 : 0)),
  );
  return meanOf(won);
}

/** erf by Simpson's rule; good to 1e-12, and 1 beyond 6. */
export function erf(x: number, steps = 2000): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  const h = x / steps;
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const [a, b, c] = [i * h, (i + 0.5) * h, (i + 1) * h].map((t) => Math.exp(-t * t));
    sum += (h / 6) * (a + 4 * b + c);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** ∫ (F(x) − 1{y ≤ x})² dx by Simpson's rule on either side of y, F by integrating the density along. */
export function crpsIntegral(m: number, v: number, y: number, steps = 20_000): number {
  const s = Math.sqrt(v);
  const density = (x: number) => Math.exp(-((x - m) ** 2) / (2 * v)) / Math.sqrt(2 * Math.PI * v);
  const [lo, hi] = [Math.min(m, y) - 9 * s, Math.max(m, y) + 9 * s];
  const side = (from: number, to: number, start: number, indicator: number) => {
    const h = (to - from) / steps;
    let [total, F] = [0, start];
    for (let i = 0; i < steps; i++) {
      const x = from + i * h;
      const quarter = (h / 12) * (density(x) + 4 * density(x + h / 4) + density(x + h / 2));
      const half = (h / 12) * (density(x + h / 2) + 4 * density(x + (3 * h) / 4) + density(x + h));
      const [a, b, c] = [F, F + quarter, F + quarter + half];
      total += (h / 6) * ((a - indicator) ** 2 + 4 * (b - indicator) ** 2 + (c - indicator) ** 2);
      F = c;
    }
    return { total, F };
  };
  const left = side(lo, y, 0, 0);
  return left.total + side(y, hi, left.F, 1).total;
}

/** The area between the curve and the diagonal by many small trapezoids. */
export function areaBySampling(level: readonly number[], frequency: readonly number[], steps = 200_000): number {
  let area = 0;
  for (let i = 0; i < steps; i++) {
    const p = (i + 0.5) / steps;
    const j = level.findIndex((l) => l > p);
    const t = (p - level[j - 1]) / (level[j] - level[j - 1]);
    area += Math.abs((1 - t) * frequency[j - 1] + t * frequency[j] - p) / steps;
  }
  return area;
}

/** ∫ g(f) N(f; m, v) df by Simpson's rule, for a g that grows like e^(tilt f) at most. */
export function overGaussian(g: (f: number) => number, m: number, v: number, tilt = 1): number {
  const steps = 20_000;
  const s = Math.sqrt(v);
  const reach = 12 * s + tilt * v;
  const at = (i: number) => {
    const f = m - reach + (2 * reach * i) / steps;
    return (g(f) * Math.exp(-((f - m) ** 2) / (2 * v))) / (s * Math.sqrt(2 * Math.PI));
  };
  let sum = at(0) + at(steps);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * at(i);
  return (sum * 2 * reach) / (3 * steps);
}

/** log of a Poisson probability, the factorial by its sum. */
export function logPoisson(count: number, logRate: number): number {
  let sum = count * logRate - Math.exp(logRate);
  for (let i = 2; i <= count; i++) sum -= Math.log(i);
  return sum;
}

/** −Σ p log p */
export function entropyOf(p: readonly number[]): number {
  return p.reduce((sum, x) => (x > 0 ? sum - x * Math.log(x) : sum), 0);
}
