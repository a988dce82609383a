// The curvature times a vector, without the matrix: one tangent forward, one column back.

import { type ArrayLike, asArray, NDArray } from "../array/ndarray.ts";
import { readDataset } from "../data/dataset.ts";
import { contractSum } from "../derivatives/contractions.ts";
import { checkOptions } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, type Pointer, scope } from "../kernels/memory.ts";
import type { Columns, Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/read.ts";
import type { Network } from "../network/network.ts";
import { type Outputs, outputsOf } from "../network/outputs.ts";
import { checkValues, eachPart } from "../network/parts.ts";
import { Backward, pushForward } from "../network/passes.ts";
import { type CurvatureKind, readPlan } from "./accumulate.ts";
import { columnCount, streamsOf, writeColumns } from "./columns.ts";

/** Options of `curvatureProduct`. */
export interface CurvatureProductOptions {
  /** Which matrix (default "ggn"). */
  curvature?: CurvatureKind | undefined;
  /** Draws for each example of "monteCarlo" (default 1). */
  monteCarloSamples?: number | undefined;
  /** Seed of those draws (default 0). */
  seed?: number | undefined;
}

/** Columns that are in memory at once. */
const COLUMNS_AT_ONCE = 64;

/**
 * The generalised Gauss-Newton matrix or a Fisher matrix of the summed loss at unit noise, over all parameters, times a
 * vector: Σ_n Σ_k J_nᵀ c_nk (c_nkᵀ J_n v) (Schraudolph 2002). The matrix itself is never formed.
 * @param v [P], over all parameters, frozen ones too
 * @returns [P], in the network's type
 * @throws ShapeError, ValueError for bad data; OptionError
 */
export function curvatureProduct(
  net: Network,
  likelihood: Likelihood | Task,
  data: { readonly x: ArrayLike; readonly y: ArrayLike },
  v: ArrayLike,
  options: CurvatureProductOptions = {},
): NDArray {
  const where = "curvatureProduct";
  checkOptions(where, options, ["curvature", "monteCarloSamples", "seed"]);
  const plan = readPlan(where, net, likelihood, { ...options, structure: "diagonal" });
  const direction = net.readVector(where, "the vector", v);
  const { x, y } = readDataset(where, data);
  const inputs = net.readInputs(where, x);
  const targets = plan.likelihood.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
  const { dtype } = net;
  const outputs = net.graph.output.size;
  const columns = columnCount(plan);
  const most = Math.min(columns, COLUMNS_AT_ONCE);
  const randoms = streamsOf(plan);
  const columnsOf = (f: Outputs, t: Pointer, some: Columns): Pointer => {
    if (plan.kind !== "empiricalFisher") return writeColumns(plan, f, t, some, randoms);
    const to = allocateFloats(dtype, f.batch * f.outputs);
    plan.likelihood.gradient(f, t, to);
    return to;
  };
  return scope(() => {
    const kernels = kernelsFor(dtype);
    const sum = allocateFloats(dtype, net.parameterCount);
    kernels.fill(net.parameterCount, 0, sum);
    const tangent = copyIn(dtype, asArray(direction).data);
    eachPart(net, inputs, 2, 2 * (most + 2) * outputs, (part) => {
      checkValues(where, part);
      const n = part.count * outputs;
      const f = outputsOf(part);
      const t = copyIn(dtype, targets.data.subarray(part.start * outputs, part.start * outputs + n));
      // w = Σ_k c_k (c_kᵀ J v)
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
      contractSum(new Backward(part.forward, w, 1, "parameters"), sum, true);
    });
    return new NDArray(copyOut(dtype, sum, net.parameterCount), [net.parameterCount]);
  });
}
