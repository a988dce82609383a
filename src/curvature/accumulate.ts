// One pass through data: loss, gradient and curvature together, part by part.

import type { NDArray } from "../array/ndarray.ts";
import { readDataset } from "../data/dataset.ts";
import { batchesOf, checkData, type Data, isIterator } from "../data/read.ts";
import { contractionNumbers } from "../derivatives/contractions.ts";
import { lossGradient } from "../derivatives/cotangents.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, type DType } from "../kernels/memory.ts";
import { nodeNumbers } from "../network/graph.ts";
import { backwardNumbers } from "../network/passes.ts";
import { type Batch, fitsPart, type Part, type Pull, partSize, runInParts } from "../network/run.ts";
import type { Accumulator } from "../structures/curvature.ts";
import { accumulatorsOf, passesOf } from "./accumulators.ts";
import { InputSums, layerOnInputs } from "./input-sums.ts";
import { outputsApart } from "./outputs-apart.ts";
import type { Plan } from "./plan.ts";
import { countedPositions, type PositionView, viewOf } from "./positions.ts";
import { columnsOf } from "./root-columns.ts";
import { sketchNumbers } from "./sketch.ts";
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

/** What a pass needs of the kernels' memory for parts of the data, in numbers of the network's type. */
export interface PartNumbers {
  /** How many columns are pulled back at once. */
  readonly columns: number;
  /** How many positions are pulled back at once, where they are examples of their own. */
  readonly rows: number;
  /** For each example. */
  readonly perExample: number;
  /** For a moment, at a part of so many examples: in chunks, or for all of them. */
  scratch(batch: number): number;
  /** Besides. */
  readonly perPart: number;
  /** For each example, as parts are cut. */
  readonly cut: number;
}

/**
 * What a part of the data needs on its way, where all columns are pulled back at once; or half of them, or a quarter, if
 * otherwise not even one example were a part of the usual size.
 * @param needs those of the accumulator for so many columns
 * @param apart how many outputs have a curvature each: then they come one by one
 */
export function partNumbers(
  plan: Plan,
  needs: (columns: number) => Pick<Accumulator, "scratch" | "perPart">,
  apart = 1,
): PartNumbers {
  const view = viewOf(plan);
  if (apart > 1) return numbersFor(plan, view, 1, needs(1));
  const all = columnsOf(plan).count(view === undefined ? plan.net.outputShape : [view.graph.output.size]);
  for (let columns = all; ; columns = Math.ceil(columns / 2)) {
    const numbers = numbersFor(plan, view, columns, needs(columns));
    if (columns === 1 || numbers.fits) return numbers;
  }
}

function numbersFor(
  plan: Plan,
  view: PositionView | undefined,
  columns: number,
  accumulator: Pick<Accumulator, "scratch" | "perPart">,
): PartNumbers & { readonly fits: boolean } {
  const { net, kind, selection, likelihood } = plan;
  const { graph, dtype } = net;
  const outputs = graph.output.size;
  // Targets, and the loss in float64; then the loss's own column, its pass backward and its norms, which end before the columns.
  const perExample = nodeNumbers(graph.nodes) + outputs + (8 * outputs) / bytesPerElement(dtype);
  const slopes = outputs + backwardNumbers(graph, selection.reaches, 1);
  const sketch = sketchNumbers(selection);
  const perPart = net.parameterCount + sketch.signs + accumulator.perPart;
  const norms = (batch: number) =>
    batch * (1 + sketch.perExample) + contractionNumbers(graph, selection.siteList, { batch, dtype });
  if (view === undefined) {
    const own = kind === "empiricalFisher";
    const held = own ? 0 : columns * outputs + backwardNumbers(graph, selection.reaches, columns);
    const sums = (batch: number) => batch * held + accumulator.scratch(batch);
    const scratch = (batch: number) =>
      Math.max(batch * slopes + norms(batch), (own ? batch * slopes : 0) + sums(batch));
    const cut = perExample + slopes + Math.max(norms(1), sums(1));
    return { columns, rows: 0, perExample, scratch, perPart, cut, fits: fitsPart(cut, dtype) };
  }
  const { output, nodes } = view.graph;
  let perRow = columns * output.size + backwardNumbers(view.graph, view.selection.reaches, columns);
  // Where labels are ignored, the others are found out, and their values copied.
  const found = likelihood.dropIgnored === undefined ? 0 : outputs;
  if (found > 0) perRow += nodeNumbers(nodes) + output.size;
  const atOne = perRow + accumulator.scratch(1);
  const rows = partSize(atOne, dtype);
  const sums = (batch: number) => {
    const some = Math.min(batch * view.positions, rows);
    return some * perRow + accumulator.scratch(some);
  };
  const scratch = (batch: number) => Math.max(batch * slopes + norms(batch), batch * found, sums(batch));
  const cut = perExample + slopes + found + Math.max(norms(1), sums(1));
  return { columns, rows, perExample, scratch, perPart, cut, fits: fitsPart(atOne, dtype) };
}

