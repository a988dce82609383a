// Options of a curvature, checked: a plan.

import type { ArrayLike } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { checkChoice, checkInteger, OptionError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { type Curvature, type Rank, type Sharing, type Structure, structures } from "../structures/curvature.ts";
import { hasBasis } from "../structures/eigenblocks.ts";
import { type Selection, select, type Weights } from "../structures/selection.ts";
import type { Solver } from "../structures/solver.ts";
import type { Own, PassOptions } from "../structures/structure.ts";
import { broughtHessian, checkWeights, kinds, rowNamed } from "../structures/table.ts";
import type { inputSums } from "./input-sums.ts";

/**
 * Which matrix: by the columns that are pulled back, Λ^½ (the generalised Gauss-Newton matrix, exactly), gradients at targets drawn from the
 * likelihood (the same in the mean), or gradients at the data's own targets (the empirical Fisher, which is neither;
 * Kunstner et al. 2019, arXiv:1905.12558). For these likelihoods the first is the Fisher matrix (Martens 2020,
 * arXiv:1412.1193). Or the exact "hessian", second derivatives of the loss, which may have negative eigenvalues.
 */
export type CurvatureKind = "ggn" | "monteCarlo" | "empiricalFisher" | "hessian";

/** What is computed, and how. */
export interface CurvatureOptions {
  /** How the matrix is stored (default: "full" up to 1000 weights and for single weights, "kronecker" beyond). */
  structure?: Structure | undefined;
  /** Which weights it is over (default "all"; frozen ones stay out). */
  weights?: Weights | undefined;
  /** Which matrix (default "ggn"). */
  curvature?: CurvatureKind | undefined;
  /** Draws for each example of "monteCarlo" (default 1); the other kinds draw nothing, and refuse the option. */
  monteCarloSamples?: number | undefined;
  /** Seed of those draws, and of drawn `points` (default 0); nothing else looks at it. */
  seed?: number | undefined;
  /**
   * How positions that share a weight count in Kronecker factors (Eschenhagen et al. 2023, arXiv:2311.00636): each as an
   * example of its own ("expand", default), or added up before ("reduce"). The same where a layer has one position. Grouped
   * convolutions have factors for each group. Scales, shifts and the biases of transposed convolutions are whole blocks.
   * Only "kronecker" and "ekfac" have factors: the other structures are exact, and do not look at it.
   */
  sharing?: Sharing | undefined;
  /**
   * How many eigenvalues "lowRank" keeps (default "auto": as many as leave out at most a hundredth of the trace, at most 100), or
   * features "functional" (default "auto": all of its points). The other structures do not look at it.
   */
  rank?: Rank | undefined;
  /**
   * Inputs, [M, ...inputs], that "functional" needs: those of the data, some of them, or others; or how many of the data's own are
   * drawn at random by the option `seed`. The posterior learns of the data what moves the outputs there. The other structures do not
   * look at it.
   */
  points?: ArrayLike | number | undefined;
  /** How "operator" answers: `solver({ … })`. */
  solver?: Solver | undefined;
  /** Eigenbases for "ekfac", or factors A for "kfoc", from another fit; without it, passes of their own find them. */
  basis?: Curvature | undefined;
}

/** Where data lie among all. */
export interface PlaceOptions {
  /**
   * The place of the first example in all the data (default 0), for shards: the draws of "monteCarlo" go by an example's place,
   * so that shards have those of one pass. The other kinds do not look at it.
   */
  first?: number | undefined;
}

/** @throws OptionError */
export function readPlace(where: string, { first = 0 }: PlaceOptions): number {
  checkInteger(where, "first", first, 0);
  return first;
}

export const curvatureOptionNames: readonly string[] = [
  "structure",
  "weights",
  "curvature",
  "monteCarloSamples",
  "seed",
  "sharing",
  "rank",
  "points",
  "solver",
  "basis",
];

/** A plan: options after all checks. */
export interface Plan extends Own {
  readonly net: Network;
  readonly likelihood: Likelihood;
  readonly selection: Selection;
  readonly structure: Structure;
  readonly kind: CurvatureKind;
  readonly samples: number;
  readonly seed: number;
  readonly sharing: Sharing;
  readonly rank: Rank;
  readonly basis: Curvature | undefined;
  readonly rows?: PassOptions["rows"];
  /** What is kept of the inputs; missing where nobody will ask. */
  readonly inputs?: typeof inputSums | undefined;
}

/** What was found once for plans that are alike but for numbers, by their options. */
const known = new WeakMap<Selection, WeakMap<Likelihood, Alike[]>>();
/** Results that are kept of alike plans at most: sizes of data are among their names. */
const MOST_KNOWN = 100;
/** The same of each plan: it is asked many times in a fit, and a small fit takes a tenth of a millisecond. */
const ofPlan = new WeakMap<Plan, Map<string, unknown>>();

/** The options that plans have in common, and the results that are kept of them. */
interface Alike {
  readonly options: readonly unknown[];
  readonly results: Map<string, unknown>;
}

/** The results that are kept of plans like this one. */
function resultsOf(plan: Plan): Map<string, unknown> {
  const own = ofPlan.get(plan);
  if (own !== undefined) return own;
  const { net, selection, likelihood, structure, kind, samples, sharing, rank, points, drawn, rows, basis } = plan;
  const size = points?.shape[0] ?? drawn ?? rows;
  const options = [net.dtype, structure, kind, samples, sharing, rank, size, basis !== undefined];
  const ofSelection = known.get(selection) ?? new WeakMap<Likelihood, Alike[]>();
  known.set(selection, ofSelection);
  const all = ofSelection.get(likelihood) ?? [];
  ofSelection.set(likelihood, all);
  let found = all.find((alike) => alike.options.every((option, i) => option === options[i]));
  if (found === undefined) {
    if (all.length >= MOST_KNOWN) all.length = 0;
    found = { options, results: new Map() };
    all.push(found);
  }
  ofPlan.set(plan, found.results);
  return found.results;
}

/** What follows from the options of a plan, whatever its numbers, and a name: made once. */
export function once<Result>(plan: Plan, name: string, make: () => Result): Result {
  const results = resultsOf(plan);
  const found = results.get(name);
  if (found !== undefined || results.has(name)) return found as Result;
  const result = make();
  if (results.size >= MOST_KNOWN) results.clear();
  results.set(name, result);
  return result;
}

/** The number of weights up to which the whole matrix is the default. */
const FULL_UP_TO = 1000;

/** Checks the options but for those of one structure; the likelihood is read once the network is known to be one. @throws OptionError, ShapeError */
export function readPlan(
  where: string,
  net: Network,
  read: () => Likelihood,
  options: CurvatureOptions,
  inputs?: Plan["inputs"],
): Plan {
  checkIsNetwork(where, net);
  const likelihood = read();
  const selection = select(where, net, options.weights);
  const {
    curvature: kind = "ggn",
    monteCarloSamples: samples = 1,
    seed = 0,
    sharing = "expand",
    rank = "auto",
    basis,
  } = options;
  const structure = options.structure ?? (selection.size <= FULL_UP_TO || !selection.whole ? "full" : "kronecker");
  checkChoice(where, "structure", structure, structures);
  checkChoice(where, "curvature", kind, kinds());
  checkInteger(where, "monteCarloSamples", samples, 1);
  checkInteger(where, "seed", seed, 0);
  checkChoice(where, "sharing", sharing, ["expand", "reduce"]);
  if (rank !== "auto") checkInteger(where, "rank", rank, 1);
  if (options.monteCarloSamples !== undefined && kind !== "monteCarlo") {
    throw new OptionError(`${where}: monteCarloSamples is for the curvature "monteCarlo", not "${kind}".`);
  }
  if (likelihood.observed === true && kind === "monteCarlo") {
    throw new OptionError(
      `${where}: the curvature "monteCarlo" is the information in the mean over drawn targets, but the likelihood "${likelihood.name}" has curvature: "observed". Leave "monteCarlo" out, or define the likelihood with curvature: "expected".`,
    );
  }
  if (kind === "hessian") broughtHessian().check(where, structure, likelihood, net.graph);
  checkWeights(where, structure, selection);
  if (basis !== undefined) {
    const { options, takesBasis } = rowNamed(structure);
    if (!options.includes("basis") || !hasBasis(basis) || takesBasis?.(basis) === false) {
      throw new OptionError(
        `${where}: a basis is for "ekfac" or "kfoc", and comes from a "kronecker" curvature or its own.`,
      );
    }
    if (!basis.selection.equals(selection)) throw new OptionError(`${where}: the basis is over other weights.`);
  }
  return { net, likelihood, selection, structure, kind, samples, seed, sharing, rank, basis, inputs };
}

/** A plan that is carried out, with what its structure alone needs. @throws OptionError, ShapeError, ValueError */
export function withOwn(where: string, plan: Plan, options: CurvatureOptions & MemoryOptions): Plan {
  const { readOwn } = rowNamed(plan.structure);
  return readOwn === undefined ? plan : { ...plan, ...readOwn(where, plan.net, options) };
}
