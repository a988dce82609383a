// Encodings of some rows of one table, and the models that posteriors of these rows make together.

import { type Steps, type TableEncoding, type TableModel, tableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Baseline, baselineOf } from "../model/metrics.ts";
import { type Numbers, numbersOf, partsOf, type Rows, rowsAt, take } from "../model/rows.ts";
import { randomSplit, type Split } from "../model/splits.ts";
import { inTurns, turn } from "../turn.ts";
import type { Lanes } from "./lanes.ts";
import type { Prepared } from "./members.ts";
import { onBestScale, type Scaling, scalingOf } from "./target-scales.ts";

/** A row is far from the training data if the function's variance there is so many times the largest of known rows. */
const FAR = 1.5;
/** Rows that are looked at for it. */
const FAR_ROWS = 4096;

/** The model with the variance from which on rows are far: beyond that of its rows, and of others when they were not known. */
export function* withFar(model: TableModel, { numbers }: Prepared, others: number): Steps<TableModel> {
  const largest = Math.max(yield* largestVariance(model, numbers), others);
  return tableModel({ ...model, farVariance: FAR * largest });
}

/** Reads some rows of one table, and judges models by others. */
export class Fitter {
  readonly #rows: Rows;
  readonly #encoding: TableEncoding;
  /** How rows are held out. */
  readonly split: Split;
  readonly #truth: Float64Array;
  readonly #scaling: Scaling | undefined;

  /**
   * @param split how rows are held out (default: at random)
   * @param lanes who tries scales of the target (default: it is learned as it is)
   */
  constructor(rows: Rows, encoding: TableEncoding, split?: Split, lanes?: Lanes) {
    this.#rows = rows;
    this.#encoding = encoding;
    const { target } = encoding;
    const at = rows.names.indexOf(target.name);
    this.#truth = Float64Array.from(rows.rows, (row) => encoding.encodeTarget(row[at]) ?? 0);
    this.#scaling = lanes && scalingOf(encoding, this.#truth, lanes);
    this.split = split ?? randomSplit(target.kind === "classes" ? this.#truth : undefined, rows.rows.length);
  }

  /** Some of the rows as numbers, encoded by themselves. */
  async prepare(indices: readonly number[]): Promise<Prepared> {
    const [prepared] = await this.prepareAll([indices]);
    return prepared;
  }

  /** Several choices of the rows, each by itself: what tries scales of their target does so for all of them at once. */
  async prepareAll(choices: readonly (readonly number[])[]): Promise<Prepared[]> {
    const encoded: Prepared[] = [];
    for (const indices of choices) encoded.push(await this.#encoded(indices));
    const scaling = this.#scaling;
    return scaling === undefined ? encoded : Promise.all(encoded.map((own) => onBestScale(own, scaling)));
  }

  async #encoded(indices: readonly number[]): Promise<Prepared> {
    const rows = rowsAt(this.#rows, indices);
    const encoding =
      rows.rows.length === this.#rows.rows.length ? this.#encoding : await inTurns(this.#encoding.ofRowsSteps(rows));
    const numbers = await inTurns(numbersOf(rows, encoding));
    await turn();
    const divide = (share: number, seed: number) => this.split.divide(indices, share, seed);
    return { rows, encoding, numbers, divide };
  }

  /** What a model is judged by: rows that it has not seen. */
  async fold(model: TableModel, validation: number, test: readonly number[], rest: readonly number[]): Promise<Fold> {
    const numbers = await this.numbers(test, model.encoding);
    return { model, numbers, indices: test, baseline: this.baseline(rest), validation };
  }

  /** Some of the rows as another encoding has them. */
  numbers(indices: readonly number[], encoding: TableEncoding): Promise<Numbers> {
    return inTurns(numbersOf(rowsAt(this.#rows, indices), encoding));
  }

  baseline(indices: readonly number[]): Baseline {
    const { target } = this.#encoding;
    const own = indices.map((i) => this.#truth[i]);
    if (target.kind === "classes") return baselineOf(own, target.classes.length);
    return baselineOf(
      own.map((y) => this.#encoding.ofTarget(y)),
      target.counts ? "counts" : 0,
    );
  }
}

/** The largest variance of the function of some rows. */
export function* largestVariance(model: TableModel, numbers: Numbers): Steps<number> {
  const rows = Math.min(numbers.rows, FAR_ROWS);
  const seen = take(
    numbers,
    Array.from({ length: rows }, (_, i) => i),
  );
  let largest = 0;
  for (const part of partsOf(seen, model.posterior)) {
    const { functionVariance } = model.predictEncoded(part.x.data as Float64Array, part.unusual, part.gaps);
    largest = functionVariance.reduce((a, b) => Math.max(a, b), largest);
    yield;
  }
  return largest;
}
