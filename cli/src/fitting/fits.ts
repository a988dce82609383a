// Fits of candidates side by side, and the mixture that a part of the rows chooses.

import { NotPositiveDefiniteError, type TableEncoding, type TableModel } from "laplace-ts";
import type { Fold, HeldOutRows } from "../model/held-out.ts";
import { type Numbers, take } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";
import { inTurns } from "../turn.ts";
import type { Fitter } from "./fitter.ts";
import { GivenUp } from "./given-up.ts";
import { HeldOutMeans } from "./held-out-means.ts";
import type { Importance } from "./importance.ts";
import { type Job, type Outcome, workOf } from "./jobs.ts";
import { type Lanes, Unwanted } from "./lanes.ts";
import { thinned } from "./many-rows.ts";
import { type Member, modelOf, type Prepared } from "./members.ts";
import { type Candidate, type Mix, mixOf } from "./portfolio.ts";
import { lossesByScale } from "./scales.ts";

/** What rows that were held out say of a model, beside its losses. */
export interface Told {
  readonly heldOut: HeldOutRows;
  readonly importance: readonly Importance[];
}

/** The relevance of an encoding's inputs, where it is known. */
export interface KnownRelevance {
  readonly encoding: TableEncoding;
  readonly relevance: readonly number[] | undefined;
}

/** How rows are judged. */
export interface Judging {
  readonly fitter: Fitter;
  readonly candidates: readonly Candidate[];
  readonly scales: readonly number[];
  /** Whether scales are chosen by the mixture that they make. */
  readonly together: boolean;
  readonly approximation: TableModel["approximation"];
  /** Rows. */
  readonly n: number;
  readonly seed: number;
  readonly folds: number;
  /** Whether fewer of them are judged where all would take long. */
  readonly fewerFolds: boolean;
  /** The share that is held out, instead of folds. */
  readonly single: number | undefined;
  /** How rows were chosen, in words. */
  readonly how: string;
  /** Whether models are to be kept that say what intervals and sets need to hold their level. */
  readonly guarantee?: boolean | undefined;
  /** Who does the jobs, several at once. */
  readonly lanes: Lanes;
  readonly onProgress: (stage: string, share: number) => void;
  /** Finds out what rows say that were held out. */
  readonly tell: (folds: readonly Fold[], known: KnownRelevance) => Promise<Told>;
}

/** What is done where jobs fail. */
interface FailureHooks {
  /** Of each job a number: where one fails, those of the same number that have not begun are left out, undefined too. */
  readonly alike?: readonly number[];
  /** Hears of each that failed. */
  readonly failed?: (job: number, error: NotPositiveDefiniteError) => void;
}

/**
 * Does jobs side by side, as many as there are lanes, the longest first, so that no lane is idle long at the end; their outcomes in their order, undefined where a curvature was no longer a
 * positive matrix, as that of noises that shrink to nothing. @param onShare of all of them
 * @param hooks what is to be done of failures
 * @param after what is found out of an outcome here, while other lanes go on
 */
export async function doAll(
  { lanes }: Judging,
  jobs: readonly Job[],
  onShare: (share: number, job: number) => void,
  { alike, failed }: FailureHooks = {},
  after?: (outcome: Outcome, job: number) => Promise<void>,
): Promise<(Outcome | undefined)[]> {
  const shares = jobs.map(() => 0);
  const out = new Set<number>();
  const found: (Outcome | undefined)[] = new Array(jobs.length).fill(undefined);
  const work = jobs.map(workOf);
  const longestFirst = jobs.map((_, j) => j).sort((a, b) => work[b] - work[a]);
  await Promise.all(
    longestFirst.map(async (j) => {
      try {
        const outcome = await lanes.do(
          jobs[j],
          (share) => {
            shares[j] = share;
            onShare(shares.reduce((sum, own) => sum + own, 0) / jobs.length, j);
          },
          () => alike === undefined || !out.has(alike[j]),
        );
        found[j] = outcome;
        await after?.(outcome, j);
      } catch (error) {
        shares[j] = 1;
        if (error instanceof Unwanted) return;
        if (alike !== undefined) out.add(alike[j]);
        if (!(error instanceof NotPositiveDefiniteError)) throw error;
        failed?.(j, error);
      }
    }),
  );
  return found;
}

/** The part of rows that says when to stop, or chooses, and the others; of many rows a sample. */
export const divisionOf = ({ divide }: Pick<Prepared, "divide">, share: number, seed: number): Division =>
  thinned(divide(share, seed), seed);

/** A mixture that a part of the rows chose among fits to the others. */
export interface MixByShare {
  readonly mix: Mix;
  readonly trials: readonly (Outcome | undefined)[];
  readonly division: Division;
  readonly validation: Numbers;
}

/** Fits every candidate to all rows but a part, which chooses the mixture. @throws ValueError where none can be fitted */
export async function mixByShare(
  judging: Judging,
  prepared: Prepared,
  { seed, share }: { readonly seed: number; readonly share: number },
  onShare: (share: number, job: number) => void,
): Promise<MixByShare> {
  const { candidates } = judging;
  const { numbers } = prepared;
  const division = divisionOf(prepared, share, seed);
  const validation = take(numbers, division.part);
  const jobs = candidates.map(({ recipe }) => ({ recipe: { ...recipe, seed }, numbers, division, partial: true }));
  const givenUp = new GivenUp();
  const failed = (c: number, error?: NotPositiveDefiniteError) =>
    givenUp.add(candidates[c].name, "a trial on a part of the rows", error);
  const trials = await doAll(judging, jobs, onShare, { failed });
  const mix = await mixBy(judging, prepared, trials, validation);
  if (mix.losses.every((loss) => loss === Number.POSITIVE_INFINITY)) {
    for (const c of candidates.keys()) failed(c);
    throw givenUp.error();
  }
  return { mix, trials, division, validation };
}

/** The mixture that rows choose among fits to others, one of each candidate; undefined where there is none. */
export async function mixBy(
  { candidates, scales, together, approximation }: Judging,
  prepared: Prepared,
  fits: readonly (Outcome | undefined)[],
  rows: Numbers,
): Promise<Mix> {
  const losses: (Float64Array[] | undefined)[][] = [];
  for (const fit of fits) losses.push([fit && (await lossesOf(fit, prepared, approximation, rows))]);
  const families = candidates.map(({ family }) => family);
  const mix = mixOf(losses, scales, { families, together, weights: [rows.weights?.data] });
  return new HeldOutMeans([{ fits, prepared, rows }], approximation).weigh(mix);
}

/** −log p of rows by one fit, at each scale; undefined where its curvature is so close to singular that nothing is predicted. */
export async function lossesOf(
  { posterior }: Outcome,
  prepared: Prepared,
  approximation: TableModel["approximation"],
  rows: Numbers,
): Promise<Float64Array[] | undefined> {
  try {
    const model = await inTurns(modelOf([{ posterior, weight: 1, scale: 1 }], prepared, approximation));
    return await inTurns(lossesByScale(model, rows));
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) return undefined;
    throw error;
  }
}

/** The members that a mixture has of one fit of each candidate. */
export function membersOf({ weights, scales, meanWeights }: Mix, fits: readonly (Outcome | undefined)[]): Member[] {
  return fits.flatMap((fit, c) =>
    fit !== undefined && weights[c] > 0
      ? [{ posterior: fit.posterior, weight: weights[c], scale: scales[c], meanWeight: meanWeights?.[c] }]
      : [],
  );
}
