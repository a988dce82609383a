// Held-out metrics of a table's predictions, and of the baseline: the training's mean and deviation, or its frequencies.

import {
  accuracy,
  auroc,
  brierScore,
  calibrationCurve,
  crps,
  expectedCalibrationError,
  gaussianNegativeLogLikelihood,
  intervalCoverage,
  meanAbsoluteError,
  NDArray,
  normalQuantile,
  rootMeanSquaredError,
  sharpness,
  tableLogDensities,
  tableQuantiles,
  tableScores,
} from "laplace-ts";
import { meanBy } from "./counting.ts";

/** Numbers by name. */
export type Metrics = Readonly<Record<string, number>>;

/** The mean negative log likelihood of numbers under Gaussians. */
export function gaussianNll(
  mean: ArrayLike<number>,
  variance: (i: number) => number,
  targets: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  let [sum, total] = [0, 0];
  for (let i = 0; i < targets.length; i++) {
    const v = variance(i);
    const weight = weights?.[i] ?? 1;
    sum += weight * 0.5 * (Math.log(2 * Math.PI * v) + (targets[i] - mean[i]) ** 2 / v);
    total += weight;
  }
  return sum / total;
}

/** That of counts whose log rates are Gaussian. @param variance of the log rates (default: they are known) */
export function countNll(
  mean: ArrayLike<number>,
  variance: ArrayLike<number> | undefined,
  dispersion: number,
  targets: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  const part = partOf(
    mean,
    Float64Array.from(mean, (_, i) => Math.sqrt(variance?.[i] ?? 0)),
    dispersion,
  );
  return -meanBy(tableLogDensities(part, Float64Array.from(targets)), weights);
}

const NONE = new Float64Array(0);
/** Predictions of counts by one Gaussian of each log rate. */
const partOf = (mean: ArrayLike<number>, sd: Float64Array, dispersion: number) => ({
  parts: [{ weight: 1, mean: Float64Array.from(mean), sd, dispersion }],
  rows: mean.length,
  epistemic: NONE,
  functionVariance: NONE,
  far: [],
  unusual: [],
});

const vector = (values: ArrayLike<number>) => new NDArray(Float64Array.from(values), [values.length]);

/** What is known of predictions of numbers, row by row, in the target's units. */
export interface ScoredNumbers {
  readonly mean: ArrayLike<number>;
  readonly lower: ArrayLike<number>;
  readonly upper: ArrayLike<number>;
  /** As `tableScores` gives them. */
  readonly negativeLogDensity: ArrayLike<number>;
  readonly crps: ArrayLike<number>;
  readonly below: ArrayLike<number>;
}

/** How much each row counts (default: each once). */
type Weights = ArrayLike<number> | undefined;

/** The option of the library's metrics. */
const counting = (weights: Weights) => (weights === undefined ? {} : { weights: vector(weights) });

/** Of predictions by their own distribution, whatever it is, with 90 % intervals. */
export function scoredMetrics(scored: ScoredNumbers, truth: ArrayLike<number>, weights?: Weights): Metrics {
  const { mean, lower, upper, negativeLogDensity, crps: scores, below } = scored;
  const [m, y] = [vector(mean), vector(truth)];
  const inside = Array.from(truth, (value: number, i) => Number(value >= lower[i] && value <= upper[i]));
  return {
    negativeLogLikelihood: meanBy(negativeLogDensity, weights),
    rootMeanSquaredError: rootMeanSquaredError(m, y, counting(weights)),
    meanAbsoluteError: meanAbsoluteError(m, y, counting(weights)),
    crps: meanBy(scores, weights),
    intervalCoverage: meanBy(inside, weights),
    intervalWidth: meanBy(
      Array.from(upper, (value: number, i) => value - lower[i]),
      weights,
    ),
    miscalibrationArea: calibrationOf(below, weights).miscalibrationArea,
    ...withExplained(mean, truth, weights),
  };
}

/** Probabilities of what is below 0 and 1 by no more than this are taken for it. */
const LEAST = 1e-15;

/** The calibration curve of the probabilities of what is below the truth: of normal numbers whose quantiles they are. */
export function calibrationOf(below: ArrayLike<number>, weights?: Weights) {
  const z = vector(Array.from(below, (p: number) => normalQuantile(Math.min(Math.max(p, LEAST), 1 - LEAST))));
  const [zeros, ones] = [0, 1].map((value) => vector(new Array(below.length).fill(value)));
  return calibrationCurve(zeros, ones, z, counting(weights));
}

