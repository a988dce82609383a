// The column to predict: numbers, standardised, counts, or classes.

import { ValueError } from "../errors.ts";
import { whyOneValue } from "./column-encoding.ts";
import { identityOf, occurrences, placesOf } from "./identity.ts";
import { areCodes } from "./ids.ts";
import { looksMissing, type MissingRule, type MissingTest, missingTest } from "./missing.ts";
import { momentsOf } from "./moments.ts";
import { nameTexts } from "./naming.ts";
import { type NumberFormat, numberFormat, numberOf, numberReader } from "./number-format.ts";
import { onScale, scaleOf, type TargetScale } from "./target-scales.ts";
import { checkTexts } from "./texts.ts";

/** What is learned of the target. */
export type TargetTask = "regression" | "classification" | "count";

/** How the target is encoded. */
export type TargetEncoding =
  | (NumberFormat & {
      readonly name: string;
      readonly kind: "number";
      /** Of the training, on the scale: the network learns (T(y) − mean) / sd. */
      readonly mean: number;
      readonly sd: number;
      /** T (default: y as it is). */
      readonly scale?: TargetScale | undefined;
      /** Whether it is counts, whose log rate the network learns: mean 0, sd 1, no scale (default false). */
      readonly counts?: boolean | undefined;
      /** The least and the greatest of the training in its own units, of counts and where it has a scale (default: not known). */
      readonly low?: number | undefined;
      readonly high?: number | undefined;
    })
  | {
      readonly name: string;
      readonly kind: "classes";
      /** Their names; numbers ascending, texts in the order of the alphabet. */
      readonly classes: readonly string[];
    };

const MOST_CLASSES = 100;
/** Integers of at most so many different values, each this often on average, may be classes. */
const [FEW_VALUES, OFTEN] = [10, 5];
/** They are where values of at least this share hold nearly all rows: counts and scores have rare ones. */
const SHARE = 0.05;
/** The share of a target's texts that must be numbers for the others to be mistakes, not classes. */
const ENOUGH = 0.95;
const USUAL: MissingRule = { texts: [], marks: "usual" };
/** Whether nearly all cells are numbers, and no codes, where those that say nothing are left out. */
function areNumbers(cells: readonly string[], rule: MissingRule, format: NumberFormat): boolean {
  const missing = missingTest(rule, "numbers");
  const present = cells.filter((cell) => !missing(cell));
  const read = numberReader(format);
  const numbers = present.filter((cell) => read(cell) !== undefined).length;
  return present.length > 0 && numbers >= ENOUGH * present.length && !areCodes(present);
}

/** A task, and what in the values suggests it, in words. */
export interface TaskGuess {
  readonly task: TargetTask;
  readonly because: string;
}

/** The task that a target's values suggest, as `taskGuess` says. */
export function guessTask(cells: readonly string[], format?: NumberFormat, rule: MissingRule = USUAL): TargetTask {
  return taskGuess(cells, format, rule).task;
}

/**
 * The task that a target's values suggest, and why: texts, codes with leading zeros and two different numbers are classes, so
 * are few different integers, close to each other, of which hardly any is rare. Whole numbers from 0 on, whose large ones are rare, and
 * whose spread is a count's, are counts.
 * @param format how numbers are written (default: settled by the cells)
 * @param rule which texts count as missing (default: the usual ones)
 */
export function taskGuess(cells: readonly string[], format?: NumberFormat, rule: MissingRule = USUAL): TaskGuess {
  checkTexts("guessTask", "cells", cells);
  const missing = missingTest(rule, "numbers");
  const present = cells.filter((cell) => !missing(cell));
  const settled = format ?? numberFormat(present);
  if (!areNumbers(cells, rule, settled)) {
    const because = areCodes(present) ? "codes with zeros in front" : "texts";
    return { task: "classification", because };
  }
  const numbers = present.map(numberReader(settled)).filter((value) => value !== undefined);
  const counts = new Map<number, number>();
  for (const value of numbers) counts.set(value, (counts.get(value) ?? 0) + 1);
  const values = [...counts.keys()];
  const all = `${values.length.toLocaleString("en")} different numbers`;
  if (numbers.length < present.length) return { task: "regression", because: `${all}, and a few texts` };
  if (values.length === 2) return { task: "classification", because: "two different numbers" };
  if (looksCounted(numbers, counts))
    return { task: "count", because: `${values.length} different counts from 0 on, large ones rare` };
  const few = values.length <= FEW_VALUES && present.length >= OFTEN * values.length && values.every(Number.isInteger);
  if (!few) return { task: "regression", because: all };
  const common = [...counts.values()].filter((count) => count >= SHARE * numbers.length);
  const integers = `${values.length} different integers`;
  if (common.reduce((sum, count) => sum + count, 0) < ENOUGH * numbers.length) {
    return { task: "regression", because: `${integers}, some of them rare` };
  }
  const close = Math.max(...values) - Math.min(...values) < 2 * values.length;
  if (!close) return { task: "regression", because: `${integers}, far from each other` };
  return { task: "classification", because: `${integers}, hardly any of them rare` };
}

