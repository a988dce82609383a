// Predictions: the posterior pushed through the linearised network, or through the network itself.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { defaultMemoryBudget } from "../derivatives/budget.ts";
import { checkBytes } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, floats, type Pointer, scope } from "../kernels/memory.ts";
import { Mixture } from "../likelihood/likelihood.ts";
import type { BinaryLink, ClassLink } from "../likelihood/links.ts";
import { checkValues, eachPart, type Part } from "../network/parts.ts";
import { Backward, Forward, pushForward } from "../network/passes.ts";
import { float64Rows } from "./full.ts";
import type { Posterior } from "./posterior.ts";

/** How a Gaussian over function values becomes a distribution of targets; which there are depends on the likelihood. */
export type Approximation = ClassLink | BinaryLink | "exact" | "network";

/** Options of `predict`. The likelihoods' docstrings say more of the approximations. */
export interface PredictOptions {
  /**
   * How the Gaussian over function values becomes a distribution of targets. Regression: "exact". Classes: "probit"
   * (default), "plugin", "bridge", "normalizedBridge", "meanField1", "meanField2", "monteCarlo". One logit: "probit",
   * "plugin", "quadrature", "monteCarlo". Counts: "exact", "plugin". Everywhere: "network", which draws weights and runs
   * the network itself.
   */
  readonly approximation?: Approximation | undefined;
  /** Draws of "monteCarlo" and "network" (default 100). */
  readonly samples?: number | undefined;
  /** Seed of the draws (default 0). */
  readonly seed?: number | undefined;
}

/** A prediction for B inputs, in float64; variances are in squared units of what they are of. */
export interface Prediction {
  /** The mean of the target, [B, ...outputs]: of classes, their probabilities. */
  readonly mean: NDArray;
  /** The variance of the target, noise included, [B, ...outputs]: of classes p (1 − p). */
  readonly variance: NDArray;
  /** The network's output: the mean of the function's value, [B, ...outputs]. */
  readonly functionMean: NDArray;
  /** The variance of the function's value: what the weights leave open, without noise, [B, ...outputs]. */
  readonly functionVariance: NDArray;
}

/** The Gaussian over function values at B inputs that the linearised network has under the posterior. */
export interface FunctionValues {
  readonly batch: number;
  readonly outputs: number;
  /** [B, C] */
  readonly mean: Float64Array;
  /** [B, C, C] */
  readonly covariance: Float64Array;
}

/** Unit columns, [C, B, C]. */
function unitColumns({ forward, count }: Part): Pointer {
  const { kernels, dtype, graph } = forward;
  const outputs = graph.output.size;
  const columns = allocateFloats(dtype, outputs * count * outputs);
  kernels.fill(outputs * count * outputs, 0, columns);
  const [memory, start] = [floats(dtype), columns / bytesPerElement(dtype)];
  for (let k = 0; k < outputs; k++) {
    for (let b = 0; b < count; b++) memory[start + (k * count + b) * outputs + k] = 1;
  }
  return columns;
}

/** f(x) and J P⁻¹ Jᵀ (Khan et al. 2019; Immer et al. 2021, arXiv:2008.08400). */
export function functionValues(where: string, posterior: Posterior, x: ArrayLike): FunctionValues {
  const { net, selection, factorised } = posterior;
  const inputs = net.readInputs(where, x);
  const batch = inputs.shape[0];
  const outputs = net.graph.output.size;
  const mean = new Float64Array(batch * outputs);
  const covariance = new Float64Array(batch * outputs * outputs);
  eachPart(posterior.model, inputs, outputs, factorised.scratch(outputs, 1, net.dtype), (part) => {
    checkValues(where, part);
    const { forward, start, count } = part;
    mean.set(copyOut(net.dtype, forward.outputs, count * outputs), start * outputs);
    const backward = new Backward(forward, unitColumns(part), outputs, selection.reaches);
    covariance.set(factorised.functionCovariance(backward), start * outputs * outputs);
  });
  return { batch, outputs, mean, covariance };
}

