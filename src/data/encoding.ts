// A table's encoding: rows of texts become inputs of a network, by rules that the rows of the training decided.

import { checkChoice, checkOptions, OptionError, ValueError } from "../errors.ts";
import { atOnce, each, type Steps } from "../kernels/steps.ts";
import { broughtEffects, levelsOf } from "./column-effects.ts";
import { type ColumnEncoding, columnEncoding, columnOfRows } from "./column-encoding.ts";
import { kindNames, optionNames, type TableEncodingOptions } from "./encoding-options.ts";
import { versionOf } from "./encoding-versions.ts";
import { formatOverrides } from "./format-overrides.ts";
import { checkFormats, type TableFormatOptions, tableFormats } from "./formats.ts";
import { isIndexName, mayBeOther, tooManyIds } from "./ids.ts";
import { inputNames } from "./input-names.ts";
import type { LevelEffects } from "./level-effects.ts";
import { marginOf, withOpenCategories } from "./margins.ts";
import { type MissingRule, missingTest } from "./missing.ts";
import {
  cellsBy,
  checkNames,
  checkNumbers,
  checkTable,
  composed,
  listed,
  rowCount,
  rowsBy,
  type Table,
  type TableColumns,
} from "./table.ts";
import { rescaledTarget, type TargetEncoding, targetEncoding, targetOfRows, targetReader } from "./target.ts";
import { fromScale, onScale, type TargetScale } from "./target-scales.ts";
import { checkText } from "./texts.ts";
import { unreadableText, type Writer, writerOf } from "./writers.ts";

/** A row of a table: texts by the names of their columns. */
export type TableRow = Readonly<Record<string, string>>;

/** How rows become inputs; all that is in a file. */
export interface TableEncodingParts {
  readonly columns: readonly ColumnEncoding[];
  readonly target: TargetEncoding;
  readonly missing: "impute" | "refuse";
  /** Which texts count as missing. */
  readonly rule: MissingRule;
  /** The share of its range by which a value may lie outside before it is unusual. */
  readonly margin: number;
}

/**
 * Decides how a table's columns become inputs of a network: numbers and dates standardised, dates also as cycles of the
 * year, the week and the day where the training covers them, categories one-hot. A column of which values are missing has
 * an input that says so. Columns of one value, of texts that nearly all differ, and that number the rows, are ignored, each
 * with its reason. Values are compared as what they mean: 1 and 1.0 are one category, True and true are. Of more than 32 categories the 32 most frequent have an input; the others are 0 in all of them.
 * @param table the rows of the training, or its columns
 * @throws OptionError for a target that is not there or bad options; ValueError for a target that cannot be learned, missing
 *   values that are refused, or a table without inputs
 */
export function tableEncoding(table: Table | TableColumns, options: TableEncodingOptions): TableEncoding {
  return atOnce(tableEncodingSteps(table, options));
}

/**
 * `tableEncoding` in steps of a column each, for pages and programs that must not stand still: take them until one is done,
 * and its value is the encoding.
 */
