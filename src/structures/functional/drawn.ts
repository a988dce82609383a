// Points that are drawn from the data: each example is one of them with the same probability (Vitter 1985, ACM Transactions on
// Mathematical Software 11, algorithm R).

import { array, type NDArray } from "../../array/ndarray.ts";
import { Random } from "../../array/random.ts";
import { eachBatch } from "../../data/arriving.ts";
import { type Data, refuseIterator } from "../../data/batches.ts";
import { type DatasetLike, readDataset } from "../../data/dataset.ts";
import type { FloatArray } from "../../kernels/memory.ts";
import { reporting, type Steps } from "../../kernels/steps.ts";
import type { Network } from "../../network/network.ts";

/** So many inputs of the data, [M, ...], in the network's type, or all where there are fewer. @throws ShapeError, ValueError */
export function* drawnPoints(where: string, net: Network, data: Data, count: number, seed: number): Steps<NDArray> {
  refuseIterator(where, data, "points are drawn from the data first", "; or the points");
  const random = new Random(seed);
  const rows: FloatArray[] = [];
  let seen = 0;
  const see = (batch: DatasetLike): void => {
    const { data: values, shape } = net.readInputs(where, readDataset(where, batch).x);
    const size = values.length / shape[0];
    for (let n = 0; n < shape[0]; n++) {
      const place = seen < count ? seen : random.integer(seen + 1);
      seen++;
      if (place < count) rows[place] = values.slice(n * size, (n + 1) * size) as FloatArray;
    }
  };
  yield* reporting(eachBatch(where, data, see), () => undefined);
  const all = new Float64Array(rows.length * (rows[0]?.length ?? 0));
  rows.forEach((row, i) => {
    all.set(row, i * row.length);
  });
  return net.readInputs(where, array(all, { shape: [rows.length, ...net.inputShape] }));
}
