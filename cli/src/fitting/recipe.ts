// One model: a network trained to a minimum under a prior that the evidence chooses, in rounds. The first prior is strong,
// so that the network begins simple; each round the evidence says how far to relax it. A validation part says when to
// stop relaxing; then everything is repeated on all rows, for as many rounds.

import {
  adam,
  gaussNewton,
  laplace,
  type Network,
  type Posterior,
  type Steps,
  type Structure,
  train,
} from "laplace-ts";
import { meanBy, totalWeight } from "../model/counting.ts";
import { countNll, gaussianNll } from "../model/metrics.ts";
import { type Numbers, partsOf, take } from "../model/rows.ts";
import type { Division } from "../model/splits.ts";
import { inTurns, turn } from "../turn.ts";
import { alone } from "./alone.ts";
import { severalClasses } from "./by-features.ts";
import { dispersionOf, levelOf, marginalDispersion } from "./counts.ts";
import { MANY_ROWS, sampleOf } from "./many-rows.ts";
import { type Learning, networkFor } from "./network.ts";
import { lossesOf } from "./scales.ts";

/** How a network is trained. */
export interface RoundsRecipe {
  readonly by: "rounds";
  readonly learning: Learning;
  readonly hidden: readonly number[];
  readonly activation: Parameters<typeof networkFor>[3];
  readonly structure: Structure;
  readonly memoryBudget: number;
  /** 1 / variance of the weights at first. */
  readonly first: number;
  /** Most rounds (the evidence may settle, or validation stop, before). */
  readonly rounds: number;
  /** Epochs of a round; undefined for a number that suits the rows. */
  readonly epochs?: number | undefined;
  readonly seed: number;
}

/** The course of a training, by epochs: negative log likelihood per row, of targets as the network learns them. */
export interface Course {
  readonly epochs: number[];
  readonly train: number[];
  readonly validation: number[];
  /** The epoch whose round was the last that helped. */
  kept: number;
  /** The rounds up to there. */
  rounds: number;
}

/** A posterior that was fitted, and how. */
export interface Fitted {
  readonly posterior: Posterior;
  readonly course: Course;
}

/** Where a training is after a round, and the prior and noise that it had. */
interface Begun {
  readonly parameters: Float64Array;
  readonly precision: number;
  readonly noise: number;
}

/** Called now and then with the share of the work that is done, 0 to 1. */
export type OnShare = (share: number) => void;

/** Of standardised targets. */
const FIRST_NOISE = 0.7;
/** The prior has settled when it and the noise change by less, in logarithms. */
const SETTLED = 0.1;
export const VALIDATION_SHARE = 0.15;
/** Parts of a round, each a quarter of its epochs: step sizes, the share of rows in a batch, and the fewest steps. */
const phases = [
  { learningRate: 0.02, batches: 4, steps: 300 },
  { learningRate: 0.01, batches: 4, steps: 300 },
  { learningRate: 0.005, batches: 1, steps: 60 },
  { learningRate: 0.001, batches: 1, steps: 60 },
] as const;
/** Epochs of a phase, of few rows: most, fewest, and the products of rows and weights that they may be together. */
const [EPOCHS, FEWEST_EPOCHS, MOST_PRODUCTS] = [20, 5, 1.6e8];
/** From so many rows on, steps are counted. */
const COUNTED_ROWS = 1000;
/** A linear model of several classes goes close to its minimum by Newton's steps, so many at most: the step that gains no more is the last. */
const [MOST_STEPS, TOLERANCE] = [50, 1e-3];
/** What a linear model's Newton steps take: the inputs twice, as an array and in the kernels' memory, and one matrix of them. */
const newtonBytes = ({ rows, x: { shape } }: Numbers) => 8 * (shape[1] + 1) * (2 * rows + shape[1] + 1);
/** Validation must improve by so much, in nats per row, within a round. */
const WORTH = 1e-3;
const [SMALLEST_BATCH, LARGEST_BATCH, FULL_BATCH] = [16, 256, 4096];

/** Epochs of a phase: of few rows as many as a network of so many weights has time for, of many as its steps need. */
function epochsOf(
  { batches, steps }: (typeof phases)[number],
  rows: number,
  weights: number,
  asked: number | undefined,
): number {
  if (asked !== undefined) return Math.max(1, Math.round(asked / phases.length));
  if (rows < COUNTED_ROWS * (1 - VALIDATION_SHARE)) {
    return Math.min(EPOCHS, Math.max(FEWEST_EPOCHS, Math.floor(MOST_PRODUCTS / (rows * weights))));
  }
  return Math.max(rows > MANY_ROWS ? 1 : 2, Math.ceil(steps / Math.ceil(rows / batchSize(rows, batches))));
}