/** Counts that are told from classes and scores by themselves: from 0 to at least so many different values, hardly beyond a median. */
const [FEWEST_COUNTS, LARGEST_MEDIAN] = [6, 15];
/** A count's largest value is rare, below this share. */
const RARE = 0.02;

/**
 * Whether values are what counts of rare things look like: whole and not negative, from 0 on, most values between the quartiles there,
 * the commonest in the lower half of the range and the largest rare, and as spread as a Poisson variable's, whose variance is its mean and more
 * where the rate varies.
 */
function looksCounted(numbers: readonly number[], counts: ReadonlyMap<number, number>): boolean {
  const n = numbers.length;
  if (counts.size < FEWEST_COUNTS || !counts.has(0) || !numbers.every(isCount)) return false;
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (n - 1))];
  const largest = sorted[n - 1];
  const common = [...counts].reduce((best, own) => (own[1] > best[1] ? own : best))[0];
  const inner = Array.from({ length: at(0.75) - at(0.25) + 1 }, (_, k) => at(0.25) + k);
  const there = inner.filter((value) => counts.has(value)).length;
  const { mean, sd } = momentsOf(sorted);
  return (
    at(0.5) <= LARGEST_MEDIAN &&
    2 * there > inner.length &&
    2 * common <= largest &&
    (counts.get(largest) ?? 0) <= Math.max(2, RARE * n) &&
    sd ** 2 > mean * (1 - 3 * Math.sqrt(2 / n))
  );
}

/** How a target is decided. */
export interface TargetOptions {
  readonly task?: TargetTask | undefined;
  readonly rule: MissingRule;
  /** How numbers are written. */
  readonly format: NumberFormat;
  /** A row in words, for errors. */
  readonly place: (row: number) => string;
}

/** The target's encoding from its cells in training; missing ones have no part. @throws ValueError */
export function targetEncoding(
  where: string,
  name: string,
  cells: readonly string[],
  { task, rule, format, place }: TargetOptions,
): TargetEncoding {
  const learned = task ?? guessTask(cells, format, rule);
  if (learned === "classification") {
    const numbers = areNumbers(cells, rule, format);
    return classesOf(where, name, cells, missingTest(rule, numbers ? "classes" : "texts"));
  }
  const missing = missingTest(rule, "numbers");
  const read = numberReader(format);
  const texts: string[] = [];
  const values = cells.flatMap((cell, row) => {
    if (missing(cell)) return [];
    const value = read(cell);
    if (value === undefined) {
      throw new ValueError(
        `${where}: the target "${name}" has ${JSON.stringify(cell.trim().slice(0, 60))}, which is not a number, in ${place(row)}. Correct it, or name it as a text that counts as missing.`,
      );
    }
    if (learned === "count" && !isCount(value)) {
      throw new ValueError(
        `${where}: the target "${name}" has ${JSON.stringify(cell.trim().slice(0, 60))}, which is not a count (0, 1, 2 and so on), in ${place(row)}. Correct it, or learn it by the task "regression".`,
      );
    }
    texts.push(cell);
    return [value];
  });
  if (values.length === 0) throw new ValueError(`${where}: the target "${name}" has no values.`);
  // Sorted, sums are the same in whatever order the rows come.
  const { mean, sd } = momentsOf(Float64Array.from(values).sort());
  if (!Number.isFinite(sd)) throw new ValueError(`${where}: the target "${name}" has values beyond 1e154.`);
  const one = whyOneValue(values, sd, () => texts);
  if (one !== undefined) {
    throw new ValueError(
      `${where}: the target "${name}" has ${one}${one === "one value" ? ": nothing to learn" : ""}.`,
    );
  }
  if (learned === "count") return { name, kind: "number", mean: 0, sd: 1, ...format, counts: true, ...endsOf(values) };
  return { name, kind: "number", mean, sd, ...format };
}

/** The least and the greatest of values. */
function endsOf(values: ArrayLike<number>): { readonly low: number; readonly high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) [low, high] = [Math.min(low, values[i]), Math.max(high, values[i])];
  return { low, high };
}

/**
 * What means of predictions are limited to, in the target's own units, where medians are within: as far beyond the values of the training as
 * these are apart. A mean on another scale, or of counts, beyond both is the work of the far end of a distribution, which no row has checked.
 */
export function meanLimits(target: TargetEncoding): readonly [low: number, high: number] {
  const { low, high } = target.kind === "number" ? target : {};
  if (low === undefined || high === undefined) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  return [low - (high - low), high + (high - low)];
}

const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;

