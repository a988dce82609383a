// What intervals and sets need that hold their level whatever the model, from the folds of a cross-validation or one held-out share: models
// none of which has seen the rows of its part, nor was chosen by them, and how unlike the predictions those rows are.

import {
  coverageByGroup,
  coverageBySlab,
  type Regions,
  type TableGuarantee,
  type TableModel,
  type TablePrediction,
  tableConformity,
  tableRegions,
  ValueError,
} from "laplace-ts";
import type { GroupCoverage, GuaranteeReport } from "../model/report-data.ts";
import { type Numbers, partsOf, type Rows, take } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { divisionOf, doAll, type Judging, membersOf, mixByShare } from "./fits.ts";
import type { Outcome } from "./jobs.ts";
import { modelOf, type Prepared } from "./members.ts";
import { VALIDATION_SHARE } from "./recipe.ts";

/** A model, and rows that it has not seen and that chose nothing of it. */
export interface Unseen {
  readonly model: TableModel;
  readonly numbers: Numbers;
  /** Places of these rows among all. */
  readonly indices: readonly number[];
}

/** Of the rows of a fit, those that choose the mixture. */
const CHOOSING_SHARE = 0.25;

/**
 * The model that rows make by themselves. In the cross-validation the mixture of a fold is chosen by the other folds, whose models have
 * seen its rows; here by a part of its own rows.
 * @param outcomes of the candidates, fitted to these rows, where they were
 * @throws ValueError where nothing could be fitted
 */
export async function modelByRest(
  judging: Judging,
  prepared: Prepared,
  outcomes: readonly (Outcome | undefined)[],
  seed: number,
  onShare: (share: number) => void,
): Promise<TableModel> {
  const { candidates, approximation } = judging;
  const { mix } = await mixByShare(judging, prepared, { seed, share: CHOOSING_SHARE }, (share) => onShare(share));
  const { numbers } = prepared;
  const missing = candidates.flatMap((_, c) => (mix.weights[c] > 0 && outcomes[c] === undefined ? [c] : []));
  const jobs = missing.map((c) => {
    const recipe = { ...candidates[c].recipe, seed };
    return { recipe, numbers, division: divisionOf(prepared, VALIDATION_SHARE, seed) };
  });
  const all = [...outcomes];
  // What was given up before for other rows is fitted now; what fails has no weight.
  const found = await doAll(judging, jobs, () => {});
  for (const [j, c] of missing.entries()) all[c] = found[j];
  const members = membersOf(mix, all);
  if (members.length === 0) throw new ValueError("fit: no candidate could be fitted for the guarantee.");
  return inTurns(modelOf(members, prepared, approximation));
}

/** The level of which coverage is said. */
const LEVEL = 0.9;

/** A guarantee of models and rows, and how often it holds. */
export interface Guaranteed {
  readonly guarantee: TableGuarantee<TableModel>;
  readonly report: GuaranteeReport;
}

/** @param rows all of the table */
export async function guaranteeOf(unseen: readonly Unseen[], rows: Rows): Promise<Guaranteed> {
  const scores: Float64Array[] = [];
  for (const { model, numbers } of unseen) {
    const own: number[] = [];
    for (const part of partsOf(numbers, model.posterior)) {
      own.push(...tableConformity(predictionOf(model, part), truthOf(model, part)));
      await turn();
    }
    scores.push(Float64Array.from(own));
  }
  const guarantee = { models: unseen.map(({ model }) => model), scores };
  return { guarantee, report: await reportOf(unseen, guarantee, rows) };
}

const predictionOf = (model: TableModel, { x, unusual, gaps }: Numbers): TablePrediction =>
  model.predictEncoded(x.data as Float64Array, unusual, gaps);

const truthOf = ({ encoding }: TableModel, { y }: Numbers) =>
  Array.from(y.data, (own: number) => encoding.ofTarget(own));

/** The coverage of CV+ that is sure, of K models and n rows (Barber, Candès, Ramdas & Tibshirani 2021, theorems 1 and 4); of one the level. */
export function sureCoverage(level: number, models: number, rows: number): number {
  if (models === 1) return level;
  const [K, n] = [models, rows];
  const lost = Math.min((2 * (1 - 1 / K)) / (n / K + 1), (1 - K / n) / (K + 1));
  return Math.max(0, 1 - 2 * (1 - level) - lost);
}

