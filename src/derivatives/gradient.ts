// Derivatives of a loss: its gradient, and the gradient of every sample. One backward pass with one column, contracted
// in three ways.

import { resultArray } from "../array/arguments.ts";
import { NDArray, zeros } from "../array/ndarray.ts";
import { type Data, readWhole } from "../data/batches.ts";
import { someRows } from "../data/dataset.ts";
import { checkChoice, checkOptions, OptionError, valueText } from "../errors.ts";
import {
  asynchronously,
  atOnce,
  type ExamplesReport,
  type InBursts,
  inBurst,
  reporting,
  type Steps,
} from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { type Loss, type LossRule, readLoss, reductionScale } from "../losses/losses.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { type Run, run, runInSteps, type TargetedBatch } from "../network/run.ts";
import { checkBudget, type MemoryOptions } from "./budget.ts";
import { lossGradient, weighted } from "./cotangents.ts";
import { keep, pulledBackShape, squaredNorms, sumOrInputs, type Variable, variables } from "./results.ts";

/** Options of `perSampleGradients` and `perSampleGradientNorms`. */
export interface PerSampleOptions {
  /**
   * How a sample's loss is reduced over its outputs or labels: the mean of those that count, as in a batch of one (default),
   * or their sum.
   */
  reduction?: "mean" | "sum";
}

/** Options of `perSampleGradients`. */
export interface PerSampleGradientsOptions extends PerSampleOptions, MemoryOptions {
  /** Where the result goes; a new array if missing. */
  out?: NDArray;
}

/** Options of `perSampleGradients` that has its rows taken as they are made. */
export interface EachGradientOptions extends PerSampleOptions, MemoryOptions {
  /**
   * Called with some rows after the other, [b, P], and the number of the first of them: b P is at most 2^22 numbers, or one row. The
   * array is used again when it returns; copy what you keep.
   */
  each: (rows: NDArray, first: number) => void;
}

/** Options of `gradient`. */
export interface GradientOptions {
  /** Whether the loss is the mean over the batch (default) or the sum. */
  reduction?: "mean" | "sum";
  /** What is varied: the parameters (default), or the inputs. */
  withRespectTo?: Variable;
  /** Where the result goes; a new array if missing. */
  out?: NDArray;
}

/** Inputs and targets of a batch after all checks. */
interface Targeted extends TargetedBatch {
  readonly rule: LossRule;
  /** The shape of one example's outputs. */
  readonly shape: readonly number[];
}

function readBatch(where: string, net: Network, loss: Loss | Likelihood, batch: Data): Targeted {
  checkIsNetwork(where, net);
  const rule = readLoss(where, loss, net);
  const { x, y, weights } = readWhole(where, batch);
  const inputs = net.readInputs(where, x, true);
  const targets = rule.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
  return { rule, inputs, targets, weights, shape: net.outputShape };
}

/** The scales of every sample's own loss: a number where they agree, as they do unless labels are ignored. */
function sampleScales({ rule, targets, shape }: Targeted, reduction: "mean" | "sum"): number | Float64Array {
  const size = targets.size / targets.shape[0];
  const scaleOf = (i: number) =>
    reductionScale(rule, reduction, shape, targets.data.subarray(i * size, (i + 1) * size));
  if (rule.dropIgnored === undefined) return scaleOf(0);
  return Float64Array.from({ length: targets.shape[0] }, (_, i) => scaleOf(i));
}

/**
 * The gradient of a loss over a batch, by its `weights` if it has any, with respect to the parameters, [P], or to the inputs, [B, ...inputs].
 * `net.named(gradient)` splits it by parameter.
 * @throws ShapeError, ValueError for bad data; OptionError for bad options
 */
export function gradient(net: Network, loss: Loss | Likelihood, batch: Data, options: GradientOptions = {}): NDArray {
  return run(...gradientRun(net, loss, batch, options));
}

/** `gradient` in bursts, with turns of the event loop between them. @throws as `gradient`; the signal's reason */
export async function gradientAsync(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: InBursts<GradientOptions> = {},
): Promise<NDArray> {
  return asynchronously("gradient", options, (rest) => runInSteps(...gradientRun(net, loss, batch, rest)));
}

