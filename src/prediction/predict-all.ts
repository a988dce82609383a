// Predictions for all of some data, batch by batch, beside its targets.

import { NDArray, shapeText } from "../array/ndarray.ts";
import { batchesOf, type Data, SameWeights } from "../data/batches.ts";
import { type Dataset, readDataset } from "../data/dataset.ts";
import { newFloats, ShapeError } from "../errors.ts";
import { type ExamplesReport, reporting, type Steps } from "../kernels/steps.ts";

/** What goes with data beside their inputs. */
export interface Beside {
  readonly targets: NDArray;
  readonly weights?: NDArray;
}

/**
 * What `predict` gives for each batch, an object of arrays with B rows each, put together, with the targets as they were
 * given, and the weights if there are any. @throws ShapeError, ValueError for no data, or batches that do not go together
 */
export function* predictAll<Found extends object>(
  where: string,
  data: Data,
  predict: (batch: Dataset, first: number) => Steps<Found, ExamplesReport>,
): Steps<Found & Beside, ExamplesReport> {
  const parts: (Found & Beside)[] = [];
  let before = 0;
  for (const { read, beside } of readBatches(where, data)) {
    const found = yield* reporting(predict(read, before), (report) => report && { examples: before + report.examples });
    before += read.x.shape[0];
    parts.push({ ...found, ...beside });
  }
  return joined(where, parts);
}

/** All batches, and what goes with each beside its inputs. @throws as `predictAll` */
export function* readBatches(where: string, data: Data): Generator<{ read: Dataset; beside: Beside }> {
  const alike = new SameWeights(where);
  for (const batch of batchesOf(where, data)) {
    const read = readDataset(where, batch);
    const weights = alike.of(read);
    yield { read, beside: { targets: read.y, ...(weights !== undefined && { weights }) } };
  }
}

/** What came of batches, arrays by their names, one after the other. */
export function joined<Found extends object>(where: string, parts: readonly Found[]): Found {
  const all = Object.keys(parts[0]).map((name) => {
    const arrays = parts.map((part) => part[name as keyof Found] as NDArray);
    return [name, joinedRows(where, arrays)];
  });
  return Object.fromEntries(all);
}

function joinedRows(where: string, parts: readonly NDArray[]): NDArray {
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
