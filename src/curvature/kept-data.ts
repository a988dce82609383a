// Data that a curvature by products keeps, and its products over them.

import { NDArray } from "../array/ndarray.ts";
import { type Data, isDataset, refuseIterator } from "../data/batches.ts";
import { type DatasetLike, readDataset } from "../data/dataset.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Curvature } from "../structures/curvature.ts";
import { spread } from "../structures/selection.ts";
import { rowOf } from "../structures/table.ts";
import { targetedBatches } from "./accumulate.ts";
import type { Plan } from "./plan.ts";
import { productInSteps } from "./products.ts";
import { checkSame } from "./same-products.ts";

/**
 * Keeps the data of a fit whose structure needs them: a dataset and a list of batches are copied; a DataLoader, a function and other
 * iterables are read again, and must give the same each time.
 * @returns what puts the products beside the sums; undefined for other structures
 */
export const keepData = (where: string, plan: Plan, data: Data, first: number) => {
  const { attach } = rowOf(plan);
  if (attach === undefined) return undefined;
  refuseIterator(where, data, `"${plan.structure}" goes through the data for each product`);
  // Those that lie elsewhere say so before anything is summed.
  if ("far" in data) (data as Iterable<DatasetLike>)[Symbol.iterator]();
  const copied = typeof data === "object" && (isDataset(data) || Array.isArray(data));
  const kept = copied ? copyOf(where, data as DatasetLike | readonly DatasetLike[]) : data;
  const model: Plan = { ...plan, net: plan.net.clone() };
  const { selection, net } = model;
  const times = function* (v: Float64Array): Steps<Float64Array> {
    const direction = selection.size === net.parameterCount ? v : spread(selection, v);
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
