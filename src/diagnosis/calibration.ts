// What data show of a posterior: whether predictions are as good as they are sure.

import { negativeLogDensities } from "../evaluation/densities.ts";
import { shareWithin } from "../evaluation/regression.ts";
import { type Likelihood, meanOf } from "../likelihood/likelihood.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { confidences, type Diagnosed, FEW, type Find, perOutput, perSample, summed } from "./data.ts";
import { type Finding, type FindingCode, ofOutput, text } from "./findings.ts";
import { varianceFindings } from "./variances.ts";

// Thresholds: where a user should act, and where chance does not explain it. Both must hold, so that neither small data nor
// small errors in large ones alarm.

/** Probability of so much by chance, for each of the few things that are looked at. */
const CHANCE = 1e-4;
/** Standard errors of a mean beyond which chance does not explain it; as likely as that. */
const STANDARD_ERRORS = 4;
/** Mean squared residual, in predicted variances, beyond which (or below 1 / which) intervals are off by a fifth or more. */
const OVERDISPERSED = 1.5;
/** Levels of central intervals, their half-widths Φ⁻¹((1 + level) / 2), and shares outside which coverage is off. */
const LEVELS = [
  { level: 0.5, half: 0.6744897501960817, low: 0.35, high: 0.65 },
  { level: 0.9, half: 1.6448536269514722, low: 0.82, high: 0.97 },
] as const;
/** Difference of accuracy and mean confidence. */
const CONFIDENCE_GAP = 0.05;
/** Nats per example that predictions may be worse than those that ignore the inputs. */
const WORSE = 0.05;

/**
 * All that these data show; calibration only where they are not the training's.
 * @param gamma effective parameters, and of each output where it is known which determines how many
 */
export function calibrationLooks(
  posterior: WeightPosterior,
  given: Diagnosed,
  gamma: number,
  gammas: Float64Array | undefined,
): (() => readonly Finding[])[] {
  const { targets } = posterior.likelihood;
  const calibration = targets === "numbers" ? intervalFindings : confidenceFindings;
  const each = (find: Find) => perOutput(find, posterior, given);
  const variances = () => varianceFindings(posterior, given, gamma, gammas);
  return given.training ? [variances] : [variances, () => each(calibration), () => each(baselineFindings)];
}

/** Mean and standard error. */
function estimate(values: Float64Array): { mean: number; error: number } {
  const mean = meanOf(values);
  const variance = meanOf(values.map((x) => (x - mean) ** 2));
  return { mean, error: Math.sqrt(variance / Math.max(1, values.length - 1)) };
}

/**
 * Whether an observed share of n is too far from the probabilities' mean to be chance: e^(−n KL(observed ‖ expected)), which
 * bounds the binomial tail, and that of samples with a probability each (Hoeffding 1963, theorem 1).
 */
export function beyondChance(observed: number, expected: number, n: number): boolean {
  const term = (p: number, q: number) => (p === 0 ? 0 : p * Math.log(p / q));
  return n * (term(observed, expected) + term(1 - observed, 1 - expected)) > -Math.log(CHANCE);
}

const ADVICE = {
  "over-confident":
    "Tune with optimizePrior(), lower priorPrecision or raise temperature; a fuller structure helps too. conformalIntervals and conformalSets hold their level whatever the model.",
  "under-confident":
    "Tune with optimizePrior(), raise priorPrecision or lower temperature, and judge them on held-out data, which the evidence does not see.",
} as const;

function calibrationFinding(
  code: Extract<FindingCode, keyof typeof ADVICE>,
  message: string,
  measured: Finding["measured"],
): Finding[] {
  const severity = code === "over-confident" ? "problem" : "warning";
  return [{ code, severity, message, advice: ADVICE[code], measured }];
}

function intervalFindings({ likelihood }: WeightPosterior, given: Diagnosed, output: number | undefined): Finding[] {
  const { samples, outputs, y, mean, variance } = given;
  // Rates of counts may be above every float64 number: no intervals then.
  if (samples < FEW || !variance.every(Number.isFinite)) return [];
  const squares = perSample(given, (i) => ((y[i] - mean[i]) / Math.sqrt(variance[i])) ** 2 / outputs);
  const { mean: square, error } = estimate(squares);
  // At least that of independent Gaussians, and that of the data where outputs go together or tails are long.
  const standardError = Math.max(error, Math.sqrt(2 / (samples * outputs)));
  const certain = Math.abs(square - 1) > STANDARD_ERRORS * standardError;
  // Counts are not Gaussian, and their intervals not these.
  const coverage = (likelihood.normal ? LEVELS : []).map(({ level, half, low, high }) => {
    const share = shareWithin(half, mean, variance, y);
    // Outputs of an example may go together: they count as one.
    const alarm = beyondChance(share, level, samples);
    return { level, share, tooLow: alarm && share < low, tooHigh: alarm && share > high };
  });
  const measured = {
    ...(output !== undefined && { output }),
    samples,
    meanSquaredResidual: square,
    ...Object.fromEntries(coverage.map(({ level, share }) => [`coverage${100 * level}`, share])),
  };
  const words = [
    ...coverage.map(
      ({ level, share }) => `intervals of ${100 * level} % hold ${Math.round(100 * share)} % of the targets`,
    ),
    `squared residuals are ${text(square)} times the predicted variance on average`,
  ].join(", ");
  if ((certain && square > OVERDISPERSED) || coverage.some(({ tooLow }) => tooLow)) {
    return calibrationFinding(
      "over-confident",
      `Predictions${ofOutput(output)} are too sure on these data: ${words}.`,
      measured,
    );
  }
  if ((certain && square < 1 / OVERDISPERSED) || coverage.some(({ tooHigh }) => tooHigh)) {
    return calibrationFinding(
      "under-confident",
      `Predictions${ofOutput(output)} are less sure than they could be on these data: ${words}.`,
      measured,
    );
  }
  return [];
}

