// The Gaussian over a function's values, f(x) and J P⁻¹ Jᵀ (Khan et al. 2019; Immer et al. 2021, arXiv:2008.08400), some
// rows at a time: nothing here grows with the number of inputs, and what nobody asks for is not computed.

import type { NDArray } from "../array/ndarray.ts";
import { unit } from "../derivatives/cotangents.ts";
import { checkNeed, ValueError } from "../errors.ts";
import { copyOutWide, later } from "../kernels/memory.ts";
import { type ExamplesReport, inBurst, type Steps } from "../kernels/steps.ts";
import type { FunctionDistribution, Needs, OutputBlock } from "../likelihood/likelihood.ts";
import type { Backward } from "../network/passes.ts";
import { type Batch, type Columns, type Contraction, none, type Part, runInSteps } from "../network/run.ts";
import type { HeadVariance } from "../structures/head.ts";
import { type Asked, cutFor, headVarianceOf, type Route, routeOf, sumColumns, unitsOf } from "./cuts.ts";
import type { Linearised } from "./linearised.ts";

/** A distribution over some of the outputs: entry c of its row i is output (first + i) · width + offset + c · step. */
export interface FunctionPart extends FunctionDistribution {
  readonly first: number;
  readonly width: number;
  readonly offset: number;
  readonly step: number;
}

/** Puts what a part has for its outputs, or for each group of these which follow on each other, among those of all inputs. */
export function place(part: FunctionPart, values: Float64Array, all: Float64Array): void {
  const { batch, outputs, first, width, offset, step } = part;
  const each = values.length / batch;
  for (let i = 0; i < batch; i++) {
    const start = (((first + i) * width + offset) * each) / outputs;
    for (let c = 0; c < each; c++) all[start + c * step] = values[i * each + c];
  }
}

/** How the rows of a network are visited. */
export interface FunctionOptions {
  readonly needs: Needs;
  /** Outputs whose covariances are wanted, where these are not the likelihood's groups. */
  readonly route?: Route;
  /** Bytes that a block of covariances may need on its way. */
  readonly memoryBudget: number;
  /** How many others are before the inputs in messages (default 0). */
  readonly before?: number | undefined;
}

/**
 * Visits the distribution of the function's values at all inputs, some at a time: of whole rows, or with covariances of a
 * group of their outputs. @throws MemoryBudgetError where one row's covariances would not fit
 */
export function* eachFunction(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
  {
    needs,
    route = routeOf(posterior.net, posterior.selection, posterior.likelihood),
    memoryBudget,
    before,
  }: FunctionOptions,
  visit: (part: FunctionPart) => void,
): Steps<void, ExamplesReport> {
  const { group } = route;
  if (needs === "covariance") {
    const what = `the covariance of ${group.size} outputs of one input`;
    checkNeed(where, what, cutFor(posterior, route, needs).one, memoryBudget, instead(where, posterior));
  }
  const head = needs === "mean" ? undefined : headVarianceOf(yield* posterior.factoring(), posterior.net, route.view);
  if (needs !== "mean") yield* posterior.factoring(head ? needs : "rows");
  const [columns, contraction] =
    needs === "covariance"
      ? [unitsOf(group), covariances(where, posterior, group, visit)]
      : [needs === "mean" || head ? none : unit(), variances(where, posterior, route, visit, head)];
  yield* contract(where, posterior, route, needs, { inputs, before }, columns, contraction);
}

/** Contracts columns that were pulled back to the selected weights. @param results how many a part has, which is shorter for it */
export function contract(
  where: string,
  posterior: Linearised,
  route: Route,
  asked: Asked,
  batch: Batch,
  columns: Columns,
  contraction: Contraction<void>,
  results = 1,
): Steps<void, ExamplesReport> {
  const { model, selection } = posterior;
  const { columns: most, rows, length } = cutFor(posterior, route, asked);
  const cut = {
    most,
    rows: route.view && { ...route.view, most: rows },
    length: Math.max(1, Math.floor(length / results)),
  };
  return runInSteps(where, model, [batch], columns, contraction, selection.reaches, cut);
}

export const meanOf = ({ forward: { dtype, outputs, graph }, count }: Part): Float64Array =>
  copyOutWide({ dtype, at: outputs, length: count * graph.output.size });

/** Rows that are visited in one step of a burst: what a likelihood makes of one may take long. */
const MOST_ROWS = 16;

/** Parts that wait for their visit, which comes after them. */
class Waiting {
  readonly #visit: (part: FunctionPart) => void;
  #parts: FunctionPart[] = [];

  constructor(visit: (part: FunctionPart) => void) {
    this.#visit = visit;
  }

  push(part: FunctionPart): void {
    this.#parts.push(part);
  }

  /** Visits them: in bursts some rows at a time, which stand each for itself. */
  *after(): Steps<void> {
    const parts = this.#parts;
    this.#parts = [];
    for (const part of parts) {
      const most = inBurst() ? MOST_ROWS : part.batch;
      for (let first = 0; first < part.batch; first += most) {
        this.#visit(rowsOf(part, first, Math.min(most, part.batch - first)));
        yield;
      }
    }
  }
}

