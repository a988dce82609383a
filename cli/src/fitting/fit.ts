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
import { columnAt, divide, foldsOf, type Numbers, type Rows, rowsAt } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { Fitter } from "./fitter.ts";
import { type Activation, chooseStructure, defaultHidden, describeNetwork, learningOf, networkFor } from "./network.ts";
import type { Course, Recipe } from "./recipe.ts";
import { chooseTemperature, lossesByTemperature } from "./temperature.ts";

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
  const { seed } = settings;
  // What columns hold is decided by all rows, also those that have no part in the fit.
  const decided = await inTurns(decide(table, settings));
  const { rows, dropped } = withTarget(table, decided);
  await turn();
  const encoding = dropped === 0 ? decided : await inTurns(decided.ofRowsSteps(rows));
  const task: TableFit["task"] = encoding.target.kind === "number" ? "regression" : "classification";
  const learning = learningOf(encoding);
  const hidden = settings.hidden ?? defaultHidden(rows.rows.length);
  const net = networkFor(encoding.inputs.length, learning.outputs, hidden, settings.activation, seed);
  const chosen = chooseStructure(net, learning, rows.rows.length, settings);
  const { activation, memoryBudget, rounds, epochs } = settings;
  const recipe: Recipe = {
    learning,
    hidden,
    activation,
    structure: chosen.structure,
    memoryBudget,
    rounds,
    epochs,
    seed,
  };
  await turn();
  const fitter = new Fitter(rows, encoding, recipe);
  const n = rows.rows.length;
  const labels = fitter.labels;
  const single = settings.testFraction ?? (settings.folds === undefined && n >= FEW_ROWS ? TEST_FRACTION : undefined);
  const shared = {
    task,
    guessed: settings.task === undefined ? guessedFrom(table, settings, task) : undefined,
    rows,
    dropped,
    cells: await inTurns(cellNotes(table, decided)),
    network: describeNetwork(net, hidden, activation),
    structure: chosen.structure,
    structureReason: chosen.reason,
  };
  if (single !== undefined) {
    const { part: test, rest } = divide(labels, n, single, seed);
    if (rest.length < FEWEST_ROWS / 2) throw new OptionError("fit: the held-out share leaves too few rows to fit.");
    const kept = await fitter.fit(rest, seed, (share) => onProgress("fitting", share));
    await turn();
    const temperature = await inTurns(kept.temperature());
    const model = await inTurns(kept.at(temperature));
    const fold = { ...(await fitter.fold(kept, test, rest)), model };
    const heldOut = await predictHeldOut([fold]);
    return {
      ...shared,
      ...kept.shared(test.length),
      scheme: `${test.length.toLocaleString("en")} rows were held out, chosen at random`,
      model: withNotes(model, [fold], heldOut, shared, fitter.baseline(rest)),
      heldOut,
      temperature,
    };
  }
  const count = Math.min(settings.folds ?? FOLDS, n);
  const folds: Fold[] = [];
  const dealt = foldsOf(labels, n, count, seed);
  const stages = count + 1;
  for (const [k, test] of dealt.entries()) {
    const held = new Set(test);
    const rest = Array.from({ length: n }, (_, i) => i).filter((i) => !held.has(i));
    const stage = `fold ${k + 1} of ${count}`;
    const fitted = await fitter.fit(rest, seed + k + 1, (share) => onProgress(stage, (k + share) / stages));
    await turn();
    folds.push(await fitter.fold(fitted, test, rest));
  }
  const everything = Array.from({ length: n }, (_, i) => i);
  const kept = await fitter.fit(everything, seed, (share) => onProgress("all rows", (count + share) / stages));
  await turn();
  const temperatures = await inTurns(crossFitted(folds, task));
  const calibrated: Fold[] = [];
  for (const [k, fold] of folds.entries()) {
    calibrated.push({ ...fold, model: await inTurns(fold.at(temperatures.each[k])) });
  }
  const model = await inTurns(kept.at(temperatures.all));
  const heldOut = await predictHeldOut(calibrated);
  return {
    ...shared,
    ...kept.shared(n),
    // What each of the models that were judged had seen.
    counts: { train: n - dealt[0].length, validation: folds[0].validation, test: n, folded: true },
    scheme: `${count}-fold cross-validation: each row was predicted once by a model that had not seen it`,
    model: withNotes(model, calibrated, heldOut, shared, fitter.baseline(everything)),
    heldOut,
    temperature: temperatures.all,
  };
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

/** For each fold the temperature that the other folds' rows choose, and the one that all choose. */
function* crossFitted(folds: readonly Fold[], task: string): Steps<{ each: number[]; all: number }> {
  if (task === "regression") return { each: folds.map(() => 1), all: 1 };
  const losses: Float64Array[][] = [];
  for (const fold of folds) losses.push(yield* lossesByTemperature(fold));
  const others = (k: number) => losses.filter((_, i) => i !== k);
  return { each: folds.map((_, k) => chooseTemperature(others(k))), all: chooseTemperature(losses) };
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
