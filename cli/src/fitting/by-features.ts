// Random features: a wide hidden layer that stays as it was drawn, and a linear layer over it and the inputs, whose posterior is exact
// for numbers. Nearly a Gaussian process (Neal 1996; Williams 1998), at a cost that is linear in the rows.

import {
  add,
  dense,
  fourierFeatures,
  gaussNewton,
  laplace,
  multiply,
  type Network,
  network,
  Random,
  tanh,
  train,
} from "laplace-ts";
import { totalWeight } from "../model/counting.ts";
import type { Numbers } from "../model/rows.ts";
import { turn } from "../turn.ts";
import { alone } from "./alone.ts";
import { trainExactly } from "./by-evidence.ts";
import { byDispersions, levelOf, raised } from "./counts.ts";
import { centresOf, headOf, kernelNetwork } from "./kernel-features.ts";
import { fromSample, MANY_ROWS, startOf } from "./many-rows.ts";
import type { Learning } from "./network.ts";

/** How random features are fitted. */
export interface FeaturesRecipe {
  readonly by: "features";
  readonly learning: Learning;
  readonly features: number;
  /** How far apart inputs are that differ: half as long, twice as steep. */
  readonly length: number;
  /** That of the prior; undefined where the evidence is to find it. */
  readonly precision: number | undefined;
  /** Whether each input has a relevance, which the evidence is to find, too: of numbers alone (default false). */
  readonly relevance?: boolean;
  /** Of a kernel around rows, around which share of them; of numbers the evidence finds its length. Undefined for other features. */
  readonly around?: number;
  /** Whether counts are negative binomial, not Poisson. */
  readonly dispersed?: boolean;
  readonly memoryBudget: number;
  readonly seed: number;
}

const [STEPS, TOLERANCE, NATS] = [50, 1e-6, 0.05];
/** Of several classes: the step that gains no more is the last, and Newton's steps square what is left. */
const TOLERANCE_OF_CLASSES = 1e-3;
/** Deviation of the linear part beside that of the features, at a typical row. */
const LINEAR = 0.3;

/** The network: tanh(Ωx / (ℓ√d) + b / ℓ) / √M with Ω and b drawn from N(0, 1) and frozen, and the inputs, under a linear layer. */
export function featuresNetwork(
  inputs: number,
  outputs: number,
  { features, length, seed }: Pick<FeaturesRecipe, "features" | "length" | "seed">,
  level = 0,
): Network {
  const net = network({ inputs, seed, dtype: "float64" }, (x) => {
    const f = add(
      dense(outputs)(multiply(dense(features, tanh, { name: "features" })(x), 1 / Math.sqrt(features))),
      dense(outputs, undefined, { bias: false })(multiply(x, LINEAR / Math.sqrt(inputs))),
    );
    return raised(f, level);
  });
  const random = new Random(seed);
  for (const { name, offset, size } of net.parameterTable.filter((one) => one.name.startsWith("features."))) {
    const deviation = name.endsWith(".weight") ? 1 / (length * Math.sqrt(inputs)) : 1 / length;
    for (let i = offset; i < offset + size; i++) net.parameters.data[i] = deviation * random.normal();
    net.freeze(name);
  }
  return net;
}

/**
 * The network whose inputs have a relevance each: cosines of Ω(w ∘ x) + b with Ω and b drawn and frozen (Rahimi & Recht 2007), and the
 * inputs, under a linear layer.
 */
function relevanceNetwork(inputs: number, { features, length, seed }: FeaturesRecipe): Network {
  return network({ inputs, seed, dtype: "float64" }, (x) =>
    add(
      dense(1)(fourierFeatures({ features, relevance: true, lengthScale: length, name: "features" })(x)),
      dense(1, undefined, { bias: false })(x),
    ),
  );
}

/** Whether a target is one of several classes: a softmax regression over the features, whose posterior has a factor for them and one for the classes. */
export const severalClasses = ({ classes }: Pick<Learning, "classes">): boolean => classes !== "counts" && classes > 2;

/** Weights that are free. */
export const featuresWeights = (inputs: number, outputs: number, features: number): number =>
  (features + 1 + inputs) * outputs;

/** Lengths of a kernel that are tried, in parts of the recipe's: the last where the second is no better than the first. */
const LENGTHS = [1, 0.25, 4] as const;

/** A posterior around the weights of the greatest evidence, and the relevance of each input. */
async function fitRelevance(recipe: FeaturesRecipe, numbers: Numbers, onShare: (share: number) => void) {
  const net = relevanceNetwork(numbers.x.shape[1], recipe);
  const { posterior } = await trainExactly(net, recipe, numbers, onShare);
  const scale = "features.relevance.scale";
  const relevance = Array.from(net.named()[scale].data, (own: number) => own ** 2);
  net.freeze(scale);
  return { ...(await posterior()), relevance };
}

