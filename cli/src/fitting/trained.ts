// A posterior around a network that was trained elsewhere: fitted, tuned by the evidence, and judged by rows that it was not
// fitted to.

import {
  type Executor,
  estimateMemory,
  type LaplaceOptions,
  laplace,
  NDArray,
  type Network,
  normalCdf,
  normalQuantile,
  type Posterior,
  uncertaintyAsync,
} from "laplace-ts";
import type { FarData } from "laplace-ts/executor";
import { TableError, UsageError } from "../errors.ts";
import type { Examples } from "../model/examples.ts";
import type { HeldOutRows } from "../model/held-out.ts";
import { type Baseline, baselineMetrics, baselineOf, classMetrics, regressionMetrics } from "../model/metrics.ts";

export type TrainedTask = "regression" | "classification" | "binary";

/** What a network's outputs are, why, and its classes. */
export interface Reading {
  readonly task: TrainedTask;
  readonly because: string;
  readonly classes?: readonly string[];
}

const integer = /^\d+(\.0)?$/;

/**
 * What the targets are, for a network of so many outputs. @throws UsageError for targets that do not fit the outputs
 * @param said by the end that the file had, or by an option
 */
export function readingOf(
  targets: readonly string[],
  outputs: number,
  said: { readonly task?: TrainedTask | undefined; readonly because?: string; readonly classes?: readonly string[] },
): Reading {
  const values = [...new Set(targets)];
  const two = outputs === 1 && values.length === 2 && !(values.some((v) => !integer.test(v)) && values.every(isNumber));
  const guess: TrainedTask = outputs > 1 ? "classification" : two ? "binary" : "regression";
  const task = said.task ?? guess;
  const because =
    said.because ??
    (outputs > 1 ? `it has ${outputs} outputs` : two ? "the target has two values" : "it has one output");
  if (task === "regression") {
    if (outputs === 1) return { task, because };
    throw new UsageError(
      `the network has ${outputs} outputs, and --target is one column: laplace posterior takes one number.`,
    );
  }
  const count = task === "binary" ? 2 : outputs;
  if (task === "binary" && outputs !== 1)
    throw new UsageError(`the network has ${outputs} outputs; a binary label has one.`);
  if (task === "classification" && outputs === 1)
    return readingOf(targets, outputs, { ...said, task: "binary", because });
  const positions = values.every((v) => integer.test(v) && Number(v) < count);
  const classes = said.classes ?? (positions ? Array.from({ length: count }, (_, i) => String(i)) : values.toSorted());
  if (classes.length === count) return { task, because, classes };
  throw new UsageError(
    `the target has ${classes.length} classes, the network's outputs are those of ${count}. Name all of them in the network's order by --classes.`,
  );
}

const isNumber = (text: string) => text.trim() !== "" && Number.isFinite(Number(text));

/** Targets as numbers: positions of classes, or the numbers themselves. @throws TableError with the line */
export function numbersOf({ targets, lines, target }: Examples, { classes }: Reading): Float64Array {
  const places = classes && new Map(classes.map((name, i) => [name, i]));
  return Float64Array.from(targets, (text, i) => {
    // Positions may be written as floats.
    const found = places === undefined ? Number(text) : (places.get(text) ?? places.get(text.replace(/\.0$/, "")));
    if (found !== undefined && Number.isFinite(found) && text !== "") return found;
    const what =
      places === undefined ? "not a number" : `none of the classes ${[...places.keys()].slice(0, 20).join(", ")}`;
    throw new TableError(`the target "${target}" has ${JSON.stringify(text.slice(0, 60))}, ${what}.`, lines[i]);
  });
}

/** How the posterior is made. */
export interface TrainedSettings {
  readonly weights: "lastLayer" | "all";
  readonly structure: "auto" | "full" | "kronecker" | "ekfac" | "diagonal";
  readonly memoryBudget: number;
  /** Who does the sums, beside this process. */
  readonly on?: Executor | undefined;
  /** The rows, where whoever sums them reads them: there are no inputs then. */
  readonly far?: FarData | undefined;
}

/** A posterior and what it did. */
export interface TrainedFit {
  readonly posterior: Posterior;
  /** Why it has its structure, in words. */
  readonly structureReason: string;
  readonly task: "regression" | "classification";
  readonly heldOut: HeldOutRows;
}

/** Weights whose whole covariance is cheap. */
const FEW_WEIGHTS = 1500;

/** How many weights a posterior is over. @throws OptionError for a network without such weights */
export function weightsIn(net: Network, task: TrainedTask, weights: TrainedSettings["weights"]): number {
  if (weights === "all") return net.parameterCount;
  // A diagonal curvature has a number of eight bytes for each.
  return estimateMemory(net, { likelihood: task, weights, structure: "diagonal" } as LaplaceOptions).curvature / 8;
}

function structureFor(net: Network, { task }: Reading, { structure, weights }: TrainedSettings) {
  if (structure !== "auto") return { structure, reason: "it was asked for" };
  const count = weightsIn(net, task, weights);
  if (count <= FEW_WEIGHTS) return { structure: "full", reason: `${count} weights are few` } as const;
  return { structure: "kronecker", reason: `the whole covariance of ${count} weights is large` } as const;
}

/** Rows that are predicted at once. */
const ROWS = 256;

