// So many single weights: the largest, those that a posterior is least sure of, or any.

import { NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { checkInteger, checkOptions, OptionError, valueText } from "../errors.ts";
import type { Network } from "../network/network.ts";

/** What knows a variance of weights, such as a posterior of the structure "diagonal" over all of them. */
export interface WeightVariances {
  /** Positions of its weights in the network's flat parameters, [S]. */
  readonly indices: Uint32Array;
  /** Their variances, [S]. */
  variance(): NDArray;
}

/** So many weights that are not frozen: the largest by size, those of the largest variance, or any, as the seed (default 0) says. */
export type CountedWeights =
  | { readonly largest: number }
  | { readonly mostVariable: number; readonly of: WeightVariances }
  | { readonly random: number; readonly seed?: number };

/** Whether the option has one of these. */
export function isCounted(weights: object): weights is CountedWeights {
  return "largest" in weights || "mostVariable" in weights || "random" in weights;
}

/** The positions of the weights in the network's flat parameters, ascending. @throws OptionError */
export function countedIndices(where: string, net: Network, weights: CountedWeights): Uint32Array {
  const free = net.graph.parameters.flatMap(({ name, offset, size }) =>
    net.frozen.has(name) ? [] : Array.from({ length: size }, (_, i) => offset + i),
  );
  const at = `${where}, weights`;
  if ("largest" in weights) {
    checkOptions(at, weights, ["largest"]);
    const { data } = net.parameters;
    return firstOf(at, "largest", weights.largest, free, (index) => Math.abs(data[index]));
  }
  if ("random" in weights) {
    checkOptions(at, weights, ["random", "seed"]);
    const random = new Random(weights.seed ?? 0);
    const drawn = new Map(free.map((index) => [index, random.uniform()]));
    return firstOf(at, "random", weights.random, free, (index) => drawn.get(index) as number);
  }
  checkOptions(at, weights, ["mostVariable", "of"]);
  const { of } = weights;
  if (typeof of?.variance !== "function" || !(of.indices instanceof Uint32Array)) {
    throw new OptionError(
      `${at}: mostVariable needs of, a posterior over the weights to choose from, such as one of the structure "diagonal", not ${valueText(of)}.`,
    );
  }
  const variance = of.variance();
  if (!(variance instanceof NDArray) || variance.size !== of.indices.length) {
    throw new OptionError(`${at}: of must have a variance for each of its ${of.indices.length} indices.`);
  }
  const variances = new Map(Array.from(of.indices, (index, i) => [index, variance.data[i]]));
  const known = free.filter((index) => variances.has(index));
  return firstOf(at, "mostVariable", weights.mostVariable, known, (index) => variances.get(index) as number);
}

/** The `count` positions of the highest score; of equal ones the first. */
function firstOf(
  where: string,
  name: string,
  count: number,
  positions: readonly number[],
  score: (index: number) => number,
): Uint32Array {
  checkInteger(where, name, count, 1);
  if (count > positions.length) {
    throw new OptionError(`${where}: ${name} is ${count}, but there are ${positions.length} weights to choose from.`);
  }
  const ordered = positions.toSorted((a, b) => score(b) - score(a) || a - b);
  return Uint32Array.from(ordered.slice(0, count)).sort();
}
