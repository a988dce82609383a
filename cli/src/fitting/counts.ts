// How counts are learned: from the level of their logarithm on, with a dispersion that is estimated beside the weights.

import { add, type Network, type Traced, type TrainingEvidence } from "laplace-ts";
import { countingOf, totalWeight } from "../model/counting.ts";
import type { Numbers } from "../model/rows.ts";
import type { Learning } from "./network.ts";

/** A noise of standardised targets to begin with. */
const FIRST_NOISE = 0.7;
/** Trainings at most; the dispersion has settled when its logarithm changes by less. */
const [MOST, SETTLED] = [3, 0.1];
/** Dispersions below the first are 0: Poisson. */
const [LEAST, LARGEST] = [1e-4, 100];

/** What a network of counts adds to its output: the logarithm of their mean; 0 for other targets. */
export function levelOf({ classes }: Learning, numbers: Numbers): number {
  if (classes !== "counts") return 0;
  return Math.log((total(numbers.y.data, numbers.weights?.data) + 0.5) / totalWeight(numbers));
}

/** A network's output at that level. */
export const raised = (f: Traced, level: number): Traced => (level === 0 ? f : add(f, level));

const total = (values: ArrayLike<number>, weights?: ArrayLike<number>) =>
  Array.from(values).reduce((sum: number, value, i) => sum + (weights?.[i] ?? 1) * value, 0);

/** The dispersion of counts around rates, of which so many weights were learned, by Pearson's statistic (Breslow 1984); 0 of Poisson counts. */
export function dispersionOf(
  counts: ArrayLike<number>,
  rates: ArrayLike<number>,
  weights: number,
  rowWeights?: ArrayLike<number>,
): number {
  const { of, total: rows } = countingOf(counts.length, rowWeights);
  const free = Math.max(rows - weights, 1);
  const excess = (alpha: number) => {
    let sum = -free;
    for (let i = 0; i < counts.length; i++)
      sum += (of(i) * (counts[i] - rates[i]) ** 2) / (rates[i] + alpha * rates[i] ** 2);
    return sum;
  };
  if (excess(LEAST) <= 0) return 0;
  let [low, high] = [Math.log(LEAST), Math.log(LARGEST)];
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2;
    if (excess(Math.exp(middle)) > 0) low = middle;
    else high = middle;
  }
  return Math.exp((low + high) / 2);
}

/** That of counts around their mean. */
export function marginalDispersion(counts: ArrayLike<number>, rowWeights?: ArrayLike<number>): number {
  const mean = total(counts, rowWeights) / countingOf(counts.length, rowWeights).total;
  return dispersionOf(counts, new Float64Array(counts.length).fill(mean), 1, rowWeights);
}

/** A training at a noise, of counts at a dispersion. */
interface Trained {
  readonly evidence: TrainingEvidence | undefined;
  readonly noise: number;
  readonly net: Network;
}

/**
 * Trains once; where counts are dispersed, from the dispersion around their mean on, again and again with that around the rates that were
 * learned, until it has settled.
 */
export async function byDispersions<Found extends Trained>(
  { learning, dispersed = false }: { readonly learning: Learning; readonly dispersed?: boolean },
  { x, y, rows, weights: rowWeights }: Numbers,
  train: (noise: number, share: (own: number) => number) => Promise<Found>,
): Promise<Found> {
  if (learning.classes !== "counts") return train(FIRST_NOISE, (own) => own);
  if (!dispersed) return train(0, (own) => own);
  let dispersion = marginalDispersion(y.data, rowWeights?.data);
  for (let round = 0; ; round++) {
    const found = await train(dispersion, (own) => (round + own) / MOST);
    const rates = Float64Array.from(found.net.forward(x).data, (f: number) => Math.exp(f));
    const groups = found.evidence?.groups ?? [];
    const weights = groups.reduce((sum, { effective }) => sum + effective, 0);
    const next = dispersionOf(y.data, rates, Math.min(weights, rows / 2), rowWeights?.data);
    if (round === MOST - 1 || next === dispersion || Math.abs(Math.log(next / dispersion)) < SETTLED) return found;
    dispersion = next;
  }
}
