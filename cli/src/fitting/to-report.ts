// What the report shows of a fit, in the units of the table.

import { inputNames, NDArray, normalQuantile, reliabilityCurve, type TableModel, version } from "laplace-ts";
import { effectsText } from "../model/level-texts.ts";
import { calibrationOf } from "../model/metrics.ts";
import {
  familyText,
  noiseByRow,
  noiseByRowText,
  noiseOf,
  powerText,
  scaleText,
  temperatureText,
} from "../model/noise.ts";
import type { ColumnNote, Finding, ReliabilityBin, ReportData } from "../model/report-data.ts";
import { relevanceOf } from "./columns.ts";
import { checkedOf } from "./findings.ts";
import type { TableFit } from "./fit.ts";
import { formatNotes } from "./formats.ts";
import { slicesOf } from "./slices.ts";

/** Prior precisions at which the evidence is shown: three decades to each side of the chosen one. */
const EVIDENCE_POINTS = 25;
const DECADES = 3;
const BINS = 10;

/** All that the report shows. */
export async function reportData(
  fit: TableFit,
  findings: readonly Finding[],
  { data, seed }: { readonly data: string; readonly seed: number },
): Promise<ReportData> {
  const { model, heldOut, rows } = fit;
  const { target } = model.encoding;
  const { metrics, baseline, indices, below = [], ...predictions } = heldOut;
  const priorPrecision = meanPrecision(fit.tuned);
  const noise = noiseOf(model);
  const targetScale = scaleText(model) ?? familyText(model);
  const byRow = noiseByRow(model, heldOut);
  const temperature = temperatureText(fit.temperature);
  const power = powerText(model);
  return {
    data,
    target: target.name,
    task: fit.task,
    ...(target.kind === "classes" && { classes: target.classes }),
    created: new Date().toISOString(),
    version,
    seed,
    counts: { ...fit.counts, dropped: fit.dropped },
    ...(fit.weights !== undefined && { weights: fit.weights }),
    columns: columnNotes(model, fit),
    candidates: fit.candidates,
    portfolio: fit.portfolio,
    network: fit.network,
    structure: fit.structure,
    structureReason: fit.structureReason,
    priorPrecision,
    ...(noise !== undefined && { noise }),
    ...(temperature !== undefined && { temperature }),
    ...(power !== undefined && { power }),
    ...(byRow !== undefined && { noiseByRow: noiseByRowText(byRow) }),
    ...(targetScale !== undefined && { targetScale }),
    metrics,
    baseline,
    findings,
    checked: checkedOf(fit),
    heldOut: {
      ...predictions,
      // The deviation is around the mixture's mean, which is not that of a mean of its own.
      ...((targetScale !== undefined || fit.model.meanWeights !== undefined) && { z: below.map(deviate) }),
      lines: indices.map((i) => rows.lines[i]),
      rows: indices.map((i) => Object.fromEntries(rows.names.map((name, j) => [name, rows.rows[i][j]]))),
    },
    ...(fit.guarantee !== undefined && { guarantee: fit.guarantee }),
    reliability: reliabilityOf(fit),
    evidence: evidenceAround(fit, priorPrecision),
    training: fit.course,
    slices: await slicesOf(fit),
  };
}

function columnNotes({ encoding }: TableModel, fit: TableFit): ColumnNote[] {
  const { cells } = fit;
  const formats = new Map(
    formatNotes(fit).map(({ column, message }) => [column, `; ${message.slice(column.length + 2)}`]),
  );
  const absent = new Map<string, number>();
  for (const { name, texts } of [...cells.missing, ...cells.unreadable]) {
    absent.set(
      name,
      texts.reduce((sum, { count }) => sum + count, absent.get(name) ?? 0),
    );
  }
  const relevance = relevanceOf(encoding, fit.relevance);
  const importance = new Map(fit.importance.map((one) => [one.name, one]));
  return encoding.columns.map((column) => {
    const { name, kind } = column;
    const missing = absent.get(name) ?? 0;
    const own = relevance.get(name);
    const matters = importance.get(name);
    const effects = column.kind === "category" ? effectsText(column, encoding) : undefined;
    return {
      name,
      kind,
      inputs: inputNames(column).length,
      missing,
      note: (effects ?? noteOf(column)) + (formats.get(name) ?? ""),
      ...(own !== undefined && { relevance: own }),
      ...(matters !== undefined && { importance: [matters.rise, matters.standardError] as const }),
    };
  });
}

/** The normal deviate below which so much lies (quantile residuals: Dunn & Smyth 1996), within what a chart shows. */
const deviate = (below: number) => normalQuantile(Math.min(1 - 1e-12, Math.max(1e-12, below)));

function noteOf(column: TableModel["encoding"]["columns"][number]): string {
  if (column.kind === "ignored") return `ignored: ${column.reason}`;
  const filled = column.missing ? ", missing values imputed" : "";
  if (column.kind === "number") return `standardised${filled}`;
  if (column.kind === "date") return `date: ${column.parts.join(", ")}${filled}`;
  return `one-hot, ${column.categories.length} categories${column.rest ? " and a rest" : ""}${filled}`;
}

/** Predicted probabilities against frequencies of held-out rows. */
export function reliabilityOf({ heldOut, task }: Pick<TableFit, "heldOut" | "task">): ReliabilityBin[] {
  const { truth, below = [], probabilities = [] } = heldOut;
  const vector = (values: readonly number[]) => new NDArray(Float64Array.from(values), [values.length]);
  if (task !== "classification") {
    const { level, frequency } = calibrationOf(below);
    return Array.from(level.data, (confidence: number, i) => {
      return { confidence, accuracy: frequency.data[i], count: truth.length };
    });
  }
  const p = new NDArray(Float64Array.from(probabilities.flat()), [truth.length, probabilities[0].length]);
  const { count, confidence, accuracy } = reliabilityCurve(p, vector(truth), { bins: BINS });
  return Array.from(count.data, (n: number, i) => {
    return { confidence: confidence.data[i], accuracy: accuracy.data[i], count: n };
  }).filter(({ count: n }) => n > 0);
}

/** The geometric mean of the prior's precisions of the heaviest posterior. */
export function meanPrecision(posterior: TableModel["posterior"]): number {
  const values = Array.from(posterior.priorPrecision.data as Float64Array);
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value) / values.length, 0));
}

/** The evidence with all precisions so many times as large. */
export function evidenceAround({ tuned: posterior }: Pick<TableFit, "tuned">, chosen: number): ReportData["evidence"] {
  const priorPrecision = Array.from(
    { length: EVIDENCE_POINTS },
    (_, i) => chosen * 10 ** (DECADES * ((2 * i) / (EVIDENCE_POINTS - 1) - 1)),
  );
  const { data, shape } = posterior.priorPrecision;
  const logEvidence = priorPrecision.map((precision) => {
    const scaled = new NDArray(
      Float64Array.from(data, (own: number) => (own * precision) / chosen),
      shape,
    );
    return posterior.with({ priorPrecision: scaled }).logMarginalLikelihood();
  });
  return { priorPrecision, logEvidence };
}
