// Predictions: the posterior pushed through the linearised network, or through the network itself.

import { type ArrayLike, NDArray, sizeOf } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { forwardAt, type PositionView, positionView } from "../curvature/positions.ts";
import { defaultMemoryBudget } from "../derivatives/budget.ts";
import { checkBoolean, checkBytes, OptionError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import { type FunctionDistribution, type Group, type Likelihood, Mixture } from "../likelihood/likelihood.ts";
import type { BinaryLink, ClassLink } from "../likelihood/links.ts";
import { labelShape } from "../losses/classes.ts";
import { checkValues, eachPart, type Part, partSize } from "../network/parts.ts";
import { Backward, backwardNumbers, Forward, pushForward } from "../network/passes.ts";
import { float64Rows } from "./full.ts";
import type { Posterior } from "./posterior.ts";
import type { Precision } from "./precision.ts";

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
function unitColumns({ kernels, dtype, graph, batch: count }: Forward, { size, step }: Group, group: number): Pointer {
  const outputs = graph.output.size;
  const columns = allocateFloats(dtype, size * count * outputs);
  kernels.fill(size * count * outputs, 0, columns);
  const start = columns / bytesPerElement(dtype);
  const first = step === 1 ? group * size : group;
  inMemory(dtype, (memory) => {
    for (let k = 0; k < size; k++) {
      for (let b = 0; b < count; b++) memory[start + (k * count + b) * outputs + first + k * step] = 1;
    }
  });
  return columns;
}

/** All outputs of a network as one group. */
const allTogether = (outputs: number): Together => ({ size: outputs, step: 1, groups: 1 });

/** What is done with a group's block of J P⁻¹ Jᵀ, [n, n]. */
type VisitBlock = (example: number, group: number, block: Float64Array) => void;

/**
 * The blocks of J P⁻¹ Jᵀ within groups of outputs: covariances between groups are not computed. With a view, whose
 * positions are the groups, positions take the place of examples.
 */
function eachCovariance(
  where: string,
  posterior: Posterior,
  inputs: NDArray,
  together: Together,
  view: PositionView | undefined,
  visit: VisitBlock,
  evaluated?: (part: Part) => void,
): void {
  const { selection, factorised } = posterior;
  const { size, groups } = together;
  const [columns, extra] = view === undefined ? [size, factorised.scratch(size, 1, posterior.net.dtype)] : [1, 0];
  eachPart(posterior.model, inputs, columns, extra, (part) => {
    checkValues(where, part);
    evaluated?.(part);
    if (view !== undefined) {
      positionCovariances(part, view, size, factorised, visit);
      return;
    }
    for (let group = 0; group < groups; group++) {
      scope(() => {
        const unit = unitColumns(part.forward, together, group);
        const blocks = factorised.functionCovariance(new Backward(part.forward, unit, size, selection.reaches));
        for (let b = 0; b < part.count; b++) {
          visit(part.start + b, group, blocks.subarray(b * size * size, (b + 1) * size * size));
        }
      });
    }
  });
}

/** The blocks of a part whose positions are examples. */
function positionCovariances(
  { forward, start, count }: Part,
  view: PositionView,
  size: number,
  factorised: Precision,
  visit: VisitBlock,
): void {
  const { graph, selection, positions } = view;
  const { dtype } = forward;
  const held = size * size + backwardNumbers(graph, selection.reaches, size);
  const most = partSize(held + factorised.scratch(size, 1, dtype, graph), dtype);
  for (let first = 0; first < count * positions; first += most) {
    scope(() => {
      const rows = forwardAt(view, forward, { first, count: Math.min(most, count * positions - first) });
      const unit = unitColumns(rows, { size, step: 1 }, 0);
      const blocks = factorised.functionCovariance(new Backward(rows, unit, size, selection.reaches));
      for (let i = 0; i < rows.batch; i++) {
        const [example, position] = [Math.floor((first + i) / positions), (first + i) % positions];
        visit(start + example, position, blocks.subarray(i * size * size, (i + 1) * size * size));
      }
    });
  }
}

/** f(x) and J P⁻¹ Jᵀ (Khan et al. 2019; Immer et al. 2021, arXiv:2008.08400) within the likelihood's groups of outputs. */
export function functionValues(where: string, posterior: Posterior, x: ArrayLike): FunctionDistribution {
  const { net, likelihood, selection } = posterior;
  const inputs = net.readInputs(where, x);
  const [batch] = inputs.shape;
  const outputs = net.graph.output.size;
  const group = likelihood.group(net.outputShape);
  const found = positionView(net.graph, selection, likelihood);
  const width = found?.graph.output.size ?? 0;
  const view = group.size === width || width <= MOST_TOGETHER ? found : undefined;
  const size = view === undefined ? togetherOf(likelihood, net.outputShape) : width;
  const together = { size, step: group.step, groups: outputs / size };
  const mean = new Float64Array(batch * outputs);
  const variance = new Float64Array(batch * outputs);
  // Outputs that stand each for itself have no covariances.
  const covariance = group.size === 1 ? variance : new Float64Array(batch * outputs * size);
  const visit: VisitBlock = (example, g, block) => {
    const first = example * outputs + (group.step === 1 ? g * size : g);
    for (let k = 0; k < size; k++) variance[first + k * group.step] = block[k * (size + 1)];
    if (covariance !== variance) covariance.set(block, (example * together.groups + g) * size * size);
  };
  eachCovariance(where, posterior, inputs, together, view, visit, ({ forward, start, count }) => {
    mean.set(copyOut(net.dtype, forward.outputs, count * outputs), start * outputs);
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
  const view = perPosition ? positionView(net.graph, posterior.selection, likelihood) : undefined;
  const covariance = new Float64Array(sizeOf(shape));
  eachCovariance(where, posterior, inputs, together, view, (example, g, block) => {
    covariance.set(block, (example * together.groups + g) * block.length);
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
    const backward = new Backward(
      part.forward,
      unitColumns(part.forward, allTogether(outputs), 0),
      outputs,
      selection.reaches,
    );
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
    targets.add(likelihood.targetAt(value, net.outputShape, likelihood.noise));
    values.add({ mean: value, variance: none });
  }
  return { target: targets.finish(), values: values.finish() };
}
