// What is wrong with a fit, if something is, in plain words.

import { missingTest, occurrences, placesOf } from "laplace-ts";
import { gainText } from "../model/gain-text.ts";
import type { Finding } from "../model/report-data.ts";
import { partsOfHeldOut } from "./coverage.ts";
import type { TableFit } from "./fit.ts";
import { clearly } from "./gains.ts";

/** Standard errors by which a coverage may differ from 90 % by chance. */
const TOLERANCE = 3;
/** Of rows that were held out at random, more than this far from the rest are a sign of few rows or wild values. */
const MANY_FAR = 0.1;

/** Nats per row of the second half of a training from which on a longer one is worth a try. */
const LONGER = 0.005;

/** The share of rows whose category has no input from which on that is said. */
const MANY_RESTS = 0.1;

/** Parts of the rows that are named. */
const NAMED = 3;

/** What to change here, where the library's own advice names options of its calls. */
const advice: Readonly<Record<string, string>> = {
  "not-at-minimum": "Raise --epochs.",
  "tuning-not-converged": "Raise --epochs, or try another --seed.",
  "prior-at-edge": "The columns may say nothing about the target; or try smaller --hidden widths, or more rows.",
  "prior-far-from-weights": "Raise --rounds, so that the prior can follow the weights.",
  "noise-far-from-residuals": "Raise --epochs or --rounds.",
  "perfect-fit":
    "The rows say nothing about noise: try smaller --hidden widths, or more rows; is a column the target in disguise?",
  "function-variance-negligible": "The columns may say nothing about the target; or raise --epochs.",
};