export function* tableEncodingSteps(table: Table | TableColumns, options: TableEncodingOptions): Steps<TableEncoding> {
  const where = "tableEncoding";
  checkOptions(where, options, optionNames);
  const { target, task, missing = "impute", kinds = {}, missingTexts = [], usualMissing = true } = options;
  const { manyCategories = "frequent", place = (row: number) => `row ${row + 1} of the training` } = options;
  checkChoice(where, "missing", missing, ["impute", "refuse"]);
  checkChoice(where, "manyCategories", manyCategories, ["frequent", "effects"]);
  if (task !== undefined) checkChoice(where, "task", task, ["regression", "classification", "count"]);
  checkTable(where, table);
  checkText(where, target);
  const { names } = table;
  const rows = rowCount(table);
  checkFormats(where, options);
  checkNames(where, names);
  const at = names.findIndex((name) => composed(name) === composed(target));
  if (at < 0) throw new OptionError(`${where}: there is no column "${target}". The columns are ${listed(names)}.`);
  for (const [name, kind] of Object.entries(kinds)) {
    if (!names.includes(name)) throw new OptionError(`${where}: there is no column "${name}" to take as ${kind}.`);
    checkChoice(where, `the kind of "${name}"`, kind, kindNames);
  }
  const dated = typeof options.dateFormat === "object" ? Object.keys(options.dateFormat) : [];
  const unknown = dated.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new OptionError(`${where}: there is no column "${unknown}" to take as date.`);
  if (rows === 0) throw new ValueError(`${where}: there are no rows.`);
  const total = options.total ?? rows;
  const rule: MissingRule = { texts: [...missingTexts], marks: usualMissing ? "usual" : "none" };
  const [cells, rowsOf] = [cellsBy(table), rowsBy(table)];
  const placeIn = (name: string) => (cell: number) => place(rowsOf(name)(cell));
  const refuse = missing === "refuse";
  // Columns that are left out have no say in how the others are written, so that nobody need know their cells.
  const silent = (name: string) => name !== names[at] && Object.hasOwn(kinds, name) && kinds[name] === "ignored";
  const said = (j: number) => (silent(names[j]) ? [] : cells(names[j]));
  const formats = yield* tableFormats(names, said, options, missingTest(rule, "numbers"));
  const targetOf = () =>
    targetEncoding(where, names[at], cells(names[at]), {
      task,
      rule,
      format: formats[at].numbers,
      place: placeIn(names[at]),
    });
  const known = manyCategories === "effects" ? targetOf() : undefined;
  const levels = known && levelsOf(known, names.length - 1);
  const columnOf = (j: number, numbering: boolean) => {
    const name = names[j];
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : dated.includes(name) ? "date" : undefined;
    const [format, index] = [formats[j], isIndexName(names, j)];
    const rules = { kind, refuse, rule, format, index, total, place: placeIn(name), levels };
    return columnEncoding(where, name, said(j), { ...rules, numbering });
  };
  const others = names.flatMap((_, j) => (j === at ? [] : [j]));
  const found = new Map(yield* each(others, (j) => [j, columnOf(j, true)] as const));
  const ids = [...found].filter(([, column]) => column.kind === "ignored" && mayBeOther(column.reason));
  const inputs = [...found.values()].some(({ kind }) => kind !== "ignored");
  if (!inputs || tooManyIds(ids.length, found.size)) for (const [j] of ids) found.set(j, columnOf(j, false));
  const columns = yield* withOpenCategories([...found.values()], cells, rule);
  const encoding = new TableEncoding({
    columns,
    target: known ?? targetOf(),
    missing,
    rule,
    margin: yield* marginOf(columns, cells, rule, rowsOf),
  });
  if (columns.length === 0)
    throw new ValueError(`${where}: "${target}" is the table's only column: there is nothing to learn from.`);
  if (encoding.inputs.length === 0) {
    throw new ValueError(`${where}: no column is left to learn from (${whyIgnored(columns)}).`);
  }
  return encoding;
}

/** The columns, and why each is left out. */
const whyIgnored = (columns: readonly ColumnEncoding[]) =>
  listed(columns.map((column) => `${column.name}: ${column.kind === "ignored" ? column.reason : ""}`));

/** How rows are read. */
export interface ReadingOptions {
  /** A cell that cannot be read is an error (default), or counts as missing, and its row is unusual. */
  unreadable?: "error" | "missing" | undefined;
  /** Called for each such cell that counts as missing, with its column's name, and what is wrong with it. */
  onUnreadable?: ((name: string, cell: string, what: string) => void) | undefined;
}

/** Rows as inputs. */
export interface EncodedRows {
  /** [rows, inputs] */
  readonly x: Float64Array;
  /** Of each row the columns whose values are unlike those of the training. */
  readonly unusual: readonly (readonly string[])[];
  /**
   * Of each row the cells without a value, or with a category that the training did not have, by the place of their column among those
   * that are not ignored: what is predicted of these is the mixture over the training's values.
   */
  readonly gaps: readonly (readonly number[])[];
}

/**
 * Writes the inputs of a row, and gives the columns whose values are unlike those of the training. Places of columns without
 * a value are pushed to `gaps`.
 */
export type EncodeRow = (
  cells: readonly string[],
  into: Float64Array,
  offset: number,
  gaps?: number[],
) => readonly string[];

/** How rows of a table become inputs, and back from outputs to the target. Made by `tableEncoding` or `readTableEncoding`. */
export class TableEncoding {
  readonly columns: readonly ColumnEncoding[];
  readonly target: TargetEncoding;
  /** What becomes of missing values. */
  readonly missing: "impute" | "refuse";
  readonly rule: MissingRule;
  readonly margin: number;
  /** A name for each input of the network. */
  readonly inputs: readonly string[];
  readonly #writers: readonly Writer[];
  readonly #offsets: readonly number[];
  readonly #readTarget: (cell: string) => number | undefined;

