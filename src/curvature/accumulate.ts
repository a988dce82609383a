// One pass through data: loss, gradient and curvature together, part by part.

import type { NDArray } from "../array/ndarray.ts";
import { type Dataset, type DatasetLike, readDataset } from "../data/dataset.ts";
import { batchesOf, checkData, type Data, isIterator } from "../data/read.ts";
import { contractionNumbers } from "../derivatives/contractions.ts";
import { fold } from "../derivatives/totals.ts";
import { checkChoice, checkInteger, OptionError, ValueError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  copyTo,
  type DType,
  giveBlock,
  inMemory,
  scope,
  takeBlock,
} from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { readLikelihood, type Task } from "../likelihood/read.ts";
import { nodeNumbers } from "../network/graph.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { outputsOf } from "../network/outputs.ts";
import { checkValues, fitsPart, onePart, partSize } from "../network/parts.ts";
import { Backward, backwardNumbers } from "../network/passes.ts";
import { type Accumulator, type Curvature, type Structure, structures } from "../structures/curvature.ts";
import { hasBasis } from "../structures/eigenblocks.ts";
import { type Selection, select, type Weights } from "../structures/selection.ts";
import type { Sharing } from "../structures/structure.ts";
import { checkWeights, rowOf, table } from "../structures/table.ts";
import { accumulatorsOf, passesOf } from "./accumulators.ts";
import { columnCount, eachColumns, streamsOf } from "./columns.ts";
import { lossOf, sumOfNorms } from "./losses.ts";
import { outputsApart, sharing, weightedSum } from "./outputs.ts";
import { eachPosition, type PositionView, viewOf } from "./positions.ts";
import { Sketch, sketchNumbers } from "./sketch.ts";

/**
 * Which columns are pulled back: Λ^½ (the generalised Gauss-Newton matrix, exactly), gradients at targets drawn from the
 * likelihood (the same in the mean), or gradients at the data's own targets (the empirical Fisher, which is neither;
 * Kunstner et al. 2019, arXiv:1905.12558). For these likelihoods the first is the Fisher matrix (Martens 2020,
 * arXiv:1412.1193).
 */
export type CurvatureKind = "ggn" | "monteCarlo" | "empiricalFisher";

/** What is computed, and how. */
export interface CurvatureOptions {
  /** How the matrix is stored (default: "full" up to 1000 weights and for single weights, "kronecker" beyond). */
  structure?: Structure | undefined;
  /** Which weights it is over (default "all"; frozen ones stay out). */
  weights?: Weights | undefined;
  /** Which matrix (default "ggn"). */
  curvature?: CurvatureKind | undefined;
  /** Draws for each example of "monteCarlo" (default 1); the other kinds draw nothing, and refuse the option. */
  monteCarloSamples?: number | undefined;
  /** Seed of those draws (default 0); the other kinds do not look at it. */
  seed?: number | undefined;
  /**
   * How positions that share a weight count in Kronecker factors (Eschenhagen et al. 2023, arXiv:2311.00636): each as an
   * example of its own ("expand", default), or added up before ("reduce"). The same where a layer has one position. Grouped
   * convolutions have factors for each group. Scales, shifts and the biases of transposed convolutions are whole blocks.
   * Only "kronecker" and "ekfac" have factors: the other structures are exact, and do not look at it.
   */
  sharing?: Sharing | undefined;
  /** Eigenbases for "ekfac", from another fit; without it, a pass of its own finds them. */
  basis?: Curvature | undefined;
}

export const curvatureOptionNames: readonly string[] = [
  "structure",
  "weights",
  "curvature",
  "monteCarloSamples",
  "seed",
  "sharing",
  "basis",
];

/** A plan: options after all checks. */
export interface Plan {
  readonly net: Network;
  readonly likelihood: Likelihood;
  readonly selection: Selection;
  readonly structure: Structure;
  readonly kind: CurvatureKind;
  readonly samples: number;
  readonly seed: number;
  readonly sharing: Sharing;
  readonly basis: Curvature | undefined;
}