function rowsOf(part: FunctionPart, first: number, count: number): FunctionPart {
  if (count === part.batch) return part;
  const some = (values: Float64Array) => {
    const each = values.length / part.batch;
    return values.subarray(first * each, (first + count) * each);
  };
  return {
    ...part,
    batch: count,
    first: part.first + first,
    mean: some(part.mean),
    variance: some(part.variance),
    ...(part.covariance !== undefined && { covariance: some(part.covariance) }),
  };
}

/** Visits groups with their covariances: the columns of one group at a time. */
function covariances(
  where: string,
  { factorised }: Linearised,
  { size, step }: OutputBlock,
  visit: (part: FunctionPart) => void,
): Contraction<void> {
  let f: Float64Array = new Float64Array();
  let start = 0;
  const waiting = new Waiting(visit);
  const take = ({ batch, graph }: Backward, column: number, covariance: Float64Array) => {
    const width = graph.output.size;
    const offset = step === 1 ? column : column / size;
    const [mean, variance] = [new Float64Array(batch * size), new Float64Array(batch * size)];
    for (let i = 0; i < mean.length; i++) {
      const [b, c] = [Math.floor(i / size), i % size];
      mean[i] = f[b * width + offset + c * step];
      variance[i] = covariance[(b * size + c) * size + c];
    }
    refuseOverflow(where, covariance);
    waiting.push({ batch, outputs: size, mean, variance, covariance, first: start, width, offset, step });
  };
  return {
    begin(part) {
      later(() => {
        f = meanOf(part);
        start = part.start;
      });
    },
    add(backward, column) {
      const covariance = factorised.functionCovariance(backward);
      later(() => take(backward, column, copyOutWide(covariance)));
    },
    after: () => waiting.after(),
    finish() {},
  };
}

/** Visits whole rows, with their variances where columns were asked for, or where they come of a head. */
function variances(
  where: string,
  { factorised }: Linearised,
  { group, width }: Route,
  visit: (part: FunctionPart) => void,
  head: HeadVariance | undefined,
): Contraction<void> {
  let mean: Float64Array = new Float64Array();
  let variance: Float64Array = mean;
  const waiting = new Waiting(visit);
  return {
    begin(part) {
      later(() => {
        mean = meanOf(part);
        variance = new Float64Array(mean.length);
      });
    },
    add(backward, column) {
      const { batch, columns } = backward;
      const found = factorised.functionVariance(backward);
      later(() => {
        const some = copyOutWide(found);
        if (columns === width) variance = some;
        else
          for (let b = 0; b < batch; b++)
            variance.set(some.subarray(b * columns, (b + 1) * columns), b * width + column);
      });
    },
    end({ forward, start, count }) {
      const found = head?.(forward);
      later(() => {
        if (found) variance = copyOutWide(found);
        refuseOverflow(where, variance);
        waiting.push({
          batch: count,
          outputs: width,
          mean,
          variance,
          first: start,
          width,
          offset: 0,
          step: 1,
          block: group.size,
        });
      });
    },
    after: () => waiting.after(),
    finish() {},
  };
}

export function refuseOverflow(where: string, variances: Float64Array): void {
  for (const v of variances) {
    if (Number.isFinite(v)) continue;
    throw new ValueError(
      `${where}: the variance of the function is ${v}: it overflowed. Likely causes: a prior so wide that predictions mean nothing (raise priorPrecision, or let optimizePrior() choose it), or inputs that are far from those of the training.`,
    );
  }
}

function instead(where: string, { likelihood }: Linearised): string {
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
export function* sumVariances(
  where: string,
  posterior: Linearised,
  inputs: NDArray,
  weights: NDArray,
): Steps<{ all: Float64Array; weighted: Float64Array }, ExamplesReport> {
  const { net, selection, likelihood } = posterior;
  const factorised = yield* posterior.factoring("rows");
  const route = routeOf(net, selection, likelihood);
  const { width, group } = route;
  const groups = width / group.size;
  const count = (inputs.shape[0] * net.graph.output.size) / group.size;
  const [all, weighted] = [new Float64Array(count), new Float64Array(count)];
  let start = 0;
  const sums: Contraction<void> = {
    begin: (part) => {
      start = part.start;
    },
    add(backward, column) {
      const found = factorised.functionVariance(backward);
      const from = start;
      later(() => {
        const pairs = copyOutWide(found);
        for (let b = 0; b < backward.batch; b++) {
          const at = (from + b) * groups + column / 2;
          [all[at], weighted[at]] = [pairs[2 * b], pairs[2 * b + 1]];
        }
      });
    },
    finish() {},
  };
  yield* contract(where, posterior, route, "sums", { inputs, targets: weights }, sumColumns(group), sums);
  return { all, weighted };
}
