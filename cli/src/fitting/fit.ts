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
  type TableEncoding,
  type TableEncodingOptions,
  type TableFormatOptions,
  type TableModel,
  tableEncodingSteps,
  tableModel,
  taskGuess,
  ValueError,
  version,
} from "laplace-ts";
import { TableError } from "../errors.ts";
import { type CellNotes, cellNotes } from "../model/cell-notes.ts";
import { type Fold, type HeldOutRows, predictHeldOut } from "../model/held-out.ts";
import type { Baseline } from "../model/metrics.ts";
import { columnAt, type Numbers, type Rows, rowsAt } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { type FittedTable, Fitter, fitRows, tryRows } from "./fitter.ts";
import { leaksOf } from "./leaks.ts";
import { type Activation, chooseStructure, describeNetwork, learningOf, networkFor } from "./network.ts";
import { type Candidate, type Choice, choose, hopeless, ideasFor } from "./portfolio.ts";
import type { Course } from "./recipe.ts";
import { lossesByScale, scalesOf } from "./scales.ts";
import { RANDOM, type SplitBy, splitOf } from "./split-by.ts";

/** What `laplace fit` can be told. */
export interface FitSettings {
  readonly target: string;
  readonly task?: "regression" | "classification" | undefined;
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
  /** How rows are held out: by a column of groups, or the last ones by a column of times (default: at random). */
  readonly split?: SplitBy | undefined;
}

