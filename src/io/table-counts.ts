// What posteriors of a table's model say of counts: mixtures of Poisson and negative binomial counts whose log rates are Gaussian. Their
// probabilities are summed one by one for counts up to some hundreds; beyond, where a step of 1 is nothing, they are those of a
// continuous variable. Means, deviations and quantiles are equal to the bit in every runtime.

import { portableExp, portableExpm1, portableLog, portableLog1p, portableNormalCdf } from "../array/portable.ts";
import { logCountDensity } from "../likelihood/poisson.ts";
import type { TablePart } from "./table-mixtures.ts";

/** What of an exponent leaves float64 numbers finite, also squared. */
const MOST_EXPONENT = 300;
const exponential = (x: number) => portableExp(Math.min(x, MOST_EXPONENT));

/**
 * Mean and variance of the counts of row i, and of that variance what the rate has, whose log has the variance of the function where it
 * is given.
 * @param most what the mean of each part is at most, where the mixture's median is not beyond it
 */
function countMoments(
  parts: readonly TablePart[],
  i: number,
  functionVariance: (part: number) => number,
  most = Number.POSITIVE_INFINITY,
): { readonly mean: number; readonly variance: number; readonly open: number } {
  const means = parts.map(({ mean, sd }) => exponential(mean[i] + sd[i] ** 2 / 2));
  const limit = means.some((mean) => mean > most) ? Math.max(most, countQuantiles(parts, i, [0.5])[0]) : most;
  const each = parts.map(({ weight, mean: m, sd, dispersion = 0 }, k) => {
    const v = sd[i] ** 2;
    const mean = Math.min(means[k], limit);
    const rateVariance = (own: number) => exponential(2 * m[i] + v) * portableExpm1(Math.min(own, MOST_EXPONENT));
    const within = mean + dispersion * exponential(2 * m[i] + 2 * v);
    return { weight, mean, variance: within + rateVariance(v), open: rateVariance(Math.min(functionVariance(k), v)) };
  });
  const sum = (of: (one: (typeof each)[number]) => number) => each.reduce((all, one) => all + one.weight * of(one), 0);
  const mean = sum((one) => one.mean);
  const apart = sum((one) => (one.mean - mean) ** 2);
  return { mean, variance: sum((one) => one.variance) + apart, open: sum((one) => one.open) + apart };
}

/** Counts that are summed one by one. */
const MOST_COUNTED = 500;
/** Deviations of a log rate beyond which nothing is left, the step between nodes in deviations of the integrand, and nodes at most. */
const [END, STEP, MOST_NODES] = [6.5, 1, 4000];
/** Numbers of nodes whose masses are kept. */
const MOST_KNOWN = 64;

/** Nodes on each side of the mean of a log rate. */
function nodesOf({ mean, sd, dispersion = 0 }: TablePart, i: number): number {
  const s = sd[i];
  if (!(s > 0)) return 0;
  const rate = Math.min(exponential(mean[i] + END * s), MOST_COUNTED);
  return Math.min(MOST_NODES, Math.ceil((END / STEP) * Math.sqrt(1 + (s * s * rate) / (1 + dispersion * rate))));
}

const known = new Map<number, Float64Array>();

/** Masses of a standard normal variable at so many nodes on each side. */
function massesOf(side: number): Float64Array {
  const found = known.get(side);
  if (found !== undefined) return found;
  const masses = Float64Array.from({ length: 2 * side + 1 }, (_, j) => {
    return side > 0 ? portableExp(-0.5 * ((j / side - 1) * END) ** 2) : 1;
  });
  const all = masses.reduce((sum, mass) => sum + mass, 0);
  const own = masses.map((mass) => mass / all);
  if (side <= MOST_KNOWN) known.set(side, own);
  return own;
}

/** Probabilities of 0, 1, 2, … at nodes of the log rates of all parts. */
class Walk {
  readonly #weights: Float64Array;
  readonly #odds: Float64Array;
  readonly #dispersions: Float64Array;
  readonly #p: Float64Array;
  #count = 0;