/** The examples of a part. */
export function partLength({ cut }: PartNumbers, dtype: DType): number {
  return partSize(cut, dtype);
}

/**
 * Computes in steps, one for each part of the data, each of which gives the number of examples done; the caller may do
 * other things between them.
 * @param first the place of the first example in all the data
 * @throws ShapeError, ValueError for bad data
 */
export function* summarise(where: string, plan: Plan, data: Data, first = 0): Generator<number, Summary> {
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
  for (const pass of passes) {
    const again = before !== undefined;
    const accumulatorFor = accumulatorsOf(plan, pass, before?.curvature ?? plan.basis);
    const apart = pass === passes[passes.length - 1] ? outputsApart(plan, accumulatorFor(1).length) : 1;
    const visit = (targets: NDArray) => {
      if (again || passes.length === 1) return;
      targets.data.forEach((t: number, i: number) => {
        squares[i % squares.length] += t * t;
      });
    };
    const batches = targetedBatches(where, plan, data, again, (x) => again || inputs?.add(x));
    const summary: Summary = yield* onePass(where, plan, batches, first, accumulatorFor, apart, visit);
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
  plan: Plan,
  batches: Iterable<Required<Batch>>,
  first: number,
  accumulatorFor: (columns: number) => Accumulator,
  apart: number,
  visit: (targets: NDArray) => void,
): Generator<number, Summary> {
  const { net, selection, likelihood } = plan;
  const numbers = partNumbers(plan, accumulatorFor, apart);
  let [examples, constant] = [0, 0];
  const counted = function* () {
    for (const batch of batches) {
      constant += likelihood.constant(batch.targets);
      examples += batch.inputs.shape[0];
      visit(batch.targets);
      yield batch;
    }
  };
  const losses = lossSums(where, plan);
  const sums = curvatureSums(where, plan, accumulatorFor(numbers.columns), apart, () => examples);
  const columns = columnsOf(plan, first);
  const target = selection.reaches;
  const pass = <const Pulls extends readonly Pull<unknown>[]>(...pulls: Pulls) =>
    runInParts(where, net, counted(), partLength(numbers, net.dtype), pulls);
  if (plan.kind === "empiricalFisher") {
    const [[ofLoss, found]] = yield* pass({ columns, contraction: both(losses, sums), target });
    return { ...ofLoss, ...found, examples, constant };
  }
  const view = viewOf(plan);
  const rows = view && {
    ...view,
    most: numbers.rows,
    listed: (part: Part) => countedPositions(likelihood, view, part),
  };
  const [ofLoss, found] = yield* pass(
    { columns: lossGradient(likelihood, 1), contraction: losses, target },
    { columns, contraction: sums, target: view?.selection.reaches ?? target, most: numbers.columns, rows },
  );
  const drawn = plan.kind === "monteCarlo" ? [{ seed: plan.seed, first, end: first + examples }] : undefined;
  return { ...ofLoss, ...found, examples, constant, drawn };
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