  constructor({ columns, target, missing, rule, margin }: TableEncodingParts) {
    this.columns = columns;
    this.target = target;
    this.missing = missing;
    this.rule = rule;
    this.margin = margin;
    this.inputs = columns.flatMap(inputNames);
    const used = columns.filter((column) => column.kind !== "ignored");
    const options = { rule, refuse: missing === "refuse", margin };
    this.#writers = used.map((column, i) => writerOf(column, i, options));
    const offsets = [0];
    for (const { width } of this.#writers) offsets.push(offsets[offsets.length - 1] + width);
    this.#offsets = offsets;
    this.#readTarget = targetReader(target, rule);
  }

  /**
   * The encoding of other rows of the same table: means, ranges and categories are theirs; what columns hold, what counts as
   * missing and which classes there are stays as it was decided. @throws ValueError for rows without inputs
   */
  ofRows(table: Table | TableColumns): TableEncoding {
    return atOnce(this.ofRowsSteps(table));
  }

  /** `ofRows` in steps of a column each, as `tableEncodingSteps` are. */
  *ofRowsSteps(table: Table | TableColumns): Steps<TableEncoding> {
    const cells = cellsBy(table);
    const { rule, missing } = this;
    const most = levelsOf(this.target, this.columns.length)?.most ?? 0;
    const own = yield* each(this.columns, (column) => columnOfRows(column, cells(column.name), rule, most));
    const columns = yield* withOpenCategories(own, cells, rule);
    const target = targetOfRows(this.target, cells(this.target.name), rule);
    const margin = yield* marginOf(columns, cells, rule, rowsBy(table));
    const encoding = new TableEncoding({ columns, target, missing, rule, margin });
    if (encoding.inputs.length === 0)
      throw new ValueError(`ofRows: no column is left to learn from in these rows (${whyIgnored(columns)}).`);
    return encoding;
  }

  /** The same with effects of categories (`manyCategories`), by column. @throws OptionError for one without effects; ValueError for those of others */
  withEffects(effects: Readonly<Record<string, LevelEffects>>): TableEncoding {
    const columns = broughtEffects("withEffects", this.columns, effects);
    const { target, missing, rule, margin } = this;
    return new TableEncoding({ columns, target, missing, rule, margin });
  }

  /**
   * The same encoding for a table whose numbers and dates are written in another way than those of the training.
   * @throws OptionError for formats that are not known, or of columns that hold no dates
   */
  withFormats(options: TableFormatOptions): TableEncoding {
    checkFormats("withFormats", options);
    const { missing, rule, margin } = this;
    return new TableEncoding({ ...formatOverrides(this.columns, this.target, options), missing, rule, margin });
  }

  /**
   * Reads rows of a table whose columns have these names, in any order; other columns are left alone. A cell that cannot be
   * read is an error, unless `unreadable` says that it counts as missing and makes its row unusual.
   * @throws ValueError for columns that are not there, or there twice
   */
  bind(names: readonly string[], { unreadable = "error", onUnreadable }: ReadingOptions = {}): EncodeRow {
    const known = names.map(composed);
    const used = this.columns.filter((column) => column.kind !== "ignored");
    const places = used.map(({ name }) => {
      const own = composed(name);
      const at = known.indexOf(own);
      if (at !== known.lastIndexOf(own)) throw new ValueError(`encode: two columns have the name "${name}".`);
      return at;
    });
    const absent = used.flatMap(({ name }, i) => (places[i] < 0 ? [`"${name}"`] : []));
    if (absent.length > 0) {
      const plural = absent.length > 1 ? "s" : "";
      throw new ValueError(
        `encode: the table has no column${plural} ${listed(absent)}, which the model needs. It has ${listed(names)}.`,
      );
    }
    const writers = this.#writers;
    return (cells, into, offset, gaps) => {
      let unusual: string[] | undefined;
      let position = offset;
      for (let j = 0; j < writers.length; j++) {
        const { name, width, write } = writers[j];
        const cell = cells[places[j]] ?? "";
        const written = write(cell, into, position);
        position += width;
        if (written === "value") continue;
        if (written === "unreadable") {
          const what = unreadableText(cell, used[j]);
          if (unreadable === "error") throw new ValueError(`the column "${name}" has ${what}`);
          onUnreadable?.(name, cell, what);
        }
        if (written !== "far") gaps?.push(j);
        if (written === "gap") continue;
        unusual ??= [];
        unusual.push(name);
      }
      return unusual ?? NONE;
    };
  }

  /**
   * The inputs of rows, [rows, inputs], what is unusual about each, and which cells had no value (`gaps`: places among the
   * columns that are not ignored).
   * @throws ValueError for a column that a row lacks, or a cell that cannot be read, or a missing one where they are refused
   */
  encode(rows: readonly TableRow[], options: ReadingOptions = {}): EncodedRows {
    return atOnce(this.encoding(rows, options));
  }

  /** @internal `encode` in steps. */
  *encoding(rows: readonly TableRow[], options: ReadingOptions): Steps<EncodedRows> {
    const names = this.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
    const encodeRow = this.bind(names, options);
    const x = new Float64Array(rows.length * this.inputs.length);
    const gaps: number[][] = [];
    const unusual = yield* each(rows, (row, i) => {
      let named: Map<string, string> | undefined;
      const cells = names.map((name) => {
        if (Object.hasOwn(row, name)) return row[name];
        named ??= new Map(Object.keys(row).map((key) => [composed(key), key]));
        const key = named.get(composed(name));
        if (key === undefined) throw new ValueError(`encode: row ${i + 1} has no "${name}".`);
        return row[key];
      });
      const own: number[] = [];
      gaps.push(own);
      return encodeRow(cells, x, i * this.inputs.length, own);
    });
    return { x, unusual, gaps };
  }

  /**
   * The inputs that a row with gaps may have, [draws, inputs]: each gap is filled with values of the training in its turn;
   * one row, as it is, where nothing is known of them.
   * @param inputs of the row, as `encode` writes them @param gaps as `encode` gives them, of this row
   */
  draw(inputs: Float64Array, gaps: readonly number[]): Float64Array {
    const writers = this.#writers;
    const drawsOf = (j: number) => writers[j].draws(inputs, this.#offsets[j]);
    const most = gaps.reduce((count, j) => Math.max(count, drawsOf(j).length), 0);
    const width = this.inputs.length;
    const drawn = new Float64Array(Math.max(1, most) * width);
    for (let at = 0; at < drawn.length; at += width) drawn.set(inputs, at);
    for (const j of gaps) {
      const draws = drawsOf(j);
      for (let k = 0; k < most && draws.length > 0; k++) {
        drawn.set(draws[k % draws.length], k * width + this.#offsets[j]);
      }
    }
    return drawn;
  }

  /**
   * The target of a cell: a standardised number, or the position of a class; undefined where it is missing.
   * @throws ValueError for a text that is not a number, or not a class of the training
   */
  encodeTarget(cell: string): number | undefined {
    return this.#readTarget(cell);
  }

  /** The number that was learned as this one, in the target's own units; the position of a class as it is. */
  ofTarget(learned: number): number {
    const { target } = this;
    return target.kind === "number" ? fromScale(target.scale, learned * target.sd + target.mean) : learned;
  }

  /** How a number is learned, `ofTarget` the other way; NaN where the scale has no such number. */
  toTarget(value: number): number {
    const { target } = this;
    return target.kind === "number" ? (onScale(target.scale, value) - target.mean) / target.sd : value;
  }

  /**
   * The same encoding for a target that is learned on another scale, whose mean and deviation are those of the training's values.
   * Predictions stay in the target's own units.
   * @param kind its logarithm, or the power of Yeo & Johnson (2000) under which the values are most probable as normal ones;
   *   undefined for numbers as they are
   * @param values of the training, in the target's own units
   * @throws ValueError for a target of classes, a logarithm of numbers that are not positive
   */
  onTargetScale(kind: TargetScale["kind"] | undefined, values: ArrayLike<number>): TableEncoding {
    if (kind !== undefined) checkChoice("onTargetScale", "kind", kind, ["log", "yeoJohnson"]);
    const { columns, missing, rule, margin } = this;
    const target = rescaledTarget(this.target, kind, checkNumbers("onTargetScale", values));
    return new TableEncoding({ columns, target, missing, rule, margin });
  }

  /** Everything, as plain JSON; `readTableEncoding` reads it. */
  toJSON(): TableEncodingParts & { readonly version: number } {
    const { columns, target, missing, rule, margin } = this;
    return { version: versionOf(columns, target), columns, target, missing, rule, margin };
  }
}

const NONE: readonly string[] = [];