/** Inputs as the network takes them, some rows of them. */
function inputs(net: Network, { x, width }: Pick<Examples, "x" | "width">, first: number, rows: number): NDArray {
  return new NDArray(x.subarray(first * width, (first + rows) * width), [rows, ...net.inputShape]);
}

/**
 * Fits, tunes and judges. @throws UsageError, OptionError, MemoryBudgetError
 * @param held rows that the posterior is judged by, which it is not fitted to
 */
export async function fitTrained(
  net: Network,
  data: Examples,
  held: Examples,
  reading: Reading,
  settings: TrainedSettings,
): Promise<TrainedFit> {
  const { task, classes } = reading;
  const n = data.lines.length;
  const y = numbersOf(data, reading);
  const { structure, reason } = structureFor(net, reading, settings);
  const { weights, memoryBudget, on, far } = settings;
  const options = { likelihood: task, structure, weights, memoryBudget, onWarning: () => {} };
  const targets = new NDArray(y, task === "classification" ? [n] : [n, ...net.outputShape]);
  const rows = far ?? { x: inputs(net, data, 0, n), y: targets };
  const fitted = await laplace(net, options as LaplaceOptions).fit(rows, { on });
  const posterior = (await fitted.optimizePriorAsync()) as Posterior;
  const truth = Array.from(numbersOf(held, reading));
  const baseline = baselineOf(y, classes?.length ?? 0);
  return {
    posterior,
    structureReason: reason,
    task: task === "regression" ? "regression" : "classification",
    heldOut: await judged(posterior, held, truth, task, baseline),
  };
}

/** What a posterior says of some rows. */
export interface TrainedPrediction {
  /** Of a number: the mean, the deviations of a new target and of the function, and the 90 % interval. */
  readonly mean: readonly number[];
  readonly sd: readonly number[];
  readonly functionSd: readonly number[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
  /** Of a class: its probabilities, two of a binary label. */
  readonly probabilities: readonly (readonly number[])[];
  /** The share of the uncertainty that the weights leave open. */
  readonly epistemic: readonly number[];
}

/**
 * Predictions of rows, in pieces.
 * @param on who does them, all at once; what weights leave open of classes is found on this thread
 */
export async function predictTrained(
  posterior: Posterior,
  rows: Pick<Examples, "x" | "width">,
  task: TrainedTask,
  on?: Executor,
): Promise<TrainedPrediction> {
  const { net } = posterior;
  const n = rows.width === 0 ? 0 : rows.x.length / rows.width;
  const [mean, variance, open, epistemic]: number[][] = [[], [], [], []];
  const probabilities: number[][] = [];
  const atOnce = on === undefined ? ROWS : Math.max(1, n);
  for (let first = 0; first < n; first += atOnce) {
    const count = Math.min(atOnce, n - first);
    const x = inputs(net, rows, first, count);
    if (task === "regression") {
      const found = await posterior.predictAsync(x, { on });
      // One by one: of many rows they would be too many arguments.
      for (const value of found.mean.data) mean.push(value);
      for (const value of found.variance.data) variance.push(value);
      for (const value of found.functionVariance.data) open.push(value);
      continue;
    }
    // As the graph with uncertainty computes them.
    const { mean: p } = await posterior.predictAsync(x, { on, approximation: "probit" });
    for (let i = 0; i < count; i++) {
      const own = Array.from(p.sub(i).data as Iterable<number>);
      probabilities.push(own.length === 1 ? [1 - own[0], own[0]] : own);
    }
    for (let at = 0; at < count; at += ROWS) {
      const some = inputs(net, rows, first + at, Math.min(ROWS, count - at));
      for (const value of (await uncertaintyAsync(posterior, some)).share.data) epistemic.push(value);
    }
  }
  const sd = variance.map(Math.sqrt);
  const z = normalQuantile(0.95);
  return {
    mean,
    sd,
    functionSd: open.map(Math.sqrt),
    lower: mean.map((m, i) => m - z * sd[i]),
    upper: mean.map((m, i) => m + z * sd[i]),
    probabilities,
    epistemic: task === "regression" ? open.map((v, i) => v / variance[i]) : epistemic,
  };
}

async function judged(
  posterior: Posterior,
  held: Examples,
  truth: readonly number[],
  task: TrainedTask,
  baseline: Baseline,
): Promise<HeldOutRows> {
  const n = held.lines.length;
  const { mean, sd, functionSd, lower, upper, probabilities, epistemic } = await predictTrained(posterior, held, task);
  const shared = {
    indices: truth.map((_, i) => i),
    truth,
    far: truth.map(() => false),
    baseline: baselineMetrics(new Array<Baseline>(n).fill(baseline), truth),
  };
  if (task !== "regression") {
    const logs = probabilities.map((row) => row.map((p) => Math.log(Math.max(p, Number.MIN_VALUE))));
    const best = probabilities.map((row) => row.indexOf(Math.max(...row)));
    return { ...shared, mean: best, probabilities, epistemic, metrics: classMetrics(probabilities, logs, truth) };
  }
  return {
    ...shared,
    mean,
    sd,
    functionSd,
    lower,
    upper,
    below: mean.map((m, i) => normalCdf((truth[i] - m) / sd[i])),
    epistemic,
    metrics: regressionMetrics(mean, sd, truth),
  };
}
