// Cells become inputs, column by column. A cell without a value becomes what the network learned for such cells; beside it
// stands what it may have been.

import { portableSin } from "../array/portable.ts";
import { ValueError } from "../errors.ts";
import type { CategoryColumn, ColumnEncoding, DateColumn, DatePart, NumberColumn } from "./column-encoding.ts";
import { isDateLike } from "./dates.ts";
import { dateFormatWords } from "./formats.ts";
import { placesOf } from "./identity.ts";
import { inputNames } from "./input-names.ts";
import { levelsAlong } from "./level-effects.ts";
import { type MissingRule, missingTest } from "./missing.ts";
import { isNumberLike, numbersInWords } from "./number-format.ts";
import { readerOf } from "./reading.ts";
import { drawOrder } from "./value-draws.ts";

const PERIODS: Readonly<Record<Exclude<DatePart, "trend">, number>> = { season: 365.2425, weekday: 7, hour: 1 };
/** Standard deviations from the mean, beyond which a value counts as that far: variances of larger ones would overflow. */
const FARTHEST = 1e6;

/** What a cell was: a value, perhaps unlike those of the training, or a category that it did not have; a gap, perhaps where training had none; unreadable. */
export type Written = "value" | "far" | "unknown" | "gap" | "new gap" | "unreadable";

/** Writes the inputs of a column. */
export interface Writer {
  readonly name: string;
  readonly width: number;
  /** @throws ValueError for a cell that is refused */
  write(cell: string, into: Float64Array, at: number): Written;
  /** What a gap that is written at a place may have been, `width` inputs for each draw; none where the file has no draws. */
  draws(inputs: Float64Array, at: number): readonly Float64Array[];
}

/** How columns are written. */
export interface WriterOptions {
  readonly rule: MissingRule;
  readonly refuse: boolean;
  /** The share of the range that a value may lie outside before it is unusual. */
  readonly margin: number;
}

/** A column's values and their inputs. */
interface Values {
  /** The value of a cell; undefined where it is missing, null where it cannot be read. */
  read(cell: string): number | undefined | null;
  put(value: number, into: Float64Array, at: number): void;
  usual(value: number): boolean;
  readonly fill: number;
  readonly draws: readonly number[];
  /** What one that is not known may be, where that is not what a missing one may be. */
  readonly others?: readonly number[] | undefined;
}

/** The mean of inputs. */
const middleOf = (all: readonly Float64Array[], width: number) =>
  Float64Array.from({ length: width }, (_, i) => all.reduce((sum, inputs) => sum + inputs[i] / all.length, 0));

/** The writer of a column, at a place among those that are used. */
export function writerOf(
  column: Exclude<ColumnEncoding, { kind: "ignored" }>,
  place: number,
  options: WriterOptions,
): Writer {
  const { name } = column;
  const width = inputNames(column).length;
  const last = column.missing ? width - 1 : width;
  const leveled = column.kind === "category" && column.effects !== undefined;
  const values = column.kind === "category" ? categoryValues(column, options) : measuredValues(column, options);
  const inputsOf = (value: number) => {
    const inputs = new Float64Array(width);
    values.put(value, inputs, 0);
    return inputs;
  };
  const draws = values.draws.map(inputsOf);
  const middle = middleOf(draws, width);
  const gap = new Float64Array(width);
  // Of categories the shares: none of them is what a missing one was.
  if (column.kind === "category" && draws.length > 0) gap.set(middle);
  else values.put(values.fill, gap, 0);
  if (column.missing) gap[last] = 1;
  // Around the inputs that the network has learned of, where it has; otherwise as they were in the training.
  const center = column.missing ? gap : middle;
  const spread = Math.sqrt(column.spread);
  const order = drawOrder(place, draws.length);
  const absent = order.map((k) => draws[k].map((input, i) => center[i] + spread * (input - middle[i])));
  // A category that is not listed is any of those that are: rows without one say nothing of it.
  const others = values.others?.map(inputsOf);
  const unlisted = others && {
    written: leveled ? middleOf(others, width) : new Float64Array(width),
    draws: drawOrder(place, others.length).map((k) => others[k]),
  };
  return {
    name,
    width,
    draws: (inputs, at) =>
      unlisted?.written.every((input, i) => inputs[at + i] === input) === true ? unlisted.draws : absent,
    write(cell, into, at) {
      const value = values.read(cell);
      if (typeof value === "number") {
        if (column.missing) into[at + last] = 0;
        if (value === UNKNOWN && leveled && unlisted !== undefined) {
          // It has an effect as any of those that are known, and nothing else about it is unusual.
          into.set(unlisted.written, at);
          return "gap";
        }
        values.put(value, into, at);
        if (values.usual(value)) return "value";
        return value === UNKNOWN && column.kind === "category" ? "unknown" : "far";
      }
      if (options.refuse) {
        const what = value === null ? unreadableText(cell, column) : "no value";
        throw new ValueError(`the column "${name}" has ${what}, and the model was fitted to refuse missing values`);
      }
      into.set(gap, at);
      if (value === null) return "unreadable";
      return column.missing ? "gap" : "new gap";
    },
  };
}

