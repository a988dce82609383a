// The network for a table: its size, its likelihood, and the structure of its posterior.

import {
  add,
  bernoulli,
  binaryCrossEntropy,
  categorical,
  chain,
  crossEntropy,
  dense,
  elu,
  estimateMemory,
  gaussian,
  gelu,
  type Layer,
  type Likelihood,
  type Loss,
  MemoryBudgetError,
  mse,
  type Network,
  poisson,
  relu,
  type Structure,
  selu,
  sigmoid,
  silu,
  softplus,
  type TableEncoding,
  type Traced,
  tanh,
} from "laplace-ts";

/** Activations by the names of the option. */
export const activations = { tanh, relu, gelu, silu, sigmoid, softplus, elu: (x: Traced) => elu(x), selu } as const;
export type Activation = keyof typeof activations;

/** What can be asked of a network and its posterior. */
export interface NetworkSettings {
  /** Widths of the hidden layers (default: by the number of rows). */
  readonly hidden?: readonly number[] | undefined;
  readonly activation: Activation;
  readonly structure: "auto" | Structure;
  /** Bytes. */
  readonly memoryBudget: number;
}

/** A kind of target: how it is learned. */
export interface Learning {
  /** Of the target; 0 for numbers. */
  readonly classes: number | "counts";
  readonly outputs: number;
  readonly loss: Loss | Likelihood;
  /** Of numbers by their noise, of counts by their dispersion. */
  readonly likelihood: (noise: number) => Likelihood;
  /** What the penalty of the training must be for a prior of precision δ, a noise, and n rows. */
  readonly weightDecay: (precision: number, noise: number, rows: number) => number;
  /** A categorical posterior's default ignores that probabilities do not change where all logits move together. */
  readonly approximation: "exact" | "probit" | "meanField2";
}

/** How the target of a table is learned. */
export function learningOf({ target }: TableEncoding): Learning {
  return learningOfClasses(target.kind === "classes" ? target.classes.length : target.counts ? "counts" : 0);
}

/** How a target of so many classes is learned; of numbers for 0. */
export function learningOfClasses(classes: Learning["classes"]): Learning {
  if (classes === 0) {
    return {
      classes,
      outputs: 1,
      loss: mse,
      likelihood: (noise) => gaussian({ noise }),
      weightDecay: (precision, noise, rows) => (2 * precision * noise ** 2) / rows,
      approximation: "exact",
    };
  }
  const weightDecay = (precision: number, _: number, rows: number) => precision / rows;
  if (classes === "counts") {
    return {
      classes,
      outputs: 1,
      loss: poisson(),
      likelihood: (dispersion) => poisson({ dispersion }),
      weightDecay,
      approximation: "exact",
    };
  }
  if (classes === 2) {
    return {
      classes,
      outputs: 1,
      loss: binaryCrossEntropy,
      likelihood: () => bernoulli(),
      weightDecay,
      approximation: "probit",
    };
  }
  return {
    classes,
    outputs: classes,
    loss: crossEntropy,
    likelihood: () => categorical(),
    weightDecay,
    approximation: "meanField2",
  };
}

/** Below so many rows a network is fitted in seconds. */
export const FEW_ROWS = 1000;

/** Hidden layers that a number of rows can fill, of a network whose weights are few enough for all their correlations. */
export function defaultHidden(rows: number): readonly number[] {
  if (rows < FEW_ROWS) return [16];
  return rows < 10_000 ? [24] : [64, 64];
}

/** A network for a table. */
export function networkFor(
  inputs: number,
  outputs: number,
  hidden: readonly number[],
  activation: Activation,
  seed: number,
  level = 0,
  dtype: Network["dtype"] = "float64",
): Network {
  const layers: Layer[] = hidden.map((width) => dense(width, activations[activation]));
  return chain({ inputs, seed, dtype }, ...layers, dense(outputs), ...raised(level));
}

/** A layer that adds a constant; none for 0. */
const raised = (level: number): Layer[] => (level === 0 ? [] : [(x) => add(x, level)]);

/** A small network with a linear one beside it in a line. */
export function describeSkip(inputs: number, outputs: number, width: number, weights: number): string {
  const count = `${weights.toLocaleString("en")} parameters`;
  if (width === 0) return `${inputs} → ${outputs}, linear, ${count}`;
  return `${inputs} → ${width} → ${outputs}, tanh, and ${inputs} → ${outputs}, ${count}`;
}

/** Random features, or those of a kernel, with the inputs beside them in a line. */
export function describeFeatures(
  inputs: number,
  outputs: number,
  features: number,
  weights: number,
  kind: "tanh" | "cos" | "kernel",
): string {
  const [hidden, most] =
    kind === "kernel"
      ? [`features of a kernel around at most ${features} rows`, "at most "]
      : [`${features} random features, ${kind}`, ""];
  const learned = `${most}${weights.toLocaleString("en")} parameters that are learned`;
  return `${inputs} → ${hidden}, and ${inputs} inputs → ${outputs}, ${learned}`;
}

/** A network in a line: "13 → 32 → 1, tanh, 481 parameters". */
export function describeNetwork(net: Network, hidden: readonly number[], activation: Activation): string {
  const sizes = [net.graph.input.size, ...hidden, net.graph.output.size].join(" → ");
  return `${sizes}, ${activation}, ${net.parameterCount.toLocaleString("en")} parameters`;
}

/** Weights up to which the whole matrix is quick to factor: a cross-validation does it dozens of times. */
const FULL_WEIGHTS = 300;

/** Bytes as a text: 1.50 MiB, 1.00 GiB. */
function bytesText(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toPrecision(3)} MiB` : `${(bytes / 2 ** 30).toPrecision(3)} GiB`;
}

/** The structure of the posterior, and why. @throws MemoryBudgetError if none fits */
export function chooseStructure(
  net: Network,
  learning: Learning,
  rows: number,
  { structure, memoryBudget }: NetworkSettings,
): { structure: Structure; reason: string } {
  const bytesOf = (candidate: Structure) =>
    estimateMemory(net, { likelihood: learning.likelihood(1), structure: candidate, examples: rows }).bytes;
  const fits = (candidate: Structure) => bytesOf(candidate) <= memoryBudget;
  const text = (candidate: Structure) => `${bytesText(bytesOf(candidate))} of ${bytesText(memoryBudget)}`;
  if (structure !== "auto") return { structure, reason: `asked for; it needs ${text(structure)}` };
  const weights = `${net.parameterCount.toLocaleString("en")} weights`;
  if (net.parameterCount <= FULL_WEIGHTS && fits("full")) {
    return { structure: "full", reason: `all correlations of ${weights} fit: ${text("full")}` };
  }
  const why = fits("full") ? `the whole matrix of ${weights} would be slow` : `"full" needs ${text("full")}`;
  const found = (["kronecker", "diagonal"] as const).find(fits);
  if (found !== undefined) return { structure: found, reason: `${why}; this one needs ${text(found)}` };
  throw new MemoryBudgetError(
    `fit: no structure fits the memory budget: "diagonal" needs ${text("diagonal")}. Raise --memory-budget, or make --hidden smaller.`,
    bytesOf("diagonal"),
    memoryBudget,
  );
}
