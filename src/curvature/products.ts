// The curvature times a vector, without the matrix: one tangent forward, one column back.

import { type ArrayLike, asArray, NDArray, shapeText, zeros } from "../array/ndarray.ts";
import { checkData, type Data } from "../data/batches.ts";
import { checkBudget, type MemoryOptions } from "../derivatives/budget.ts";
import { lossGradient, weighted } from "../derivatives/cotangents.ts";
import { sum } from "../derivatives/results.ts";
import { addAlong, hessianProduct } from "../derivatives/second.ts";
import { checkOptions, ShapeError, ValueError } from "../errors.ts";
import { allocateFloats, copyTo, type DType, type FloatArray, type Pointer, scope } from "../kernels/memory.ts";
import { asynchronously, type ExamplesReport, type InBursts, reporting, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { readLikelihood, type Task } from "../likelihood/tasks.ts";
import { nodeNumbers } from "../network/graph.ts";
import type { Network } from "../network/network.ts";
import type { Site } from "../network/parameters.ts";
import { pushForward } from "../network/passes.ts";
import { type Batch, type Columns, type Run, run, runInSteps } from "../network/run.ts";
import { bringAll } from "../structures/all.ts";
import { spread, type Weights } from "../structures/selection.ts";
import { targetedBatches } from "./accumulate.ts";
import { type CurvatureKind, type PlaceOptions, type Plan, readPlace, readPlan } from "./plan.ts";
import { columnsOf } from "./root-columns.ts";

/** Options of `curvatureProduct`. */
export interface CurvatureProductOptions extends MemoryOptions, PlaceOptions {
  /** Which matrix (default "ggn"). */
  curvature?: CurvatureKind | undefined;
  /** Draws for each example of "monteCarlo" (default 1). */
  monteCarloSamples?: number | undefined;
  /** Seed of those draws (default 0). */
  seed?: number | undefined;
  /**
   * Which weights the matrix is over, as for `laplace`: frozen ones stay out, and v and the product are [S], in the order in
   * which the option names parameters or positions. Without it, all parameters, frozen ones too, [P].
   */
  weights?: Weights | undefined;
}

/** Columns that are in memory at once. */
const COLUMNS_AT_ONCE = 64;

/**
 * The generalised Gauss-Newton matrix or a Fisher matrix of the summed loss at unit noise times a vector:
 * Σ_n Σ_k J_nᵀ c_nk (c_nkᵀ J_n v) (Schraudolph 2002); or the Hessian times a vector (Pearlmutter 1994). The matrix itself is never
 * formed.
 * @param data { x, y }, or batches such as a DataLoader's, over which it is summed
 * @param v [P] over all parameters, or with the option `weights` [S] over those, in its order
 * @returns of the same shape and order, in the network's type
 * @throws ShapeError, ValueError for bad data; OptionError; MemoryBudgetError
 */
export function curvatureProduct(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  v: ArrayLike,
  options: CurvatureProductOptions = {},
): NDArray {
  const product = productOf(net, likelihood, data, v, options);
  return product.finish(run(...product.run));
}

/** `curvatureProduct` in bursts, with turns of the event loop between them. @throws as `curvatureProduct`; the signal's reason */
export async function curvatureProductAsync(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  v: ArrayLike,
  options: InBursts<CurvatureProductOptions> = {},
): Promise<NDArray> {
  return asynchronously("curvatureProduct", options, (rest) => productSteps(net, likelihood, data, v, rest));
}

/** `curvatureProduct` in steps. */
export function* productSteps(...given: Required<Parameters<typeof curvatureProduct>>): Steps<NDArray, ExamplesReport> {
  const product = productOf(...given);
  return product.finish(yield* runInSteps(...product.run));
}

/** What gives the product over all parameters, and what takes the selected ones. */
function productOf(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  v: ArrayLike,
  options: CurvatureProductOptions,
) {
  const where = "curvatureProduct";
  checkOptions(where, options, ["curvature", "monteCarloSamples", "seed", "weights", "first", "memoryBudget"]);
  const { memoryBudget, weights, first, ...rest } = options;
  bringAll();
  const plan = readPlan(where, net, () => readLikelihood(where, likelihood, net), {
    ...rest,
    weights,
    structure: "diagonal",
  });
  checkData(where, data);
  checkBudget(where, [net.parameterCount], net, memoryBudget, "The product is as long as the parameters.");
  const selected = weights === undefined ? undefined : plan.selection;
  const direction = readDirection(where, plan, v, selected !== undefined);
  const result = zeros([net.parameterCount], { dtype: net.dtype });
  const sites = selected?.siteList;
  const finish = (whole: NDArray): NDArray => {
    if (selected === undefined) return whole;
    return new NDArray(selected.arrange(selected.take(whole.data), true), [selected.size]).as(net.dtype);
  };
  const batches = targetedBatches(where, plan, data);
  const run =
    plan.kind === "hessian"
      ? hessianRun(where, plan, batches, direction, result, sites)
      : ggnRun(where, plan, batches, direction, result, sites, readPlace(where, { first }));
  return { run, finish };
}

/** v over all parameters; other weights than the selected ones are 0. */
function readDirection(where: string, { net, selection }: Plan, v: ArrayLike, some: boolean): FloatArray {
  if (!some) return asArray(net.readVector(where, "the vector", v)).data;
  const { data, shape } = asArray(v);
  if (shape.length !== 1 || shape[0] !== selection.size) {
    throw new ShapeError(
      `${where}: expected a vector [${selection.size}] over the selected weights, got shape ${shapeText(shape)}.`,
    );
  }
  const bad = data.findIndex((entry) => !Number.isFinite(entry));
  if (bad >= 0) throw new ValueError(`${where}: the vector has the value ${data[bad]} at [${bad}].`);
  return spread(selection, selection.arrange(Float64Array.from(data)));
}

/**
 * The product of a plan's curvature with a vector [P], in steps: the selected weights' part, [S].
 * @param first the place of the first example in all the data
 */
export function* productInSteps(
  where: string,
  plan: Plan,
  batches: Iterable<Batch>,
  direction: FloatArray,
  first = 0,
): Steps<Float64Array> {
  const { net, selection } = plan;
  const result = zeros([net.parameterCount], { dtype: net.dtype });
  const run =
    plan.kind === "hessian"
      ? hessianRun(where, plan, batches, direction, result, selection.siteList)
      : ggnRun(where, plan, batches, direction, result, selection.siteList, first);
  const product = yield* reporting(runInSteps(...run), () => undefined);
  return selection.take(product.data);
}

type ProductOf = [
  where: string,
  plan: Plan,
  batches: Iterable<Batch>,
  direction: FloatArray,
  result: NDArray,
  sites: readonly Site[] | undefined,
];

function hessianRun(...[where, { net, likelihood }, batches, direction, result, sites]: ProductOf): Run<NDArray> {
  const { nodes, output } = net.graph;
  const gradient = weighted(lossGradient(likelihood, 1), 1);
  const along = hessianProduct(likelihood, net, direction, result, sites);
  // Values and cotangents with their tangents, and columns of Λ^½.
  const numbers = 8 * nodeNumbers(nodes) + 2 * (COLUMNS_AT_ONCE + 2) * output.size;
  return [where, net, batches, gradient, along, "parameters", { numbers }];
}

/** By columns of Λ^½. @param first the place of the first example in all the data */
function ggnRun(
  ...[where, plan, batches, direction, result, sites, first]: [...ProductOf, first: number]
): Run<NDArray> {
  const { net } = plan;
  const { nodes, output } = net.graph;
  const columns = weighted(columnsOf(plan, first), 0.5);
  const most = Math.min(columns.count(output.shape), COLUMNS_AT_ONCE);
  const contraction = sum(net, result, { sites });
  // Values with their tangents and cotangents, and columns.
  const numbers = 6 * nodeNumbers(nodes) + 2 * (most + 2) * output.size + (contraction.scratch ?? 0);
  const along = combined(columns, most, net.dtype, direction);
  return [where, net, batches, along, contraction, "parameters", { numbers }];
}

/** The one column w = Σ_k c_k (c_kᵀ J v). */
function combined(each: Columns, most: number, dtype: DType, direction: FloatArray): Columns {
  let tangent: Pointer = 0;
  return {
    count: () => 1,
    open(hold) {
      tangent = hold(dtype, direction.length);
      copyTo(dtype, tangent, direction);
    },
    write(part, _, w) {
      const { forward, count: batch } = part;
      const { size, shape } = forward.graph.output;
      const n = batch * size;
      const moved = pushForward(forward, tangent, 0);
      forward.kernels.fill(n, 0, w);
      const total = each.count(shape);
      for (let first = 0; first < total; first += most) {
        const count = Math.min(most, total - first);
        scope(() => {
          const c = allocateFloats(dtype, count * n);
          each.write(part, { first, count }, c);
          addAlong(forward, size, c, count, moved, w);
        });
      }
    },
  };
}
