// Encodings of some rows of one table, and the models that posteriors of these rows make together.

import { NDArray, type Steps, type TableEncoding, type TableModel, tableModel, ValueError } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Baseline, baselineOf } from "../model/metrics.ts";
import {
  cellsAt,
  drawsOf,
  type Numbers,
  numbersOf,
  partsOf,
  predictionWork,
  type Rows,
  rowsAt,
  tableOf,
  take,
} from "../model/rows.ts";
import { randomSplit, type Split } from "../model/splits.ts";
import { inTurns, turn } from "../turn.ts";
import type { Lanes } from "./lanes.ts";
import { withLevelEffects } from "./level-effects.ts";
import type { Prepared } from "./members.ts";
import { onBestScale, type Scaling, scalingOf } from "./target-scales.ts";

/** A row is far from the training data if the function's variance there is so many times the largest of known rows. */
const FAR = 1.5;
/** Predictions that are made for it, of at least so many rows, and about how many multiplications they may take. */
const [FAR_ROWS, FEWEST_FAR_ROWS, FAR_WORK] = [4096, 100, 2e8];

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
  readonly #weights: Float64Array | undefined;
  readonly #scaling: Scaling | undefined;

  /**
   * @param split how rows are held out (default: at random)
   * @param lanes who tries scales of the target (default: it is learned as it is)
   * @param weights how much each row counts (default: each once)
   */
  constructor(rows: Rows, encoding: TableEncoding, split?: Split, lanes?: Lanes, weights?: Float64Array) {
    this.#rows = rows;
    this.#encoding = encoding;
    this.#weights = weights;
    const { target } = encoding;
    const at = rows.names.indexOf(target.name);
    this.#truth = Float64Array.from(cellsAt(rows, at), (cell) => encoding.encodeTarget(cell) ?? 0);
    this.#scaling = lanes && scalingOf(encoding, this.#truth, lanes);
    this.split = split ?? randomSplit(target.kind === "classes" ? this.#truth : undefined, rows.rows.length);
  }

  /** Some of the rows as numbers, encoded by themselves. */
  async prepare(indices: readonly number[]): Promise<Prepared> {
    const [prepared] = await this.prepareAll([indices]);
    return prepared;
  }

  /**
   * Several choices of the rows, each by itself: what tries scales of their target does so for all of them at once.
   * @param nameOf what a choice is called where its rows cannot be encoded
   */
  async prepareAll(
    choices: readonly (readonly number[])[],
    nameOf: (choice: number) => string = () => "the rows that are learned from",
  ): Promise<Prepared[]> {
    const encoded: Prepared[] = [];
    for (const [k, indices] of choices.entries()) {
      try {
        encoded.push(await this.#encoded(indices));
      } catch (cause) {
        if (!(cause instanceof ValueError)) throw cause;
        throw new ValueError(`fit: ${nameOf(k)}: ${cause.message.replace("ofRows: ", "")}`, { cause });
      }
    }
    const scaling = this.#scaling;
    return scaling === undefined ? encoded : Promise.all(encoded.map((own) => onBestScale(own, scaling)));
  }

  async #encoded(indices: readonly number[]): Promise<Prepared> {
    const rows = rowsAt(this.#rows, indices);
    const encoding =
      rows.rows.length === this.#rows.rows.length
        ? this.#encoding
        : await inTurns(this.#encoding.ofRowsSteps(tableOf(rows)));
    const numbers = this.#weighted(await inTurns(numbersOf(rows, encoding)), indices);
    await turn();
    const divide = (share: number, seed: number) => this.split.divide(indices, share, seed);
    const effects = await inTurns(withLevelEffects(rows, encoding, numbers));
    return { rows, ...effects, divide };
  }

  /** What a model is judged by: rows that it has not seen. */
  async fold(model: TableModel, validation: number, test: readonly number[], rest: readonly number[]): Promise<Fold> {
    const numbers = await this.numbers(test, model.encoding);
    return { model, numbers, indices: test, baseline: this.baseline(rest), validation };
  }

  /** Some of the rows as another encoding has them. */
  async numbers(indices: readonly number[], encoding: TableEncoding): Promise<Numbers> {
    return this.#weighted(await inTurns(numbersOf(rowsAt(this.#rows, indices), encoding)), indices);
  }

  /** How much some of the rows count; undefined where each counts once. */
  weightsOf(indices: readonly number[]): NDArray | undefined {
    const all = this.#weights;
    return (
      all &&
      new NDArray(
        Float64Array.from(indices, (i) => all[i]),
        [indices.length],
      )
    );
  }

  #weighted(numbers: Numbers, indices: readonly number[]): Numbers {
    const weights = this.weightsOf(indices);
    return weights === undefined ? numbers : { ...numbers, weights };
  }

  baseline(indices: readonly number[]): Baseline {
    const { target } = this.#encoding;
    const own = indices.map((i) => this.#truth[i]);
    const weights = this.weightsOf(indices)?.data;
    if (target.kind === "classes") return baselineOf(own, target.classes.length, weights);
    return baselineOf(
      own.map((y) => this.#encoding.ofTarget(y)),
      target.counts ? "counts" : 0,
      weights,
    );
  }
}

/** The largest variance of the function of some rows. */
export function* largestVariance(model: TableModel, numbers: Numbers): Steps<number> {
  const most = Math.min(FAR_ROWS, FAR_WORK / predictionWork(model.posteriors));
  const looked: number[] = [];
  for (let i = 0, count = 0; i < numbers.rows && (count < most || i < FEWEST_FAR_ROWS); i++) {
    looked.push(i);
    count += drawsOf(numbers.gaps[i]);
  }
  const seen = take(numbers, looked);
  let largest = 0;
  for (const part of partsOf(seen, model.posterior)) {
    const { functionVariance } = model.predictEncoded(part.x.data as Float64Array, part.unusual, part.gaps, false);
    largest = functionVariance.reduce((a, b) => Math.max(a, b), largest);
    yield;
  }
  return largest;
}