/** What a pass gives. */
export interface Summary {
  readonly curvature: Curvature;
  readonly examples: number;
  /** Σ_n ℓ_n at unit noise. */
  readonly loss: number;
  /** Of a Gaussian: half the sum of squared residuals of each output, in its own unit, [C]. */
  readonly losses?: Float64Array | undefined;
  /** The curvatures of the outputs one by one, where each has a noise to be tuned. */
  readonly apart?: readonly Curvature[] | undefined;
  /** Σ of what depends on the targets only. */
  readonly constant: number;
  /** Σ_n ∂ℓ_n/∂θ over the selected weights, in a `Sketch`. */
  readonly gradient: Float64Array;
  /** Σ_n ‖∂ℓ_n/∂θ‖ */
  readonly gradientNorms: number;
}

/** Examples after which sums of float32 are added to totals of float64. */
export const MOST_EXAMPLES = 4096;

/** The number of weights up to which the whole matrix is the default. */
const FULL_UP_TO = 1000;

/** Checks the options. @throws OptionError, ShapeError */
export function readPlan(where: string, net: Network, task: Likelihood | Task, options: CurvatureOptions): Plan {
  checkIsNetwork(where, net);
  const likelihood = readLikelihood(where, task, net);
  const selection = select(where, net, options.weights);
  const { curvature: kind = "ggn", monteCarloSamples: samples = 1, seed = 0, sharing = "expand", basis } = options;
  const structure = options.structure ?? (selection.size <= FULL_UP_TO || !selection.whole ? "full" : "kronecker");
  checkChoice(where, "structure", structure, structures);
  checkChoice(where, "curvature", kind, ["ggn", "monteCarlo", "empiricalFisher"]);
  checkInteger(where, "monteCarloSamples", samples, 1);
  checkInteger(where, "seed", seed, 0);
  checkChoice(where, "sharing", sharing, ["expand", "reduce"]);
  if (options.monteCarloSamples !== undefined && kind !== "monteCarlo") {
    throw new OptionError(`${where}: monteCarloSamples is for the curvature "monteCarlo", not "${kind}".`);
  }
  checkWeights(where, structure, selection);
  if (basis !== undefined) {
    if (!table[structure].options.includes("basis") || !hasBasis(basis)) {
      throw new OptionError(`${where}: a basis is for "ekfac", and comes from a "kronecker" or "ekfac" curvature.`);
    }
    if (!basis.selection.equals(selection)) throw new OptionError(`${where}: the basis is over other weights.`);
  }
  return { net, likelihood, selection, structure, kind, samples, seed, sharing, basis };
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
  const all = view === undefined ? columnCount(plan) : plan.likelihood.rootColumns([view.graph.output.size]);
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
  // Targets, the loss in float64, and the loss's own gradient.
  let perExample = nodeNumbers(graph.nodes) + 2 * outputs + (8 * outputs) / bytesPerElement(dtype);
  perExample += backwardNumbers(graph, selection.reaches, 1);
  const sketch = sketchNumbers(selection);
  const perPart = net.parameterCount + sketch.signs + accumulator.perPart;
  // The gradient's norms come before the columns, which may need less.
  const norms = (batch: number) =>
    batch * (1 + sketch.perExample) + contractionNumbers(graph, selection.sites().keys(), { batch, dtype });
  if (view === undefined) {
    const held =
      kind === "empiricalFisher" ? 0 : columns * outputs + backwardNumbers(graph, selection.reaches, columns);
    const scratch = (batch: number) => Math.max(norms(batch), batch * held + accumulator.scratch(batch));
    return { columns, rows: 0, perExample, scratch, perPart, fits: fitsPart(perExample + scratch(1), dtype) };
  }
  const { output, nodes } = view.graph;
  let perRow = columns * output.size + backwardNumbers(view.graph, view.selection.reaches, columns);
  // Where labels are ignored, the others' values are copied.
  if (likelihood.dropIgnored !== undefined) {
    perRow += nodeNumbers(nodes) + output.size;
    perExample += outputs;
  }
  const atOne = perRow + accumulator.scratch(1);
  const rows = partSize(atOne, dtype);
  const scratch = (batch: number) => {
    const some = Math.min(batch * view.positions, rows);
    return Math.max(norms(batch), some * perRow + accumulator.scratch(some));
  };
  return { columns, rows, perExample, scratch, perPart, fits: fitsPart(atOne, dtype) };
}

