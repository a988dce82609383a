// What is wrong with a fit, if something is, in plain words.

import type { Finding } from "../report/data.ts";
import type { TableFit } from "./fit.ts";

/** Standard errors by which a coverage may differ from 90 % by chance. */
const TOLERANCE = 3;
/** Of rows that were held out at random, more than this far from the rest are a sign of few rows or wild values. */
const MANY_FAR = 0.1;

/** Findings about a fit; none if all is well. */
export function findingsOf(fit: TableFit): Finding[] {
  const { heldOut, warnings, model } = fit;
  const { metrics, baseline, far } = heldOut;
  const findings: Finding[] = [];
  const add = (severity: Finding["severity"], message: string, advice: string) =>
    findings.push({ severity, message, advice });
  if (!(metrics.negativeLogLikelihood < baseline.negativeLogLikelihood)) {
    add(
      "problem",
      "On held-out rows the model is no better than the baseline.",
      "Perhaps the columns say little about the target; more rows or columns help, or other --hidden widths.",
    );
  }
  const coverage = metrics.intervalCoverage ?? metrics.setCoverage;
  const error = TOLERANCE * Math.sqrt((0.9 * 0.1) / heldOut.truth.length) + 0.01;
  const what = fit.task === "regression" ? "intervals" : "sets of classes";
  if (coverage < 0.9 - error) {
    add(
      "warning",
      `The model is over-confident: its 90 % ${what} held ${(100 * coverage).toFixed(0)} % of held-out rows.`,
      "Try smaller --hidden widths, or more rows.",
    );
  }
  if (coverage > 0.9 + error) {
    add(
      "warning",
      `The model is under-confident: its 90 % ${what} held ${(100 * coverage).toFixed(0)} % of held-out rows.`,
      "A few outliers in the target can widen everything; look at the residuals in the report.",
    );
  }
  for (const warning of warnings) {
    add("warning", warning.replace(/^laplace: /, "").replace(/ \(checks: false.*$/, ""), "Raise --epochs.");
  }
  if (model.posterior.tuning?.converged === false) {
    add("warning", "The tuning of the prior did not converge.", "Raise --epochs, or try another --seed.");
  }
  const share = far.filter(Boolean).length / far.length;
  if (share > MANY_FAR) {
    add(
      "warning",
      `${(100 * share).toFixed(0)} % of held-out rows are unlike the rows that were learned from.`,
      "Look for columns with wild values or many rare categories, and --ignore them.",
    );
  }
  return findings;
}
