// The training loop. Bursts of steps run in the kernels' memory without a pause; between bursts the event loop has its
// turn, so that a page stays alive and an abort is heard.

import { type NDArray, sizeOf, zeros } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { type Data, readWhole } from "../data/batches.ts";
import { asChecked } from "../data/dataset.ts";
import { DataLoader } from "../data/loader.ts";
import { NonFiniteLossError, OptionError, valueText } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOutTo,
  inMemory,
  type Pointer,
  scope,
  sumOf,
} from "../kernels/memory.ts";
import { inBursts, nextTurn } from "../kernels/steps.ts";
import { readLoss } from "../losses/losses.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import type { Node } from "../network/primitive.ts";
import {
  type BatchNormaliseAttributes,
  positionsOfChannel,
  takesBatchStatistics,
} from "../network/primitives/training.ts";
import { beginTraining, endTraining, type Running } from "../network/running.ts";
import { type Executor, readExecutor } from "../shards/executor.ts";
import { type BatchesOf, batchesOf, batchGradient, type Counted, type Gradients, type Rows } from "./batch-gradient.ts";
import type { EvidencePlan, EvidenceRun, PriorRule } from "./evidence-options.ts";
import { isMinimiser } from "./minimiser.ts";
import type { Optimizer } from "./optimisers.ts";
import { readTrainingOptions, type TrainingOptions, type TrainingPlan } from "./options.ts";
import type { EpochReport, TrainingEvidence, TrainingResult } from "./results.ts";
import { gradientSharing } from "./sharing.ts";
import type { VariationalRun, VariationalState } from "./variational.ts";

/** How long a burst of steps may hold up everything else. */
const BURST_MILLISECONDS = 30;

/**
 * Trains a network, changing its parameters but for frozen ones: `await train(…)`, or what comes next sees it half trained. Each call begins afresh: with new optimiser state, and with the order of
 * samples that the seed gives. The loss is not evaluated again after the last step. Here, and nowhere else, `dropout` drops
 * and `batchNorm` takes the batch's statistics, from which it learns its running ones.
 * @param data { x, y }, with `weights` each sample counts so much; a DataLoader, whose batches and order they are; or other
 *   batches, put together
 * @throws ShapeError, ValueError for bad data; OptionError for bad options; LaplaceError while another call trains the
 *   network: all before anything changes
 * @throws NonFiniteLossError if the loss is not finite; the last parameters with a finite loss are kept
 */
export async function train(net: Network, data: Data, options: TrainingOptions): Promise<TrainingResult> {
  checkIsNetwork("train", net);
  const rule = readLoss("train", options.loss, net);
  const given = data instanceof DataLoader ? data : undefined;
  const plan = readTrainingOptions(options, given);
  const on = readExecutor("train", options.on);
  const { batchSize, epochs, optimizer, weightDecay } = plan;
  const { x, y, weights } = readWhole("train", data);
  const inputs = net.readInputs("train", x, given === undefined);
  const targets = rule.readTargets("train", y, [inputs.shape[0], ...net.outputShape], net.dtype);
  const loader =
    given ??
    new DataLoader(asChecked({ x: inputs, y: targets, weights }), {
      batchSize,
      shuffle: plan.shuffle,
      seed: plan.seed,
    });
  const samples = loader.dropLast ? loader.length * batchSize : inputs.shape[0];
  if (samples === 0)
    throw new OptionError("train: the DataLoader gives no batch (dropLast, and fewer samples than one).");

  net.readVector("train", "net.parameters", net.parameters);
  if (net.parameterCount > 0 && net.parameterTable.every(({ name }) => net.frozen.has(name))) {
    throw new OptionError("train: all parameters are frozen, so there is nothing to train; net.unfreeze() frees them.");
  }
  if (!isMinimiser(optimizer)) checkBatches(net, samples, batchSize);
  options.signal?.throwIfAborted();
  const running = beginTraining(net);
  let gradients: Gradients | undefined;
  try {
    const all = { inputs, targets, weights };
    if (isMinimiser(optimizer)) {
      const evidence = plan.evidence as EvidencePlan | undefined;
      const steps = optimizer.minimise({ net, rule, data: all, epochs, weightDecay, evidence });
      const onProgress = (report: EpochReport) => told(running, report, options);
      return await inBursts(steps, { onProgress, signal: options.signal });
    }
    const steps = epochs * Math.ceil(samples / batchSize);
    const evidence = plan.evidence as PriorRule | undefined;
    const problem = { ...plan, net, rule, data: all, steps };
    const begun = "begin" in optimizer ? optimizer.begin(problem) : optimizer;
    const of = batchesOf(net, rule, all);
    const run = new Run(of, { ...plan, optimizer: begun }, steps);
    run.learned = evidence && (await inBursts(evidence.learn({ net, rule, data: all }), { signal: options.signal }));
    gradients = batchSize > of.length ? gradientSharing(on)?.(of, options, on as Executor, epochs) : undefined;
    return await epochsOf(run, loader, samples, gradients, running, options, epochs);
  } finally {
    endTraining(net);
    await gradients?.end();
  }
}

