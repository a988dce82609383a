// One fit of one candidate to one set of rows: a job by itself, of recipes, numbers and places alone, so that jobs can be done side
// by side. What it gives is as plain, but for the posterior, which `savePosterior` makes bytes of.

import type { Posterior } from "laplace-ts";
import { type Numbers, take } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";
import { type EvidenceRecipe, fitByEvidence, skipWeights } from "./by-evidence.ts";
import { type FeaturesRecipe, featuresWeights, fitFeatures, severalClasses } from "./by-features.ts";
import { type Course, fitRecipe, type OnShare, type RoundsRecipe, rowPasses, tryRecipe } from "./recipe.ts";

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

/** Weights that a recipe learns from so many inputs. */
export function weightsOf(recipe: Recipe, inputs: number): number {
  const { outputs } = recipe.learning;
  if (recipe.by === "features") return featuresWeights(inputs, outputs, recipe.features);
  if (recipe.by === "evidence") return skipWeights(inputs, recipe.varying ? 2 * outputs : outputs, recipe.width);
  const sizes = [inputs, ...recipe.hidden, outputs];
  return sizes.slice(1).reduce((sum, size, i) => sum + (sizes[i] + 1) * size, 0);
}

/** Steps that a fit takes, about: of small networks, of features whose prior is found, of those whose prior is known. */
const [STEPS, FEATURES_STEPS, KNOWN_STEPS] = [30, 50, 8];
/** Products with the features that a softmax regression over them takes, about. */
const PRODUCTS = 1800;
/** What eigenvectors of the inputs' factor take, in parts of its cube, and columns of the curvature in all rounds, in parts of the weights. */
const [DECOMPOSED, COLUMNS] = [30, 25];

/** About how many multiplications a job is, to begin with the longest. */
export function workOf({ recipe, numbers, division, rounds, partial }: Job): number {
  const rows = partial ? division.rest.length : numbers.rows;
  const weights = weightsOf(recipe, numbers.x.shape[1]);
  const { outputs } = recipe.learning;
  if (recipe.by === "rounds") {
    const most = rounds ?? recipe.rounds + (partial ? 0 : 1);
    const curvature = recipe.structure === "kronecker" ? DECOMPOSED * numbers.x.shape[1] ** 3 : 0;
    const columns = COLUMNS * rows * outputs * weights;
    return 6 * weights * rowPasses({ ...recipe, rounds: most }, rows, weights) + columns + curvature;
  }
  if (recipe.by === "features" && severalClasses(recipe.learning)) return PRODUCTS * rows * weights;
  const own = recipe.by === "evidence" && recipe.varying ? 2 * outputs : outputs;
  const step = rows * own * weights ** 2 + weights ** 3;
  if (recipe.by === "evidence") return STEPS * step;
  return (recipe.precision === undefined ? FEATURES_STEPS : KNOWN_STEPS) * step;
}

/**
 * Multiplications from which on a fit by first order takes long, whatever its rows, and, of so many rows that a part of them tells enough, one by
 * first order and one of features.
 */
const [LONG, LONG_ENOUGH, LONG_FEATURES, TELLING_ROWS] = [1.2e10, 1e9, 6e8, 400];

/** Whether a job takes so long that it must be worth it: features of several classes sooner, since they are tried with several priors. */
export function takesLong(job: Job): boolean {
  const { recipe, numbers } = job;
  const rounds = recipe.by === "rounds";
  if (!rounds && !(recipe.by === "features" && severalClasses(recipe.learning))) return false;
  const work = workOf(job);
  return (rounds && work > LONG) || (numbers.rows >= TELLING_ROWS && work > (rounds ? LONG_ENOUGH : LONG_FEATURES));
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
  const { posterior, course } = trial;
  if (partial) return { posterior, course, validation };
  // What the part taught is one round more, of all rows.
  const found = await fitRecipe(recipe, numbers, 1, (share) => onShare((1 + share) / 2), trial.begun);
  return { posterior: found.posterior, course, validation };
}