/** A posterior of numbers around the weights of the greatest evidence, of features that stay as they are drawn. */
async function fitExactly(recipe: FeaturesRecipe, numbers: Numbers, onShare: (share: number) => void) {
  const net = featuresNetwork(numbers.x.shape[1], recipe.learning.outputs, recipe);
  const { posterior } = await trainExactly(net, recipe, numbers, onShare, "layers");
  return posterior();
}

/** How many rows a kernel is around: as large a share in folds as in all, so that what folds say of the noise holds. */
const centresIn = ({ around = 1 }: FeaturesRecipe, { x }: Numbers) => Math.max(1, Math.round(around * x.shape[0]));

/** A posterior of numbers around the weights of the greatest evidence, of a kernel's features and its length. */
async function fitKernel(recipe: FeaturesRecipe, numbers: Numbers, onShare: (share: number) => void) {
  const centres = centresOf(numbers, centresIn(recipe, numbers), recipe.seed);
  const inputs = numbers.x.shape[1];
  let best: (Awaited<ReturnType<typeof trainExactly>> & { readonly net: Network }) | undefined;
  for (const [k, part] of LENGTHS.entries()) {
    const net = kernelNetwork(inputs, 1, centres, { ...recipe, length: recipe.length * part, remainder: true });
    const heard = (share: number) => onShare((k + share) / LENGTHS.length);
    const head = headOf(net, numbers, true, 0);
    const { evidence, posterior } = await trainExactly(head.net, recipe, head.numbers, heard, "layers");
    if (best !== undefined && evidence <= best.evidence) continue;
    best = { evidence, net, posterior };
    head.give();
    if (k === 1) break;
  }
  const { net, posterior } = best as NonNullable<typeof best>;
  return posterior(net, numbers);
}

/** A posterior around the minimum, and what its training said. */
export async function fitFeatures(recipe: FeaturesRecipe, numbers: Numbers, onShare: (share: number) => void) {
  if (recipe.relevance) return fitRelevance(recipe, numbers, onShare);
  const { learning, precision, memoryBudget } = recipe;
  const several = severalClasses(learning);
  // It has the features of all rows in memory.
  const few = numbers.x.shape[0] <= MANY_ROWS;
  if (few && precision === undefined && learning.classes === 0)
    return (recipe.around === undefined ? fitExactly : fitKernel)(recipe, numbers, onShare);
  const kernel = recipe.around !== undefined;
  const { outputs } = learning;
  const [inputs, level] = [numbers.x.shape[1], levelOf(learning, numbers)];
  // Of classes, the remainder, which no row says anything of, would make all rows uncertain; counts have no kernel.
  const net = kernel
    ? kernelNetwork(
        inputs,
        outputs,
        centresOf(numbers, centresIn(recipe, numbers), recipe.seed),
        { ...recipe, remainder: false },
        level,
      )
    : featuresNetwork(inputs, outputs, recipe, level);
  // A kernel's features take long; a softmax regression makes them once by itself.
  const head = kernel && !several ? headOf(net, numbers, false, level) : { net, numbers, give: () => {} };
  const data = { x: numbers.x, y: numbers.y, weights: numbers.weights };
  const { history, evidence, noise } = await byDispersions(recipe, head.numbers, async (first, share) => {
    const { history, evidence } = await fromSample(head.numbers, recipe.seed, STEPS, (rows, steps, begun) =>
      train(
        head.net,
        { x: rows.x, y: rows.y, weights: rows.weights },
        {
          loss: precision === undefined ? learning.likelihood(begun?.noise ?? first) : learning.loss,
          optimizer: gaussNewton({ tolerance: several ? TOLERANCE_OF_CLASSES : TOLERANCE, memoryBudget }),
          epochs: steps,
          ...(precision === undefined
            ? { evidence: { groups: "layers" as const, tolerance: NATS, ...startOf(begun) } }
            : { weightDecay: learning.weightDecay(precision, 1, totalWeight(rows)) }),
          onProgress: ({ epoch }) => onShare(share(epoch / steps)),
        },
      ),
    );
    await turn();
    return { history, evidence, noise: evidence?.noise ?? first, net: head.net };
  });
  head.give();
  const posterior = await laplace(net, {
    likelihood: learning.likelihood(noise),
    structure: several ? "kronecker" : "full",
    memoryBudget,
    priorPrecision: evidence?.priorPrecision ?? precision ?? 1,
    checks: false,
  }).fit(data, { on: alone });
  onShare(1);
  const epochs = history.map(({ epoch }) => epoch);
  const kept = epochs[epochs.length - 1] ?? 0;
  return {
    posterior,
    course: { epochs, train: history.map(({ loss }) => loss), validation: [], kept, rounds: 1 },
  };
}
