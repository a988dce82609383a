// Encodings of some rows of one table, and the models that posteriors of these rows make together.

import { mixture, type Posterior, type Steps, type TableEncoding, type TableModel, tableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Baseline, baselineOf } from "../model/metrics.ts";
import { type Numbers, numbersOf, partsOf, type Rows, rowsAt, take } from "../model/rows.ts";
import { type Division, randomSplit, type Split } from "../model/splits.ts";
import { inTurns, turn } from "../turn.ts";
import { withGaps } from "./gaps.ts";
import { scaled } from "./scales.ts";

/** A row is far from the training data if the function's variance there is so many times the largest of known rows. */
const FAR = 1.5;
/** Rows that are looked at for it. */
const FAR_ROWS = 4096;

/** Rows of a table, encoded. */
export interface Prepared {
  readonly rows: Rows;
  readonly encoding: TableEncoding;
  readonly numbers: Numbers;
  /** Divides the rows as the table's are. */
  readonly divide: (share: number, seed: number) => Division;
}

/** A posterior of a mixture. */
export interface Member {
  readonly posterior: Posterior;
  readonly weight: number;
  /** That of its uncertainty. */
  readonly scale: number;
}

/** A model of posteriors of the same rows, in steps; no row is far yet. */
export function* modelOf(
  members: readonly Member[],
  { encoding, numbers }: Prepared,
  approximation: TableModel["approximation"],
): Steps<TableModel> {
  const found = [];
  for (const { posterior, scale } of members) found.push(yield* withGaps(scaled(posterior, scale), encoding, numbers));
  const weights = members.map(({ weight }) => weight);
  // How far values that are missing may be from the others, the heaviest says for all.
  const { encoding: whole } = found[weights.indexOf(Math.max(...weights))];
  const posteriors = found.map(({ posterior }) => posterior);
  return tableModel({ mixture: mixture(posteriors, weights), encoding: whole, approximation });
}

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

  /** @param split how rows are held out (default: at random) */
  constructor(rows: Rows, encoding: TableEncoding, split?: Split) {
    this.#rows = rows;
    this.#encoding = encoding;
    const { target } = encoding;
    const at = rows.names.indexOf(target.name);
    this.#truth = Float64Array.from(rows.rows, (row) => encoding.encodeTarget(row[at]) ?? 0);
    this.split = split ?? randomSplit(target.kind === "classes" ? this.#truth : undefined, rows.rows.length);
  }

  /** Some of the rows as numbers, encoded by themselves. */
  async prepare(indices: readonly number[]): Promise<Prepared> {
    const rows = rowsAt(this.#rows, indices);
    const encoding =
      rows.rows.length === this.#rows.rows.length ? this.#encoding : await inTurns(this.#encoding.ofRowsSteps(rows));
    const numbers = await inTurns(numbersOf(rows, encoding));
    await turn();
    return { rows, encoding, numbers, divide: (share, seed) => this.split.divide(indices, share, seed) };
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
      own.map((y) => y * target.sd + target.mean),
      0,
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
