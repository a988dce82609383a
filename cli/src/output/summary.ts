// What was learned, on one screen.

import type { TableModel } from "laplace-ts";
import { guaranteeText, heldLess, shareText } from "../model/guarantee-text.ts";
import { effectsText } from "../model/level-texts.ts";
import type { Metrics } from "../model/metrics.ts";
import { threeDigits } from "../model/noise.ts";
import type { Finding, GuaranteeReport } from "../model/report-data.ts";
import { plain, styled } from "./terminal.ts";

/** A line with a label in front. */
export function line(label: string, text: string): string {
  return `${styled("bold", label.padEnd(12))} ${text}`;
}

const number = (value: number) =>
  value !== 0 && Math.abs(value) < 1e-3 ? value.toPrecision(3) : String(Number(value.toPrecision(4)));
/** Of shares, without what rounding leaves of a zero. */
const shareError = (value: number) => number(value < 1e-12 ? 0 : value);
/** Without the sign of a zero. */
const thousandths = (value: number) => (Math.round(1000 * value) / 1000 || 0).toFixed(3);
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

/** Metrics beside those of the baseline, a line for each that people ask for. */
export function metricLines(task: string, metrics: Metrics, baseline: Metrics): string[] {
  const shown: readonly (readonly [string, string, (value: number) => string])[] =
    task !== "classification"
      ? [
          ["negativeLogLikelihood", "NLL", number],
          ["rootMeanSquaredError", "RMSE", number],
          ["rSquared", "R²", thousandths],
          ["crps", "CRPS", number],
          ["intervalCoverage", "in 90 % intervals", percent],
          ["miscalibrationArea", "calibration error", shareError],
        ]
      : [
          ["negativeLogLikelihood", "NLL", number],
          ["accuracy", "accuracy", percent],
          ["f1", "F1", thousandths],
          ["auroc", "AUROC", thousandths],
          ["brierScore", "Brier score", number],
          ["setCoverage", "in 90 % sets", percent],
          ["expectedCalibrationError", "calibration error", shareError],
        ];
  const names: Readonly<Record<string, string>> = {
    count: "one rate for all",
    classification: "class frequencies alone",
  };
  const name = names[task] ?? "mean and deviation alone";
  const head = `  ${"".padEnd(18)} ${"model".padStart(10)} ${"baseline".padStart(10)}   (baseline: ${name})`;
  const rows = shown.flatMap(([key, label, format]) => {
    const [own, other] = [metrics[key], baseline[key]];
    if (own === undefined) return [];
    return [
      `  ${label.padEnd(18)} ${format(own).padStart(10)} ${other === undefined ? "" : format(other).padStart(10)}`,
    ];
  });
  return [styled("dim", head), ...rows];
}

/** What held-out rows say: metrics, whether they beat the baseline, and what was found. @param what should not be relied on if not */
export function judgementLines(
  task: string,
  { metrics, baseline }: { readonly metrics: Metrics; readonly baseline: Metrics },
  findings: readonly Finding[],
  what: string,
): string[] {
  const better = baseline.negativeLogLikelihood - metrics.negativeLogLikelihood;
  return [
    ...metricLines(task, metrics, baseline),
    better > 0
      ? styled("green", `  Better than the baseline by ${threeDigits(better)} nats per row.`)
      : styled("red", `  No better than the baseline: do not rely on ${what}.`),
    ...findings.map(({ severity, message, advice }) =>
      styled(severity === "problem" ? "red" : "yellow", `${severity}: ${message} ${advice}`),
    ),
  ];
}

/** Groups that are named. */
const GROUPS = 3;

/** What is promised of intervals or sets, and where they held less. */
export function guaranteeLines(guarantee: GuaranteeReport, task: string): string[] {
  const less = heldLess(guarantee);
  return [
    line("guarantee", guaranteeText(guarantee, task)),
    ...less.slice(0, GROUPS).map(({ by, group, coverage, samples }) => {
      const where = `${plain(by)} = ${plain(group)}`;
      return styled(
        "yellow",
        `  They held ${shareText(coverage)} of ${samples.toLocaleString("en")} rows where ${where}.`,
      );
    }),
    ...(less.length > GROUPS ? [`  and less in ${less.length - GROUPS} more groups (the report has them all)`] : []),
  ];
}

/** Columns that are named with the reason why they are ignored; the others are counted. */
const IGNORED = 24;

/** Columns and what became of them: counts by kind, and the ignored ones with their reasons. */
export function columnLines({ encoding }: TableModel): string[] {
  const counts = new Map<string, number>();
  for (const { kind } of encoding.columns) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const words = { number: "numbers", category: "categories", date: "dates", ignored: "ignored" } as const;
  const kinds = Object.entries(words).flatMap(([kind, many]) => {
    const count = counts.get(kind);
    return count === undefined ? [] : [`${count} ${count === 1 ? kind : many}`];
  });
  const inputs = encoding.inputs.length;
  const ignored = encoding.columns.flatMap((column) =>
    column.kind === "ignored" ? [`  ignored ${plain(column.name)}: ${column.reason}`] : [],
  );
  const shown = ignored.slice(0, IGNORED);
  const rest = ignored.length - shown.length;
  const many = encoding.columns.flatMap((column) => {
    const text = column.kind === "category" ? effectsText(column, encoding) : undefined;
    return text === undefined ? [] : [`  ${plain(column.name)}: ${text}`];
  });
  return [
    line("columns", `${kinds.join(", ")} → ${inputs} input${inputs === 1 ? "" : "s"}`),
    ...many.slice(0, IGNORED),
    ...shown,
    ...(rest > 0 ? [`  and ${rest} more ignored`] : []),
  ];
}