/** The examples of a part. */
export function partLength({ perExample, scratch }: PartNumbers, dtype: DType): number {
  return partSize(perExample + scratch(1), dtype);
}

/**
 * Computes in steps, one for each part of the data, each of which gives the number of examples done; the caller may do
 * other things between them.
 * @throws ShapeError, ValueError for bad data
 */
export function* summarise(where: string, plan: Plan, data: Data): Generator<number, Summary> {
  checkData(where, data);
  const passes = passesOf(plan);
  if (passes.length > 1 && isIterator(data)) {
    throw new ValueError(
      `${where}: "${plan.structure}" goes through the data twice, and an iterator can be gone through only once. Give { x, y }, a list of batches, a DataLoader or the generator function itself; or a basis, with which one pass is enough.`,
    );
  }
  const squares = new Float64Array(plan.net.graph.output.size);
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
    const summary: Summary = yield* onePass(where, plan, batchesOf(where, data, again), accumulatorFor, apart, visit);
    if (before !== undefined && (summary.examples !== before.examples || !sameLoss(plan, before, summary, squares))) {
      throw new ValueError(
        `${where}: the data changed between two passes: ${before.examples} examples with the loss ${before.loss} first, ${summary.examples} with ${summary.loss} then. Likely causes: random augmentation, or an iterator that can be gone through only once.`,
      );
    }
    before = summary;
  }
  return before as Summary;
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
  batches: Iterable<DatasetLike>,
  accumulatorFor: (columns: number) => Accumulator,
  apart: number,
  visit: (targets: NDArray) => void,
): Generator<number, Summary> {
  const { net, selection } = plan;
  const { dtype, graph } = net;
  const kernels = kernelsFor(dtype);
  const numbers = partNumbers(plan, accumulatorFor, apart);
  const accumulator = accumulatorFor(numbers.columns);
  const positions = viewOf(plan);
  const step = accumulator.length * bytesPerElement(accumulator.dtype);
  let output = 0;
  const add = (backward: Backward, again: boolean) => {
    output = again && apart > 1 ? output + 1 : 0;
    accumulator.add(backward, to + output * step, again);
  };
  const size = partLength(numbers, dtype);
  const randoms = streamsOf(plan);
  const length = apart * accumulator.length;
  const bytes = Math.max(1, length) * bytesPerElement(accumulator.dtype);
  const sumKernels = kernelsFor(accumulator.dtype);
  const parameterBytes = Math.max(1, net.parameterCount) * bytesPerElement(dtype);
  const sketch = new Sketch(selection);
  const to = takeBlock(bytes);
  const gradient = takeBlock(parameterBytes);
  const theta = takeBlock(parameterBytes);
  try {
    copyTo(dtype, theta, net.parameters.data);
    sumKernels.fill(length, 0, to);
    kernels.fill(net.parameterCount, 0, gradient);
    let [examples, rows, loss, constant, gradientNorms] = [0, 0, 0, 0, 0];
    const losses = plan.likelihood.noise === undefined ? undefined : new Float64Array(graph.output.size);
    // Sums of float32 go to totals of float64 now and then, before they drift.
    let kept = 0;
    const sums = apart > 1 ? length : (accumulator.sums ?? length);
    const totals = { curvature: new Float64Array(), gradient: new Float64Array() };
    const empty = () => {
      kept = examples;
      if (dtype === "float64") return;
      if (totals.gradient.length === 0) totals.gradient = new Float64Array(net.parameterCount);
      fold(dtype, gradient, totals.gradient);
      if (accumulator.dtype === "float64") return;
      if (totals.curvature.length === 0) totals.curvature = new Float64Array(sums);
      fold(dtype, to, totals.curvature);
    };
    for (const batch of batches) {
      const { inputs, targets } = readBatch(where, plan, batch);
      constant += plan.likelihood.constant(targets);
      visit(targets);
      const outputs = graph.output.size;
      for (let start = 0; start < inputs.shape[0]; start += size) {
        const end = Math.min(inputs.shape[0], start + size);
        if (examples - kept >= MOST_EXAMPLES) empty();
        onePart(net, theta, inputs, start, end, (part) => {
          checkValues(where, { ...part, start: examples });
          const t = copyIn(dtype, targets.data.subarray(start * outputs, end * outputs));
          const f = outputsOf(part);
          loss += lossOf(plan.likelihood, f, t, losses);
          if (!Number.isFinite(loss)) {
            throw new ValueError(
              `${where}: the loss of examples ${examples} to ${examples + part.count - 1} is not finite. A likely cause: outputs so large that the likelihood overflows ${dtype}, such as a rate eᶠ.`,
            );
          }
          const column = allocateFloats(dtype, part.count * outputs);
          plan.likelihood.gradient(f, t, 1, column);
          const own = new Backward(part.forward, column, 1, selection.reaches);
          scope(() => {
            sketch.add(own, gradient);
            gradientNorms += sumOfNorms(own, selection);
          });
          if (plan.kind === "empiricalFisher") add(own, false);
          else if (positions !== undefined)
            rows += eachPosition(plan.likelihood, positions, part.forward, f, t, numbers, add);
          else eachColumns(plan, part, f, t, numbers.columns, randoms, add);
        });
        examples += end - start;
        yield examples;
      }
    }
    accumulator.flush?.(to);
    const total = totals.curvature.reduce((a, b) => a + b, 0);
    if (sumKernels.allFinite(length, to) !== 1 || !Number.isFinite(total)) {
      throw new ValueError(
        `${where}: the curvature is not finite. A likely cause: derivatives whose squares overflow ${dtype}; scale inputs and targets, or use float64.`,
      );
    }
    // Where nothing counts, sums are 0, whatever they are divided by.
    const count = positions === undefined ? examples : rows || 1e-300;
    if (totals.curvature.length > 0) fold(accumulator.dtype, to, totals.curvature);
    if (totals.gradient.length > 0) fold(dtype, gradient, totals.gradient);
    const each = Array.from({ length: apart }, (_, c) =>
      inMemory(accumulator.dtype, (memory) => {
        const kept = totals.curvature.length > 0;
        const start = kept ? c * accumulator.length : (to + c * step) / bytesPerElement(accumulator.dtype);
        const values = (kept ? totals.curvature : memory).subarray(start, start + accumulator.length);
        return accumulator.finish(values, count);
      }),
    );
    const found = apart > 1 ? weightedSum(each, new Float64Array(apart).fill(1)) : each[0];
    const curvature = positions === undefined ? found : rowOf(found).lift(found, selection, examples);
    plan.likelihood.ratios?.forEach((ratio, c) => {
      if (losses !== undefined) losses[c] *= ratio ** 2;
    });
    const slopes = totals.gradient.length > 0 ? totals.gradient : copyOut(dtype, gradient, net.parameterCount);
    const ofOutputs = { losses, apart: apart > 1 ? sharing(each) : undefined };
    return { curvature, examples, loss, constant, gradient: selection.take(slopes), gradientNorms, ...ofOutputs };
  } finally {
    giveBlock(to, bytes);
    giveBlock(gradient, parameterBytes);
    giveBlock(theta, parameterBytes);
  }
}

function readBatch(where: string, { net, likelihood }: Plan, batch: DatasetLike) {
  const { x, y }: Dataset = readDataset(where, batch);
  const inputs = net.readInputs(where, x);
  const targets = likelihood.readTargets(where, y, [inputs.shape[0], ...net.outputShape], net.dtype);
  return { inputs, targets };
}