/** @throws OptionError where a batch would have a single value for each channel of a batchNorm: it has no variance */
function checkBatches({ graph, frozen }: Network, examples: number, batchSize: number): void {
  const smallest = (size: number) => examples % size || size;
  if (smallest(batchSize) > 1) return;
  let better = batchSize + 1;
  while (better < examples && smallest(better) === 1) better++;
  for (const node of graph.nodes) {
    if (!node.primitive.statistics) continue;
    const batchNode = node as Node<BatchNormaliseAttributes>;
    if (positionsOfChannel(batchNode) > 1 || !takesBatchStatistics(batchNode, frozen)) continue;
    const layer = batchNode.attributes.mean.name.replace(/\.running_mean$/, "");
    const advice = examples === 1 ? "Give it more examples" : `Choose another batchSize (such as ${better})`;
    throw new OptionError(
      `train: with ${examples} examples and a batchSize of ${batchSize} there is a batch of one, of which the batchNorm "${layer}" cannot take a variance. ${advice}, or freeze the layer, which then keeps to its running statistics.`,
    );
  }
}

async function epochsOf(
  run: Run,
  loader: DataLoader,
  samples: number,
  gradients: Gradients | undefined,
  running: Running,
  options: TrainingOptions,
  epochs: number,
): Promise<TrainingResult> {
  const { signal } = options;
  const history: { epoch: number; loss: number }[] = [];
  let evidence: TrainingEvidence | undefined;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    run.beginEpoch(epoch, loader.nextEpoch().subarray(0, samples), loader.batchSize);
    if (gradients !== undefined) await inBursts(gradients.epoch(run), { signal });
    while (!run.epochDone) {
      signal?.throwIfAborted();
      run.burst();
      await nextTurn();
    }
    evidence = run.learned && (await inBursts(run.learned.after(epoch, epochs), { signal }));
    const report = { epoch, epochs, loss: run.epochLoss };
    history.push({ epoch, loss: report.loss });
    told(running, report, options);
  }
  signal?.throwIfAborted();
  return { history, steps: run.steps, evidence, variational: run.found };
}

/** Tells how far training is; the parameters are those of a whole epoch then. */
function told(running: Running, report: EpochReport, { onProgress }: TrainingOptions): void {
  running.reporting = true;
  try {
    onProgress?.(report);
  } finally {
    running.reporting = false;
  }
}

/** Steps along gradients of batches. */
type StepPlan = TrainingPlan & { readonly optimizer: Optimizer & Partial<VariationalRun> };

/** What a training has in the kernels' memory. */
interface Held {
  /** Parameters, running statistics, the last parameters whose loss was finite, those before the last step, and the optimiser's state. */
  readonly kept: Pointer[];
  readonly gradient: Pointer;
  /** Running statistics before the last evaluation. */
  readonly before: Pointer;
  /** Where the gradient is taken. */
  at: Pointer;
}

