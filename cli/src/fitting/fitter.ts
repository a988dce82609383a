// Fits of one table's rows, of some or of all, and the models that they make at each temperature.

import { type Steps, type TableEncoding, type TableModel, tableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Baseline, baselineOf } from "../model/metrics.ts";
import { type Numbers, numbersOf, partsOf, type Rows, rowsAt, take } from "../model/rows.ts";
import { type Division, randomSplit, type Split } from "../model/splits.ts";
import { inTurns, turn } from "../turn.ts";
import { withGaps } from "./gaps.ts";
import { type Fitted, fitRecipe, type OnShare, type Recipe, type Trial, tryRecipe } from "./recipe.ts";
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

/** A trial, and its model of the rows that it has seen. */
export interface TriedRows extends Trial {
  readonly model: TableModel;
}

/** Finds out by a part of the rows when to stop. */
export async function tryRows(
  recipe: Recipe,
  { numbers, divide, encoding }: Prepared,
  onShare: OnShare,
): Promise<TriedRows> {
  const trial = await tryRecipe(recipe, numbers, divide, onShare);
  await turn();
  return {
    ...trial,
    model: tableModel({ posterior: trial.partial.posterior, encoding, approximation: recipe.learning.approximation }),
  };
}

/** Fits all rows, as a trial found. */
export async function fitRows(
  recipe: Recipe,
  prepared: Prepared,
  trial: TriedRows,
  onShare: OnShare,
): Promise<FittedTable> {
  const fitted = await fitRecipe(recipe, prepared.numbers, trial, onShare);
  await turn();
  return new FittedTable(fitted, prepared, trial);
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

  async fold(fitted: FittedTable, scale: number, test: readonly number[], rest: readonly number[]): Promise<Fold> {
    const model = await inTurns(fitted.at(scale));
    const numbers = await inTurns(numbersOf(rowsAt(this.#rows, test), model.encoding));
    return { model, numbers, indices: test, baseline: this.baseline(rest), validation: fitted.validation };
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
function* largestVariance(model: TableModel, numbers: Numbers): Steps<number> {
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

/** A model of some rows, and how it came about. */
export class FittedTable {
  /** Models that were made, by their scales. */
  readonly #models = new Map<number, TableModel>();
  readonly #fitted: Fitted;
  readonly #prepared: Prepared;
  readonly #partial: TableModel;

  constructor(fitted: Fitted, prepared: Prepared, { model }: TriedRows) {
    [this.#fitted, this.#prepared, this.#partial] = [fitted, prepared, model];
  }

  /** The model with this scale of its uncertainty, in steps. */
  *at(scale: number): Steps<TableModel> {
    const known = this.#models.get(scale);
    if (known !== undefined) return known;
    const posterior = scaled(this.#fitted.posterior, scale);
    const { encoding, numbers } = this.#prepared;
    const withNoise = yield* withGaps(posterior, encoding, numbers);
    const partial = this.#partial;
    const { approximation } = partial;
    // With many columns the rows that the weights were fitted to say little of others.
    const largest = Math.max(
      yield* largestVariance(tableModel({ posterior, encoding, approximation }), numbers),
      yield* largestVariance(
        tableModel({ ...partial, posterior: scaled(partial.posterior, scale) }),
        this.#fitted.partial.validation,
      ),
    );
    const model = tableModel({ ...withNoise, approximation, farVariance: FAR * largest });
    this.#models.set(scale, model);
    return model;
  }

  /** Rows that said when to stop. */
  get validation(): number {
    return this.#fitted.partial.validation.rows;
  }

  shared(test: number) {
    const { course, posterior: tuned } = this.#fitted;
    const { validation } = this;
    const { rows: training, numbers } = this.#prepared;
    return {
      course,
      tuned,
      training,
      trainingNumbers: numbers,
      counts: { train: numbers.rows, validation, test },
    };
  }
}
