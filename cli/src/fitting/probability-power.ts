// One scale for the logits of a mixture of classifiers. A mean of probabilities that are each as sure as their own errors is less sure
// than its errors (Gneiting & Ranjan 2013), and so is a network that the evidence's prior held back: p^s / Σ p^s with the s under which rows that
// it has not seen are most probable (temperature scaling, of logits: Guo et al. 2017).

import { mixture, type Steps, type TableModel } from "laplace-ts";
import { countingOf, meanAndError } from "../model/counting.ts";
import { type Numbers, partsOf } from "../model/rows.ts";

/** What a mixture says of rows that it has not seen. */
export interface SaidOfClasses {
  /** Logarithms of probabilities, [rows · classes], and the classes of the rows. */
  readonly logs: Float64Array;
  readonly labels: ArrayLike<number>;
  /** How much rows count (default: each once). */
  readonly weights?: ArrayLike<number> | undefined;
}

/** Bounds of the logarithm of the power, and steps of the search, each of which leaves 0.62 of them. */
const [MOST_LOG, STEPS] = [Math.log(8), 22];
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** A row that is any class alike, of the mean probabilities of rows: so that few rows, all of them right, do not make a mixture sure (Platt 1999). */
const PRIOR_ROWS = 0.5;
/** The deviation of the power's logarithm beforehand: a factor of 1.5 either way is two of them. */
const SPREAD = Math.log(1.5) / 2;
/** Parts into which rows are dealt where they are in one, and standard errors by which a power must be better for rows that did not choose it. */
const [PARTS, CLEARLY] = [5, 1];

/** What a model of classes says of rows, in steps: its mixture, raised to no power. @param approximation default: the model's */
export function* saidOfClasses(
  model: TableModel,
  numbers: Numbers,
  approximation: TableModel["approximation"] = model.approximation,
): Steps<SaidOfClasses> {
  const { posteriors, weights, encoding } = model;
  const classes = encoding.target.kind === "classes" ? encoding.target.classes.length : 0;
  const logs = new Float64Array(numbers.rows * classes);
  let at = 0;
  const mixed = mixture(posteriors, weights);
  for (const part of partsOf(numbers, model.posterior)) {
    logs.set(mixed.logProbabilities(part.x, { approximation }).data, at);
    at += part.rows * classes;
    yield;
  }
  return { logs, labels: numbers.y.data as Float64Array, weights: numbers.weights?.data };
}

/** −log p of the labels of rows, of probabilities that are raised to a power. */
export function lossesAt({ logs, labels }: SaidOfClasses, power: number): Float64Array {
  const classes = logs.length / labels.length;
  return Float64Array.from(labels, (label: number, i: number) => {
    return totalOf(logs, i * classes, classes, power) - power * logs[i * classes + label];
  });
}

/** Probabilities of rows that are raised to a power, [rows · classes]. */
export function probabilitiesAt(logs: Float64Array, classes: number, power: number): Float64Array {
  return logs.map((log, k) => Math.exp(power * log - totalOf(logs, k - (k % classes), classes, power)));
}

/** log Σ p^s over the classes of a row. */
function totalOf(logs: Float64Array, at: number, classes: number, power: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let c = 0; c < classes; c++) most = Math.max(most, power * logs[at + c]);
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(power * logs[at + c] - most);
  return most + Math.log(sum);
}

/**
 * The power of a mixture's probabilities: the most probable one given the labels of all parts, where those that the other parts choose make
 * the rows of each clearly more probable; 1 elsewhere.
 */
export function powerOf(given: readonly SaidOfClasses[]): number {
  const parts = given.length === 1 ? dealt(given[0]) : given;
  const gains: number[] = [];
  const weights: number[] = [];
  for (const [k, part] of parts.entries()) {
    const power = bestPower(parts.filter((_, j) => j !== k));
    const [before, after] = [lossesAt(part, 1), lossesAt(part, power)];
    for (let i = 0; i < before.length; i++) {
      gains.push(before[i] - after[i]);
      weights.push(part.weights?.[i] ?? 1);
    }
  }
  const [mean, error] = meanAndError(gains, countingOf(gains.length, weights));
  return mean > CLEARLY * error ? bestPower(parts) : 1;
}

/** Rows of one part in several. */
function dealt({ logs, labels, weights }: SaidOfClasses): SaidOfClasses[] {
  const rows = labels.length;
  const classes = logs.length / rows;
  return Array.from({ length: Math.min(PARTS, rows) }, (_, k) => {
    const places = Array.from({ length: Math.ceil((rows - k) / PARTS) }, (__, j) => k + j * PARTS);
    return {
      logs: Float64Array.from(places.flatMap((i) => Array.from(logs.subarray(i * classes, (i + 1) * classes)))),
      labels: places.map((i) => labels[i]),
      weights: weights && places.map((i) => weights[i]),
    };
  });
}

/** The most probable power given the labels of all parts, by golden sections of its logarithm; 1 where there are no rows. */
export function bestPower(parts: readonly SaidOfClasses[]): number {
  const rows = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  if (rows === 0) return 1;
  const loss = (log: number) => {
    const power = Math.exp(log);
    let [sum, total, any] = [0, 0, 0];
    for (const { logs, labels, weights } of parts) {
      const classes = logs.length / labels.length;
      for (let i = 0; i < labels.length; i++) {
        const weight = weights?.[i] ?? 1;
        const all = totalOf(logs, i * classes, classes, power);
        total += weight;
        sum += weight * (all - power * logs[i * classes + labels[i]]);
        let mean = 0;
        for (let c = 0; c < classes; c++) mean += Math.max(LEAST_LOG, logs[i * classes + c]) / classes;
        any += weight * (all - power * mean);
      }
    }
    return sum + (PRIOR_ROWS * any) / total + 0.5 * (log / SPREAD) ** 2;
  };
  let [low, high] = [-MOST_LOG, MOST_LOG];
  let [a, b] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [fa, fb] = [loss(a), loss(b)];
  for (let step = 0; step < STEPS; step++) {
    if (fa < fb) {
      [high, b, fb] = [b, a, fa];
      a = high - GOLDEN * (high - low);
      fa = loss(a);
    } else {
      [low, a, fa] = [a, b, fb];
      b = low + GOLDEN * (high - low);
      fb = loss(b);
    }
  }
  const power = Math.exp((low + high) / 2);
  return Number(power.toPrecision(DIGITS));
}

/** A probability of 0 counts as so much beside the others. */
const LEAST_LOG = Math.log(1e-12);
/** Digits that are kept. */
const DIGITS = 4;
