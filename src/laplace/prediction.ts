// Predictions: the posterior pushed through the linearised network, or through the network itself.

import { type ArrayLike, NDArray, sizeOf } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { defaultMemoryBudget } from "../derivatives/budget.ts";
import { checkBoolean, checkBytes, OptionError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, floats, type Pointer, scope } from "../kernels/memory.ts";
import { type FunctionDistribution, type Group, type Likelihood, Mixture } from "../likelihood/likelihood.ts";
import type { BinaryLink, ClassLink } from "../likelihood/links.ts";
import { labelShape } from "../losses/classes.ts";
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

/** Outputs whose values are taken together, as many groups of them as there are. */
interface Together extends Group {
  readonly groups: number;
}

/** Outputs that stand each for itself are pulled back that many at once. */
const MOST_TOGETHER = 64;

/** How many outputs are pulled back at once: a group of the likelihood's, or of those of one output several. */
export function togetherOf(likelihood: Likelihood, shape: readonly number[]): number {
  const { size } = likelihood.group(shape);
  const outputs = sizeOf(shape);
  if (size > 1 || outputs === 0) return size;
  let together = Math.min(outputs, MOST_TOGETHER);
  while (outputs % together !== 0) together--;
  return together;
}

/** Unit columns of a group, [n, B, C]: its outputs are `step` apart. */
function unitColumns({ forward, count }: Part, { size, step }: Group, group: number): Pointer {
  const { kernels, dtype, graph } = forward;
  const outputs = graph.output.size;
  const columns = allocateFloats(dtype, size * count * outputs);
  kernels.fill(size * count * outputs, 0, columns);
  const [memory, start] = [floats(dtype), columns / bytesPerElement(dtype)];
  const first = step === 1 ? group * size : group;
  for (let k = 0; k < size; k++) {
    for (let b = 0; b < count; b++) memory[start + (k * count + b) * outputs + first + k * step] = 1;
  }
  return columns;
}

/** All outputs of a network as one group. */
const allTogether = (outputs: number): Together => ({ size: outputs, step: 1, groups: 1 });

/** f(x), and the blocks of J P⁻¹ Jᵀ within groups of outputs: what covariances between groups there are, nobody computes. */
function eachCovariance(
  where: string,
  posterior: Posterior,
  inputs: NDArray,
  together: Together,
  visit: (part: Part, group: number, covariance: Float64Array) => void,
): void {
  const { selection, factorised } = posterior;
  eachPart(posterior.model, inputs, together.size, factorised.perExample(together.size), (part) => {
    checkValues(where, part);
    for (let group = 0; group < together.groups; group++) {
      scope(() => {
        const backward = new Backward(
          part.forward,
          unitColumns(part, together, group),
          together.size,
          selection.reaches,
        );
        visit(part, group, factorised.functionCovariance(backward));
      });
    }
  });
}

/** f(x) and J P⁻¹ Jᵀ (Khan et al. 2019; Immer et al. 2021, arXiv:2008.08400) within the likelihood's groups of outputs. */
export function functionValues(where: string, posterior: Posterior, x: ArrayLike): FunctionDistribution {
  const { net, likelihood } = posterior;
  const inputs = net.readInputs(where, x);
  const [batch] = inputs.shape;
  const outputs = net.graph.output.size;
  const group = likelihood.group(net.outputShape);
  const size = togetherOf(likelihood, net.outputShape);
  const together = { size, step: group.step, groups: outputs / size };
  const mean = new Float64Array(batch * outputs);
  const variance = new Float64Array(batch * outputs);
  // Outputs that stand each for itself have no covariances.
  const covariance = group.size === 1 ? variance : new Float64Array(batch * outputs * size);
  eachCovariance(where, posterior, inputs, together, ({ forward, start, count }, g, block) => {
    if (g === 0) mean.set(copyOut(net.dtype, forward.outputs, count * outputs), start * outputs);
    const first = together.step === 1 ? g * size : g;
    for (let b = 0; b < count; b++) {
      const own = block.subarray(b * size * size, (b + 1) * size * size);
      for (let k = 0; k < size; k++) {
        variance[(start + b) * outputs + first + k * together.step] = own[k * (size + 1)];
      }
      if (covariance !== variance) covariance.set(own, ((start + b) * together.groups + g) * size * size);
    }
  });
  return { batch, outputs, mean, variance, covariance };
}

/** Options of a posterior's `functionCovariance`. */
export interface FunctionCovarianceOptions {
  /** Whether it is over all outputs of all inputs (default false). */
  readonly joint?: boolean | undefined;
  /** Whether it is over the classes of one position at a time (default false). */
  readonly perPosition?: boolean | undefined;
}

/** J P⁻¹ Jᵀ over the outputs of each input, of each of its positions, or of all inputs together. */
export function functionCovariance(
  posterior: Posterior,
  x: ArrayLike,
  { joint = false, perPosition = false }: FunctionCovarianceOptions,
): NDArray {
  const where = "functionCovariance";
  checkBoolean(where, "joint", joint);
  checkBoolean(where, "perPosition", perPosition);
  if (joint && perPosition) throw new OptionError(`${where}: joint is over all positions, perPosition over one.`);
  if (joint) return jointCovariance(where, posterior, x);
  const { net, likelihood } = posterior;
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const group = perPosition ? likelihood.group(net.outputShape) : allTogether(outputs);
  if (perPosition && likelihood.name !== "categorical") {
    throw new OptionError(
      `${where}: perPosition is for a categorical likelihood, with classes at every position, not a ${likelihood.name} one.`,
    );
  }
  const together = { ...group, groups: outputs / group.size };
  const positions = perPosition ? labelShape(net.outputShape, likelihood.classAxis) : [];
  const shape = [inputs.shape[0], ...positions, group.size, group.size];
  checkBytes(where, shape, defaultMemoryBudget, "Fewer inputs at once need less, or perPosition where there is one.");
  const square = group.size ** 2;
  const covariance = new Float64Array(sizeOf(shape));
  eachCovariance(where, posterior, inputs, together, ({ start, count }, g, block) => {
    for (let b = 0; b < count; b++) {
      covariance.set(block.subarray(b * square, (b + 1) * square), ((start + b) * together.groups + g) * square);
    }
  });
  return new NDArray(covariance, shape);
}

/** The covariance of all function values at once, [B C, B C]. */
function jointCovariance(where: string, posterior: Posterior, x: ArrayLike): NDArray {
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
    const backward = new Backward(part.forward, unitColumns(part, allTogether(outputs), 0), outputs, selection.reaches);
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
        const kept = { forward, changes: selection.reaches };
        const moved = new Forward(net.graph, net.dtype, theta, forward.value(net.graph.input), count, kept);
        f[s].set(copyOut(net.dtype, moved.outputs, count * outputs), start * outputs);
      });
    }
  });
  const none = new Float64Array(size);
  for (const value of f) {
    targets.add(likelihood.targetAt(value, net.outputShape, likelihood.noise));
    values.add({ mean: value, variance: none });
  }
  return { target: targets.finish(), values: values.finish() };
}
