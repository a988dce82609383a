// Data that a curvature by products keeps, and its products over them.

import { dot } from "../array/dot.ts";
import { NDArray } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import { type Data, isDataset, isIterator } from "../data/batches.ts";
import { type DatasetLike, readDataset } from "../data/dataset.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Curvature } from "../structures/curvature.ts";
import { rowOf } from "../structures/table.ts";
import { targetedBatches } from "./accumulate.ts";
import type { Plan } from "./plan.ts";
import { productInSteps } from "./products.ts";

/** By how much two products with one vector may differ, relatively. */
const SAME = 1e-5;

/**
 * Keeps the data of a fit whose structure needs them: a dataset and a list of batches are copied; a DataLoader, a function and other
 * iterables are read again, and must give the same each time.
 * @returns what puts the products beside the sums; undefined for other structures
 */
export const keepData = (where: string, plan: Plan, data: Data, first: number) => {
  const { attach } = rowOf(plan);
  if (attach === undefined) return undefined;
  if (isIterator(data)) {
    throw new ValueError(
      `${where}: "${plan.structure}" goes through the data for each product, and an iterator can be gone through only once: give { x, y }, a list of batches, a DataLoader, or the generator function itself.`,
    );
  }
  const copied = typeof data === "object" && (isDataset(data) || Array.isArray(data));
  const kept = copied ? copyOf(where, data as DatasetLike | readonly DatasetLike[]) : data;
  const model: Plan = { ...plan, net: plan.net.clone() };
  const { selection, net } = model;
  const times = function* (v: Float64Array): Steps<Float64Array> {
    const direction = new Float64Array(net.parameterCount);
    const places = selection.indices();
    for (let i = 0; i < places.length; i++) direction[places[i]] = v[i];
    return yield* productInSteps(where, model, targetedBatches(where, model, kept), direction, first);
  };
  return function* <Sums extends { readonly curvature: Curvature }>(sums: Sums): Steps<Sums> {
    if (!copied) yield* checkSame(where, times, selection.size);
    return { ...sums, curvature: attach(sums.curvature, times, plan) };
  };
};

function copyOf(where: string, data: DatasetLike | readonly DatasetLike[]): Data {
  if (Array.isArray(data)) return data.map((one: DatasetLike) => copyOf(where, one) as DatasetLike);
  const { x, y, weights } = readDataset(where, data as DatasetLike);
  const copy = (values: NDArray) => new NDArray(values.data.slice(), values.shape);
  return { x: copy(x), y: copy(y), ...(weights !== undefined && { weights: copy(weights) }) };
}

/** @throws ValueError where two products with one vector differ */
export function* checkSame<Report>(
  where: string,
  times: (v: Float64Array) => Steps<Float64Array, Report>,
  size: number,
): Steps<void, Report> {
  const random = new Random(1);
  const probe = Float64Array.from({ length: size }, () => random.normal());
  const [one, two] = [yield* times(probe), yield* times(probe)];
  const apart = one.map((x, i) => x - two[i]);
  if (dot(apart, apart) <= SAME ** 2 * dot(one, one)) return;
  throw new ValueError(
    `${where}: two products with the same vector differ. Likely causes: data that are augmented at random, or shuffled under draws of "monteCarlo" or with dropLast. Give the same data each time.`,
  );
}
