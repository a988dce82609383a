// A table's encoding: rows of texts become inputs of a network, by rules that the rows of the training decided.

import { portableSin } from "../array/portable.ts";
import { checkChoice, checkOptions, OptionError, ValueError } from "../errors.ts";
import { cellReader } from "./cell-texts.ts";
import { isMissing } from "./cells.ts";
import {
  type ColumnEncoding,
  type ColumnKind,
  columnEncoding,
  type DateColumn,
  type DatePart,
  type NumberColumn,
} from "./columns.ts";
import { isDateLike } from "./dates.ts";
import { formatOverrides } from "./format-overrides.ts";
import { type ColumnFormat, checkFormats, dateFormatWords, type TableFormatOptions, tableFormats } from "./formats.ts";
import { isNumberLike, numbersInWords, PLAIN } from "./numbers.ts";
import { type TargetEncoding, type TargetTask, targetEncoding, targetReader } from "./target.ts";

/** A row of a table: texts by the names of their columns. */
export type TableRow = Readonly<Record<string, string>>;

/** A table in memory: names of columns, and rows of as many texts. */
export interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Options of `tableEncoding`. */
export interface TableEncodingOptions extends TableFormatOptions {
  /** The column to predict. */
  target: string;
  /** "regression" for numbers, "classification" for classes (default: guessed from the target's values). */
  task?: TargetTask | undefined;
  /** Whether a missing value becomes the column's median, or its most frequent text, or is refused (default "impute"). */
  missing?: "impute" | "refuse" | undefined;
  /** What columns hold, by name, where it should not be guessed; "ignored" leaves one out. */
  kinds?: Readonly<Record<string, ColumnKind>> | undefined;
  /** An encoding of more rows of the same table, whose columns say how numbers and dates are written. */
  formatsOf?: TableEncodingParts | undefined;
}

/** How rows become inputs; all that is in a file. */
export interface TableEncodingParts {
  readonly columns: readonly ColumnEncoding[];
  readonly target: TargetEncoding;
  readonly missing: "impute" | "refuse";
}

const optionNames = [
  "target",
  "task",
  "missing",
  "kinds",
  "decimal",
  "thousands",
  "dateFormat",
  "delimiter",
  "formatsOf",
];
const kindNames: readonly ColumnKind[] = ["number", "category", "date", "ignored"];
const PERIODS: Readonly<Record<Exclude<DatePart, "trend">, number>> = { season: 365.2425, weekday: 7, hour: 1 };
/** A value further outside the range of the training than this share of the range is unusual. */
const MARGIN = 0.1;
/** Standard deviations from the mean, beyond which a value counts as that far: variances of larger ones would overflow. */
const FARTHEST = 1e6;

/**
 * Decides how a table's columns become inputs of a network: numbers and dates standardised, dates also as cycles of the
 * year, the week and the day where the training covers them, categories one-hot. A column of which values are missing has
 * an input that says so. Columns of one value, of texts that nearly all differ, and that count the rows, are ignored, each
 * with its reason. Of more than 32 categories the 32 most frequent have an input; the others are 0 in all of them.
 * @param table the rows of the training
 * @throws OptionError for a target that is not there or bad options; ValueError for a target that cannot be learned, missing
 *   values that are refused, or a table without inputs
 */
export function tableEncoding(table: Table, options: TableEncodingOptions): TableEncoding {
  const where = "tableEncoding";
  checkOptions(where, options, optionNames);
  const { target, task, missing = "impute", kinds = {} } = options;
  checkChoice(where, "missing", missing, ["impute", "refuse"]);
  if (task !== undefined) checkChoice(where, "task", task, ["regression", "classification"]);
  const { names, rows } = table;
  checkFormats(where, options);
  checkNames(where, names);
  const at = names.indexOf(target);
  if (at < 0) throw new OptionError(`${where}: there is no column "${target}". The columns are ${listed(names)}.`);
  for (const [name, kind] of Object.entries(kinds)) {
    if (!names.includes(name)) throw new OptionError(`${where}: there is no column "${name}" to take as ${kind}.`);
    checkChoice(where, `the kind of "${name}"`, kind, kindNames);
  }
  const dated = typeof options.dateFormat === "object" ? Object.keys(options.dateFormat) : [];
  const unknown = dated.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new OptionError(`${where}: there is no column "${unknown}" to take as date.`);
  if (rows.length === 0) throw new ValueError(`${where}: there are no rows.`);
  const cells = (j: number) => rows.map((row) => row[j]);
  const known = options.formatsOf && formatsIn(options.formatsOf);
  const formats = known === undefined ? tableFormats(names, cells, options) : names.map((name) => known(name));
  const columns = names.flatMap((name, j) => {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : dated.includes(name) ? "date" : undefined;
    const rules = { kind, refuse: missing === "refuse", format: formats[j] };
    return j === at ? [] : [columnEncoding(where, name, cells(j), rules)];
  });
  const targets = targetEncoding(where, target, cells(at), formats[at].numbers, task);
  const encoding = new TableEncoding({ columns, target: targets, missing });
  if (encoding.inputs.length === 0) {
    const reasons = columns.map((column) => `${column.name}: ${column.kind === "ignored" ? column.reason : ""}`);
    throw new ValueError(`${where}: no column is left to learn from (${listed(reasons)}).`);
  }
  return encoding;
}

