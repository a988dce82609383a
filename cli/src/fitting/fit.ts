// A table becomes a model: its encoding, held-out predictions, and the fit that is kept.

import {
  guessTask,
  type Json,
  type MissingRule,
  missingTest,
  numberFormat,
  numberReader,
  OptionError,
  type Posterior,
  type Steps,
  type Structure,
  type Table,
  type TableColumns,
  type TableEncoding,
  type TableEncodingOptions,
  type TableFormatOptions,
  type TableModel,
  type TargetTask,
  tableEncodingSteps,
  tableModel,
  taskGuess,
  ValueError,
  version,
} from "laplace-ts";
import { TableError } from "../errors.ts";
import { type CellNotes, cellNotes } from "../model/cell-notes.ts";
import { type HeldOutRows, predictHeldOut } from "../model/held-out.ts";
import type { Baseline } from "../model/metrics.ts";
import { taskOf } from "../model/noise.ts";
import type { GuaranteeReport, PortfolioReport, WrittenCandidate } from "../model/report-data.ts";
import { cellsAt, columnAt, type Numbers, numbersOf, type Rows, rowsAt, tableOf } from "../model/rows.ts";
import type { WeightColumn } from "../model/weight-cells.ts";
import { inTurns, turn } from "../turn.ts";
import { endsEarly } from "./by-evidence.ts";
import { candidatesFor } from "./candidates.ts";
import { relevanceOf } from "./columns.ts";
import { estimateOf, estimateText } from "./estimate.ts";
import type { KnownRelevance } from "./fits.ts";
import { Fitter } from "./fitter.ts";
import { guaranteeOf } from "./guarantee.ts";
import { type Importance, importanceOf } from "./importance.ts";
import { type Counts, judge } from "./judge.ts";
import { type Lanes, lanesOf } from "./lanes.ts";
import { leaksOf } from "./leaks.ts";
import { MANY_ROWS, MOST_HELD_OUT, someOf } from "./many-rows.ts";
import { type Activation, learningOf } from "./network.ts";
import type { Course } from "./recipe.ts";
import { relativeWeights, weightedRows, weightText } from "./row-weights.ts";
import { portfolioOf, type TriedCandidate, triedOf, writtenCandidates } from "./said.ts";
import { scalesOf } from "./scales.ts";
import { type SplitBy, splitOf } from "./split-by.ts";

/** What `laplace fit` can be told. */
export interface FitSettings {
  readonly target: string;
  readonly task?: TargetTask | undefined;
  readonly missing: "impute" | "refuse";
  readonly kinds: NonNullable<TableEncodingOptions["kinds"]>;
  /** How numbers and dates are written, where that is said. */
  readonly formats?: TableFormatOptions | undefined;
  /** Texts that count as missing, and whether the usual marks do (default true). */
  readonly missingTexts?: readonly string[] | undefined;
  readonly usualMissing?: boolean | undefined;
  /** Rows of the table that the rows are a sample of. */
  readonly total?: number | undefined;
  /** Called for each row whose target cannot be read, instead of an error. */
  readonly onUnread?: ((error: TableError) => void) | undefined;
  readonly hidden?: readonly number[] | undefined;
  readonly activation: Activation;
  readonly epochs?: number | undefined;
  readonly rounds: number;
  readonly seed: number;
  /** Parts of the cross-validation (default: 5 below 1000 rows). */
  readonly folds?: number | undefined;
  /** The share of rows that are held out, instead of a cross-validation (default 0.2 from 1000 rows on). */
  readonly testFraction?: number | undefined;
  readonly structure: "auto" | Structure;
  readonly memoryBudget: number;
  /** Whether the model keeps what intervals and sets need that hold their level whatever the model (default false). */
  readonly guarantee?: boolean | undefined;
  /** The column that says how much each row counts (default: each once). */
  readonly weight?: string | undefined;
  /** The same column, where its numbers are how often each row is there, and not relative to each other. */
  readonly copies?: string | undefined;
  /** Called before many rows are learned from, with what that takes. */
  readonly onEstimate?: ((text: string) => void) | undefined;
  /** Fits that run side by side (default 1). */
  readonly cores?: number | undefined;
  /** The columns by which the encoding of some rows is decided, where others count what their cells say (default: the rows' own). */
  readonly columnsOf?: ((rows: Rows) => Promise<Table | TableColumns>) | undefined;
  /** How rows are held out: by a column of groups, or the last ones by a column of times (default: at random). */
  readonly split?: SplitBy | undefined;
}