function gradientRun(net: Network, loss: Loss | Likelihood, batch: Data, options: GradientOptions): Run<NDArray> {
  const where = "gradient";
  checkOptions(where, options, ["reduction", "withRespectTo", "out"]);
  const { reduction = "mean", withRespectTo = "parameters" } = options;
  checkChoice(where, "reduction", reduction, ["mean", "sum"]);
  checkChoice(where, "withRespectTo", withRespectTo, variables);
  const data = readBatch(where, net, loss, batch);
  const scale = reductionScale(data.rule, reduction, data.shape, data.targets.data, data.weights?.data);
  const result = resultArray(where, options.out, pulledBackShape(net, data.inputs, withRespectTo), net.dtype);
  const contraction = sumOrInputs(net, result, withRespectTo, data.inputs.shape[0]);
  return [where, net, [data], weighted(lossGradient(data.rule, scale), 1), contraction, withRespectTo];
}

/**
 * The gradient of every sample's own loss, [B, P], from one backward pass. A row is what `gradient` gives for that
 * sample alone: it is not divided by the size of the batch. So rows sum to the gradient where the reduction is "sum",
 * and average to it where it is "mean" and no labels are ignored. With `weights` of the data a row is that times its weight.
 * A new array costs several times the computation: its memory is new, too. `out` takes one that you have, and `each` rows as
 * they are made, in memory that does not grow with B; nothing is returned then.
 * @throws ShapeError, ValueError for bad data; OptionError; MemoryBudgetError if [B, P] exceeds the memory budget; what `each` throws
 */
export function perSampleGradients(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: EachGradientOptions,
): undefined;
export function perSampleGradients(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options?: PerSampleGradientsOptions,
): NDArray;
export function perSampleGradients(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: PerSampleGradientsOptions | EachGradientOptions = {},
): NDArray | undefined {
  return atOnce(perSampleSteps(net, loss, batch, options));
}

/** `perSampleGradients` in bursts. @throws as `perSampleGradients`; the signal's reason */
export async function perSampleGradientsAsync(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: InBursts<EachGradientOptions>,
): Promise<undefined>;
export async function perSampleGradientsAsync(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options?: InBursts<PerSampleGradientsOptions>,
): Promise<NDArray>;
export async function perSampleGradientsAsync(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: InBursts<PerSampleGradientsOptions | EachGradientOptions> = {},
): Promise<NDArray | undefined> {
  return asynchronously("perSampleGradients", options, (rest) => perSampleSteps(net, loss, batch, rest));
}

/** Numbers of rows that `each` is given at once. */
const EACH_NUMBERS = 2 ** 22;

function* perSampleSteps(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: PerSampleGradientsOptions | EachGradientOptions,
): Steps<NDArray | undefined, ExamplesReport> {
  const where = "perSampleGradients";
  checkOptions(where, options, ["reduction", "memoryBudget", "out", "each"]);
  const {
    reduction = "mean",
    memoryBudget,
    out,
    each,
  } = options as PerSampleGradientsOptions & Partial<EachGradientOptions>;
  checkChoice(where, "reduction", reduction, ["mean", "sum"]);
  if (each !== undefined && typeof each !== "function") {
    throw new OptionError(`${where}: each must be a function that takes rows, not ${valueText(each)}.`);
  }
  if (each !== undefined && out !== undefined) {
    throw new OptionError(`${where}: each takes the rows, so there is nothing for out; give one of them.`);
  }
  const data = readBatch(where, net, loss, batch);
  const scale = sampleScales(data, reduction);
  const [examples] = data.inputs.shape;
  const count = net.parameterCount;
  const most = each === undefined ? examples : Math.max(1, Math.min(examples, Math.floor(EACH_NUMBERS / count)));
  const advice = "Smaller batches, or each, need less, perSampleGradientNorms almost nothing.";
  checkBudget(where, [most, count], net, memoryBudget, advice);
  const result = resultArray(where, out, [most, count], net.dtype);
  if (each === undefined) {
    const all = gradientsOf(where, net, data, scale, result);
    return inBurst() ? yield* runInSteps(...all) : run(...all);
  }
  for (let first = 0; first < examples; first += most) {
    const end = Math.min(examples, first + most);
    const some = new NDArray(result.data.subarray(0, (end - first) * count), [end - first, count]);
    const own = typeof scale === "number" ? scale : scale.subarray(first, end);
    const steps = runInSteps(...gradientsOf(where, net, someRows(data, first, end), own, some));
    yield* reporting(steps, (report) => report && { examples: first + report.examples });
    each(some, first);
  }
  return undefined;
}

