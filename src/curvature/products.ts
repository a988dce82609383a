// The curvature times a vector, without the matrix: one tangent forward, one column back.

import { type ArrayLike, asArray, NDArray, shapeText, zeros } from "../array/ndarray.ts";
import { readDataset } from "../data/dataset.ts";
import { batchesOf, checkData, type Data } from "../data/read.ts";
import { checkBudget, type MemoryOptions } from "../derivatives/budget.ts";
import { GradientSum } from "../derivatives/totals.ts";
import { checkOptions, ShapeError, ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, type FloatArray, type Pointer, scope } from "../kernels/memory.ts";
import type { Columns, Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/read.ts";
import type { Network } from "../network/network.ts";
import { type Outputs, outputsOf } from "../network/outputs.ts";
import { checkValues, eachPart } from "../network/parts.ts";
import { Backward, pushForward } from "../network/passes.ts";
import type { Weights } from "../structures/selection.ts";
import { type CurvatureKind, type Plan, readPlan } from "./accumulate.ts";
import { columnCount, streamsOf, writeColumns } from "./columns.ts";

/** Options of `curvatureProduct`. */
export interface CurvatureProductOptions extends MemoryOptions {
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
 * Σ_n Σ_k J_nᵀ c_nk (c_nkᵀ J_n v) (Schraudolph 2002). The matrix itself is never formed.
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
  const where = "curvatureProduct";
  checkOptions(where, options, ["curvature", "monteCarloSamples", "seed", "weights", "memoryBudget"]);
  const { memoryBudget, weights, ...rest } = options;
  const plan = readPlan(where, net, likelihood, { ...rest, weights, structure: "diagonal" });
  checkData(where, data);
  checkBudget(where, [net.parameterCount], net, memoryBudget, "The product is as long as the parameters.");
  const selected = weights === undefined ? undefined : plan.selection;
  const direction = readDirection(where, plan, v, selected !== undefined);
  const result = zeros([net.parameterCount], { dtype: net.dtype });
  const randoms = streamsOf(plan);
  scope(() => {
    const sum = new GradientSum(net.graph, net.dtype, selected && [...selected.sites().keys()]);
    const tangent = copyIn(net.dtype, direction);
    let examples = 0;
    for (const batch of batchesOf(where, data)) {
      const { x, y } = readDataset(where, batch);
      const inputs = net.readInputs(where, x);
      const targets = plan.likelihood.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
      addBatch(where, plan, { inputs, targets, start: examples }, tangent, randoms, (backward) => sum.add(backward));
      examples += inputs.shape[0];
    }
    sum.copyTo(result.data);
  });
  if (selected === undefined) return result;
  const product = new NDArray(selected.arrange(selected.take(result.data), true), [selected.size]);
  return product.as(net.dtype);
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
  const direction = new Float64Array(net.parameterCount);
  const arranged = selection.arrange(Float64Array.from(data));
  selection.indices().forEach((place, i) => {
    direction[place] = arranged[i];
  });
  return direction;
}

/** One batch of the data, from its first example's number on. */
interface Batch {
  readonly inputs: NDArray;
  readonly targets: NDArray;
  readonly start: number;
}

/** Pulls w = Σ_k c_k (c_kᵀ J v) back from every part of a batch. */
function addBatch(
  where: string,
  plan: Plan,
  { inputs, targets, start }: Batch,
  tangent: Pointer,
  randoms: ReturnType<typeof streamsOf>,
  visit: (backward: Backward) => void,
): void {
  const { net } = plan;
  const { dtype } = net;
  const kernels = kernelsFor(dtype);
  const outputs = net.graph.output.size;
  const columns = columnCount(plan);
  const most = Math.min(columns, COLUMNS_AT_ONCE);
  const columnsOf = (f: Outputs, t: Pointer, some: Columns): Pointer => {
    if (plan.kind !== "empiricalFisher") return writeColumns(plan, f, t, some, randoms);
    const to = allocateFloats(dtype, f.batch * f.outputs);
    plan.likelihood.gradient(f, t, 1, to);
    return to;
  };
  const extra = 2 * (most + 2) * outputs + GradientSum.numbers(net.graph, dtype);
  eachPart(net, inputs, 2, extra, (part) => {
    checkValues(where, { ...part, start: start + part.start });
    const n = part.count * outputs;
    const f = outputsOf(part);
    const t = copyIn(dtype, targets.data.subarray(part.start * outputs, part.start * outputs + n));
    const moved = pushForward(part.forward, tangent, 0);
    const w = allocateFloats(dtype, n);
    kernels.fill(n, 0, w);
    const dots = allocateFloats(dtype, part.count);
    const scaled = allocateFloats(dtype, n);
    for (let first = 0; first < columns; first += most) {
      const count = Math.min(most, columns - first);
      scope(() => {
        const c = columnsOf(f, t, { first, count });
        for (let k = 0; k < count; k++) {
          const column = c + k * n * bytesPerElement(dtype);
          kernels.dotRows(part.count, outputs, column, moved, dots, false);
          kernels.scaleRows(part.count, outputs, column, dots, 1, scaled);
          kernels.copyRows(1, n, scaled, n, w, n, true);
        }
      });
    }
    visit(new Backward(part.forward, w, 1, "parameters"));
  });
}