/** The same target from other rows: classes stay as they were decided. @throws ValueError */
export function targetOfRows(target: TargetEncoding, cells: readonly string[], rule: MissingRule): TargetEncoding {
  if (target.kind === "classes") return target;
  const { name, decimal, thousands, unit, settled, scale, counts = false } = target;
  const format = { decimal, thousands, unit, settled };
  const place = (row: number) => `row ${row + 1}`;
  const found = targetEncoding("ofRows", name, cells, { task: counts ? "count" : "regression", rule, format, place });
  if (scale === undefined) return found;
  const [missing, read] = [missingTest(rule, "numbers"), numberReader(format)];
  const values = cells.flatMap((cell) => (missing(cell) ? [] : (read(cell) ?? [])));
  return rescaledTarget(found, scale.kind, values);
}

/** A target of numbers on another scale, by the values of the training. @throws ValueError */
export function rescaledTarget(
  target: TargetEncoding,
  kind: TargetScale["kind"] | undefined,
  values: ArrayLike<number>,
): TargetEncoding {
  const where = "onTargetScale";
  if (target.kind !== "number") throw new ValueError(`${where}: the target "${target.name}" is classes, not numbers.`);
  if (target.counts) throw new ValueError(`${where}: the target "${target.name}" is counts, which have no scale.`);
  const scale = kind === undefined ? undefined : scaleOf(kind, values);
  if (kind !== undefined && scale === undefined) {
    throw new ValueError(
      `${where}: the target "${target.name}" has no scale "${kind}": a logarithm needs positive numbers.`,
    );
  }
  const { mean, sd } = momentsOf(Float64Array.from(values, (y) => onScale(scale, y)).sort());
  if (!(sd > 0)) throw new ValueError(`${where}: the target "${target.name}" has one value: nothing to learn.`);
  const { scale: _, low: __, high: ___, ...rest } = target;
  return { ...rest, mean, sd, ...(scale && { scale, ...endsOf(values) }) };
}

function classesOf(where: string, name: string, cells: readonly string[], missing: MissingTest): TargetEncoding {
  const present = cells.filter((cell) => !missing(cell));
  if (present.length === 0) throw new ValueError(`${where}: the target "${name}" has no values.`);
  const found = occurrences(present);
  if (found.length === 1 && looksMissing(found[0].text)) {
    throw new ValueError(
      `${where}: the target "${name}" has no values: every cell is empty or ${JSON.stringify(found[0].text)}.`,
    );
  }
  if (found.length < 2) throw new ValueError(`${where}: the target "${name}" has one value: nothing to learn.`);
  const many = `${where}: the target "${name}" has ${found.length} different values`;
  const shown = JSON.stringify(present[0].trim().slice(0, 60));
  if (found.length > 2 && 2 * found.filter(({ count }) => count === 1).length > present.length) {
    const named = nameTexts(present);
    const advice =
      named === undefined ? `They are texts such as ${shown}. Is it the right column?` : `They are ${named}.`;
    throw new ValueError(`${many} in ${present.length} rows, most of them once: these are not classes. ${advice}`);
  }
  if (found.length > MOST_CLASSES) {
    throw new ValueError(
      `${many}, more than the ${MOST_CLASSES} classes that are allowed. Is it the right column? Numbers can be learned by the task "regression".`,
    );
  }
  const classes = found.map(({ text }) => text);
  const numeric = classes.every((text) => numberOf(text) !== undefined) && !areCodes(classes);
  const sorted = numeric ? classes.sort((a, b) => Number(a) - Number(b)) : classes.sort(byMeaning);
  return { name, kind: "classes", classes: sorted };
}

/** In the order of the alphabet, however a table writes true and false. */
function byMeaning(a: string, b: string): number {
  const [one, other] = [identityOf(a), identityOf(b)];
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The target that a cell says; undefined if it is missing. @throws ValueError */
export function targetReader(target: TargetEncoding, rule: MissingRule): (cell: string) => number | undefined {
  const missing = missingTest(rule, "numbers");
  const shown = (cell: string) => {
    const text = cell.trim();
    return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  };
  if (target.kind === "number") {
    const read = numberReader(target);
    return (cell) => {
      if (missing(cell)) return undefined;
      const value = read(cell);
      if (value === undefined) {
        throw new ValueError(`the target "${target.name}" has ${shown(cell)}, which is not a number`);
      }
      if (target.counts && !isCount(value)) {
        throw new ValueError(
          `the target "${target.name}" has ${shown(cell)}, which is not a count, as what it was learned from`,
        );
      }
      const scaled = onScale(target.scale, value);
      if (Number.isNaN(scaled)) {
        throw new ValueError(
          `the target "${target.name}" has ${shown(cell)}, which is not above 0, as what it was learned from`,
        );
      }
      return (scaled - target.mean) / target.sd;
    };
  }
  const places = placesOf(target.classes);
  const classic = rule.marks === "classic";
  return (cell) => {
    if (classic && missing(cell)) return undefined;
    // A class is a class, even if its name often stands for a missing value; other texts may be missing values.
    const place = places(cell);
    if (place !== undefined) return place;
    if (missing(cell)) return undefined;
    throw new ValueError(
      `the target "${target.name}" has ${shown(cell)}, which is not one of the classes ${target.classes.slice(0, 12).join(", ")}`,
    );
  };
}