/** The state of one call of `train` between bursts. */
class Run {
  readonly of: BatchesOf;
  readonly #plan: StepPlan;
  /** Steps that the whole training will take. */
  readonly #allSteps: number;
  /** What outlives a burst, as in `Held`. */
  readonly #kept: readonly NDArray[];
  /** What dropout draws from: a stream apart from that of the order. */
  readonly #random: Random;
  #epoch = 0;
  #order: Uint32Array = new Uint32Array();
  #batchSize = 1;
  #next = 0;
  #lossSum = 0;
  #weight = 0;
  /** What learns the penalty. */
  learned: EvidenceRun | undefined;
  steps = 0;

  constructor(of: BatchesOf, plan: StepPlan, steps: number) {
    const { net } = of;
    this.of = of;
    this.#plan = plan;
    this.#allSteps = steps;
    const { parameters, parameterCount, buffers, dtype } = net;
    const state = Array.from({ length: plan.optimizer.stateArrays }, () => zeros([parameterCount], { dtype }));
    this.#kept = [parameters, buffers, parameters.clone(), ...state];
    this.#random = new Random(Math.floor(new Random(plan.seed).uniform() * 2 ** 32));
  }

  beginEpoch(epoch: number, order: Uint32Array, batchSize: number): void {
    this.#epoch = epoch;
    this.#order = order;
    this.#batchSize = batchSize;
    this.#next = 0;
    this.#lossSum = 0;
    this.#weight = 0;
  }

  get epochDone(): boolean {
    return this.#next >= this.#order.length;
  }

  /** What the optimiser found. */
  get found(): VariationalState | undefined {
    return this.#plan.optimizer.finish?.();
  }

  get epochLoss(): number {
    return this.#weight === 0 ? 0 : this.#lossSum / this.#weight;
  }

  /** Takes steps until the epoch or the time for a burst is over. Parameters and state are copied back at its end. */
  burst(): void {
    scope(() => {
      const held = this.hold();
      const end = performance.now() + BURST_MILLISECONDS;
      try {
        while (!this.epochDone) {
          this.step(held, batchGradient(this.of, this.next(held), held.gradient));
          if (performance.now() >= end) break;
        }
      } finally {
        this.keep(held);
      }
    });
  }

  hold(): Held {
    const { dtype, parameterCount, buffers } = this.of.net;
    const kept = this.#kept.map(({ data }) => copyIn(dtype, data));
    const [gradient, before] = [parameterCount, buffers.size].map((size) => allocateFloats(dtype, size));
    return { kept, gradient, before, at: kept[0] };
  }