function gradientsOf(
  where: string,
  net: Network,
  data: Targeted,
  scale: number | Float64Array,
  result: NDArray,
): Run<NDArray> {
  return [
    where,
    net,
    [data],
    weighted(lossGradient(data.rule, scale), 1),
    keep(net, result, "parameters"),
    "parameters",
  ];
}

/**
 * The Euclidean norm of every sample's gradient, [B], without the gradients: at a dense layer it is the norm of the
 * layer's input times the norm of what arrives at its output (Goodfellow 2015, arXiv:1510.01799).
 * @throws ShapeError, ValueError for bad data; OptionError
 */
export function perSampleGradientNorms(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: PerSampleOptions = {},
): NDArray {
  const norms = normsOf(net, loss, batch, options);
  run(...norms.run);
  return norms.finish();
}

/** `perSampleGradientNorms` in bursts. @throws as `perSampleGradientNorms`; the signal's reason */
export async function perSampleGradientNormsAsync(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: InBursts<PerSampleOptions> = {},
): Promise<NDArray> {
  return asynchronously("perSampleGradientNorms", options, (rest) => normSteps(net, loss, batch, rest));
}

function* normSteps(
  net: Network,
  loss: Loss | Likelihood,
  batch: Data,
  options: PerSampleOptions,
): Steps<NDArray, ExamplesReport> {
  const norms = normsOf(net, loss, batch, options);
  yield* runInSteps(...norms.run);
  return norms.finish();
}

/** What gives the squares, and what makes norms of them. */
function normsOf(net: Network, loss: Loss | Likelihood, batch: Data, options: PerSampleOptions) {
  const where = "perSampleGradientNorms";
  checkOptions(where, options, ["reduction"]);
  const { reduction = "mean" } = options;
  checkChoice(where, "reduction", reduction, ["mean", "sum"]);
  const data = readBatch(where, net, loss, batch);
  const result = zeros([data.inputs.shape[0]], { dtype: net.dtype });
  const scale = sampleScales(data, reduction);
  const squares: Run<NDArray> = [
    where,
    net,
    [data],
    weighted(lossGradient(data.rule, scale), 1),
    squaredNorms(net, result),
    "parameters",
  ];
  const finish = (): NDArray => {
    const [least, most] = net.dtype === "float32" ? [1e-30, 1e30] : [1e-290, 1e290];
    for (let i = 0; i < result.size; i++) {
      // Where the positions of a shared weight cancel, rounding can leave a square a little below 0.
      const square = Math.max(result.data[i], 0);
      result.data[i] = Math.sqrt(square);
      if (square > least && square < most) continue;
      // Squares that overflow or vanish: the norm of this gradient itself, scaled.
      const [inputs, targets] = [data.inputs, data.targets].map((all) => all.sub(i).reshape(1, ...all.shape.slice(1)));
      const row = zeros([1, net.parameterCount], { dtype: net.dtype });
      const weights = data.weights?.sub(i).reshape(1);
      run(
        ...gradientsOf(
          where,
          net,
          { ...data, inputs, targets, weights },
          typeof scale === "number" ? scale : scale[i],
          row,
        ),
      );
      result.data[i] = scaledNorm(row);
    }
    return result;
  };
  return { run: squares, finish };
}

/** The Euclidean norm, without squares that overflow or vanish. */
function scaledNorm({ data }: NDArray): number {
  let largest = 0;
  for (const x of data) largest = Math.max(largest, Math.abs(x));
  if (largest === 0) return 0;
  let sum = 0;
  for (const x of data) sum += (x / largest) ** 2;
  return largest * Math.sqrt(sum);
}
