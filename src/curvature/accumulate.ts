// One pass through data: loss, gradient and curvature together, part by part.

import type { NDArray } from "../array/ndarray.ts";
import { batchesOf, checkData, type Data, isIterator } from "../data/batches.ts";
import { readDataset } from "../data/dataset.ts";
import { lossGradient } from "../derivatives/cotangents.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { bytesOfPart, type Cut, cutOf } from "../network/cut.ts";
import { type Batch, type Part, type Pull, runInParts } from "../network/run.ts";
import type { Accumulator } from "../structures/curvature.ts";
import { accumulatorsOf, passesOf } from "./accumulators.ts";
import { InputSums, layerOnInputs } from "./input-sums.ts";
import { outputsApart } from "./outputs-apart.ts";
import { once, type Plan } from "./plan.ts";
import { countedPositions, viewOf } from "./positions.ts";
import { columnsOf } from "./root-columns.ts";
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
  /** What is kept of the inputs, where a dense layer is on them. */
  readonly inputs?: InputSums | undefined;
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
  const all = columnsOf(plan).count(view === undefined ? plan.net.outputShape : [view.graph.output.size]);
  const columns = apart > 1 ? 1 : all;
  const pulls = (cut: Omit<Cut, "length">) => pullsOf("", pass, cut);
  return cutOf({ model: plan.net, columns, least: 1, view, targeted: true, pulls }, examples);
}

/** What a part of so many examples takes in a pass. */
export function passBytes(pass: PlannedPass, cut: Omit<Cut, "length">, examples: number) {
  return bytesOfPart(pass.plan.net, examples, () => pullsOf("", pass, cut));
}

/**
 * Computes in steps, which report the number of examples done after each part of the data.
 * @param first the place of the first example in all the data
 * @throws ShapeError, ValueError for bad data
 */
export function* summarise(where: string, plan: Plan, data: Data, first = 0): Steps<Summary, number> {
  checkData(where, data);
  const passes = passesOf(plan);
  if (passes.length > 1 && isIterator(data)) {
    throw new ValueError(
      `${where}: "${plan.structure}" goes through the data twice, and an iterator can be gone through only once. Give { x, y }, a list of batches, a DataLoader or the generator function itself; or a basis, with which one pass is enough.`,
    );
  }
  const squares = new Float64Array(plan.net.graph.output.size);
  const inputs = layerOnInputs(plan.net.graph) && new InputSums();
  let before: Summary | undefined;
  for (const [number, pass] of passes.entries()) {
    const again = before !== undefined;
    const accumulatorFor = yield* accumulatorsOf(plan, pass, before?.curvature ?? plan.basis);
    const apart = number === passes.length - 1 ? outputsApart(plan, accumulatorFor(1).length) : 1;
    const visit = (targets: NDArray) => {
      if (again || passes.length === 1) return;
      targets.data.forEach((t: number, i: number) => {
        squares[i % squares.length] += t * t;
      });
    };
    const batches = targetedBatches(where, plan, data, again, (x) => again || inputs?.add(x));
    const summary: Summary = yield* onePass(where, { plan, accumulatorFor, apart, number }, batches, first, visit);
    if (before !== undefined && (summary.examples !== before.examples || !sameLoss(plan, before, summary, squares))) {
      throw new ValueError(
        `${where}: the data changed between two passes: ${before.examples} examples with the loss ${before.loss} first, ${summary.examples} with ${summary.loss} then. Likely causes: random augmentation, or an iterator that can be gone through only once.`,
      );
    }
    before = summary;
  }
  return { ...(before as Summary), inputs };
}

/**
 * Whether two passes saw the same losses within rounding, of each output of a Gaussian in its own unit: a function's rounding, ε f,
 * changes ½ r² by no more than about ε |r f|.
 */
function sameLoss({ net }: Plan, first: Summary, second: Summary, squares: Float64Array): boolean {
  const [relative, rounding] = net.dtype === "float32" ? [1e-4, 1e-6] : [1e-9, 1e-12];
  const same = (a: number, b: number, tolerance: number) => Math.abs(a - b) <= relative * Math.abs(a) + tolerance;
  // Nats have a size of their own.
  if (first.losses === undefined) return same(first.loss, second.loss, relative);
  return first.losses.every((own, c) => {
    const tolerance = rounding * Math.sqrt(2 * own * squares[c]) + rounding ** 2 * squares[c];
    return same(own, second.losses?.[c] ?? Number.NaN, tolerance);
  });
}

function* onePass(
  where: string,
  pass: PlannedPass,
  batches: Iterable<Required<Batch>>,
  first: number,
  visit: (targets: NDArray) => void,
): Steps<Summary, number> {
  const { plan } = pass;
  const [head, all] = peeked(batches);
  const cut = cutOfPass(pass, head?.inputs.shape[0] ?? 0);
  let [examples, constant] = [0, 0];
  const counted = function* () {
    for (const batch of all) {
      constant += plan.likelihood.constant(batch.targets);
      examples += batch.inputs.shape[0];
      visit(batch.targets);
      yield batch;
    }
  };
  const pulls = pullsOf(where, pass, cut, first, () => examples);
  const found = yield* runInParts(where, plan.net, counted(), cut.length, pulls);
  const sums = Object.assign({}, ...found) as LossSums & CurvatureSums;
  const drawn = plan.kind === "monteCarlo" ? [{ seed: plan.seed, first, end: first + examples }] : undefined;
  return { ...sums, examples, constant, drawn };
}

/** What a pass pulls back: the loss's own column, then those of its curvature, unless these are the same. */
function pullsOf(
  where: string,
  { plan, accumulatorFor, apart }: PlannedPass,
  { columns: most, rows: mostRows }: Omit<Cut, "length">,
  first = 0,
  examples = () => 0,
): readonly Pull<Steps<Partial<LossSums & CurvatureSums>>>[] {
  const { likelihood, selection } = plan;
  const losses = lossSums(where, plan);
  const sums = curvatureSums(where, plan, accumulatorFor(most), apart, examples);
  const columns = columnsOf(plan, first);
  const target = selection.reaches;
  if (plan.kind === "empiricalFisher") return [{ columns, contraction: both(losses, sums), target }];
  const view = viewOf(plan);
  const listed = (part: Part) => view && countedPositions(likelihood, view, part);
  const rows = view && { ...view, most: mostRows, listed };
  return [
    { columns: lossGradient(likelihood, 1), contraction: losses, target },
    { columns, contraction: sums, target: view?.selection.reaches ?? target, most, rows },
  ];
}

/** The first of some, and all of them. */
function peeked<T>(some: Iterable<T>): readonly [T | undefined, Iterable<T>] {
  const iterator = some[Symbol.iterator]();
  const head = iterator.next();
  const all = function* () {
    try {
      for (let at = head; at.done !== true; at = iterator.next()) yield at.value;
    } finally {
      iterator.return?.();
    }
  };
  return [head.done === true ? undefined : head.value, all()];
}

/** The batches of data with targets as numbers; `see` is shown the inputs as they were given. @throws ShapeError, ValueError */
export function* targetedBatches(
  where: string,
  { net, likelihood }: Plan,
  data: Data,
  again = false,
  see?: (x: NDArray) => void,
): Generator<Required<Batch>> {
  for (const batch of batchesOf(where, data, again)) {
    const { x, y } = readDataset(where, batch);
    const inputs = net.readInputs(where, x);
    const targets = likelihood.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
    see?.(x);
    yield { inputs, targets };
  }
}
