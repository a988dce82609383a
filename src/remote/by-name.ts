// What went by its name is made anew: functions, objects made of functions, networks.

import type { NDArray } from "../array/ndarray.ts";
import { LaplaceError, ValueError, valueText } from "../errors.ts";
import { Fields } from "../io/fields.ts";
import type { Json } from "../io/json.ts";
import { networkFields, primitiveOf, readNetwork } from "../io/networks.ts";
import { entryFields, readEntry } from "../likelihood/entry.ts";
import { binaryCrossEntropy, crossEntropy, mse } from "../losses/losses.ts";
import { Network } from "../network/network.ts";
import { gaussNewton } from "../training/gauss-newton.ts";
import { ivon } from "../training/ivon.ts";
import { lastLayerEvidence } from "../training/last-layer-evidence.ts";
import { marginalLikelihood } from "../training/marginal-likelihood.ts";
import { adam, adamW, sgd } from "../training/optimisers.ts";
import { cosineDecay, linearDecay } from "../training/schedules.ts";
import type { Mark } from "./values.ts";

const losses = { mse, crossEntropy, binaryCrossEntropy };
const optimisers = { sgd, adam, adamW, ivon, gaussNewton, lastLayerEvidence, marginalLikelihood };
const schedules = { cosineDecay, linearDecay };

/** What makes functions of what stood for them. */
const makers: Readonly<Record<string, (known: Mark) => unknown>> = {
  likelihood({ entry }) {
    const { ratios } = entry as { readonly ratios?: readonly number[] };
    return readEntry(new Fields("likelihood", entry as Json, [...entryFields, "apart"]), ratios?.length ?? 0);
  },
  loss({ name, options }) {
    const loss = losses[name as keyof typeof losses];
    return options === undefined ? loss : (loss as typeof crossEntropy).with(options as object);
  },
  optimizer: ({ name, options }) => optimisers[name as keyof typeof optimisers](options as object),
  schedule: ({ name, options }) => schedules[name as keyof typeof schedules](options as object),
};

/** What is made of names. @throws ValueError for one that is not defined here */
function elsewhere<T>(where: string, what: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof LaplaceError)) throw cause;
    throw new ValueError(
      `${where}: the worker cannot make the ${what}. ${cause.message} The worker's program is its file: one of your own imports "laplace-ts/worker", and defines what is yours.`,
      { cause },
    );
  }
}

/** What stood for it, made anew. @throws ValueError for what is not defined here */
export function byName(where: string, kind: string, known: Mark): unknown {
  if (!Object.hasOwn(makers, kind))
    throw new LaplaceError(`${where}: nothing is known of the kind ${valueText(kind)}.`);
  return elsewhere(where, kind, () => makers[kind](known));
}

/** The network of a graph as JSON, its parameters and buffers. @throws ValueError for primitives that are not defined here */
export function networkOf(where: string, json: Json, parameters: NDArray, buffers: NDArray): Network {
  const { graph, frozen } = elsewhere(where, "network", () =>
    readNetwork(new Fields("network", json, networkFields), parameters.size, primitiveOf),
  );
  return new Network(graph, parameters, frozen, buffers);
}
