// Fits of one table's rows, of some or of all, and the models that they make at each temperature.

import { type Steps, type TableEncoding, type TableModel, tableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Baseline, baselineOf } from "../model/metrics.ts";
import { type Numbers, numbersOf, partsOf, type Rows, rowsAt, take } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { withGaps } from "./gaps.ts";
import { type Fitted, fitRecipe, type Recipe } from "./recipe.ts";
import { chooseTemperature, lossesByTemperature } from "./temperature.ts";

/** A row is far from the training data if the function's variance there is so many times the largest of known rows. */
const FAR = 1.5;
/** Rows that are looked at for it. */
const FAR_ROWS = 4096;

/** Fits models to some rows of one table. */
export class Fitter {
  readonly #rows: Rows;
  readonly #encoding: TableEncoding;
  readonly #recipe: Recipe;
  /** Positions of classes; undefined for numbers. */
  readonly labels: Float64Array | undefined;
  readonly #truth: Float64Array;

  constructor(rows: Rows, encoding: TableEncoding, recipe: Recipe) {
    this.#rows = rows;
    this.#encoding = encoding;
    this.#recipe = recipe;
    const { target } = encoding;
    const at = rows.names.indexOf(target.name);
    this.#truth = Float64Array.from(rows.rows, (row) => encoding.encodeTarget(row[at]) ?? 0);
    this.labels = target.kind === "classes" ? this.#truth : undefined;
  }

  async fit(indices: readonly number[], seed: number, onShare: (share: number) => void) {
    const rows = rowsAt(this.#rows, indices);
    const encoding =
      rows.rows.length === this.#rows.rows.length ? this.#encoding : await inTurns(this.#encoding.ofRowsSteps(rows));
    const numbers = await inTurns(numbersOf(rows, encoding));
    const { labels } = this;
    const own = labels && Float64Array.from(indices, (i) => labels[i]);
    await turn();
    const fitted = await fitRecipe({ ...this.#recipe, seed }, numbers, own, onShare);
    await turn();
    return new FittedTable(fitted, encoding, rows, numbers, this.#recipe);
  }

  async fold(fitted: FittedTable, test: readonly number[], rest: readonly number[]): Promise<Fold> {
    const model = await inTurns(fitted.at(1));
    const numbers = await inTurns(numbersOf(rowsAt(this.#rows, test), model.encoding));
    const at = (temperature: number) => fitted.at(temperature);
    return { model, numbers, indices: test, baseline: this.baseline(rest), at, validation: fitted.validation };
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
    const { functionVariance } = model.predictEncoded(part.x.data as Float64Array, part.unusual);
    largest = functionVariance.reduce((a, b) => Math.max(a, b), largest);
    yield;
  }
  return largest;
}

/** A model of some rows, and how it came about. */
class FittedTable {
  /** Models that were made, by their temperatures. */
  readonly #models = new Map<number, TableModel>();
  readonly #fitted: Fitted;
  readonly #encoding: TableEncoding;
  readonly #rows: Rows;
  readonly #numbers: Numbers;
  readonly #approximation: TableModel["approximation"];

  constructor(fitted: Fitted, encoding: TableEncoding, rows: Rows, numbers: Numbers, { learning }: Recipe) {
    [this.#fitted, this.#encoding, this.#rows, this.#numbers] = [fitted, encoding, rows, numbers];
    this.#approximation = learning.approximation;
  }

  /** The model with this temperature of its posterior, in steps. */
  *at(temperature: number): Steps<TableModel> {
    const known = this.#models.get(temperature);
    if (known !== undefined) return known;
    const fitted = this.#fitted.posterior;
    const posterior = temperature === fitted.temperature ? fitted : fitted.with({ temperature });
    const withNoise = yield* withGaps(posterior, this.#encoding, this.#numbers);
    const { partial } = this.#fitted;
    // With many columns the rows that the weights were fitted to say little of others.
    const shared = { encoding: this.#encoding, approximation: this.#approximation };
    const largest = Math.max(
      yield* largestVariance(tableModel({ posterior, ...shared }), this.#numbers),
      yield* largestVariance(
        tableModel({ posterior: partial.posterior.with({ temperature }), ...shared }),
        partial.validation,
      ),
    );
    const model = tableModel({ ...withNoise, approximation: this.#approximation, farVariance: FAR * largest });
    this.#models.set(temperature, model);
    return model;
  }

  /** The temperature that the validation part chooses. */
  *temperature(): Steps<number> {
    if (this.#encoding.target.kind === "number") return 1;
    const { posterior, validation } = this.#fitted.partial;
    const partial = tableModel({ posterior, encoding: this.#encoding, approximation: this.#approximation });
    return chooseTemperature([yield* lossesByTemperature({ model: partial, numbers: validation })]);
  }

  /** Rows that said when to stop. */
  get validation(): number {
    return this.#fitted.partial.validation.rows;
  }

  shared(test: number) {
    const { course, posterior: tuned } = this.#fitted;
    const { validation } = this;
    return {
      course,
      tuned,
      training: this.#rows,
      trainingNumbers: this.#numbers,
      counts: { train: this.#numbers.rows, validation, test },
    };
  }
}
