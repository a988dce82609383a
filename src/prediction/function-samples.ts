// Draws of a function's values: together at all inputs, or at each input from one base noise.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkBytes, newFloats } from "../errors.ts";
import { allocateFloats, copyOut, copyTo, later, scope } from "../kernels/memory.ts";
import type { ExamplesReport, Steps } from "../kernels/steps.ts";
import { semidefiniteRoot } from "../likelihood/logit-draws.ts";
import { pushForward } from "../network/passes.ts";
import { type Contraction, none, runInSteps } from "../network/run.ts";
import type { SampleOptions } from "../posterior/sampling.ts";
import { cutFor, wholeRoute } from "./cuts.ts";
import { eachFunction } from "./functions.ts";
import type { Linearised } from "./linearised.ts";
import type { Draws } from "./prediction.ts";

/** Options of a posterior's `functionSamples`. */
export interface FunctionSampleOptions extends SampleOptions {
  /**
   * Whether the draws at all inputs share one base noise (default false): f(x) + L(x) ε, L(x) the Cholesky factor of the
   * covariance at x, with the same ε [C] everywhere. Curves are as smooth as mean and covariance are, and right at each input
   * alone, but not together: between inputs they know no covariance.
   */
  readonly shared?: boolean | undefined;
}

/** The inputs of n draws, and room for these, [n, B · C]; beside them there will be [n, weights]. */
function roomFor(where: string, { net }: Linearised, x: ArrayLike, n: number, memoryBudget: number, weights = 0) {
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const size = inputs.shape[0] * outputs;
  for (const length of [size, weights]) checkBytes(where, [n, length], memoryBudget, "Fewer draws need less.");
  return { inputs, outputs, size, result: newFloats(where, [n, size]) };
}

/** Draws of all function values together from the linearised posterior, [n, B, C]. */
export function* functionSamples(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  { samples: n, seed, memoryBudget }: Draws,
): Steps<NDArray, ExamplesReport> {
  const { net } = posterior;
  const { inputs, outputs, size, result } = roomFor(where, posterior, x, n, memoryBudget, posterior.size);
  const draws = yield* posterior.deviations(n, new Random(seed));
  // What is below the weights that are uncertain does not move.
  const moving = new Set(posterior.selection.siteList);
  const drawn: Contraction<void> = {
    begin({ forward, start, count }) {
      for (let s = 0; s < n; s++) {
        scope(() => {
          const way = allocateFloats(net.dtype, net.parameterCount);
          later(() => copyTo(net.dtype, way, posterior.embed(draws, s)));
          const moved = pushForward(forward, way, 0, moving);
          later(() => {
            const f = copyOut(net.dtype, forward.outputs, count * outputs);
            const df = copyOut(net.dtype, moved, count * outputs);
            for (let i = 0; i < f.length; i++) result[s * size + start * outputs + i] = f[i] + df[i];
          });
        });
      }
    },
    finish() {},
  };
  const { length } = cutFor(posterior, wholeRoute(outputs), "tangent");
  yield* runInSteps(where, posterior.model, [{ inputs }], none, drawn, "parameters", { length });
  return new NDArray(result, [n, inputs.shape[0], ...net.outputShape]);
}

/** Draws of the function's values that share one base noise [n, C] among all inputs, [n, B, C]. */
export function* sharedFunctionSamples(
  where: string,
  posterior: Linearised,
  x: ArrayLike,
  { samples: n, seed, memoryBudget }: Draws,
): Steps<NDArray, ExamplesReport> {
  const { inputs, outputs, size, result } = roomFor(where, posterior, x, n, memoryBudget);
  const random = new Random(seed);
  const noise = newFloats(where, [n, outputs]);
  for (let i = 0; i < noise.length; i++) noise[i] = random.normal();
  const asked = { needs: "covariance", route: wholeRoute(outputs), memoryBudget } as const;
  yield* eachFunction(where, posterior, inputs, asked, ({ batch, first, mean, covariance }) => {
    const blocks = covariance as Float64Array;
    for (let b = 0; b < batch; b++) {
      const root = semidefiniteRoot(blocks.subarray(b * outputs ** 2, (b + 1) * outputs ** 2), outputs);
      for (let s = 0; s < n; s++) {
        for (let c = 0; c < outputs; c++) {
          let value = mean[b * outputs + c];
          for (let k = 0; k <= c; k++) value += root[c * outputs + k] * noise[s * outputs + k];
          result[s * size + (first + b) * outputs + c] = value;
        }
      }
    }
  });
  return new NDArray(result, [n, inputs.shape[0], ...posterior.net.outputShape]);
}