/** What a fit gives. */
export interface TableFit {
  readonly model: TableModel;
  readonly task: TargetTask;
  /** What in the target's values the task was guessed from; undefined where it was said. */
  readonly guessed: string | undefined;
  readonly rows: Rows;
  /** Rows without a target, which had no part. */
  readonly dropped: number;
  /** Rows that repeat others, which were kept on one side of every split. */
  readonly copies: number;
  /** Columns that alone say the target. */
  readonly leaks: readonly string[];
  /** What cells say that is missing, or may be. */
  readonly cells: CellNotes;
  /** How rows were held out, in words. */
  readonly scheme: string;
  readonly counts: Counts;
  readonly heldOut: HeldOutRows;
  /** How much rows count, in words, where a column says it. */
  readonly weights?: string | undefined;
  /** What is promised of intervals or sets, where that was asked for. */
  readonly guarantee?: GuaranteeReport | undefined;
  readonly network: string;
  readonly structure: Structure;
  readonly structureReason: string;
  readonly temperature: number;
  /**
   * What was tried, the best first: its name, the mean −log p of rows that it had not seen, infinite where it was given up, and its
   * weight in the mixture.
   */
  readonly candidates: readonly TriedCandidate[];
  /** What held-out rows say of them together. */
  readonly portfolio: PortfolioReport;
  /** Of each input, in parts of the most relevant one's, where a candidate says it. */
  readonly relevance: readonly number[] | undefined;
  /** How much held-out rows lose without each column, the most important first. */
  readonly importance: readonly Importance[];
  readonly course: Course;
  /** Whether its training ended at the greatest evidence, before a minimum. */
  readonly early: boolean;
  /** The posterior as the evidence tuned it, before its temperature was chosen. */
  readonly tuned: Posterior;
  /** Rows that the model was fitted to, and their inputs. */
  readonly training: Rows;
  readonly trainingNumbers: Numbers;
}

/** Fewer rows are held out fold by fold, so that each is predicted once. */
const FEW_ROWS = 1000;
const FOLDS = 5;
const TEST_FRACTION = 0.2;
const FEWEST_ROWS = 10;
/** Called with what is being done, and the share of all work that is done. */
export type OnProgress = (stage: string, share: number) => void;

/**
 * Fits a table.
 * @param lanes who does the fits, several at once (default: this thread)
 * @throws ValueError, OptionError for tables and options that do not fit
 */