/** Findings about a fit; none if all is well. */
export function findingsOf(fit: TableFit): Finding[] {
  const { heldOut } = fit;
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
  const linear = fit.portfolio.overLinear;
  if (linear !== undefined && clearly({ ...linear, gain: -linear.gain })) {
    add(
      "warning",
      `On held-out rows a linear model alone is better than the mixture, by ${text(-linear.gain)} nats per row (standard error ${text(linear.standardError)}).`,
      "The columns' effects add up, or there are few rows: more rows help.",
    );
  }
  if (fit.leaks.length > 0) {
    const one = fit.leaks.length === 1;
    add(
      "warning",
      `${fit.leaks.map((name) => `"${name}"`).join(", ")} alone ${one ? "says" : "say"} the target of nearly every row: ${one ? "it" : "they"} may give it away.`,
      "If a column is not known before the target is, leave it out: --ignore it.",
    );
  }
  for (const { name, kept, what, different, share } of restsOf(fit).slice(0, NAMED)) {
    add(
      "warning",
      `"${name}" has ${different.toLocaleString("en")} categories: the ${kept.toLocaleString("en")} most frequent have an ${what} each; those of the other ${(100 * share).toFixed(0)} % of the rows share none, and what they differ by is not learned.`,
      "Group them into fewer, such as regions or kinds, or add columns that say what tells them apart.",
    );
  }
  const coverage = metrics.intervalCoverage ?? metrics.setCoverage;
  const error = TOLERANCE * Math.sqrt((0.9 * 0.1) / heldOut.truth.length) + 0.01;
  const what = fit.task !== "classification" ? "intervals" : "sets of classes";
  if (coverage < 0.9 - error) {
    add(
      "warning",
      `The model is over-confident: its 90 % ${what} held ${(100 * coverage).toFixed(0)} % of held-out rows.`,
      "Try smaller --hidden widths, or more rows.",
    );
  }
  // Intervals of counts are whole, and hold more than 90 % of small ones.
  if (coverage > 0.9 + error && fit.task !== "count") {
    add(
      "warning",
      `The model is under-confident: its 90 % ${what} held ${(100 * coverage).toFixed(0)} % of held-out rows.`,
      "A few outliers in the target can widen everything; look at the residuals in the report.",
    );
  }
  const parts = partsOfHeldOut(fit).filter(({ side }) => side !== undefined);
  if (parts.length > 0 && Math.abs(coverage - 0.9) <= error) {
    const said = parts
      .toSorted((a, b) => Math.abs(b.coverage - 0.9) - Math.abs(a.coverage - 0.9))
      .slice(0, NAMED)
      .map(({ rows, samples, coverage: own }) => `${(100 * own).toFixed(0)} % of ${samples} rows ${rows}`);
    add(
      "warning",
      `The 90 % ${what} are right in all rows together, not in each part: they held ${said.join(", and ")}.`,
      fit.guarantee === undefined
        ? "Read them there with care; a column that tells these rows apart, or more of them, would help."
        : "Read them there with care, the guaranteed ones too: they hold on average.",
    );
  }
  for (const { code, severity, message } of fit.tuned.diagnose().findings) {
    // Where training ends before, held-out rows judge it.
    if (code === "not-at-minimum" && fit.early) continue;
    add(severity, message, advice[code] ?? "Try other --hidden widths, or another --seed.");
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

/** Columns of which many rows have a category without an input. */
function restsOf({ model, rows }: TableFit) {
  return model.encoding.columns.flatMap((column) => {
    if (column.kind !== "category" || !column.rest) return [];
    const at = rows.names.indexOf(column.name);
    const places = placesOf(column.categories);
    const missing = missingTest(model.encoding.rule, "texts");
    const cells = rows.rows.map((row) => row[at]).filter((cell) => !missing(cell));
    const others = cells.filter((cell) => places(cell) === undefined);
    const share = others.length / Math.max(1, cells.length);
    const kept = column.categories.length;
    const what = column.effects === undefined ? "input" : "effect";
    return share > MANY_RESTS
      ? [{ name: column.name, kept, what, different: kept + occurrences(others).length, share }]
      : [];
  });
}

const text = (value: number) => Number(value.toPrecision(2)).toString();

/** What wider and longer fits brought on held-out rows, in words: none where nothing says it. */
export function growthOf({ portfolio: { wider, longer } }: TableFit): string[] {
  const texts: string[] = [];
  if (wider !== undefined) {
    const said = `${wider.to} in the place of ${wider.from}: ${gainText(wider)} per row`;
    texts.push(
      wider.behind
        ? `${said}, but candidates of another kind are better still`
        : clearly(wider)
          ? `${said}; a still wider one may bring more`
          : `${said}, which may be chance; a still wider one promises nothing`,
    );
  }
  if (longer !== undefined)
    texts.push(
      longer > LONGER
        ? `the second half of the training: ${text(longer)} nats per row; more --epochs may bring more`
        : `the second half of the training: ${text(longer)} nats per row; a longer one promises nothing`,
    );
  return texts;
}

/** What was looked at, each in a few words: what a report without findings may say. */
export function checkedOf(fit: TableFit): string[] {
  const parts = partsOfHeldOut(fit).length;
  const what = fit.task === "classification" ? "sets of classes" : "intervals";
  const linear = fit.portfolio.overLinear;
  const { wider } = fit.portfolio;
  return [
    "the model predicts held-out rows better than the baseline",
    `90 % ${what} hold as many of ${fit.heldOut.truth.length.toLocaleString("en")} held-out rows as they should, within chance`,
    ...(parts > 0
      ? [`so they do in each of ${parts} parts of them (along the prediction, by categories, with missing values)`]
      : []),
    ...(linear === undefined
      ? []
      : [`it is not behind a linear model alone (the mixture gains ${gainText(linear)} per row)`]),
    ...(wider === undefined || clearly(wider)
      ? []
      : [`a wider network gains nothing beyond chance (${gainText(wider)} per row)`]),
    fit.early ? "training ended at the greatest evidence" : "training reached a minimum",
    "the prior is not at an edge of its range",
    ...(fit.task === "regression" ? ["the noise agrees with the residuals"] : []),
    "uncertainty differs between rows",
    "no column alone gives the target away",
    "few held-out rows are unlike the others",
  ];
}