  constructor(parts: readonly TablePart[], i: number) {
    const sides = parts.map((part) => nodesOf(part, i));
    const size = sides.reduce((sum, side) => sum + 2 * side + 1, 0);
    const [weights, odds, dispersions, p] = [0, 1, 2, 3].map(() => new Float64Array(size));
    let at = 0;
    for (const [k, { weight, mean, sd, dispersion = 0 }] of parts.entries()) {
      const side = sides[k];
      const masses = massesOf(side);
      for (let j = -side; j <= side; j++, at++) {
        const rate = exponential(mean[i] + (side > 0 ? sd[i] * (j / side) * END : 0));
        weights[at] = weight * masses[j + side];
        dispersions[at] = dispersion;
        odds[at] = rate / (1 + dispersion * rate);
        p[at] = portableExp(dispersion > 0 ? -portableLog1p(dispersion * rate) / dispersion : -rate);
      }
    }
    [this.#weights, this.#odds, this.#dispersions, this.#p] = [weights, odds, dispersions, p];
  }

  /** The probability of the next count. */
  next(): number {
    const [p, weights, odds, dispersions] = [this.#p, this.#weights, this.#odds, this.#dispersions];
    const count = this.#count++;
    const part = 1 / (count + 1);
    let sum = 0;
    for (let j = 0; j < p.length; j++) {
      sum += weights[j] * p[j];
      // (1 + k α) / (k + 1) · μ / (1 + α μ)
      p[j] *= (1 + count * dispersions[j]) * part * odds[j];
    }
    return sum;
  }
}

/** Logarithms of gamma variables of mean 1 and variance α, with their masses; a single 0 without dispersion. @param width of what is integrated */
function gammaNodes(alpha: number, width: number): readonly (readonly [log: number, mass: number])[] {
  if (!(alpha > 0)) return [[0, 1]];
  const h = 1 / (Math.sqrt(1 / alpha) + 1 / width);
  const found: [number, number][] = [[0, 1]];
  for (const side of [-h, h]) {
    for (let j = 1, mass = 1; mass > 1e-8 && j < MOST_NODES; j++) {
      // t − (eᵗ − 1) is 0 at its peak.
      mass = portableExp((j * side - portableExpm1(j * side)) / alpha);
      found.push([j * side, mass]);
    }
  }
  const all = found.reduce((sum, [, mass]) => sum + mass, 0);
  return found.map(([log, mass]) => [log, mass / all]);
}

/** The probability of counts up to e^t − ½, where these are many. */
function belowMany(parts: readonly TablePart[], i: number): (t: number) => number {
  const each = parts.map(({ weight, mean, sd, dispersion = 0 }) => {
    const s = Math.max(sd[i], 1 / Math.sqrt(MOST_COUNTED));
    return { weight, m: mean[i], s: sd[i], nodes: gammaNodes(dispersion, s) };
  });
  return (t) => {
    let sum = 0;
    for (const { weight, m, s, nodes } of each) {
      const width = Math.sqrt(s * s + portableExp(-t));
      for (const [log, mass] of nodes) sum += weight * mass * portableNormalCdf((t - m - log) / width);
    }
    return sum;
  };
}

/** The least counts that are at most exceeded with the probabilities 1 − p, for ascending p. */
export function countQuantiles(parts: readonly TablePart[], i: number, ps: readonly number[]): number[] {
  const walk = new Walk(parts, i);
  const found: number[] = [];
  for (let count = 0, below = 0; count <= MOST_COUNTED && found.length < ps.length; count++) {
    below += walk.next();
    while (found.length < ps.length && below >= ps[found.length]) found.push(count);
  }
  if (found.length === ps.length) return found;
  const below = belowMany(parts, i);
  for (const p of ps.slice(found.length)) {
    let [low, high] = [portableLog(MOST_COUNTED), MOST_EXPONENT];
    while (high - low > 1e-12 * high) {
      const middle = (low + high) / 2;
      if (middle === low || middle === high) break;
      if (below(middle) < p) low = middle;
      else high = middle;
    }
    found.push(Math.max(MOST_COUNTED, Math.ceil(portableExp(high) - 0.5)));
  }
  return found;
}

/** The 90 % interval's ends. */
const [LOW, HIGH] = [0.05, 0.95];

/** What is predicted of counts, in whole ones but for mean and deviation. @param functionVariance that of a part's log rate at a row */
export function countPredictions(
  parts: readonly TablePart[],
  rows: number,
  functionVariance: (part: number, row: number) => number,
  most?: number,
) {
  const empty = () => new Float64Array(rows);
  const found = { mean: empty(), sd: empty(), functionSd: empty(), lower: empty(), upper: empty(), epistemic: empty() };
  for (let i = 0; i < rows; i++) {
    const { mean, variance, open } = countMoments(parts, i, (k) => functionVariance(k, i), most);
    found.mean[i] = mean;
    found.sd[i] = Math.sqrt(variance);
    found.functionSd[i] = Math.sqrt(open);
    found.epistemic[i] = Math.min(1, open / variance);
    [found.lower[i], found.upper[i]] = countQuantiles(parts, i, [LOW, HIGH]);
  }
  return found;
}

/** log of the probability of a count of row i; −∞ of what is not a count. */
export function logCountProbability(parts: readonly TablePart[], i: number, y: number): number {
  if (!(Number.isSafeInteger(y) && y >= 0)) return Number.NEGATIVE_INFINITY;
  const logs = parts.map(({ weight, mean, sd, dispersion = 0 }) => {
    return Math.log(weight) + logCountDensity(y, mean[i], sd[i] ** 2, dispersion);
  });
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/** Where the rest of a distribution is nothing, and intervals of Simpson's rule beyond the counts that are summed. */
const [NOTHING, INTERVALS] = [1e-10, 200];

/**
 * Of row i the continuous ranked probability score Σ_k (F(k) − 1{k ≥ y})², and a number that is evenly spread from 0 to 1 where predictions are
 * calibrated: between the probabilities of less than y and of at most y, in a place that the row gives (randomised quantile
 * residuals: Dunn & Smyth 1996, without chance).
 */
export function countScores(
  parts: readonly TablePart[],
  i: number,
  y: number,
): { readonly crps: number; readonly below: number } {
  const walk = new Walk(parts, i);
  const place = ((i + 1) * 0.6180339887498949) % 1;
  let [crps, sum, below, count] = [0, 0, 0, 0];
  for (; count <= MOST_COUNTED && !(count > y && 1 - sum < NOTHING); count++) {
    const p = walk.next();
    if (count === y) below = sum + place * p;
    sum += p;
    crps += (sum - Number(count >= y)) ** 2;
    if (1 - sum < NOTHING && count < y) return { crps: crps + (y - count - 1), below: 1 };
  }
  if (1 - sum < NOTHING) return { crps, below };
  const many = belowMany(parts, i);
  const start = portableLog(count - 0.5);
  const at = portableLog(Math.max(y, count) + 0.5);
  let end = Math.max(at, start) + 1;
  while (1 - many(end) > NOTHING && end < MOST_EXPONENT) end += 0.5;
  const part = (from: number, to: number, above: number) => {
    const h = (to - from) / INTERVALS;
    let total = 0;
    for (let k = 0; k <= INTERVALS; k++) {
      const t = from + k * h;
      const factor = k === 0 || k === INTERVALS ? 1 : k % 2 === 1 ? 4 : 2;
      total += factor * (many(t) - above) ** 2 * portableExp(t);
    }
    return (total * h) / 3;
  };
  const split = y >= count ? portableLog(y) : start;
  return {
    crps: crps + (y >= count ? part(start, split, 0) : 0) + part(split, end, 1),
    below: y >= count ? many(portableLog(y)) : below,
  };
}