export async function fitTable(
  all: Rows,
  settings: FitSettings,
  onProgress: OnProgress,
  lanes: Lanes = lanesOf(1),
): Promise<TableFit> {
  const counted = weightedRows(readableRows(all, settings), settings);
  const table = counted.rows;
  // What columns hold is decided by all rows that count, also those without a target.
  const columnsIn = settings.columnsOf ?? (async (rows: Rows) => tableOf(rows));
  const decided = await inTurns(decide(table, await columnsIn(table), settings));
  const { rows, dropped, weights: given } = withTarget(table, decided, counted.weights);
  const weights = given && (counted.from?.copies ? given : relativeWeights(given));
  await turn();
  const encoding = dropped === 0 ? decided : await inTurns(decided.ofRowsSteps(await columnsIn(rows)));
  const task = taskOf(encoding);
  await turn();
  const { split, copies, how } = splitOf(rows, encoding, settings.split);
  const fitter = new Fitter(rows, encoding, split, lanes, weights);
  const n = rows.rows.length;
  const ahead = settings.split?.by === "time" || (settings.folds === undefined && n >= FEW_ROWS);
  const single = settings.testFraction ?? (ahead ? Math.min(TEST_FRACTION, MOST_HELD_OUT / n) : undefined);
  const folds = settings.folds ?? FOLDS;
  const gaps = n > MANY_ROWS ? [] : (await inTurns(numbersOf(rows, encoding))).gaps;
  const gapped = gaps.filter(({ length }) => length > 0).length;
  const candidates = candidatesFor(encoding, n, { ...settings, folded: single === undefined, gapped });
  if (n > MANY_ROWS) {
    const [columns, inputs] = [rows.names.length, encoding.inputs.length];
    const cores = settings.cores ?? 1;
    const planned = { rows: n, columns, inputs, candidates, folds: single === undefined ? folds : 0, cores };
    settings.onEstimate?.(estimateText(n, estimateOf(planned)));
  }
  await turn();
  const judged = await judge({
    fitter,
    candidates,
    scales: scalesOf({ encoding }),
    together: task === "regression",
    approximation: learningOf(encoding).approximation,
    n,
    seed: settings.seed,
    folds,
    fewerFolds: settings.folds === undefined && settings.guarantee !== true,
    single,
    how,
    guarantee: settings.guarantee,
    lanes,
    onProgress,
    tell: async (folds, known) => ({
      heldOut: await predictHeldOut(folds),
      importance: await importanceOf(folds, columnsOf(known), settings.seed),
    }),
  });
  const { mix, kept, unseen, counts, scheme } = judged;
  const { heldOut, importance } = judged.told;
  const { network, structureReason } = candidates[kept.heaviest];
  const { prepared, course, tuned, relevance } = kept;
  const shared = { task, network, structureReason, dropped };
  const { from: weight } = counted;
  const guaranteed = unseen && (await guaranteeOf(unseen, rows));
  const whole = guaranteed === undefined ? kept.model : tableModel({ ...kept.model, guarantee: guaranteed.guarantee });
  const baseline = fitter.baseline(Array.from({ length: n }, (_, i) => i));
  const tried = triedOf(candidates, judged);
  return {
    ...shared,
    structure: tuned.structure,
    guessed: settings.task === undefined ? guessedFrom(table, settings, task) : undefined,
    rows,
    copies,
    leaks: await inTurns(leaksOf(rowsAt(rows, someOf(n, MANY_ROWS, settings.seed)), encoding)),
    cells: await inTurns(cellNotes(table, decided)),
    counts,
    scheme,
    course,
    early: endsEarly(candidates[kept.heaviest].recipe),
    tuned,
    relevance,
    importance,
    training: prepared.rows,
    trainingNumbers: prepared.numbers,
    guarantee: guaranteed?.report,
    ...(weight !== undefined && weights !== undefined && { weights: weightText(weight, weights, counted.none) }),
    model: withNotes(
      whole,
      judged.folds.length,
      heldOut,
      { ...shared, weight, mixture: mixtureText(tried), candidates: writtenCandidates(tried) },
      baseline,
    ),
    heldOut,
    temperature: task === "classification" ? mix.scales[kept.heaviest] : 1,
    candidates: tried,
    portfolio: portfolioOf(candidates, judged, heldOut, encoding),
  };
}

/** The columns that are learned from, the most relevant first where that is known. */
function columnsOf({ encoding, relevance }: KnownRelevance): string[] {
  const known = relevanceOf(encoding, relevance);
  const names = encoding.columns.flatMap(({ name, kind }) => (kind === "ignored" ? [] : [name]));
  return names.sort((a, b) => (known.get(b) ?? 0) - (known.get(a) ?? 0));
}

/** What columns hold. @throws OptionError for a target that is not there; ValueError for a table that cannot be learned */
function decide(table: Rows, columns: Table | TableColumns, settings: FitSettings): Steps<TableEncoding> {
  const { target, task, missing, missingTexts = [], usualMissing = true, total, formats } = settings;
  if (columnAt(table.names, target) < 0) {
    const names = table.names.slice(0, 20).map((name) => name.slice(0, 60));
    const more = table.names.length > names.length ? `, … (${table.names.length} in all)` : "";
    throw new OptionError(`fit: there is no column "${target}". The columns are ${names.join(", ")}${more}.`);
  }
  if (table.rows.length < FEWEST_ROWS) throw tooFew(table.rows.length, target, settings.weight !== undefined);
  const place = (row: number) => `line ${table.lines[row]}`;
  const weight = settings.weight === undefined ? undefined : table.names[columnAt(table.names, settings.weight)];
  const kinds = weight === undefined ? settings.kinds : { ...settings.kinds, [weight]: "ignored" as const };
  return tableEncodingSteps(columns, {
    target,
    task,
    missing,
    kinds,
    missingTexts,
    usualMissing,
    manyCategories: "effects",
    total,
    place,
    ...formats,
  });
}