/** The formats that an encoding's columns have, by name. */
function formatsIn({ columns, target }: TableEncodingParts): (name: string) => ColumnFormat {
  const formats = new Map<string, ColumnFormat>();
  for (const column of [...columns, target]) {
    if (column.kind === "number") {
      const { decimal, thousands, unit, settled } = column;
      formats.set(column.name, { numbers: { decimal, thousands, unit, settled } });
    } else if (column.kind === "date") {
      const { format, settled } = column;
      formats.set(column.name, { numbers: PLAIN, dates: { format, settled } });
    }
  }
  return (name) => formats.get(name) ?? { numbers: PLAIN };
}

function checkNames(where: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ValueError(`${where}: two columns have the name "${twice}".`);
}

/** Some of the texts, for a message. */
function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, 12).map((text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text));
  return shown.join(", ") + (texts.length > shown.length ? `, … (${texts.length} in all)` : "");
}

/** Writes the inputs of a row, and gives the columns whose values are unlike those of the training. */
export type EncodeRow = (cells: readonly string[], into: Float64Array, offset: number) => readonly string[];

/** How rows of a table become inputs, and back from outputs to the target. Made by `tableEncoding` or `readTableEncoding`. */
export class TableEncoding {
  readonly columns: readonly ColumnEncoding[];
  readonly target: TargetEncoding;
  /** What becomes of missing values. */
  readonly missing: "impute" | "refuse";
  /** A name for each input of the network. */
  readonly inputs: readonly string[];
  readonly #readTarget: (cell: string) => number | undefined;

  constructor({ columns, target, missing }: TableEncodingParts) {
    this.columns = columns;
    this.target = target;
    this.missing = missing;
    this.inputs = columns.flatMap(inputNames);
    this.#readTarget = targetReader(target);
  }

  /**
   * The same encoding for a table whose numbers and dates are written in another way than those of the training.
   * @throws OptionError for formats that are none, or of columns that hold no dates
   */
  withFormats(options: TableFormatOptions): TableEncoding {
    checkFormats("withFormats", options);
    const { missing } = this;
    return new TableEncoding({ ...formatOverrides(this.columns, this.target, options), missing });
  }

  /**
   * Reads rows of a table whose columns have these names, in any order; other columns are left alone.
   * The function that it gives throws ValueError for a cell that cannot be read.
   * @throws ValueError for columns that are not there, or there twice
   */
  bind(names: readonly string[]): EncodeRow {
    const used = this.columns.filter((column) => column.kind !== "ignored");
    const twice = used.find(({ name }) => names.indexOf(name) !== names.lastIndexOf(name));
    if (twice !== undefined) throw new ValueError(`encode: two columns have the name "${twice.name}".`);
    const absent = used.filter(({ name }) => !names.includes(name)).map(({ name }) => `"${name}"`);
    if (absent.length > 0) {
      const plural = absent.length > 1 ? "s" : "";
      throw new ValueError(
        `encode: the table has no column${plural} ${listed(absent)}, which the model needs. It has ${listed(names)}.`,
      );
    }
    const writers = used.map((column) => ({ at: names.indexOf(column.name), ...writerOf(column, this.missing) }));
    return (cells, into, offset) => {
      let unusual: string[] | undefined;
      let position = offset;
      for (const { at, width, name, write } of writers) {
        if (write(cells[at] ?? "", into, position)) {
          unusual ??= [];
          unusual.push(name);
        }
        position += width;
      }
      return unusual ?? NONE;
    };
  }