/** What a fit gives. */
export interface TableFit {
  readonly model: TableModel;
  readonly task: "regression" | "classification";
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
  /** Rows that a judged model was fitted to, those of them that first said when to stop, and those it was judged by. */
  readonly counts: {
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    /** Whether every row was held out once, by cross-validation. */
    readonly folded?: boolean;
  };
  readonly heldOut: HeldOutRows;
  readonly network: string;
  readonly structure: Structure;
  readonly structureReason: string;
  readonly temperature: number;
  /** What was tried, the best first: its name, and the mean −log p of rows that it had not seen; infinite where it was given up. */
  readonly candidates: readonly { readonly name: string; readonly negativeLogLikelihood: number }[];
  readonly course: Course;
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

/** Fits a table. @throws ValueError, OptionError for tables and options that do not fit */
export async function fitTable(given: Rows, settings: FitSettings, onProgress: OnProgress): Promise<TableFit> {
  const table = readableRows(given, settings);
  // What columns hold is decided by all rows, also those that have no part in the fit.
  const decided = await inTurns(decide(table, settings));
  const { rows, dropped } = withTarget(table, decided);
  await turn();
  const encoding = dropped === 0 ? decided : await inTurns(decided.ofRowsSteps(rows));
  const task: TableFit["task"] = encoding.target.kind === "number" ? "regression" : "classification";
  await turn();
  const candidates = candidatesFor(encoding, rows.rows.length, settings);
  await turn();
  const { split, copies, how } = splitOf(rows, encoding, settings.split);
  const fitter = new Fitter(rows, encoding, split);
  const n = rows.rows.length;
  const ahead = settings.split?.by === "time" || (settings.folds === undefined && n >= FEW_ROWS);
  const single = settings.testFraction ?? (ahead ? TEST_FRACTION : undefined);
  const scales = scalesOf({ encoding });
  const about = {
    task,
    guessed: settings.task === undefined ? guessedFrom(table, settings, task) : undefined,
    rows,
    dropped,
    copies,
    leaks: await inTurns(leaksOf(rows, encoding)),
    cells: await inTurns(cellNotes(table, decided)),
  };
  const judged = single === undefined ? judgeByFolds : judgeByShare;
  const { choice, kept, folds, counts, scheme } = await judged(
    fitter,
    candidates,
    scales,
    { ...settings, n, single, how },
    onProgress,
  );
  const { network, structureReason, recipe } = candidates[choice.candidate];
  const shared = { ...about, network, structure: recipe.structure, structureReason };
  const heldOut = await predictHeldOut(folds);
  const unit = encoding.target.kind === "number" ? encoding.target.sd : 1;
  const everything = Array.from({ length: n }, (_, i) => i);
  const model = await inTurns(kept.at(choice.scale));
  return {
    ...shared,
    ...kept.shared(n),
    counts,
    scheme,
    model: withNotes(model, folds, heldOut, shared, fitter.baseline(everything)),
    heldOut,
    temperature: task === "regression" ? 1 : choice.scale,
    candidates: candidates
      .map(({ name }, i) => ({ name, negativeLogLikelihood: choice.losses[i] + Math.log(unit) }))
      .sort((a, b) => a.negativeLogLikelihood - b.negativeLogLikelihood),
  };
}

/** How candidates were judged, and the one that is kept. */
interface Judged {
  readonly choice: Choice;
  readonly kept: FittedTable;
  readonly folds: readonly Fold[];
  readonly counts: TableFit["counts"];
  readonly scheme: string;
}

interface Judging extends Pick<FitSettings, "seed" | "folds"> {
  readonly n: number;
  readonly single: number | undefined;
  /** How rows were chosen, in words. */
  readonly how: string;
}

/** By a share of the rows, which no candidate sees; of the others a validation part chooses; all are fitted at last. */
async function judgeByShare(
  fitter: Fitter,
  candidates: readonly Candidate[],
  scales: readonly number[],
  { n, seed, single = TEST_FRACTION, how }: Judging,
  onProgress: OnProgress,
): Promise<Judged> {
  const everything = Array.from({ length: n }, (_, i) => i);
  const { part: test, rest } = fitter.split.divide(everything, single, seed);
  if (rest.length < FEWEST_ROWS / 2) throw new OptionError("fit: the held-out share leaves too few rows to fit.");
  const prepared = await fitter.prepare(rest);
  const stages = candidates.length + 2;
  const trials = [];
  for (const [i, { name, recipe }] of candidates.entries()) {
    const trial = await tryRows(recipe, prepared, (share) => onProgress(`trying ${name}`, (i + share) / stages));
    trials.push({ trial, losses: [await inTurns(lossesByScale(trial.model, trial.partial.validation))] });
  }
  const choice = choose(
    trials.map(({ losses }) => losses),
    scales,
  );
  const { trial } = trials[choice.candidate];
  const { recipe } = candidates[choice.candidate];
  const at = (stage: number) => (share: number) => onProgress("fitting", (candidates.length + stage + share) / stages);
  const fitted = await fitRows(recipe, prepared, trial, at(0));
  const folds = [await fitter.fold(fitted, choice.scale, test, rest)];
  const kept = await fitRows(recipe, await fitter.prepare(everything), trial, at(1));
  const held = test.length.toLocaleString("en");
  return {
    choice,
    kept,
    folds,
    counts: { train: rest.length, validation: fitted.validation, test: test.length },
    scheme: `${held} rows were held out, ${how}; then the model was fitted again, to all rows`,
  };
}

/** By a cross-validation, whose other folds choose for each fold. */
async function judgeByFolds(
  fitter: Fitter,
  candidates: readonly Candidate[],
  scales: readonly number[],
  { n, seed, folds: asked, how }: Judging,
  onProgress: OnProgress,
): Promise<Judged> {
  const dealt = fitter.split.folds(Math.min(asked ?? FOLDS, n), seed).filter(({ length }) => length > 0);
  const count = dealt.length;
  const stages = count + 1;
  const rests = dealt.map((test) => {
    const held = new Set(test);
    return Array.from({ length: n }, (_, i) => i).filter((i) => !held.has(i));
  });
  const fitted: FittedTable[][] = candidates.map(() => []);
  const losses = candidates.map(() => new Array<readonly Float64Array[] | undefined>(count).fill(undefined));
  let left = candidates.map((_, c) => c);
  for (const [k, test] of dealt.entries()) {
    const prepared = await fitter.prepare(rests[k]);
    for (const [place, c] of left.entries()) {
      const recipe = { ...candidates[c].recipe, seed: seed + k + 1 };
      const at = (half: number) => (share: number) =>
        onProgress(`fold ${k + 1} of ${count}`, (k + (place + (half + share) / 2) / left.length) / stages);
      const trial = await tryRows(recipe, prepared, at(0));
      fitted[c][k] = await fitRows(recipe, prepared, trial, at(1));
      const { model, numbers } = await fitter.fold(fitted[c][k], 1, test, rests[k]);
      losses[c][k] = await inTurns(lossesByScale(model, numbers));
    }
    if (k === 0) left = left.filter((c) => !hopeless(losses, c));
  }
  const choice = choose(losses, scales);
  const folds: Fold[] = [];
  for (const [k, test] of dealt.entries()) {
    const { candidate, scale } = count > 1 ? choose(losses, scales, k) : choice;
    folds.push(await fitter.fold(fitted[candidate][k], scale, test, rests[k]));
  }
  const recipe = { ...candidates[choice.candidate].recipe, seed };
  const everything = await fitter.prepare(Array.from({ length: n }, (_, i) => i));
  const at = (half: number) => (share: number) => onProgress("all rows", (count + (half + share) / 2) / stages);
  const trial = await tryRows(recipe, everything, at(0));
  return {
    choice,
    kept: await fitRows(recipe, everything, trial, at(1)),
    folds,
    // What each of the models that were judged had seen.
    counts: { train: n - dealt[0].length, validation: folds[0].validation, test: n, folded: true },
    scheme: `${count}-fold cross-validation: each row was predicted once by a model that had not seen it${how === RANDOM ? "" : `; ${how}`}`,
  };
}

function candidatesFor(encoding: TableEncoding, rows: number, settings: FitSettings): Candidate[] {
  const learning = learningOf(encoding);
  const { memoryBudget, rounds, epochs, seed } = settings;
  return ideasFor(rows, settings).map(({ name, hidden, activation, first }) => {
    const net = networkFor(encoding.inputs.length, learning.outputs, hidden, activation, seed);
    const { structure, reason } = chooseStructure(net, learning, rows, settings);
    return {
      name,
      recipe: { learning, hidden, activation, structure, memoryBudget, first, rounds, epochs, seed },
      network: describeNetwork(net, hidden, activation),
      structureReason: reason,
    };
  });
}

/** What columns hold. @throws OptionError for a target that is not there; ValueError for a table that cannot be learned */
function decide(table: Rows, settings: FitSettings): Steps<TableEncoding> {
  const { target, task, missing, kinds, missingTexts = [], usualMissing = true, total, formats } = settings;
  if (columnAt(table.names, target) < 0) {
    const names = table.names.slice(0, 20).map((name) => name.slice(0, 60));
    const more = table.names.length > names.length ? `, … (${table.names.length} in all)` : "";
    throw new OptionError(`fit: there is no column "${target}". The columns are ${names.join(", ")}${more}.`);
  }
  if (table.rows.length < FEWEST_ROWS) throw tooFew(table.rows.length, target);
  const place = (row: number) => `line ${table.lines[row]}`;
  return tableEncodingSteps(table, {
    target,
    task,
    missing,
    kinds,
    missingTexts,
    usualMissing,
    total,
    place,
    ...formats,
  });
}

const tooFew = (rows: number, target: string) =>
  new ValueError(
    `fit: ${rows} rows have a value of "${target}"; at least ${FEWEST_ROWS} are needed to fit and to judge a model.`,
  );

/** The rows that have a target. @throws ValueError for too few rows, or a target that cannot be read, with its line */
function withTarget(table: Rows, encoding: TableEncoding): { rows: Rows; dropped: number } {
  const { name } = encoding.target;
  const at = table.names.indexOf(name);
  const present = table.rows.flatMap((row, i) => {
    try {
      return encoding.encodeTarget(row[at]) === undefined ? [] : [i];
    } catch (cause) {
      if (!(cause instanceof ValueError)) throw cause;
      throw new ValueError(`line ${table.lines[i]}: ${cause.message}.`, { cause });
    }
  });
  if (present.length < FEWEST_ROWS) throw tooFew(present.length, name);
  return { rows: rowsAt(table, present), dropped: table.rows.length - present.length };
}

/** The target's cells, and how they are read by themselves. */
function targetCells(table: Rows, { target, formats = {}, missingTexts = [], usualMissing = true }: FitSettings) {
  const at = columnAt(table.names, target);
  const cells = table.rows.map((row) => row[at] ?? "");
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

/** What a model's file keeps of its fit. */
function withNotes(
  model: TableModel,
  folds: readonly Fold[],
  heldOut: HeldOutRows,
  { task, network, structureReason, dropped }: Pick<TableFit, "task" | "network" | "structureReason" | "dropped">,
  baseline: Baseline,
): TableModel {
  const notes = {
    program: `laplace-ts-cli ${version}`,
    task,
    network,
    structureReason,
    dropped,
    heldOut: { rows: heldOut.truth.length, parts: folds.length, metrics: heldOut.metrics, baseline: heldOut.baseline },
    baseline,
  } as const;
  return tableModel({ ...model, notes: notes as unknown as Json });
}
