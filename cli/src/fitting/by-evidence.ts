// A small network with a linear skip, trained by second order, with its prior and noise by the evidence: one precision for each
// layer, or one for each input, whose relevance it then says (Foresee & Hagan 1997; MacKay 1994).

import {
  add,
  dense,
  gaussNewton,
  heteroscedastic,
  type LaplaceOptions,
  laplace,
  lastLayerEvidence,
  type NDArray,
  type Network,
  network,
  tanh,
  train,
} from "laplace-ts";
import type { Numbers } from "../model/rows.ts";
import { turn } from "../turn.ts";
import { alone } from "./alone.ts";
import { byDispersions, levelOf, raised } from "./counts.ts";
import { fromSample, MANY_ROWS, startOf } from "./many-rows.ts";
import type { Learning } from "./network.ts";

/** How a small network is trained. */
export interface EvidenceRecipe {
  readonly by: "evidence";
  readonly learning: Learning;
  /** Units of the hidden layer; 0 for a linear model. */
  readonly width: number;
  /** Which weights share a prior precision. */
  readonly groups: "layers" | "inputs";
  /** Whether a second output is the logarithm of the noise's variance. */
  readonly varying?: boolean;
  /** Whether counts are negative binomial, not Poisson. */
  readonly dispersed?: boolean;
  readonly memoryBudget: number;
  readonly seed: number;
}

/** Most steps, those of a noise that depends on the row, the part of the objective that the last may gain, and nats by which an evidence is better. */
const [STEPS, VARYING_STEPS, TOLERANCE, NATS] = [100, 150, 1e-6, 0.05];
/** Most steps of the exact evidence of a last layer, and the inputs from which on a linear model of numbers goes by it. */
const [EXACT_STEPS, MANY_INPUTS] = [50, 60];

/** The network: a hidden layer of tanh beside a linear one. @param level a constant that is added */
export function skipNetwork(inputs: number, outputs: number, width: number, seed: number, level = 0): Network {
  return network({ inputs, seed, dtype: "float64" }, (x) => {
    const f =
      width === 0
        ? dense(outputs)(x)
        : add(dense(outputs)(dense(width, tanh)(x)), dense(outputs, undefined, { bias: false })(x));
    return raised(f, level);
  });
}

/** Weights of such a network. */
export function skipWeights(inputs: number, outputs: number, width: number): number {
  if (width === 0) return (inputs + 1) * outputs;
  return (inputs + 1) * width + (width + 1) * outputs + inputs * outputs;
}

/** Whether a fit ends at the greatest evidence, before a minimum: behind it networks fit noise. A linear model has its minimum where it is. */
export const endsEarly = (recipe: { readonly by: string; readonly width?: number }): boolean =>
  recipe.by === "evidence" && (recipe.width ?? 0) > 0;

/** Trains to the greatest evidence of the last layer, which is exact: where nothing moves the features, sums over the rows are made once. */
export async function trainExactly(
  net: Network,
  { learning, memoryBudget }: Pick<EvidenceRecipe, "learning" | "memoryBudget">,
  { x, y, weights }: Numbers,
  onShare: (share: number) => void,
  groups?: "layers",
) {
  const data = { x, y, weights };
  const { history, evidence } = await train(net, data, {
    loss: learning.likelihood(1),
    optimizer: lastLayerEvidence({ tolerance: NATS }),
    epochs: EXACT_STEPS,
    ...(groups !== undefined && { evidence: { groups } }),
    onProgress: ({ epoch }) => onShare(epoch / EXACT_STEPS),
  });
  await turn();
  const likelihood = learning.likelihood(evidence?.noise ?? 1);
  const options = { likelihood, memoryBudget, priorPrecision: evidence?.priorPrecision ?? 1 };
  return {
    evidence: evidence?.logMarginalLikelihood ?? Number.NEGATIVE_INFINITY,
    /** The posterior, over what is free now; of a network of which the trained one is a part, by its rows. */
    posterior: async (whole = net, rows: Pick<Numbers, "x"> = data) => {
      const around = await aroundTrained(whole, { ...data, x: rows.x }, options, history);
      onShare(1);
      return around;
    },
  };
}

/** A posterior around the weights of the greatest evidence, and what its training said. */
export async function fitByEvidence(recipe: EvidenceRecipe, numbers: Numbers, onShare: (share: number) => void) {
  const { learning, width, groups, varying = false, memoryBudget, seed } = recipe;
  const level = levelOf(learning, numbers);
  const net = skipNetwork(numbers.x.shape[1], varying ? 2 : learning.outputs, width, seed, level);
  const exact = width === 0 && !varying && learning.classes === 0 && numbers.x.shape[1] >= MANY_INPUTS;
  // Sums over the rows are made once there; of many rows they are made again, for all of them are not in memory.
  if (exact && numbers.rows <= MANY_ROWS) {
    return (await trainExactly(net, recipe, numbers, onShare, "layers")).posterior();
  }
  const { weights } = numbers;
  const data = { x: numbers.x, y: varying ? numbers.y.reshape(numbers.rows) : numbers.y, weights };
  const steps = varying ? VARYING_STEPS : STEPS;
  const likelihood = (noise: number) => (varying ? heteroscedastic() : learning.likelihood(noise));
  const { history, evidence, noise } = await byDispersions(recipe, numbers, async (first, share) => {
    const { history, evidence } = await fromSample(numbers, seed, steps, ({ x, y, rows, weights }, most, begun) =>
      train(net, varying ? { x, y: y.reshape(rows), weights } : { x, y, weights }, {
        loss: likelihood(begun?.noise ?? first),
        optimizer: gaussNewton({ tolerance: TOLERANCE, memoryBudget }),
        epochs: most,
        evidence: { groups, tolerance: NATS, settle: !endsEarly(recipe), ...startOf(begun) },
        onProgress: ({ epoch }) => onShare(share(epoch / most)),
      }),
    );
    await turn();
    return { history, evidence, noise: evidence?.noise ?? first, net };
  });
  const options = { likelihood: likelihood(noise), memoryBudget, priorPrecision: evidence?.priorPrecision ?? 1 };
  const around = await aroundTrained(net, data, options, history);
  onShare(1);
  return {
    ...around,
    ...(groups === "inputs" &&
      evidence?.relevance && { relevance: Array.from(evidence.relevance.data as Float64Array) }),
  };
}

/** The whole posterior around weights that the evidence trained, and the course of their training. */
export async function aroundTrained(
  net: Network,
  data: { readonly x: NDArray; readonly y: NDArray; readonly weights?: NDArray | undefined },
  options: Pick<LaplaceOptions, "likelihood" | "memoryBudget" | "priorPrecision">,
  history: readonly { readonly epoch: number; readonly loss: number }[],
) {
  // Whether it is at a minimum, the diagnosis says.
  const posterior = await laplace(net, { ...options, structure: "full", checks: false }).fit(data, { on: alone });
  const epochs = history.map(({ epoch }) => epoch);
  const kept = epochs[epochs.length - 1] ?? 0;
  return { posterior, course: { epochs, train: history.map(({ loss }) => loss), validation: [], kept, rounds: 1 } };
}
