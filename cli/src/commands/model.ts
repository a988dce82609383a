// Reading a model file, and what its notes say.

import { readFile } from "node:fs/promises";
import { FileError, type Json, loadTableModel, type TableModel, type TableModelParts, tableModel } from "laplace-ts";
import type { Baseline, Metrics } from "../model/metrics.ts";
import type { WrittenCandidate } from "../model/report-data.ts";
import type { WeightColumn } from "../model/weight-cells.ts";
import { formatOptions, type Reading, type TableOptions } from "./options.ts";
import { fieldsOf, isFormat, readingOf, type TrainedPosterior, trainedPosterior } from "./trained-posterior.ts";

/** Beyond any model that `fit` writes. */
const LARGEST = 2 ** 30;

/** Reads a model. @throws FileError naming the file; errors of the operating system */
export async function readModel(path: string): Promise<TableModel> {
  const model = await readFitted(path);
  if ("encoding" in model) return model;
  throw new FileError(
    "foreign",
    `${path} is a posterior that laplace posterior wrote, and no table's model. laplace predict predicts with it; what it did on held-out rows is in its report.`,
  );
}

/** Reads a model, or what `laplace posterior` wrote. @throws as `readModel` */
export async function readFitted(path: string): Promise<TableModel | TrainedPosterior> {
  const bytes = await readFile(path);
  if (bytes.length > LARGEST) {
    throw new FileError("foreign", `${path}: a file of ${bytes.length} bytes is not a model that laplace fit wrote.`);
  }
  try {
    return trainedPosterior(bytes) ?? loadTableModel(bytes);
  } catch (cause) {
    if (!(cause instanceof FileError)) throw cause;
    const hint =
      cause.reason === "malformed"
        ? " A model is a file that laplace fit wrote."
        : / holds a posterior, /.test(cause.message)
          ? " laplace fit and laplace posterior write how rows are read beside it; in a program, loadPosterior reads it."
          : "";
    throw new FileError(cause.reason, `${path} is refused (${cause.reason}): ${cause.message}${hint}`, { cause });
  }
}

/** The model for a table whose numbers and dates are written as the options say, where they say it. */
export function asWritten(model: TableModel, options: TableOptions): TableModel {
  const formats = formatOptions(
    options,
    model.encoding.columns.map(({ name }) => name),
  );
  if (Object.values(formats).every((value) => value === undefined)) return model;
  const written = (one: TableModel, more: Pick<TableModelParts, "guarantee">) =>
    tableModel({ ...one, ...more, encoding: one.encoding.withFormats(formats) });
  const { guarantee } = model;
  if (guarantee === undefined) return written(model, {});
  return written(model, { guarantee: { ...guarantee, models: guarantee.models.map((one) => written(one, {})) } });
}

/** What `fit` noted in the file, as far as it is there: other programs may have written others. */
export interface Notes {
  readonly program?: string;
  readonly network?: string;
  /** What predicts together, in words. */
  readonly mixture?: string;
  /** What was tried, by rows that were held out, the best first. */
  readonly candidates?: readonly WrittenCandidate[];
  readonly structureReason?: string;
  readonly heldOut?: {
    readonly rows: number;
    readonly parts: number;
    readonly metrics: Metrics;
    readonly baseline: Metrics;
  };
  readonly baseline?: Baseline;
  /** The column that says how much each row counts. */
  readonly weight?: WeightColumn;
  /** How the table of the training was read, where that was said. */
  readonly reading?: Reading;
}

/** The notes of a model, each only if it is what it should be. */
export function notesOf({ notes, encoding }: TableModel): Notes {
  const own = fieldsOf(notes);
  const text = (value: Json | undefined) => (typeof value === "string" ? value : undefined);
  const [held, base] = [fieldsOf(own.heldOut), fieldsOf(own.baseline)];
  const [metrics, baselineMetrics] = [metricsOf(held.metrics), metricsOf(held.baseline)];
  const { rows, parts } = held;
  const heldOut =
    typeof rows === "number" && typeof parts === "number" && metrics && baselineMetrics
      ? { rows, parts, metrics, baseline: baselineMetrics }
      : undefined;
  const { mean, sd, rate, dispersion, frequencies } = base;
  const classes = encoding.target.kind === "classes" ? encoding.target.classes.length : 0;
  let baseline: Baseline | undefined;
  if (classes === 0 && typeof mean === "number" && typeof sd === "number" && sd > 0) baseline = { mean, sd };
  if (typeof rate === "number" && rate > 0 && typeof dispersion === "number" && dispersion >= 0)
    baseline = { rate, dispersion };
  if (classes > 0 && isFrequencies(frequencies, classes)) baseline = { frequencies };
  return Object.fromEntries(
    Object.entries({
      program: text(own.program),
      network: text(own.network),
      mixture: text(own.mixture),
      candidates: candidatesOf(own.candidates),
      structureReason: text(own.structureReason),
      heldOut,
      baseline,
      weight: weightOf(fieldsOf(own.weight)),
      reading: readingOf(fieldsOf(own.reading)),
    }).filter(([, value]) => value !== undefined),
  );
}

function metricsOf(value: Json | undefined): Metrics | undefined {
  const entries = Object.entries(fieldsOf(value));
  if (entries.length === 0) return undefined;
  const numbers = entries.flatMap(([name, one]) => (typeof one === "number" ? [[name, one] as const] : []));
  return numbers.length === entries.length ? Object.fromEntries(numbers) : undefined;
}

function candidatesOf(value: Json | undefined): WrittenCandidate[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const known = value.flatMap((one): WrittenCandidate[] => {
    const { name, negativeLogLikelihood: loss = null, weight, members, standardError, evidence } = fieldsOf(one);
    if (typeof name !== "string" || typeof weight !== "number" || typeof members !== "number") return [];
    if (loss !== null && typeof loss !== "number") return [];
    return [
      {
        name,
        negativeLogLikelihood: loss,
        weight,
        members,
        ...(typeof standardError === "number" && { standardError }),
        ...(typeof evidence === "number" && { evidence }),
      },
    ];
  });
  return known.length === value.length ? known : undefined;
}

function weightOf({ column, format, copies }: ReturnType<typeof fieldsOf>): WeightColumn | undefined {
  if (typeof column !== "string" || !isFormat(format)) return undefined;
  return { column, format, ...(copies === true && { copies }) };
}

function isFrequencies(value: Json | undefined, classes: number): value is readonly number[] {
  if (!Array.isArray(value) || value.length !== classes) return false;
  if (!value.every((p) => typeof p === "number" && p > 0 && p < 1)) return false;
  return Math.abs(value.reduce((sum: number, p: number) => sum + p, 0) - 1) < 1e-6;
}
