// Predictions for all of some data, batch by batch, beside its targets.

import { NDArray, shapeText } from "../array/ndarray.ts";
import { batchesOf, type Data, SameWeights } from "../data/batches.ts";
import { type Dataset, readDataset } from "../data/dataset.ts";
import { newFloats, ShapeError } from "../errors.ts";
import { type ExamplesReport, reporting, type Steps } from "../kernels/steps.ts";

/**
 * What `predict` gives for each batch, an object of arrays with B rows each, put together, with the targets as they were
 * given, and the weights if there are any. @throws ShapeError, ValueError for no data, or batches that do not go together
 */
export function* predictAll<Name extends string>(
  where: string,
  data: Data,
  predict: (batch: Dataset) => Steps<Readonly<Record<Name, NDArray>>, ExamplesReport>,
): Steps<Readonly<Record<Name | "targets", NDArray>> & { readonly weights?: NDArray }, ExamplesReport> {
  const alike = new SameWeights(where);
  const parts: Record<string, NDArray[]> = {};
  let before = 0;
  for (const batch of batchesOf(where, data)) {
    const read = readDataset(where, batch);
    const found = yield* reporting(predict(read), (report) => report && { examples: before + report.examples });
    before += read.x.shape[0];
    const arrays = Object.entries<NDArray>({
      ...found,
      targets: read.y,
      ...(alike.of(read) !== undefined && { weights: read.weights }),
    });
    for (const [name, array] of arrays) {
      parts[name] ??= [];
      parts[name].push(array);
    }
  }
  const joint = Object.entries(parts).map(([name, arrays]) => [name, joined(where, arrays)]);
  return Object.fromEntries(joint);
}

/** Batches one after the other. */
function joined(where: string, parts: readonly NDArray[]): NDArray {
  const [first] = parts;
  if (parts.length === 1) return first;
  const rest = first.shape.slice(1);
  const result = newFloats(where, [parts.reduce((size, part) => size + part.size, 0)]);
  let start = 0;
  for (const part of parts) {
    if (shapeText(part.shape.slice(1)) !== shapeText(rest)) {
      throw new ShapeError(`${where}: batches differ in shape: ${shapeText(first.shape)}, ${shapeText(part.shape)}.`);
    }
    result.set(part.data, start);
    start += part.size;
  }
  return new NDArray(result, [parts.reduce((n, part) => n + part.shape[0], 0), ...rest]);
}