  /**
   * The inputs of rows, [rows, inputs].
   * @throws ValueError for a column that a row lacks, or a cell that cannot be read
   */
  encode(rows: readonly TableRow[]): { readonly x: Float64Array; readonly unusual: readonly (readonly string[])[] } {
    const names = this.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
    const encodeRow = this.bind(names);
    const x = new Float64Array(rows.length * this.inputs.length);
    const unusual = rows.map((row, i) => {
      const lacking = names.find((name) => !Object.hasOwn(row, name));
      if (lacking !== undefined) throw new ValueError(`encode: row ${i + 1} has no "${lacking}".`);
      const cells = names.map((name) => row[name]);
      return encodeRow(cells, x, i * this.inputs.length);
    });
    return { x, unusual };
  }

  /**
   * The target of a cell: a standardised number, or the position of a class; undefined where it is missing.
   * @throws ValueError for a text that is no number, or no class of the training
   */
  encodeTarget(cell: string): number | undefined {
    return this.#readTarget(cell);
  }

  /** Everything, as plain JSON; `readTableEncoding` reads it. */
  toJSON(): TableEncodingParts {
    return { columns: this.columns, target: this.target, missing: this.missing };
  }
}

const NONE: readonly string[] = [];

/** A name for each input that a column becomes: "age", "city = Bern", "day season (sin)", "age missing". */
export function inputNames(column: ColumnEncoding): string[] {
  if (column.kind === "ignored") return [];
  const { name } = column;
  const missing = column.missing ? [`${name} missing`] : [];
  if (column.kind === "number") return [name, ...missing];
  if (column.kind === "category") return [...column.categories.map((category) => `${name} = ${category}`), ...missing];
  const parts = column.parts.flatMap((part) =>
    part === "trend" ? [name] : [`${name} ${part} (sin)`, `${name} ${part} (cos)`],
  );
  return [...parts, ...missing];
}

interface Writer {
  readonly name: string;
  readonly width: number;
  /** Writes the inputs of a cell, and says whether it is unlike those of the training. */
  write(cell: string, into: Float64Array, at: number): boolean;
}

function writerOf(column: Exclude<ColumnEncoding, { kind: "ignored" }>, missing: "impute" | "refuse"): Writer {
  const { name } = column;
  const width = inputNames(column).length;
  const last = column.missing ? width - 1 : width;
  /** Whether the cell has no value. */
  const gap = (cell: string, into: Float64Array, at: number) => {
    const absent = isMissing(cell);
    if (absent && missing === "refuse") {
      throw new ValueError(`the column "${name}" has no value, and the model was fitted to refuse missing values`);
    }
    if (column.missing) into[at + last] = absent ? 1 : 0;
    return absent;
  };
  if (column.kind === "category") {
    const places = new Map(column.categories.map((category, i) => [category, i]));
    return {
      name,
      width,
      write(cell, into, at) {
        into.fill(0, at, at + last);
        const absent = gap(cell, into, at);
        const place = places.get(absent ? column.fill : cell.trim());
        if (place !== undefined) into[at + place] = 1;
        return absent ? !column.missing : place === undefined && !column.rest;
      },
    };
  }
  const { mean, sd, low, high, fill, lenient } = column;
  const margin = MARGIN * (high - low);
  const read = cellReader(column);
  const cycles =
    column.kind === "date" ? column.parts.flatMap((part) => (part === "trend" ? [] : [PERIODS[part]])) : [];
  return {
    name,
    width,
    write(cell, into, at) {
      let absent = gap(cell, into, at);
      let value = absent ? fill : read(cell);
      if (value === undefined) {
        if (!lenient) throw new ValueError(`the column "${name}" has ${unreadable(cell, column)}`);
        absent = true;
        value = fill;
        into[at + last] = 1;
      }
      into[at] = Math.min(Math.max((value - mean) / sd, -FARTHEST), FARTHEST);
      cycles.forEach((period, i) => {
        const turns = value / period;
        const angle = 2 * Math.PI * (turns - Math.round(turns));
        // Math.sin differs in the last bit between engines; a page predicts what Node does.
        into[at + 1 + 2 * i] = portableSin(angle);
        into[at + 2 + 2 * i] = portableSin(angle + Math.PI / 2);
      });
      return absent ? !column.missing : value < low - margin || value > high + margin;
    },
  };
}

function unreadable(cell: string, column: NumberColumn | DateColumn): string {
  const shown = `${JSON.stringify(cell.length > 60 ? `${cell.slice(0, 60)}…` : cell)}, which is no ${column.kind}`;
  if (column.kind === "number") {
    if (!isNumberLike(cell)) return shown;
    return `${shown} as the training wrote them (${numbersInWords(column)}); the options decimal and thousands say otherwise`;
  }
  if (!isDateLike(cell)) return shown;
  return `${shown} as the training wrote them (${dateFormatWords(column.format)}); a date format says otherwise`;
}
