// What is said of a posterior around a network that was trained elsewhere: findings, and what the report shows.

import { version } from "laplace-ts";
import type { Examples } from "../model/examples.ts";
import type { Finding, ReportData } from "../model/report-data.ts";
import { evidenceAround, meanPrecision, reliabilityOf } from "./to-report.ts";
import type { TrainedFit } from "./trained.ts";

/** Standard errors by which a coverage may differ from 90 % by chance. */
const TOLERANCE = 3;

const inputsAdvice =
  "Likely cause: inputs that are not as the training had them: their order, their scale, their classes.";

/** What to do about a finding of `diagnose` where the network is given. */
const advice: Readonly<Record<string, string>> = {
  "not-at-minimum": `The training ended early, or had another loss. ${inputsAdvice}`,
  "noise-far-from-residuals": inputsAdvice,
  "perfect-fit": "Fit to rows that the network has not learned by heart.",
};

/** What is wrong, if something is. */
export function trainedFindings({ posterior, heldOut, task }: TrainedFit): Finding[] {
  const { metrics, baseline, truth } = heldOut;
  const findings: Finding[] = [];
  if (!(metrics.negativeLogLikelihood < baseline.negativeLogLikelihood)) {
    const message = "On held-out rows the network with its posterior is no better than the baseline.";
    findings.push({ severity: "problem", message, advice: inputsAdvice });
  }
  const coverage = metrics.intervalCoverage ?? metrics.setCoverage;
  const error = TOLERANCE * Math.sqrt((0.9 * 0.1) / truth.length) + 0.01;
  if (Math.abs(coverage - 0.9) > error) {
    const what = task === "regression" ? "intervals" : "sets of classes";
    const message = `Predictions are ${coverage < 0.9 ? "over" : "under"}-confident: 90 % ${what} held ${(100 * coverage).toFixed(0)} % of held-out rows.`;
    const more = "More rows, rows that the network was not trained on (--test), or --weights all may help.";
    findings.push({ severity: "warning", message, advice: more });
  }
  for (const { code, severity, message } of posterior.diagnose().findings) {
    findings.push({ severity, message, advice: advice[code] ?? "More rows, or --weights all, may help." });
  }
  return findings;
}

/** All that the report shows. */
export function trainedReport(
  fit: TrainedFit,
  findings: readonly Finding[],
  about: {
    readonly data: string;
    readonly network: string;
    readonly held: Examples;
    readonly rows: number;
    readonly seed: number;
    readonly classes?: readonly string[] | undefined;
  },
): ReportData {
  const { posterior, heldOut, task } = fit;
  const { held, classes, data, network, seed } = about;
  const { metrics, baseline, indices: _, below: __, ...predictions } = heldOut;
  const priorPrecision = meanPrecision(posterior);
  const { hyper } = posterior.likelihood;
  const { table, lines } = held;
  const cells = (row: readonly string[]) => Object.fromEntries((table?.names ?? []).map((name, j) => [name, row[j]]));
  return {
    data,
    target: held.target,
    task,
    ...(classes && { classes }),
    created: new Date().toISOString(),
    version,
    seed,
    trainedElsewhere: true,
    counts: { train: about.rows, validation: 0, test: lines.length, dropped: 0 },
    columns: held.inputs.map((name) => ({ name, kind: "number", inputs: 1, missing: 0, note: "as it stands" })),
    network,
    structure: posterior.structure,
    structureReason: fit.structureReason,
    priorPrecision,
    ...(task === "regression" && hyper.any && { noise: hyper.value }),
    metrics,
    baseline,
    findings,
    checked: [
      "the network is at a minimum of its loss on these rows",
      "the prior is not at an edge of its range",
      "predictions are neither over- nor under-confident",
    ],
    heldOut: { ...predictions, lines, rows: lines.map((_, i) => (table ? cells(table.rows[i]) : {})) },
    reliability: reliabilityOf(fit),
    evidence: evidenceAround({ tuned: posterior }, priorPrecision),
    training: { epochs: [], train: [], validation: [], kept: 0 },
    slices: [],
  };
}