function confidenceFindings({ likelihood }: WeightPosterior, given: Diagnosed, output: number | undefined): Finding[] {
  const { samples, outputs, y, mean } = given;
  if (samples < FEW) return [];
  const classes = likelihood.targets === "classes";
  const { confidence, label } = confidences(mean, outputs, classes);
  const right = label.reduce((sum, c, i) => sum + (classes ? y[i * outputs + c] : c === 1 ? y[i] : 1 - y[i]), 0);
  const [accuracy, expected] = [right / label.length, meanOf(confidence)];
  if (Math.abs(accuracy - expected) < CONFIDENCE_GAP || !beyondChance(accuracy, expected, samples)) return [];
  const words = `their mean confidence is ${Math.round(100 * expected)} %, and ${Math.round(100 * accuracy)} % are right`;
  const measured = { ...(output !== undefined && { output }), samples, confidence: expected, accuracy };
  return accuracy < expected
    ? calibrationFinding(
        "over-confident",
        `Predictions${ofOutput(output)} are too sure on these data: ${words}.`,
        measured,
      )
    : calibrationFinding(
        "under-confident",
        `Predictions${ofOutput(output)} are less sure than they could be on these data: ${words}.`,
        measured,
      );
}

/** −log density of the targets of each example under the prediction, and under what ignores the inputs. */
function negativeLogs(likelihood: Likelihood, given: Diagnosed): { own: Float64Array; baseline: Float64Array } {
  const { samples, outputs, y, logs, otherLogs } = given;
  const { rows } = likelihood;
  if (rows !== undefined) {
    const [own, baseline] = [logs.map((log) => -log), rows.baseline(y)].map((nats) => summed(given, nats));
    return { own, baseline };
  }
  const column = (c: number) => Float64Array.from({ length: samples }, (_, i) => y[i * outputs + c]);
  const baselines = Array.from({ length: outputs }, (_, c) => likelihood.baseline.fit(column(c)));
  const both = likelihood.targets === "labels";
  // 0 log 0 = 0: soft targets.
  const cross = (t: number, log: number) => (t === 0 ? 0 : -t * log);
  const ofLabel = (t: number, i: number) => cross(t, logs[i]) + (both ? cross(1 - t, otherLogs[i]) : 0);
  const numbers = given.plugin ? { ...given, functionVariance: new Float64Array(y.length) } : given;
  const own = likelihood.logDensity === undefined ? y.map(ofLabel) : negativeLogDensities(likelihood, numbers, y);
  return { own: perSample(given, (i) => own[i]), baseline: perSample(given, (i, c) => baselines[c](y[i])) };
}

function baselineFindings(posterior: WeightPosterior, given: Diagnosed, output: number | undefined): Finding[] {
  const { samples, outputs } = given;
  if (samples < FEW) return [];
  const { own, baseline } = negativeLogs(posterior.likelihood, given);
  const { mean: worse, error } = estimate(own.map((x, i) => x - baseline[i]));
  // The baseline was fitted to these data, by half a nat for each of its numbers.
  const numbers = outputs * posterior.likelihood.baseline.numbers;
  const excess = worse - numbers / (2 * samples);
  // Also refuses NaN and infinities: targets that are constant have a baseline without bounds.
  if (!(excess > WORSE && excess > STANDARD_ERRORS * error && Number.isFinite(excess))) return [];
  const what = posterior.likelihood.baseline.words;
  return [
    {
      code: "worse-than-baseline",
      severity: "problem",
      message: `Predictions${ofOutput(output)} are worse on these data than ${what}, whatever the inputs: ${text(excess)} nats for each example.`,
      advice:
        "Train with more weightDecay or for fewer epochs, check that inputs and targets belong together and are scaled as in training, and tune with optimizePrior().",
      measured: {
        ...(output !== undefined && { output }),
        samples,
        negativeLogLikelihood: meanOf(own),
        baseline: meanOf(baseline),
        excess,
      },
    },
  ];
}
