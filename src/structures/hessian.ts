// The exact Hessian of the structures that keep one: their passes, and precisions of what may have negative eigenvalues.

import { checkCurve } from "../derivatives/second.ts";
import { IndefiniteHessianError, NotPositiveDefiniteError, OptionError } from "../errors.ts";
import { oneStep, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { eighInSteps } from "../linalg/in-steps.ts";
import type { Graph } from "../network/graph.ts";
import { checkSecondRules } from "../network/second.ts";
import { type Curvature, type Rank, type Structure, sum, symmetric } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { diagonalPrecision } from "./diagonal/precision.ts";
import { EigenpairsCurvature, transposed } from "./eigenpairs.ts";
import { FullCurvature } from "./full/curvature.ts";
import { fullPrecision } from "./full/precision.ts";
import { hessianSums } from "./hessian-sums.ts";
import { LowRankPrecision, whitenedPairs } from "./lowrank/precision.ts";
import { signedPasses } from "./lowrank/signed.ts";
import type { Precision, PrecisionOptions } from "./precision.ts";
import type { Prior } from "./prior.ts";
import { multiplied } from "./products.ts";
import type { Selection } from "./selection.ts";
import { type Pass, passOf } from "./structure.ts";

/** What passes depend on. */
interface Planned {
  readonly structure: Structure;
  readonly likelihood: Likelihood;
  readonly selection: Selection;
  readonly rank: Rank;
}

const passes: Partial<Record<Structure, (plan: Planned) => readonly Pass[]>> = {
  full: ({ likelihood }) => [
    passOf(({ selection }) =>
      hessianSums(likelihood, selection, "all", function* (sums, examples) {
        return new FullCurvature(selection, examples, yield* symmetric(sums, selection.size));
      }),
    ),
  ],
  diagonal: ({ likelihood }) => [
    passOf(({ selection }) =>
      hessianSums(likelihood, selection, "own", (sums, examples) =>
        oneStep(() => {
          const values = new Float64Array(selection.size);
          sums(0, selection.size, values, 0);
          return new DiagonalCurvature(selection, examples, values);
        }),
      ),
    ),
  ],
  lowRank: ({ likelihood, selection, rank }) => signedPasses(likelihood, selection, rank),
};

/** A matrix whose eigenvalues are what they are, below 0 too. */
class SignedCurvature extends FullCurvature {
  #signed: Float64Array | undefined;

  override *eigenvalues(): Steps<Float64Array> {
    this.#signed ??= (yield* eighInSteps(this.matrix, this.size, false)).values;
    return this.#signed;
  }
}

const signed = new WeakMap<Curvature, SignedCurvature>();

interface Clipped {
  readonly curvature: Curvature;
  readonly count: number;
}

const known = new WeakMap<Curvature, Clipped>();

function* clip(curvature: Curvature): Steps<Clipped> {
  const { selection, examples, size } = curvature;
  if (curvature instanceof DiagonalCurvature) {
    const values = curvature.values.map((x) => Math.max(x, 0));
    const count = curvature.values.filter((x) => x < 0).length;
    return { curvature: new DiagonalCurvature(selection, examples, values), count };
  }
  if (curvature instanceof EigenpairsCurvature) {
    const { values } = yield* curvature.eigen();
    return { curvature, count: values.filter((x) => x < 0).length };
  }
  const { matrix } = curvature as FullCurvature;
  const { values, vectors } = yield* eighInSteps(matrix, size, true);
  // What rounding made negative is not counted.
  const rounding = size * 2 ** -52 * Math.max(Math.abs(values[0]), Math.abs(values[size - 1]));
  const count = values.filter((x) => x < -rounding).length;
  // H + Σ |λ| v vᵀ over the negative ones, whose vectors are columns.
  const negative = values.filter((x) => x < 0).length;
  const columns = transposed(transposed(vectors, size).subarray(0, negative * size), size);
  const weighed = columns.map((x, i) => -values[i % negative] * x);
  const added = multiplied(weighed, size, columns, size, negative);
  return { curvature: new FullCurvature(selection, examples, sum(matrix, added)), count };
}

/** Factors P of eigenpairs. @throws IndefiniteHessianError */
function* pairsPrecision(curvature: EigenpairsCurvature, h: number, prior: Prior, clip = false): Steps<Precision> {
  const { values, vectors } = yield* curvature.eigen();
  const used = { values: clip ? values.map((x) => Math.max(x, 0)) : values, vectors };
  const pairs = yield* whitenedPairs(used, h, prior);
  const lowest = (of: Float64Array) => of.reduce((a, b) => Math.min(a, b), 0);
  if (lowest(pairs.values) > -1) return new LowRankPrecision(curvature, prior, pairs);
  let [low, high] = [h * lowest(values), 0];
  if (prior.structure === "scalar") throw new IndefiniteHessianError(low + prior.precision[0]);
  // Of several prior precisions it is the t at which the precision less t loses its definiteness.
  for (let k = 0; k < 45; k++) {
    const t = 0.5 * (low + high);
    const shifted = prior.with(prior.spread().map((x) => x - t));
    if (lowest((yield* whitenedPairs(used, h, shifted)).values) > -1) low = t;
    else high = t;
  }
  throw new IndefiniteHessianError(low);
}

/** The exact Hessian, as fits take it. */
export const hessian = {
  /** @throws OptionError for a structure or a likelihood without one; LaplaceError for a layer without a second rule */
  check(where: string, structure: Structure, likelihood: Likelihood, graph: Graph): void {
    if (passes[structure] === undefined) {
      const fitting = Object.keys(passes).map((name) => `"${name}"`);
      throw new OptionError(
        `${where}: the curvature "hessian" has no structure "${structure}". Structures that fit: ${fitting.join(", ")}.`,
      );
    }
    checkCurve(where, likelihood);
    checkSecondRules(where, graph);
  },
  /** Its negative eigenvalues, of "diagonal" its negative entries, set to 0, and how many they were: found once. */
  *clipped(curvature: Curvature): Steps<Clipped> {
    const found = known.get(curvature) ?? (yield* clip(curvature));
    known.set(curvature, found);
    return found;
  },
  /** Factors P = h H + P₀, of the clipped H if asked for. @throws IndefiniteHessianError */
  *precision(curvature: Curvature, h: number, prior: Prior, { clip }: PrecisionOptions): Steps<Precision> {
    if (curvature instanceof EigenpairsCurvature) return yield* pairsPrecision(curvature, h, prior, clip);
    const used = clip ? (yield* hessian.clipped(curvature)).curvature : curvature;
    const delta = prior.spread();
    if (used instanceof DiagonalCurvature) {
      const least = used.values.reduce((low, x, i) => Math.min(low, h * x + delta[i]), Number.POSITIVE_INFINITY);
      if (!(least > 0)) throw new IndefiniteHessianError(least);
      return diagonalPrecision(used, h, prior);
    }
    const whole =
      signed.get(used) ?? new SignedCurvature(used.selection, used.examples, (used as FullCurvature).matrix);
    signed.set(used, whole);
    const precision = yield* fullPrecision(whole, h, prior, { damping: false });
    let least = prior.structure === "scalar" ? h * (yield* whole.eigenvalues())[0] + delta[0] : 1;
    try {
      if (least > 0) yield* precision.prepare("determinant");
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      [least] = (yield* eighInSteps(yield* precision.dense(), used.size, false)).values;
    }
    if (!(least > 0)) throw new IndefiniteHessianError(least);
    return precision;
  },
  /** Whether a structure can keep one. */
  takes: (structure: Structure): boolean => passes[structure] !== undefined,
  /** The passes of a fit. */
  passes: (plan: Planned): readonly Pass[] => (passes[plan.structure] as (plan: Planned) => readonly Pass[])(plan),
};