  /** Copies parameters and state back. */
  keep({ kept }: Held): void {
    this.#kept.forEach(({ data }, i) => {
      copyOutTo(this.of.net.dtype, kept[i], data.length, data, 0);
    });
  }

  /** The next batch, and where its gradient is taken. */
  next(held: Held): Rows {
    const [theta, buffers, , ...state] = held.kept;
    const { dtype, buffers: statistics } = this.of.net;
    kernelsFor(dtype).copyRows(1, statistics.size, buffers, 0, held.before, 0, false);
    held.at = this.#plan.optimizer.draw?.(theta, state) ?? theta;
    const rows = this.#order.subarray(this.#next, this.#next + this.#batchSize);
    return { theta: held.at, buffers, rows, random: this.#random };
  }

  /** A step along a batch's gradient. Where it cannot be, parameters are those before the last one. @param summed the loss of the batch @param counted how many of its elements count */
  step(held: Held, [summed, counted]: Counted): void {
    const { dtype, graph, parameterCount, parameterTable, frozen, buffers: statistics } = this.of.net;
    const { kept, at, gradient } = held;
    const [theta, buffers, previous, ...state] = kept;
    kept.splice(0, 2, previous, held.before);
    const { weightDecay, optimizer } = this.#plan;
    const kernels = kernelsFor(dtype);
    let loss = summed / (counted || 1);
    if (weightDecay !== 0) {
      scope(() => {
        const square = allocateFloats(dtype, 1);
        kernels.dotRows(1, parameterCount, at, at, square, false);
        loss += 0.5 * weightDecay * sumOf(dtype, square, 1);
      });
    }
    const learned = kernels.allFinite(statistics.size, buffers) === 1;
    if (!Number.isFinite(loss) || !learned) {
      throw this.#notFinite(learned ? `the loss is ${loss}` : "a running statistic is not finite");
    }
    this.#clip(gradient);
    const penalty = this.learned?.add(kernels, theta, gradient) ?? 0;
    // The number of samples, less what is ignored of them.
    const weight = counted / sizeOf(this.of.rule.elementShape(graph.output.shape));
    this.#lossSum += (loss + penalty) * weight;
    this.#weight += weight;
    kernels.copyRows(1, parameterCount, theta, 0, previous, 0, false);
    optimizer.step({
      kernels,
      size: parameterCount,
      parameters: theta,
      gradient,
      state,
      count: this.steps + 1,
      decay: weightDecay,
      rate: this.#rate(),
    });
    // Whatever the optimiser did to frozen parameters, momentum and decay included, is undone.
    for (const { name, size, offset } of parameterTable) {
      if (!frozen.has(name)) continue;
      const shift = offset * bytesPerElement(dtype);
      kernels.copyRows(1, size, previous + shift, 0, theta + shift, 0, false);
    }
    if (kernels.allFinite(parameterCount, theta) === 0) {
      throw this.#notFinite("a step made parameters that are not finite");
    }
    kept.splice(0, 2, theta, buffers);
    this.steps++;
    this.#next += this.#batchSize;
  }

  /** What the schedule says of the next step. @throws OptionError */
  #rate(): number {
    const { schedule } = this.#plan;
    if (schedule === undefined) return 1;
    const rate = schedule(this.steps + 1, this.#allSteps);
    if (Number.isFinite(rate) && rate >= 0) return rate;
    throw new OptionError(
      `train: the schedule must give a number of at least 0, not ${valueText(rate)}, at step ${this.steps + 1} of ${this.#allSteps}.`,
    );
  }

  /** Shortens the gradient over free parameters to the norm that it may have (Pascanu, Mikolov & Bengio 2013). */
  #clip(gradient: Pointer): void {
    const { clipNorm } = this.#plan;
    if (clipNorm === Number.POSITIVE_INFINITY) return;
    const { dtype, parameterTable, parameterCount, frozen } = this.of.net;
    const start = gradient / bytesPerElement(dtype);
    inMemory(dtype, (memory) => {
      const g = memory.subarray(start, start + parameterCount);
      // In units of the largest, whose square may not be a number.
      let [largest, sum] = [0, 0];
      const free = parameterTable.filter(({ name }) => !frozen.has(name));
      for (const { offset, size } of free)
        for (let i = offset; i < offset + size; i++) largest = Math.max(largest, Math.abs(g[i]));
      if (largest === 0) return;
      for (const { offset, size } of free) for (let i = offset; i < offset + size; i++) sum += (g[i] / largest) ** 2;
      const factor = clipNorm / largest / Math.sqrt(sum);
      if (factor >= 1) return;
      for (let i = 0; i < parameterCount; i++) g[i] *= factor;
    });
  }

  #notFinite(what: string): NonFiniteLossError {
    const batch = Math.floor(this.#next / this.#batchSize) + 1;
    return new NonFiniteLossError(
      `train: ${what} in epoch ${this.#epoch}, batch ${batch}. Likely causes: a learning rate that is too large (it is ${this.#plan.optimizer.learningRate}), inputs or targets of very different size (standardise them), or an activation that overflows, such as exp. The network keeps the last parameters whose loss was finite.`,
      this.#epoch,
      batch,
    );
  }
}