/** The covariance of all function values at once, [B C, B C]. */
export function jointCovariance(where: string, posterior: Posterior, x: ArrayLike): NDArray {
  const { net, selection, factorised } = posterior;
  const inputs = net.readInputs(where, x);
  const [batch, outputs, s] = [inputs.shape[0], net.graph.output.size, selection.size];
  const n = batch * outputs;
  for (const shape of [
    [n, n],
    [n, s],
  ]) {
    checkBytes(where, shape, defaultMemoryBudget, "Fewer inputs at once need less, without `joint` one at a time.");
  }
  const rows = new Float64Array(n * s);
  eachPart(posterior.model, inputs, outputs, 3 * outputs * s, (part) => {
    checkValues(where, part);
    const backward = new Backward(part.forward, unitColumns(part), outputs, selection.reaches);
    const part64 = float64Rows(backward, selection);
    rows.set(copyOut("float64", part64, part.count * outputs * s), part.start * outputs * s);
  });
  return scope(() => {
    const kernels = kernelsFor("float64");
    const v = copyIn("float64", rows);
    factorised.whiten(v, n);
    const result = allocateFloats("float64", n * n);
    kernels.syrk(n, s, v, s, 1, result, n, 1, false, true);
    return new NDArray(copyOut("float64", result, n * n), [n, n]);
  });
}

/** Draws of all function values together from the linearised posterior, [n, B, C]. */
export function functionSamples(
  where: string,
  posterior: Posterior,
  x: ArrayLike,
  n: number,
  seed: number,
): Float64Array {
  const { net } = posterior;
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const size = inputs.shape[0] * outputs;
  const result = new Float64Array(n * size);
  checkBytes(where, [n, Math.max(size, posterior.size)], defaultMemoryBudget, "Fewer draws need less.");
  const draws = posterior.deviations(n, new Random(seed));
  eachPart(posterior.model, inputs, 2, 0, (part) => {
    checkValues(where, part);
    const { forward, start, count } = part;
    const f = copyOut(net.dtype, forward.outputs, count * outputs);
    for (let s = 0; s < n; s++) {
      scope(() => {
        const moved = pushForward(forward, copyIn(net.dtype, posterior.embed(draws, s)), 0);
        const df = copyOut(net.dtype, moved, count * outputs);
        for (let i = 0; i < f.length; i++) result[s * size + start * outputs + i] = f[i] + df[i];
      });
    }
  });
  return result;
}

/** Mean and variance of targets and function values over networks drawn from the posterior. */
export function networkPrediction(where: string, posterior: Posterior, x: ArrayLike, n: number, seed: number) {
  const { net, selection, likelihood } = posterior;
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const size = inputs.shape[0] * outputs;
  const [targets, values] = [new Mixture(size), new Mixture(size)];
  checkBytes(where, [n, Math.max(size, posterior.size)], defaultMemoryBudget, "Fewer samples need less.");
  const draws = posterior.deviations(n, new Random(seed));
  const f = Array.from({ length: n }, () => new Float64Array(size));
  eachPart(posterior.model, inputs, 1, 0, (part) => {
    checkValues(where, part);
    const { forward, start, count } = part;
    for (let s = 0; s < n; s++) {
      scope(() => {
        // Values that no selected weight has a part in, such as the last layer's features, are kept.
        const theta = copyIn(net.dtype, posterior.embed(draws, s, posterior.theta));
        const kept = { kept: { forward, changes: selection.reaches } };
        const moved = new Forward(net.graph, net.dtype, theta, forward.value(net.graph.input), count, kept);
        f[s].set(copyOut(net.dtype, moved.outputs, count * outputs), start * outputs);
      });
    }
  });
  const none = new Float64Array(size);
  for (const value of f) {
    targets.add(likelihood.targetAt(value, outputs, likelihood.noise));
    values.add({ mean: value, variance: none });
  }
  return { target: targets.finish(), values: values.finish() };
}
