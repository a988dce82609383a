// One pass through data: loss, gradient and curvature together, part by part.

import type { NDArray } from "../array/ndarray.ts";
import { batchesOf, type Data, SameWeights } from "../data/batches.ts";
import { readDataset, totalWeight } from "../data/dataset.ts";
import { inPlace } from "../data/loader.ts";
import { lossGradient, weighted } from "../derivatives/cotangents.ts";
import type { Steps } from "../kernels/steps.ts";
import { bytesOfPart, type Cut, cutOf, type Pulled } from "../network/cut.ts";
import { type Batch, type Part, type Pull, runInParts, type TargetedBatch } from "../network/run.ts";
import type { Accumulator } from "../structures/curvature.ts";
import { passesOf } from "./accumulators.ts";
import type { InputSums } from "./input-sums.ts";
import { once, type Plan } from "./plan.ts";
import { countedPositions, viewOf } from "./positions.ts";
import { passColumns } from "./root-columns.ts";
import { both, type CurvatureSums, curvatureSums, type LossSums, lossSums } from "./sums.ts";

/** Places in data, from `first` up to but not `end`, whose targets were drawn from a seed. */
export interface Drawn {
  readonly seed: number;
  readonly first: number;
  readonly end: number;
}

/** What a pass gives. */
export interface Summary extends LossSums, CurvatureSums {
  readonly examples: number;
  /** Where the examples lie in the data whose targets were drawn; undefined where nothing was. */
  readonly drawn?: readonly Drawn[] | undefined;
  /** Σ of what depends on the targets only. */
  readonly constant: number;
  /** Σ of the targets' squares of each output, [C], where there are passes to be compared. */
  readonly squares?: Float64Array | undefined;
  /** What is kept of the inputs, where a dense layer is on them. */
  inputs?: InputSums | undefined;
}

/** A pass of a plan: its accumulators for so many columns, and how many outputs have a curvature each, which then come one by one. */
export interface PlannedPass {
  readonly plan: Plan;
  readonly accumulatorFor: (columns: number) => Accumulator;
  readonly apart: number;
  /** Which of the plan's passes it is; without it nothing is kept of its dry runs. */
  readonly number?: number;
}

/** How a pass is cut, of so many examples that come at once; Infinity where that is not known. */
export function cutOfPass(pass: PlannedPass, examples: number): Cut {
  if (pass.number === undefined) return measuredCut(pass, examples);
  return once(pass.plan, `cut ${pass.number} ${pass.apart} ${examples}`, () => measuredCut(pass, examples));
}

function measuredCut(pass: PlannedPass, examples: number): Cut {
  const { plan, apart } = pass;
  const view = viewOf(plan);
  const all = passColumns(plan).count(view === undefined ? plan.net.outputShape : [view.graph.output.size]);
  const columns = apart > 1 ? 1 : all;
  const pulls = (cut: Pulled) => pullsOf("", pass, cut);
  return cutOf({ model: plan.net, columns, least: 1, view, targeted: true, pulls }, examples);
}

/** What a part of so many examples takes in a pass. */
export function passBytes(pass: PlannedPass, cut: Pulled, examples: number) {
  return bytesOfPart(pass.plan.net, examples, () => pullsOf("", pass, cut));
}

/** A shard of the data of a pass. */
export interface DataShard<Own extends Batch = TargetedBatch> {
  /** The number of its first example in these data. */
  readonly start: number;
  /** How many examples come at once, at most. */
  readonly most: number;
  readonly batches: Iterable<Own>;
  /** Whether its examples have weights. */
  readonly weighted: boolean;
  /** Where its rows lie, if that is elsewhere: there are no batches then. */
  readonly far?: FarShard | undefined;
}

/** Rows of a shard that lie elsewhere. */
export interface FarShard {
  /** Where, as a plain value. */
  readonly at: unknown;
  /** Reads so many rows, in steps that wait. @throws what reading throws; ShapeError, ValueError for bad data */
  here(where: string, plan: Plan, count: number): Steps<Pick<DataShard, "batches" | "weighted">, number>;
}

/**
 * The sums over a shard in steps, which report the number of examples done after each part.
 * @param first the place of the data's first example in all the data
 */
