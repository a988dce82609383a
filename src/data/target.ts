// The column to predict: numbers, standardised, or classes.

import { ValueError } from "../errors.ts";
import { isMissing } from "./cells.ts";
import { frequencies, momentsOf } from "./columns.ts";
import { nameTexts } from "./naming.ts";
import { type NumberFormat, numberFormat, numberOf, numberReader } from "./numbers.ts";

/** What is learned of the target. */
export type TargetTask = "regression" | "classification";

/** How the target is encoded. */
export type TargetEncoding =
  | (NumberFormat & {
      readonly name: string;
      readonly kind: "number";
      /** Of the training: the network learns (y − mean) / sd. */
      readonly mean: number;
      readonly sd: number;
    })
  | {
      readonly name: string;
      readonly kind: "classes";
      /** Their names; numbers ascending, texts in the order of the alphabet. */
      readonly classes: readonly string[];
    };

const MOST_CLASSES = 100;
/** Integers of at most so many different values, each this often on average, are taken for classes. */
const [FEW_VALUES, OFTEN] = [10, 5];

/** The task that a target's values suggest: texts, and few different integers, are classes. */
export function guessTask(cells: readonly string[], format?: NumberFormat): TargetTask {
  const present = cells.filter((cell) => !isMissing(cell)).map((cell) => cell.trim());
  const numbers = present.map(numberReader(format ?? numberFormat(present))).filter((value) => value !== undefined);
  // A few texts among numbers are mistakes, not classes.
  if (numbers.length < 0.95 * present.length) return "classification";
  const distinct = new Set(numbers).size;
  const few = distinct <= FEW_VALUES && present.length >= OFTEN * distinct && numbers.every(Number.isInteger);
  return numbers.length === present.length && (distinct === 2 || few) ? "classification" : "regression";
}

/** The target's encoding from its cells in training; missing ones have no part. @throws ValueError */
export function targetEncoding(
  where: string,
  name: string,
  cells: readonly string[],
  format: NumberFormat,
  task: TargetTask = guessTask(cells, format),
): TargetEncoding {
  const present = cells.filter((cell) => !isMissing(cell)).map((cell) => cell.trim());
  if (present.length === 0) throw new ValueError(`${where}: the target "${name}" has no values.`);
  if (task === "regression") {
    const read = numberReader(format);
    const values = present.map((cell) => {
      const value = read(cell);
      if (value !== undefined) return value;
      throw new ValueError(
        `${where}: the target "${name}" has ${JSON.stringify(cell.slice(0, 60))}, which is no number.`,
      );
    });
    const { mean, sd } = momentsOf(values);
    if (!Number.isFinite(sd)) throw new ValueError(`${where}: the target "${name}" has values beyond 1e154.`);
    const size = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    if (!(sd > 1e-12 * size)) throw new ValueError(`${where}: the target "${name}" has one value: nothing to learn.`);
    return { name, kind: "number", mean, sd, ...format };
  }
  const classes = frequencies(present).map(([text]) => text);
  if (classes.length < 2) throw new ValueError(`${where}: the target "${name}" has one value: nothing to learn.`);
  if (classes.length > MOST_CLASSES) {
    const named = nameTexts(present);
    if (named !== undefined) throw new ValueError(`${where}: the target "${name}" has ${named}.`);
    throw new ValueError(
      `${where}: the target "${name}" has ${classes.length} different values, more than the ${MOST_CLASSES} classes that are allowed. Is it the right column? Numbers can be learned by the task "regression".`,
    );
  }
  const numeric = classes.every((text) => numberOf(text) !== undefined);
  const sorted = numeric ? classes.sort((a, b) => Number(a) - Number(b)) : classes.sort();
  return { name, kind: "classes", classes: sorted };
}

/** A reader of the target's cells: undefined for a missing one. It throws ValueError. */
export function targetReader(target: TargetEncoding): (cell: string) => number | undefined {
  const number = target.kind === "number" ? numberReader(target) : numberOf;
  return (cell) => readTarget(target, cell, number);
}

function readTarget(
  target: TargetEncoding,
  cell: string,
  number: (cell: string) => number | undefined,
): number | undefined {
  if (isMissing(cell)) return undefined;
  const text = cell.trim();
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  if (target.kind === "number") {
    const value = number(text);
    if (value === undefined) throw new ValueError(`the target "${target.name}" has ${shown}, which is no number`);
    return (value - target.mean) / target.sd;
  }
  const place = target.classes.indexOf(text);
  if (place < 0) {
    throw new ValueError(
      `the target "${target.name}" has ${shown}, which is none of the classes ${target.classes.slice(0, 12).join(", ")}`,
    );
  }
  return place;
}
