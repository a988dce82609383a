// One fit of one candidate to one set of rows: a job by itself, of recipes, numbers and places alone, so that jobs can be done side
// by side. What it gives is as plain, but for the posterior, which `savePosterior` makes bytes of.

import type { Posterior } from "laplace-ts";
import { type Numbers, take } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";
import { type EvidenceRecipe, fitByEvidence } from "./by-evidence.ts";
import { type FeaturesRecipe, fitFeatures } from "./by-features.ts";
import { type Course, fitRecipe, type OnShare, type RoundsRecipe, tryRecipe } from "./recipe.ts";

/** A way to fit rows. */
export type Recipe = RoundsRecipe | EvidenceRecipe | FeaturesRecipe;

/** What is to be done. */
export interface Job {
  readonly recipe: Recipe;
  readonly numbers: Numbers;
  /** The part of the rows that says when to stop, where the recipe needs it, and the others. */
  readonly division: Division;
  /** How many rounds were found to be enough before; undefined where that is to be found out. */
  readonly rounds?: number | undefined;
  /** Whether only the rows outside of the part are learned from. */
  readonly partial?: boolean;
}

/** What was fitted. */
export interface Outcome {
  readonly posterior: Posterior;
  readonly course: Course;
  /** The log evidence per row. */
  readonly evidence: number;
  /** Rows that said when to stop. */
  readonly validation: number;
  /** Of each input, where the prior has a precision for each. */
  readonly relevance?: readonly number[];
}

/** Does a job. */
export async function doJob(job: Job, onShare: OnShare): Promise<Outcome> {
  const found = await fitted(job, onShare);
  const { posterior } = found;
  return { ...found, evidence: posterior.logMarginalLikelihood() / posterior.examples };
}

async function fitted({ recipe, numbers, division, rounds, partial }: Job, onShare: OnShare) {
  if (recipe.by !== "rounds") {
    const rows = partial ? take(numbers, division.rest) : numbers;
    const found = recipe.by === "evidence" ? fitByEvidence(recipe, rows, onShare) : fitFeatures(recipe, rows, onShare);
    return { ...(await found), validation: 0 };
  }
  const validation = division.part.length;
  if (rounds !== undefined && !partial) {
    return { ...(await fitRecipe(recipe, numbers, rounds, onShare)), validation };
  }
  const trial = await tryRecipe(recipe, numbers, division, (share) => onShare(partial ? share : share / 2));
  if (partial) return { ...trial, validation };
  const found = await fitRecipe(recipe, numbers, trial.course.rounds, (share) => onShare((1 + share) / 2));
  return { posterior: found.posterior, course: trial.course, validation };
}
