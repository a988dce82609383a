// How much each column matters: what rows that were held out lose where the column's values are exchanged among them, with the standard
// error of that loss (permutation importance: Breiman 2001; Fisher, Rudin & Dominici 2019).

import { inputNames, NDArray, Random, type TableModel, tableScores } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { pairedMeans } from "../model/paired.ts";
import { drawsOf, type Numbers, partsOf, predictionWork, take } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { lossesAt, saidOfClasses } from "./probability-power.ts";

/** How much a column matters. */
export interface Importance {
  readonly name: string;
  /** By so much the loss of a row rises without what the column says of it: of numbers the CRPS, in the target's units, of classes −log p. */
  readonly rise: number;
  readonly standardError: number;
}

/** Predictions that may be made for it, about how many multiplications they may take, and the fewest rows that say something. */
const [MOST_PREDICTIONS, MOST_WORK, FEWEST_ROWS] = [6000, 1.5e9, 20];

/**
 * The importance of columns, the greatest first; none with few rows. Values are exchanged within a fold, among the rows of which the same cells are
 * missing or not, so that a row keeps its gaps.
 * @param columns their names, in an order in which the last are left out where there are many
 */
export async function importanceOf(
  folds: readonly Fold[],
  columns: readonly string[],
  seed: number,
): Promise<Importance[]> {
  const total = folds.reduce((sum, { numbers }) => sum + numbers.rows, 0);
  if (total < FEWEST_ROWS || columns.length === 0) return [];
  const most = Math.max(1, Math.floor(MOST_PREDICTIONS / Math.min(total, 500)));
  const looked = columns.slice(0, most);
  const work = folds.reduce((sum, { model, numbers }) => {
    return sum + predictionWork(model.posteriors) * numbers.gaps.reduce((all, gaps) => all + drawsOf(gaps), 0);
  }, 0);
  const few = Math.min(MOST_PREDICTIONS / total, MOST_WORK / work) / (looked.length + 1);
  const share = Math.min(1, Math.max(few, FEWEST_ROWS / total));
  const random = new Random(seed);
  const gains = looked.map((): number[] => []);
  const weights: number[] = [];
  const weighted = folds.some(({ numbers }) => numbers.weights !== undefined);
  for (const { model, numbers } of folds) {
    const places = random.permutation(numbers.rows).slice(0, Math.max(2, Math.round(share * numbers.rows)));
    const own = take(numbers, Array.from(places));
    if (own.rows < 2) continue;
    const before = await lossesOf(model, own);
    for (let i = 0; i < own.rows; i++) weights.push(own.weights?.data[i] ?? 1);
    for (const [j, name] of looked.entries()) {
      const after = await lossesOf(model, exchanged(own, model, name, random));
      for (let i = 0; i < own.rows; i++) gains[j].push(after[i] - before[i]);
    }
  }
  return looked
    .map((name, j) => {
      const own = gains[j];
      const { difference, standardError } = pairedMeans(
        own,
        new Array<number>(own.length).fill(0),
        weighted ? weights : undefined,
      );
      return { name, rise: difference, standardError };
    })
    .sort((a, b) => b.rise - a.rise);
}

/** Rows in which each has the values of a column of another. */
function exchanged(numbers: Numbers, { encoding }: TableModel, name: string, random: Random): Numbers {
  let [first, count, at] = [0, 0, 0];
  for (const column of encoding.columns) {
    const { length } = inputNames(column);
    if (column.name === name) [first, count] = [at, length];
    at += length;
  }
  const width = encoding.inputs.length;
  const x = Float64Array.from(numbers.x.data);
  const groups = new Map<string, number[]>();
  for (const i of random.permutation(numbers.rows)) {
    const key = numbers.gaps[i].join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  // Along a circle in a random order: no row keeps its own, unless it is alone.
  for (const group of groups.values()) {
    for (const [k, i] of group.entries()) {
      const from = group[(k + 1) % group.length];
      for (let j = first; j < first + count; j++) x[i * width + j] = numbers.x.data[from * width + j];
    }
  }
  return { ...numbers, x: new NDArray(x, numbers.x.shape) };
}

/** The CRPS of numbers, which far misses do not rule as they do −log p; of classes −log p of the truth; row by row. */
async function lossesOf(model: TableModel, numbers: Numbers): Promise<number[]> {
  // Without gaps probabilities are enough, which no covariances are needed for.
  if (model.encoding.target.kind === "classes" && numbers.gaps.every(({ length }) => length === 0)) {
    return Array.from(lossesAt(await inTurns(saidOfClasses(model, numbers)), model.probabilityPower));
  }
  const losses: number[] = [];
  for (const part of partsOf(numbers, model.posterior)) {
    const predicted = model.predictEncoded(part.x.data as Float64Array, part.unusual, part.gaps, false);
    const truth = Array.from(part.y.data, (y: number) => model.encoding.ofTarget(y));
    const own =
      model.encoding.target.kind === "number"
        ? tableScores(predicted, truth).crps
        : truth.map((label, i) => -(predicted.logProbabilities?.at(i, label) ?? 0));
    losses.push(...own);
    await turn();
  }
  return losses;
}