const tooFew = (rows: number, target: string, weighted: boolean) =>
  new ValueError(
    `fit: ${rows} rows have a value of "${target}"${weighted ? " and a weight above 0" : ""}; at least ${FEWEST_ROWS} are needed to fit and to judge a model.`,
  );

/** The rows that have a target. @throws ValueError for too few rows, or a target that cannot be read, with its line */
function withTarget(
  table: Rows,
  encoding: TableEncoding,
  weights: Float64Array | undefined,
): { rows: Rows; dropped: number; weights: Float64Array | undefined } {
  const { name } = encoding.target;
  const at = table.names.indexOf(name);
  const present = cellsAt(table, at).flatMap((cell, i) => {
    try {
      return encoding.encodeTarget(cell) === undefined ? [] : [i];
    } catch (cause) {
      if (!(cause instanceof ValueError)) throw cause;
      throw new ValueError(`line ${table.lines[i]}: ${cause.message}.`, { cause });
    }
  });
  if (present.length < FEWEST_ROWS) throw tooFew(present.length, name, weights !== undefined);
  if (present.length === table.rows.length) return { rows: table, dropped: 0, weights };
  return {
    rows: rowsAt(table, present),
    dropped: table.rows.length - present.length,
    weights: weights && Float64Array.from(present, (i) => weights[i]),
  };
}

/** The target's cells, and how they are read by themselves. */
function targetCells(table: Rows, { target, formats = {}, missingTexts = [], usualMissing = true }: FitSettings) {
  const at = columnAt(table.names, target);
  const cells = cellsAt(table, at);
  const { decimal, thousands, delimiter } = formats;
  const format = numberFormat(cells, { decimal, thousands: thousands === "none" ? "" : thousands, delimiter });
  const rule: MissingRule = { texts: missingTexts, marks: usualMissing ? "usual" : "none" };
  return { cells, format, rule };
}

/** What the task of a target was guessed from, in words. */
function guessedFrom(table: Rows, settings: FitSettings, task: TableFit["task"]): string {
  const { cells, format, rule } = targetCells(table, settings);
  const guess = taskGuess(cells, format, rule);
  return guess.task === task ? guess.because : "its values";
}

/** The rows whose target can be read, where the others are to be left out. */
function readableRows(table: Rows, settings: FitSettings): Rows {
  const { target, task, onUnread } = settings;
  if (onUnread === undefined || columnAt(table.names, target) < 0) return table;
  const { cells, format, rule } = targetCells(table, settings);
  if ((task ?? guessTask(cells, format, rule)) === "classification") return table;
  const read = numberReader(format);
  const missing = missingTest(rule, "numbers");
  const kept = cells.flatMap((cell, i) => {
    if (missing(cell) || read(cell) !== undefined) return [i];
    const shown = JSON.stringify(cell.length > 60 ? `${cell.slice(0, 60)}…` : cell);
    onUnread(new TableError(`the target "${target}" has ${shown}, which is not a number.`, table.lines[i]));
    return [];
  });
  return kept.length === cells.length ? table : rowsAt(table, kept);
}

/** What predicts, in words, the heaviest first. */
export function mixtureText(candidates: readonly TriedCandidate[]): string {
  return candidates
    .filter(({ weight }) => weight > 0)
    .toSorted((a, b) => b.weight - a.weight)
    .map(({ name, weight, members }) => {
      return `${Math.round(100 * weight)} % ${name}${members > 1 ? `, from ${members} seeds` : ""}`;
    })
    .join("; ");
}

/** What a model's file keeps of its fit. */
function withNotes(
  model: TableModel,
  parts: number,
  heldOut: HeldOutRows,
  about: Pick<TableFit, "task" | "network" | "structureReason" | "dropped"> & {
    readonly mixture: string;
    readonly candidates: readonly WrittenCandidate[];
    readonly weight: WeightColumn | undefined;
  },
  baseline: Baseline,
): TableModel {
  const notes = {
    program: `laplace-ts-cli ${version}`,
    ...Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined)),
    heldOut: { rows: heldOut.truth.length, parts, metrics: heldOut.metrics, baseline: heldOut.baseline },
    baseline,
  } as const;
  return tableModel({ ...model, notes: notes as unknown as Json });
}