/** Rows that a fit to so many goes through, again and again, in all of its rounds. */
export function rowPasses(
  { rounds, epochs }: Pick<RoundsRecipe, "rounds" | "epochs">,
  rows: number,
  weights: number,
): number {
  const ofRound = (own: number) => phases.reduce((sum, phase) => sum + own * epochsOf(phase, own, weights, epochs), 0);
  return ofRound(rows) + (rounds - 1) * ofRound(Math.min(rows, MANY_ROWS));
}

/** Fits a network to rows but for a validation part, which says when to stop. */
export async function tryRecipe(
  recipe: RoundsRecipe,
  numbers: Numbers,
  { part, rest }: Division,
  onShare: OnShare,
): Promise<Fitted & { readonly begun: Begun }> {
  return rounds(recipe, take(numbers, rest), recipe.rounds, onShare, { validation: take(numbers, part) });
}

/** Fits a network to all rows, for so many rounds. @param begun where the first begins (default: at the network's first weights) */
export async function fitRecipe(
  recipe: RoundsRecipe,
  numbers: Numbers,
  most: number,
  onShare: OnShare,
  begun?: Begun,
): Promise<Fitted> {
  const { posterior, course } = await rounds(recipe, numbers, most, onShare, { begun });
  return { posterior, course };
}

async function rounds(
  recipe: RoundsRecipe,
  all: Numbers,
  most: number,
  onShare: OnShare,
  { validation, begun }: { readonly validation?: Numbers; readonly begun?: Begun | undefined },
): Promise<Fitted & { readonly begun: Begun }> {
  const { learning, structure, memoryBudget, seed } = recipe;
  const counts = learning.classes === "counts";
  const level = levelOf(learning, all);
  const [net, trained] = (["float64", "float32"] as const).map((dtype) =>
    networkFor(all.x.shape[1], learning.outputs, recipe.hidden, recipe.activation, seed, level, dtype),
  );
  const course: Course = { epochs: [], train: [], validation: [], kept: 0, rounds: most };
  const firstNoise = counts ? marginalDispersion(all.y.data, all.weights?.data) : FIRST_NOISE;
  let [precision, noise] = [begun?.precision ?? recipe.first, begun?.noise ?? firstNoise];
  let [best, done] = [Number.POSITIVE_INFINITY, 0];
  const linear = severalClasses(learning) && recipe.hidden.length === 0 && recipe.epochs === undefined;
  const convex = linear && all.rows <= MANY_ROWS && newtonBytes(all) <= memoryBudget;
  if (begun !== undefined) for (const own of [net, trained]) own.parameters.data.set(begun.parameters);
  let end = { parameters: net.parameters.data.slice() as Float64Array, precision, noise };
  let posterior: Posterior | undefined;
  let kept: Posterior | undefined;
  // Of many rows a sample leads the way: all are learned from in the last round.
  const sample = validation === undefined ? sampleOf(all, seed) : undefined;
  for (let round = 1; round <= most; round++) {
    const data = round < most ? (sample ?? all) : all;
    const weightDecay = learning.weightDecay(precision, noise, totalWeight(data));
    const look = async () => {
      if (validation === undefined) return;
      course.epochs.push(done);
      await turn();
      course.train.push(plainNll(net, learning, noise, data));
      course.validation.push(plainNll(net, learning, noise, validation));
      await turn();
    };
    if (convex) {
      const { history } = await train(net, data, {
        loss: learning.loss,
        optimizer: gaussNewton({ tolerance: TOLERANCE, memoryBudget }),
        epochs: MOST_STEPS,
        weightDecay,
        onProgress: ({ epoch }) => onShare((round - 1 + epoch / MOST_STEPS) / most),
      });
      done += history.length;
      await look();
    }
    for (const [i, phase] of convex ? [] : phases.entries()) {
      const last = epochsOf(phase, data.rows, net.parameterCount, recipe.epochs);
      await train(trained, data, {
        loss: counts ? learning.likelihood(noise) : learning.loss,
        optimizer: adam({ learningRate: phase.learningRate }),
        epochs: last,
        batchSize: batchSize(data.rows, phase.batches),
        weightDecay,
        seed: seed + round * phases.length + i,
        onProgress: ({ epoch }) => onShare((round - 1 + (i + epoch / last) / phases.length) / most),
      });
      net.parameters.data.set(trained.parameters.data);
      done += last;
      await look();
    }
    const fitted = await laplace(net, {
      likelihood: learning.likelihood(noise),
      structure,
      memoryBudget,
      priorPrecision: precision,
      // Whether it is at a minimum, the diagnosis says.
      checks: false,
    }).fit(data, { on: alone, after: posterior });
    await turn();
    const here = { parameters: net.parameters.data.slice() as Float64Array, precision, noise };
    // Where a number ran to, the diagnosis says, too.
    posterior = await fitted.optimizePriorAsync({ onWarning: () => {} });
    await turn();
    const nextPrecision = posterior.priorPrecision.data[0];
    const nextNoise = counts ? dispersionAt(net, data) : (posterior.noise?.data[0] ?? noise);
    const change = Math.max(Math.abs(Math.log(nextPrecision / precision)), Math.abs(Math.log(nextNoise / noise)));
    [precision, noise] = [nextPrecision, nextNoise];
    if (validation !== undefined) {
      const value = await inTurns(predictiveNll(posterior, learning, validation));
      if (value < best - WORTH) {
        [best, kept, end, course.kept, course.rounds] = [value, posterior, here, done, round];
      } else if (round > course.rounds + 1) {
        break;
      }
    }
    if (change >= SETTLED) continue;
    if (sample === undefined || round === most) break;
    // What has settled on a sample goes on to all rows.
    round = most - 1;
  }
  onShare(1);
  return { posterior: (kept ?? posterior) as Posterior, course, begun: end };
}