export function* sumsOver(
  where: string,
  pass: PlannedPass,
  { start, most, batches, weighted: withWeights }: DataShard,
  first: number,
): Steps<Summary, number> {
  const { plan } = pass;
  const cut = cutOfPass(pass, most);
  const squares = passesOf(plan).length > 1 ? new Float64Array(plan.net.graph.output.size) : undefined;
  const seen: Seen = { count: 0, examples: 0, constant: 0, squares };
  const pulls = pullsOf(where, pass, cut, first, () => seen.examples, withWeights);
  const found = yield* runInParts(where, plan.net, counted(plan, batches, seen), cut, pulls, start);
  // One pull gives both.
  const { loss, losses, gradient, gradientNorms } = found[0] as LossSums;
  const { curvature, apart } = found[found.length - 1] as CurvatureSums;
  const { count, examples, constant } = seen;
  const drawn =
    plan.kind === "monteCarlo" ? [{ seed: plan.seed, first: first + start, end: first + start + count }] : undefined;
  return { loss, losses, gradient, gradientNorms, curvature, apart, examples, constant, squares, drawn };
}

/** What is counted of the batches of a shard. */
interface Seen {
  count: number;
  /** Their weights' sum. */
  examples: number;
  constant: number;
  readonly squares: Float64Array | undefined;
}

/** The batches, which are counted as they pass. */
function* counted(plan: Plan, batches: Iterable<TargetedBatch>, seen: Seen): Generator<TargetedBatch> {
  const { squares } = seen;
  for (const batch of batches) {
    seen.constant += constantOf(plan, batch);
    seen.count += batch.inputs.shape[0];
    seen.examples += totalWeight({ x: batch.inputs, weights: batch.weights });
    if (squares !== undefined) {
      const { data } = batch.targets;
      for (let i = 0; i < data.length; i++) squares[i % squares.length] += data[i] ** 2;
    }
    yield batch;
  }
}

/** What of the targets alone is in the log likelihood, by the weights of the examples. */
export function constantOf({ likelihood }: Pick<Plan, "likelihood">, { targets, weights }: TargetedBatch): number {
  if (weights === undefined) return likelihood.constant(targets);
  let sum = 0;
  for (let i = 0; i < weights.size; i++) {
    sum += weights.data[i] * likelihood.constant(targets.sub(i).reshape(1, ...targets.shape.slice(1)));
  }
  return sum;
}

/** What a pass pulls back: the loss's own column, then those of its curvature, unless these are the same. */
function pullsOf(
  where: string,
  pass: PlannedPass,
  cut: Pulled,
  first = 0,
  examples = () => 0,
  withWeights = false,
): readonly Pull<Steps<Partial<LossSums & CurvatureSums>>>[] {
  const { likelihood, selection, kind } = pass.plan;
  const losses = lossSums(where, pass.plan);
  const curvature = curvaturePull(where, pass, cut, first, examples);
  // One column, where both take it alike.
  if (kind === "hessian" || (kind === "empiricalFisher" && !withWeights)) {
    const { columns, contraction, target } = curvature;
    return [{ columns, contraction: both(losses, contraction), target }];
  }
  return [
    { columns: weighted(lossGradient(likelihood, 1), 1), contraction: losses, target: selection.reaches },
    curvature,
  ];
}

/** The columns of a pass's curvature. @param first the place of the first example @param examples gives their number in the end */
export function curvaturePull(
  where: string,
  { plan, accumulatorFor, apart }: PlannedPass,
  { columns: most, rows: mostRows }: Pulled,
  first: number,
  examples: () => number,
): Pull<Steps<CurvatureSums>> {
  const { likelihood, selection } = plan;
  const contraction = curvatureSums(where, plan, accumulatorFor(most), apart, examples);
  const columns = passColumns(plan, first);
  const view = viewOf(plan);
  const listed = (part: Part) => view && countedPositions(likelihood, view, part);
  const rows = view && { ...view, most: mostRows, listed };
  return { columns, contraction, target: view?.selection.reaches ?? selection.reaches, most, rows };
}

/** The batches of data with targets as numbers; `see` is shown the inputs as they were given. @throws ShapeError, ValueError */
export function* targetedBatches(
  where: string,
  { net, likelihood }: Plan,
  data: Data,
  again = false,
  see?: (x: NDArray) => void,
): Generator<TargetedBatch> {
  const alike = new SameWeights(where);
  for (const given of batchesOf(where, inPlace(data), again)) {
    const batch = readDataset(where, given);
    const { x, y } = batch;
    const weights = alike.of(batch);
    const inputs = net.readInputs(where, x, true);
    const targets = likelihood.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
    see?.(x);
    yield { inputs, targets, ...(weights !== undefined && { weights }) };
  }
}