/** Of predicted means and standard deviations, in the target's units. */
export function regressionMetrics(
  mean: ArrayLike<number>,
  sd: ArrayLike<number>,
  truth: ArrayLike<number>,
  weights?: Weights,
): Metrics {
  const own = counting(weights);
  const [m, v, y] = [vector(mean), vector(Array.from(sd, (s) => s * s)), vector(truth)];
  return {
    negativeLogLikelihood: gaussianNegativeLogLikelihood(m, v, y, own),
    rootMeanSquaredError: rootMeanSquaredError(m, y, own),
    meanAbsoluteError: meanAbsoluteError(m, y, own),
    crps: crps(m, v, y, own),
    intervalCoverage: intervalCoverage(m, v, y, { level: 0.9, ...own }),
    intervalWidth: sharpness(v, { level: 0.9, ...own }).intervalWidth,
    miscalibrationArea: calibrationCurve(m, v, y, own).miscalibrationArea,
    ...withExplained(mean, truth, weights),
  };
}

/**
 * Of probabilities [rows][classes], and their logarithms, which are known also where these round to 0 or 1, and positions of
 * classes.
 */
export function classMetrics(
  probabilities: readonly ArrayLike<number>[],
  logs: readonly ArrayLike<number>[],
  truth: ArrayLike<number>,
  weights?: Weights,
): Metrics {
  const own = counting(weights);
  const classes = probabilities[0].length;
  const p = new NDArray(Float64Array.from(probabilities.flatMap((row) => Array.from(row))), [
    probabilities.length,
    classes,
  ]);
  const y = vector(truth);
  const present = [...new Set(y.data)];
  return {
    negativeLogLikelihood: meanBy(
      logs.map((row, i) => -row[truth[i]]),
      weights,
    ),
    accuracy: accuracy(p, y, own),
    brierScore: brierScore(p, y, own),
    expectedCalibrationError: expectedCalibrationError(p, y, { bins: 10, ...own }),
    setCoverage: setCoverage(probabilities, truth, 0.9, weights),
    f1: meanF1(probabilities, truth, weights),
    ...(present.length > 1 && {
      auroc: meanBy(
        (classes === 2 ? [1] : present).map((c) =>
          auroc(vector(probabilities.map((row) => row[c])), vector(y.data.map((label) => Number(label === c))), own),
        ),
      ),
    }),
  };
}

/**
 * The mean over classes of F1 = 2 tp / (2 tp + fp + fn), the most probable class being predicted; over those that are true or predicted of
 * some row.
 */
export function meanF1(
  probabilities: readonly ArrayLike<number>[],
  truth: ArrayLike<number>,
  weights?: Weights,
): number {
  const classes = probabilities[0].length;
  const [right, predicted, actual] = [0, 1, 2].map(() => new Float64Array(classes));
  for (const [i, row] of probabilities.entries()) {
    let most = 0;
    for (let c = 1; c < classes; c++) if (row[c] > row[most]) most = c;
    const weight = weights?.[i] ?? 1;
    predicted[most] += weight;
    actual[truth[i]] += weight;
    if (most === truth[i]) right[most] += weight;
  }
  const there = Array.from(predicted, (count, c) => count + actual[c]);
  return meanBy(there.flatMap((count, c) => (count > 0 ? [(2 * right[c]) / count] : [])));
}

/** R² = 1 − Σ (y − m)² / Σ (y − ȳ)², the share of the variance that means explain; undefined where all targets are equal. */
export function explained(mean: ArrayLike<number>, truth: ArrayLike<number>, weights?: Weights): number | undefined {
  const center = meanBy(truth, weights);
  let [left, all] = [0, 0];
  for (let i = 0; i < truth.length; i++) {
    const weight = weights?.[i] ?? 1;
    left += weight * (truth[i] - mean[i]) ** 2;
    all += weight * (truth[i] - center) ** 2;
  }
  return all > 0 ? 1 - left / all : undefined;
}

/** That as a metric, where it is defined. */
function withExplained(mean: ArrayLike<number>, truth: ArrayLike<number>, weights: Weights): Metrics {
  const rSquared = explained(mean, truth, weights);
  return rSquared === undefined ? {} : { rSquared };
}

/**
 * How often the classes that hold 90 % of a prediction's probability hold the true one. They are taken from the most
 * probable down; the last one, with which they would hold more, counts by the share of it that fills 90 %, which is the
 * expectation over the randomised sets of Romano, Sesia & Candès (2020). So calibrated probabilities cover 90 %, however
 * sure they are.
 */
export function setCoverage(
  probabilities: readonly ArrayLike<number>[],
  truth: ArrayLike<number>,
  level: number,
  weights?: Weights,
): number {
  let [covered, total] = [0, 0];
  probabilities.forEach((row, i) => {
    const own = row[truth[i]];
    let before = 0;
    let ties = 0;
    for (let c = 0; c < row.length; c++) {
      if (row[c] > own) before += row[c];
      else if (row[c] === own) ties += row[c];
    }
    // Classes of the same probability share what is left.
    const weight = weights?.[i] ?? 1;
    covered += weight * Math.min(1, Math.max(0, ties > 0 ? (level - before) / ties : level - before > 0 ? 1 : 0));
    total += weight;
  });
  return covered / total;
}

