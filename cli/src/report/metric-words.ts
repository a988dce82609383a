// The metrics in plain words, in the order in which they are shown.

import type { ReportData } from "../model/report-data.ts";
import { type Html, html } from "./html.ts";
import { number, percent } from "./numbers.ts";

interface Metric {
  readonly label: string;
  /** How the field calls it. */
  readonly term?: string;
  readonly meaning: string;
  readonly share?: true;
  /** Which way is better, or the value that is right. */
  readonly better?: "lower" | "higher";
  readonly wanted?: number;
}

const known: Readonly<Record<string, Metric>> = {
  accuracy: {
    label: "Right",
    term: "accuracy",
    meaning: "Share of rows whose class was predicted right.",
    share: true,
    better: "higher",
  },
  rootMeanSquaredError: {
    label: "Typical error",
    term: "RMSE",
    meaning: "In the target's units; large errors count most.",
    better: "lower",
  },
  meanAbsoluteError: {
    label: "Average error",
    term: "MAE",
    meaning: "Mean distance to the truth, in the target's units.",
    better: "lower",
  },
  rSquared: {
    label: "Variance explained",
    term: "R²",
    meaning: "1 is perfect; 0 is as good as the mean of the held-out rows.",
    better: "higher",
  },
  negativeLogLikelihood: {
    label: "Surprise at the truth",
    term: "NLL",
    meaning: "Judges prediction and uncertainty together; lower is better.",
    better: "lower",
  },
  intervalCoverage: {
    label: "Inside the 90 % interval",
    term: "coverage",
    meaning: "Below: too confident. Above: too cautious.",
    share: true,
    wanted: 0.9,
  },
  intervalWidth: {
    label: "Width of the interval",
    term: "sharpness",
    meaning: "Narrow is better, as long as coverage holds.",
    better: "lower",
  },
  crps: {
    label: "Error of the distribution",
    term: "CRPS",
    meaning: "Like the average error, but of the whole predicted range.",
    better: "lower",
  },
  miscalibrationArea: {
    label: "Calibration error",
    term: "miscalibration area",
    meaning: "0 if stated probabilities come true, at most 0.5.",
    better: "lower",
  },
  sigmaScaling: {
    label: "Factor on uncertainty",
    term: "σ-scaling",
    meaning: "What the uncertainty would have to be multiplied by; above 1: too confident.",
    wanted: 1,
  },
  brierScore: {
    label: "Squared error of probabilities",
    term: "Brier",
    meaning: "0 is perfect; judges all classes' probabilities.",
    better: "lower",
  },
  expectedCalibrationError: {
    label: "Calibration error",
    term: "ECE",
    // Of no better or worse: the shares of the classes alone are calibrated by the way they are made.
    meaning: "Mean gap between stated and seen shares. The classes' shares alone have none, and say nothing.",
    share: true,
  },
  setCoverage: {
    label: "Inside the 90 % set",
    term: "coverage",
    meaning: "The likeliest classes that make up 90 %. Below: too confident. Above: too cautious.",
    share: true,
    wanted: 0.9,
  },
  f1: {
    label: "Found and right",
    term: "F1",
    meaning:
      "Harmonic mean of the share of a class that is found, and of what is called so that is; mean over classes.",
    share: true,
    better: "higher",
  },
  auroc: {
    label: "Order of the rows",
    term: "AUROC",
    meaning: "Chance that a row of a class ranks above one of another; mean over classes.",
    share: true,
    better: "higher",
  },
};

/** "rootMeanSquaredError" → "root mean squared error", for a metric that has no words here. */
const inWords = (key: string) => key.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);

function comparison({ better, share }: Metric, value: number, baseline: number): Html | undefined {
  if (better === undefined || !Number.isFinite(value) || !Number.isFinite(baseline)) return undefined;
  const difference = value - baseline;
  const format = share ? percent : (x: number) => number(x, 2);
  if (format(value) === format(baseline)) return html`<span class="same">about the same</span>`;
  const good = difference < 0 === (better === "lower");
  const words = `${good ? "✓ better" : "✕ worse"} by ${share ? `${number(Math.abs(100 * difference), 2)} points` : number(Math.abs(difference), 2)}`;
  return html`<span class="${good ? "good" : "bad"}">${words}</span>`;
}

/** The key numbers, each beside the baseline's. */
export function keyNumbers({ metrics, baseline, task }: ReportData): Html {
  const keys = [
    ...Object.keys(known).filter((key) => Object.hasOwn(metrics, key)),
    ...Object.keys(metrics).filter((key) => !Object.hasOwn(known, key) && key !== "samples"),
  ];
  const reference = task !== "classification" ? "always the mean" : "always the commonest class";
  const tiles = keys.map((key) => {
    const metric: Metric = Object.hasOwn(known, key) ? known[key] : { label: inWords(key), meaning: "" };
    const format = metric.share ? percent : number;
    const other = Object.hasOwn(baseline, key)
      ? html`<span class="baseline">${reference}: ${format(baseline[key])}</span> ${comparison(metric, metrics[key], baseline[key])}`
      : undefined;
    const wanted =
      metric.wanted === undefined
        ? undefined
        : html`<span class="baseline">right would be ${format(metric.wanted)}</span> `;
    return html`<div class="tile"><dt>${metric.label}${metric.term && html` <small>${metric.term}</small>`}</dt><dd><strong>${format(metrics[key])}</strong>${wanted ?? other}<p>${metric.meaning}</p></dd></div>
`;
  });
  return tiles.length === 0
    ? html`<p class="none">No metrics were computed.</p>`
    : html`<dl class="tiles">${tiles}</dl>`;
}