/** Parts of the rows of one model, each of which is held against the scores of the others. */
const PARTS = 5;
/** Columns of categories whose groups are told apart, groups of a column, and rows that a group needs. */
const [MOST_COLUMNS, MOST_GROUPS, FEWEST_ROWS] = [6, 10, 20];

/** How often regions hold the target, by groups of rows: each row's by the model that has not seen it, and the scores of the other parts. */
async function reportOf(
  unseen: readonly Unseen[],
  { scores }: TableGuarantee<TableModel>,
  rows: Rows,
): Promise<GuaranteeReport> {
  const all: { readonly index: number; readonly truth: number; readonly region: Region }[] = [];
  for (const [k, { model, numbers, indices }] of unseen.entries()) {
    const parts = unseen.length > 1 ? 1 : Math.min(PARTS, numbers.rows);
    for (let part = 0; part < parts; part++) {
      const places = indices.flatMap((_, i) => (i % parts === part ? [i] : []));
      const others =
        unseen.length > 1 ? joined(scores.filter((_, j) => j !== k)) : scores[0].filter((_, i) => i % parts !== part);
      const own = take(numbers, places);
      let at = 0;
      for (const piece of partsOf(own, model.posterior)) {
        const predicted = predictionOf(model, piece);
        const regions = tableRegions({ models: [model], scores: [others] }, [predicted], { level: LEVEL });
        const truth = truthOf(model, piece);
        for (let i = 0; i < piece.rows; i++)
          all.push({ index: indices[places[at++]], truth: truth[i], region: regionAt(regions, i) });
        await turn();
      }
    }
  }
  const truth = all.map((one) => one.truth);
  const regions: Regions =
    all[0].region.set === undefined
      ? { lower: all.map(({ region }) => region.lower ?? 0), upper: all.map(({ region }) => region.upper ?? 0) }
      : { sets: all.map(({ region }) => region.set ?? []) };
  const [whole] = coverageByGroup(regions, truth, new Float64Array(all.length));
  const { encoding } = unseen[0].model;
  const byColumn = encoding.columns
    .filter(({ kind }) => kind === "category")
    .slice(0, MOST_COLUMNS)
    .flatMap(({ name }): GroupCoverage[] => {
      const at = rows.names.indexOf(name);
      const groups = all.map(({ index }) => rows.rows[index][at].trim());
      const found = coverageByGroup(regions, truth, groups).filter(({ samples }) => samples >= FEWEST_ROWS);
      return found.length > MOST_GROUPS ? [] : found.map((one) => ({ ...one, by: name, group: String(one.group) }));
    });
  const { target } = encoding;
  const byClass =
    target.kind === "classes"
      ? coverageByGroup(regions, truth, truth)
          .filter(({ samples }) => samples >= FEWEST_ROWS)
          .slice(0, MOST_GROUPS)
          .map((one) => ({ ...one, by: target.name, group: target.classes[Number(one.group)] }))
      : [];
  const slabs = coverageBySlab(regions, truth, { slabs: Math.min(PARTS, all.length) });
  const size = target.kind === "classes" ? "classes in the set" : "the interval's width";
  const bySize = slabs.map(({ from, to, ...one }) => ({
    ...one,
    by: size,
    group: from === to ? text(from) : `${text(from)} to ${text(to)}`,
  }));
  return {
    level: LEVEL,
    models: unseen.length,
    sure: sureCoverage(LEVEL, unseen.length, all.length),
    ...whole,
    groups: [...bySize, ...byClass, ...byColumn],
  };
}

interface Region {
  readonly lower?: number | undefined;
  readonly upper?: number | undefined;
  readonly set?: readonly number[] | undefined;
}

const regionAt = ({ lower, upper, sets }: ReturnType<typeof tableRegions>, i: number): Region => ({
  lower: lower?.[i],
  upper: upper?.[i],
  set: sets?.[i],
});

const joined = (all: readonly Float64Array[]) => Float64Array.from(all.flatMap((own) => Array.from(own)));

const text = (value: number) => (Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "endless");