/** What a cell says that is not a number or not a date. */
export function unreadableText(cell: string, column: Exclude<ColumnEncoding, { kind: "ignored" }>): string {
  const shown = `${JSON.stringify(cell.length > 60 ? `${cell.slice(0, 60)}…` : cell)}, which is not a ${column.kind}`;
  if (column.kind === "number" && isNumberLike(cell)) {
    return `${shown} as the training wrote them (${numbersInWords(column)}); the options decimal and thousands say otherwise`;
  }
  if (column.kind === "date" && isDateLike(cell)) {
    return `${shown} as the training wrote them (${dateFormatWords(column.format)}); a date format says otherwise`;
  }
  return shown;
}

/** The place of a text that is not a category of the training. */
const UNKNOWN = -1;

/** Places among the categories. */
function categoryValues(
  { categories, rest, fill, draws, effects, missing: gaps }: CategoryColumn,
  { rule }: WriterOptions,
): Values {
  const places = placesOf(categories);
  const missing = missingTest(rule, "texts");
  const placeOf = (text: string) => places(text) ?? UNKNOWN;
  return {
    read: (cell) => (missing(cell) ? undefined : placeOf(cell)),
    put(place, into, at) {
      if (effects !== undefined) {
        const { values, open, deviations } = effects;
        const outputs = deviations.length;
        for (let k = 0; k < outputs; k++) into[at + k] = values[place * outputs + k];
        into[at + outputs] = open[place];
        return;
      }
      into.fill(0, at, at + categories.length);
      if (place >= 0) into[at + place] = 1;
    },
    usual: (place) => place >= 0 || rest,
    fill: placeOf(fill),
    draws: draws.map(placeOf),
    others: effects ? levelsAlong(categories, effects).map(placeOf) : gaps ? draws.map(placeOf) : undefined,
  };
}

function measuredValues(column: NumberColumn | DateColumn, { rule, margin }: WriterOptions): Values {
  const { mean, sd, low, high, fill, draws } = column;
  const outside = margin * (high - low);
  const cycles =
    column.kind === "date" ? column.parts.flatMap((part) => (part === "trend" ? [] : [PERIODS[part]])) : [];
  return {
    read: readerOf(column, rule),
    put(value, into, at) {
      into[at] = Math.min(Math.max((value - mean) / sd, -FARTHEST), FARTHEST);
      for (let i = 0; i < cycles.length; i++) {
        const turns = value / cycles[i];
        const angle = 2 * Math.PI * (turns - Math.round(turns));
        // Math.sin differs in the last bit between engines; a page predicts what Node does.
        into[at + 1 + 2 * i] = portableSin(angle);
        into[at + 2 + 2 * i] = portableSin(angle + Math.PI / 2);
      }
    },
    usual: (value) => value >= low - outside && value <= high + outside,
    fill,
    draws,
  };
}