/** What the baseline predicts for every row. */
export type Baseline =
  | { readonly mean: number; readonly sd: number }
  /** Of counts: a rate for all, and its dispersion. */
  | { readonly rate: number; readonly dispersion: number }
  /** Frequencies of the classes, drawn toward equal ones as far as they are uncertain. */
  | { readonly frequencies: readonly number[] };

/** The baseline of the training's targets. */
export function baselineOf(targets: ArrayLike<number>, classes: number | "counts", weights?: Weights): Baseline {
  const weight = (i: number) => weights?.[i] ?? 1;
  let n = 0;
  for (let i = 0; i < targets.length; i++) n += weight(i);
  if (classes === "counts") {
    const { mean, sd } = baselineOf(targets, 0, weights) as Extract<Baseline, { mean: number }>;
    // Half a count more, so that no rate is 0.
    const rate = mean + 0.5 / n;
    return { rate, dispersion: Math.max(0, (sd ** 2 - mean) / rate ** 2) };
  }
  if (classes === 0) {
    let mean = 0;
    for (let i = 0; i < targets.length; i++) mean += (weight(i) * targets[i]) / n;
    let square = 0;
    for (let i = 0; i < targets.length; i++) square += (weight(i) * (targets[i] - mean) ** 2) / n;
    return { mean, sd: Math.sqrt(square) };
  }
  const counts = new Array<number>(classes).fill(0);
  for (let i = 0; i < targets.length; i++) counts[targets[i]] += weight(i);
  const added = rowsAdded(counts, n);
  return { frequencies: counts.map((count) => (count + added) / (n + added * classes)) };
}

/** Rows that may be added to each class; very many make all classes equal. */
const ADDED = [0.01, 0.1, 0.5, 1, 2, 5, 10, 100, 1e4] as const;

/** Rows to add to each class, with which frequencies predict rows best that they were not counted from, each left out in turn. */
function rowsAdded(counts: readonly number[], n: number): number {
  const loss = (added: number) =>
    counts.reduce((sum, count) => {
      // What is left of a class where one of its rows is left out; rows that count less than one leave none.
      const others = Math.max(count - 1, 0);
      const all = Math.max(n - 1, others);
      return count === 0 ? sum : sum - count * Math.log((others + added) / (all + added * counts.length));
    }, 0);
  return ADDED.reduce((best, added) => (loss(added) < loss(best) ? added : best), ADDED[0]);
}

/** The metrics of baselines, one for each row. */
export function baselineMetrics(baselines: readonly Baseline[], truth: ArrayLike<number>, weights?: Weights): Metrics {
  if (baselines.every((baseline) => "rate" in baseline)) return countMetrics(baselines, truth, weights);
  const numbers = baselines.map((baseline) => ("mean" in baseline ? baseline : undefined));
  if (numbers.every((baseline) => baseline !== undefined)) {
    const metrics = regressionMetrics(
      numbers.map(({ mean }) => mean),
      numbers.map(({ sd }) => sd),
      truth,
      weights,
    );
    return metrics;
  }
  const frequencies = baselines.map((baseline) => ("frequencies" in baseline ? baseline.frequencies : []));
  const found = classMetrics(
    frequencies,
    frequencies.map((row) => row.map(Math.log)),
    truth,
    weights,
  );
  // One prediction for all puts no row before another; those of several folds differ by what each left out.
  return "auroc" in found ? { ...found, auroc: 0.5 } : found;
}

/** Of rates alone, each as the rows of its fold had it. */
function countMetrics(
  baselines: readonly Extract<Baseline, { rate: number }>[],
  truth: ArrayLike<number>,
  weights: Weights,
): Metrics {
  const known = new Map<string, number[]>();
  for (const [i, { rate, dispersion }] of baselines.entries()) {
    const key = JSON.stringify([rate, dispersion]);
    const places = known.get(key);
    if (places === undefined) known.set(key, [i]);
    else places.push(i);
  }
  const rows = truth.length;
  const [mean, lower, upper] = [new Float64Array(rows), new Float64Array(rows), new Float64Array(rows)];
  const scores = {
    negativeLogDensity: new Float64Array(rows),
    crps: new Float64Array(rows),
    below: new Float64Array(rows),
  };
  for (const places of known.values()) {
    const { rate, dispersion } = baselines[places[0]];
    const one = partOf([Math.log(rate)], Float64Array.of(0), dispersion);
    const bounds = [0.05, 0.95].map((p) => tableQuantiles(one, p)[0]);
    const all = partOf(new Array(places.length).fill(Math.log(rate)), new Float64Array(places.length), dispersion);
    const own = tableScores(
      all,
      Float64Array.from(places, (i) => truth[i]),
    );
    for (const [k, i] of places.entries()) {
      [mean[i], lower[i], upper[i]] = [rate, bounds[0], bounds[1]];
      for (const name of ["negativeLogDensity", "crps", "below"] as const) scores[name][i] = own[name][k];
    }
  }
  return scoredMetrics({ mean, lower, upper, ...scores }, truth, weights);
}
