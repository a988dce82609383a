// How what is predicted changes with the inputs: ∂f/∂x, and of the variance v_c = J_c P⁻¹ J_cᵀ of each output twice the derivative of
// J_c(x) w with w = P⁻¹ J_cᵀ held as it is, the tangent of a pullback along w.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { unit } from "../derivatives/cotangents.ts";
import { checkBytes, checkOptions, newFloats, readBudget } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyOut,
  copyOutTo,
  copyTo,
  type FloatArray,
  later,
  scope,
} from "../kernels/memory.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
import { Backward, Forward } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";
import { type Contraction, runInSteps } from "../network/run.ts";
import { checkSecondRules, pushThrough } from "../network/second.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { float64Rows } from "../structures/jacobian-rows.ts";
import { solveRows } from "../structures/precision.ts";
import { cutFor, wholeRoute } from "./cuts.ts";
import type { Linearised } from "./linearised.ts";

/** The function at each input, and its derivatives there. */
export interface InputGradients {
  /** f(x), [B, ...outputs]. */
  readonly functionMean: NDArray;
  /** What the weights leave open of it, [B, ...outputs]. */
  readonly functionVariance: NDArray;
  /** ∂ functionMean / ∂x, [B, ...outputs, ...inputs]. */
  readonly meanGradient: NDArray;
  /** ∂ functionVariance / ∂x, the same shape. */
  readonly varianceGradient: NDArray;
}

/**
 * Mean and variance of the function at each input under the linearised network, and their derivatives in the inputs: of a
 * regression those of the target, whose variance has a constant more. The variance's come of second derivatives of the network, one pass for
 * each input and output.
 * @param x [B, ...inputs] @throws ShapeError, ValueError for bad inputs; LaplaceError for layers without second derivatives, or
 *   inputs that are tokens; MemoryBudgetError for results beyond the budget
 */
export function inputGradients(posterior: Linearised, x: ArrayLike, options: MemoryOptions = {}): InputGradients {
  return atOnce(inputGradientSteps("inputGradients", posterior, x, options));
}

/** `inputGradients` in bursts. @throws as `inputGradients`; the signal's reason */
export async function inputGradientsAsync(
  posterior: Linearised,
  x: ArrayLike,
  options: InBursts<MemoryOptions> = {},
): Promise<InputGradients> {
  return asynchronously("inputGradients", options, (rest) => inputGradientSteps("inputGradients", posterior, x, rest));
}

/** The steps of `inputGradients`. */
export function* inputGradientSteps(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  options: MemoryOptions,
): Steps<InputGradients, ExamplesReport> {
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["memoryBudget"]);
  const memoryBudget = readBudget(where, options.memoryBudget);
  const { net, selection } = posterior;
  const { input, output } = net.graph;
  checkSecondRules(where, net.graph, "the derivative of a variance");
  const inputs = net.readInputs(where, x);
  const [batch] = inputs.shape;
  const [outputs, width] = [output.size, input.size];
  checkBytes(where, [batch, outputs, width], memoryBudget, "Fewer inputs at once need less.");
  const [mean, variance] = [0, 1].map(() => newFloats(where, [batch, outputs]));
  const [slopes, bends] = [0, 1].map(() => newFloats(where, [batch, outputs, width]));
  const precision = yield* posterior.factoring("rows");
  const moving = new Set(selection.siteList);
  let start = 0;
  const contraction: Contraction<void> = {
    begin(part) {
      start = part.start;
      const { forward, count } = part;
      const from = start * outputs;
      later(() => mean.set(copyOut(forward.dtype, forward.outputs, count * outputs), from));
    },
    add(backward) {
      const { forward, columns, batch: count } = backward;
      const first = start * columns;
      later(() => spread(copyOut(backward.dtype, backward.cotangent(input), columns * count * width), count, first));
      const n = count * columns;
      const [rows, given] = [0, 1].map(() => float64Rows(backward, selection));
      solveRows(precision, rows, n);
      const squares = allocateFloats("float64", n);
      kernelsFor("float64").dotRows(n, posterior.size, rows, given, squares, false);
      later(() => copyOutTo("float64", squares, n, variance, first));
      for (let b = 0; b < count; b++) {
        const one = exampleOf(forward, b);
        for (let c = 0; c < columns; c++) {
          const row = b * columns + c;
          scope(() => {
            const way = allocateFloats(forward.dtype, net.parameterCount);
            later(() => {
              const w = copyOut("float64", rows + 8 * row * posterior.size, posterior.size) as Float64Array;
              copyTo(forward.dtype, way, posterior.embed(w, 0));
            });
            const bend = inputBend(one, c, way, moving);
            if (bend === 0) return;
            later(() => {
              const values = copyOut(forward.dtype, bend, width);
              for (let i = 0; i < width; i++) bends[(first + row) * width + i] = 2 * values[i];
            });
          });
        }
      }
    },
    finish() {},
  };
  /** Columns come as [C, B, ...inputs]. */
  const spread = (values: FloatArray, count: number, first: number) => {
    for (let c = 0; c < outputs; c++) {
      for (let b = 0; b < count; b++) {
        const at = (c * count + b) * width;
        slopes.set(values.subarray(at, at + width), (first + b * outputs + c) * width);
      }
    }
  };
  const { length } = cutFor(posterior, wholeRoute(outputs), "rows");
  // Rows are there twice, and values of a single example beside them.
  const most = Math.max(1, Math.floor(length / 3));
  yield* runInSteps(where, posterior.model, [{ inputs }], unit(), contraction, "inputs", { length: most });
  const shaped = (values: Float64Array, rest: readonly number[]) =>
    new NDArray(values, [batch, ...net.outputShape, ...rest]);
  return {
    functionMean: shaped(mean, []),
    functionVariance: shaped(variance, []),
    meanGradient: shaped(slopes, net.inputShape),
    varianceGradient: shaped(bends, net.inputShape),
  };
}

/** One example of a part, with its values where they are. */
function exampleOf(forward: Forward, b: number): Forward {
  const { graph, dtype, theta, buffers } = forward;
  const value = (node: Node) => forward.value(node) + b * node.size * bytesPerElement(dtype);
  const kept = { forward: { value, buffers }, changes: () => false };
  return new Forward(graph, dtype, theta, value(graph.input), 1, { kept });
}

/** ∂/∂x of J_c(x) w, [inputs]; 0 where no weight and input go together. */
function inputBend(one: Forward, c: number, way: number, moving: Parameters<typeof pushThrough>[2]): number {
  const { graph, dtype, kernels } = one;
  const { size } = graph.output;
  const column = allocateFloats(dtype, size);
  kernels.fill(size, 0, column);
  kernels.fill(1, 1, column + c * bytesPerElement(dtype));
  const backward = new Backward(one, column, 1, "inputs");
  return pushThrough(backward, way, moving, (_, to) => kernels.fill(size, 0, to)).cotangents[graph.input.id];
}
