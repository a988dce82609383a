// The Gaussian over a function's values, f(x) and J P⁻¹ Jᵀ (Khan et al. 2019; Immer et al. 2021, arXiv:2008.08400), some
// rows at a time: nothing here grows with the number of inputs, and what nobody asks for is not computed.

import type { NDArray } from "../array/ndarray.ts";
import { forwardAt, type PositionView, positionView } from "../curvature/positions.ts";
import { checkNeed, ValueError } from "../errors.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyOut,
  type DType,
  inMemory,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { FunctionDistribution, Group, Likelihood, Needs } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import { checkValues, eachPart, fitsPart, partSize } from "../network/parts.ts";
import { Backward, backwardNumbers, type Forward } from "../network/passes.ts";
import type { Precision } from "../structures/precision.ts";
import type { Selection } from "../structures/selection.ts";
import type { Posterior } from "./posterior.ts";

/** Outputs that stand each for itself are pulled back that many at once, or fewer where these would be no part. */
const MOST_TOGETHER = 64;

/** Rows of outputs: those of examples, or of their positions where these do not mix. Row i begins at (first + i) · width. */
export interface Rows {
  readonly forward: Forward;
  readonly first: number;
  readonly width: number;
}

/** How a network's outputs are gone through. */
export interface Route {
  /** Where positions take the place of examples. */
  readonly view: PositionView | undefined;
  /** The outputs of a row. */
  readonly width: number;
  /** The groups of a row's outputs. */
  readonly group: Group;
}

/** The way through a network's outputs: by positions, if a likelihood takes each alone and they do not mix. */
export function routeOf({ graph, outputShape }: Network, selection: Selection, likelihood: Likelihood): Route {
  const view = positionView(graph, selection, likelihood);
  const width = (view?.graph ?? graph).output.size;
  return { view, width, group: likelihood.group(view === undefined ? outputShape : [width]) };
}

/** What decides how much passes at once. */
export interface Model {
  readonly net: Network;
  readonly selection: Selection;
  readonly scratch: Precision["scratch"];
}

/** Numbers of the network's type that K columns of one row need, beside the row's own values. */
export function columnNumbers({ net, selection, scratch }: Model, { view, width }: Route, columns: number): number {
  const graph = view?.graph ?? net.graph;
  const pulled = backwardNumbers(graph, selection.reaches, columns);
  return columns * width + pulled + scratch(columns, 1, net.dtype, graph);
}

/** How many columns of single outputs are pulled back at once: by sizes only, so that results depend on no cut. */
export function columnsOf(model: Model, route: Route): number {
  let columns = Math.min(route.width, MOST_TOGETHER);
  while (columns > 1 && !fitsPart(columnNumbers(model, route, columns), model.net.dtype)) columns >>= 1;
  return Math.max(columns, 1);
}

const modelOf = ({ net, selection, factorised }: Posterior): Model => ({
  net,
  selection,
  scratch: (...of) => factorised.scratch(...of),
});

/** Unit columns, [count, B, C]: of outputs from `first` on that are `step` apart. */
export function unitColumns(
  { kernels, dtype, graph, batch }: Forward,
  first: number,
  count: number,
  step = 1,
): Pointer {
  const outputs = graph.output.size;
  const columns = allocateFloats(dtype, count * batch * outputs);
  kernels.fill(count * batch * outputs, 0, columns);
  const start = columns / bytesPerElement(dtype);
  inMemory(dtype, (memory) => {
    for (let k = 0; k < count; k++) {
      for (let b = 0; b < batch; b++) memory[start + (k * batch + b) * outputs + first + k * step] = 1;
    }
  });
  return columns;
}

/** Evaluates inputs and visits their rows, as many at once as need about 32 MiB of these numbers each. */
function eachRows(
  where: string,
  posterior: Posterior,
  inputs: NDArray,
  { view, width }: Route,
  numbers: number,
  visit: (rows: Rows) => void,
): void {
  const { dtype } = posterior.net;
  eachPart(posterior.model, inputs, 0, view === undefined ? numbers : 0, (part) => {
    checkValues(where, part);
    const { forward, start, count } = part;
    if (view === undefined) {
      visit({ forward, first: start, width });
      return;
    }
    const { positions } = view;
    const most = partSize(numbers, dtype);
    for (let first = 0; first < count * positions; first += most) {
      const some = { first, count: Math.min(most, count * positions - first) };
      scope(() => visit({ forward: forwardAt(view, forward, some), first: start * positions + first, width }));
    }
  });
}

/** A distribution over some of the outputs: entry c of its row i is output (first + i) · width + offset + c · step. */
export interface FunctionPart extends FunctionDistribution {
  readonly first: number;
  readonly width: number;
  readonly offset: number;
  readonly step: number;
}

/** Puts what a part has for its outputs among those of all inputs. */
export function place(part: FunctionPart, values: Float64Array, all: Float64Array): void {
  const { batch, outputs, first, width, offset, step } = part;
  for (let i = 0; i < batch; i++) {
    const start = (first + i) * width + offset;
    for (let c = 0; c < outputs; c++) all[start + c * step] = values[i * outputs + c];
  }
}

/** How the rows of a network are visited. */
export interface FunctionOptions {
  readonly needs: Needs;
  /** Outputs whose covariances are due, where these are not the likelihood's groups. */
  readonly route?: Route;
  /** Bytes that a block of covariances may need on its way. */
  readonly memoryBudget: number;
}

/**
 * Visits the distribution of the function's values at all inputs, some at a time: of whole rows, or with covariances of a
 * group of their outputs. @throws MemoryBudgetError where one row's covariances would not fit
 */