function batchSize(rows: number, batches: number): number {
  if (batches === 1) return Math.min(rows, FULL_BATCH);
  return Math.min(rows, Math.max(SMALLEST_BATCH, Math.min(LARGEST_BATCH, Math.ceil(rows / batches))));
}

/** Of counts around what the network has learned of them. */
function dispersionAt(net: Network, { x, y, weights }: Numbers): number {
  const rates = Float64Array.from(net.forward(x).data, (f: number) => Math.exp(f));
  return dispersionOf(y.data, rates, Math.min(net.parameterCount, y.size / 10), weights?.data);
}

/** Of the network alone. */
function plainNll(net: Network, learning: Learning, noise: number, data: Numbers): number {
  const f = net.forward(data.x);
  const weights = data.weights?.data;
  if (learning.classes === "counts") return countNll(f.data, undefined, noise, data.y.data, weights);
  const { mean, variance } = { mean: f.data, variance: noise ** 2 };
  if (learning.approximation === "exact") return gaussianNll(mean, () => variance, data.y.data, weights);
  const [rows, outputs] = f.shape;
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    const logits = outputs === 1 ? [0, mean[i]] : mean.subarray(i * outputs, (i + 1) * outputs);
    const largest = Math.max(...logits);
    let total = 0;
    for (const logit of logits) total += Math.exp(logit - largest);
    sum += (weights?.[i] ?? 1) * (largest + Math.log(total) - logits[data.y.data[i]]);
  }
  return sum / totalWeight(data);
}

/** Of the posterior's predictions, in steps. */
function* predictiveNll(posterior: Posterior, { approximation }: Learning, data: Numbers): Steps<number> {
  if (approximation !== "exact") {
    const losses = yield* lossesOf(posterior, data, approximation);
    return meanBy(losses, data.weights?.data);
  }
  const [mean, variance] = [new Float64Array(data.rows), new Float64Array(data.rows)];
  const { dispersion } = posterior.likelihood;
  let at = 0;
  for (const part of partsOf(data, posterior)) {
    const predicted = posterior.predict(part.x, { approximation });
    if (dispersion !== undefined) {
      mean.set(predicted.functionMean.data, at);
      variance.set(predicted.functionVariance.data, at);
      at += part.rows;
      yield;
      continue;
    }
    mean.set(predicted.mean.data, at);
    variance.set(predicted.variance.data, at);
    at += part.rows;
    yield;
  }
  if (dispersion !== undefined) return countNll(mean, variance, dispersion, data.y.data, data.weights?.data);
  return gaussianNll(mean, (i) => variance[i], data.y.data, data.weights?.data);
}