export function eachFunction(
  where: string,
  posterior: Posterior,
  inputs: NDArray,
  { needs, route = routeOf(posterior.net, posterior.selection, posterior.likelihood), memoryBudget }: FunctionOptions,
  visit: (part: FunctionPart) => void,
): void {
  const { net, selection, factorised } = posterior;
  const { width, group } = route;
  const { dtype } = net;
  const valuesOf = ({ forward }: Rows) => Float64Array.from(copyOut(dtype, forward.outputs, forward.batch * width));
  if (needs === "covariance") {
    const { size, step } = group;
    const block = size * size * (8 / bytesPerElement(dtype));
    const numbers = columnNumbers(modelOf(posterior), route, size) + block;
    const bytes = numbers * bytesPerElement(dtype);
    checkNeed(where, `the covariance of ${size} outputs of one input`, bytes, memoryBudget, instead(where, posterior));
    eachRows(where, posterior, inputs, route, numbers, (rows) => {
      const { forward, first } = rows;
      const f = valuesOf(rows);
      for (let g = 0; g < width / size; g++) {
        const offset = step === 1 ? g * size : g;
        const covariance = scope(() => {
          const unit = unitColumns(forward, offset, size, step);
          return factorised.functionCovariance(new Backward(forward, unit, size, selection.reaches));
        });
        const [mean, variance] = [new Float64Array(forward.batch * size), new Float64Array(forward.batch * size)];
        for (let i = 0; i < mean.length; i++) {
          const [b, c] = [Math.floor(i / size), i % size];
          mean[i] = f[b * width + offset + c * step];
          variance[i] = covariance[(b * size + c) * size + c];
        }
        refuseOverflow(where, covariance);
        visit({ batch: forward.batch, outputs: size, mean, variance, covariance, first, width, offset, step });
      }
    });
    return;
  }
  const columns = needs === "mean" ? 0 : columnsOf(modelOf(posterior), route);
  const numbers = needs === "mean" ? 0 : columnNumbers(modelOf(posterior), route, columns);
  eachRows(where, posterior, inputs, route, numbers, (rows) => {
    const { forward, first } = rows;
    const mean = valuesOf(rows);
    const variance = new Float64Array(mean.length);
    for (let k = 0; needs !== "mean" && k < width; k += columns) {
      const count = Math.min(columns, width - k);
      scope(() => {
        const unit = unitColumns(forward, k, count);
        const some = factorised.functionVariance(new Backward(forward, unit, count, selection.reaches));
        for (let b = 0; b < forward.batch; b++) variance.set(some.subarray(b * count, (b + 1) * count), b * width + k);
      });
    }
    const together = group.size;
    refuseOverflow(where, variance);
    visit({
      batch: forward.batch,
      outputs: width,
      mean,
      variance,
      together,
      first,
      width,
      offset: 0,
      step: 1,
    });
  });
}

function refuseOverflow(where: string, variances: Float64Array): void {
  for (const v of variances) {
    if (Number.isFinite(v)) continue;
    throw new ValueError(
      `${where}: the variance of the function is ${v}: it overflowed. Likely causes: a prior so wide that predictions mean nothing (raise priorPrecision, or let optimizePrior() choose it), or inputs that are far from those of the training.`,
    );
  }
}

function instead(where: string, { likelihood }: Posterior): string {
  if (where === "functionCovariance") return "The functionVariance of predict has the variances alone.";
  const links = likelihood.links.filter((link) => likelihood.needs(link) !== "covariance").map((link) => `"${link}"`);
  return where === "predict" || where === "evaluate"
    ? `The approximations ${links.join(", ")} need none.`
    : "A network of fewer outputs needs less.";
}

/**
 * Variances of two sums of a group's outputs, at all inputs: of all of them, 1ᵀ V 1, and with weights p, pᵀ V p; [B, groups].
 * @param weights [B, ...outputs]
 */
export function sumVariances(
  where: string,
  posterior: Posterior,
  inputs: NDArray,
  weights: ArrayLike<number>,
): { all: Float64Array; weighted: Float64Array } {
  const { net, selection, factorised, likelihood } = posterior;
  const route = routeOf(net, selection, likelihood);
  const { width, group } = route;
  const { size, step } = group;
  const { dtype } = net;
  const groups = width / size;
  const count = (inputs.shape[0] * net.graph.output.size) / size;
  const [all, weighted] = [new Float64Array(count), new Float64Array(count)];
  eachRows(where, posterior, inputs, route, columnNumbers(modelOf(posterior), route, 2), ({ forward, first }) => {
    const n = forward.batch * width;
    for (let g = 0; g < groups; g++) {
      const offset = step === 1 ? g * size : g;
      scope(() => {
        const columns = zeroColumns(forward, dtype, 2 * n);
        const start = columns / bytesPerElement(dtype);
        inMemory(dtype, (memory) => {
          for (let b = 0; b < forward.batch; b++) {
            for (let c = 0; c < size; c++) {
              const at = b * width + offset + c * step;
              memory[start + at] = 1;
              memory[start + n + at] = weights[first * width + at];
            }
          }
        });
        const sums = factorised.functionVariance(new Backward(forward, columns, 2, selection.reaches));
        for (let b = 0; b < forward.batch; b++) {
          const at = (first + b) * groups + g;
          [all[at], weighted[at]] = [sums[2 * b], sums[2 * b + 1]];
        }
      });
    }
  });
  return { all, weighted };
}

function zeroColumns({ kernels }: Forward, dtype: DType, length: number): Pointer {
  const columns = allocateFloats(dtype, length);
  kernels.fill(length, 0, columns);
  return columns;
}
