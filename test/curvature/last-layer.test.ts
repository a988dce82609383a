// The whole matrix of the last layer, by the layer's factors, against the same block of the matrix over all weights.

import { expect, test } from "vitest";
import { chain, curvatureOf, DataLoader, dense, randomNormal, tanh } from "../../src/index.ts";

test.each([true, false])("the last layer's matrix is that of all weights there (bias: %s)", (bias) => {
  const net = chain({ inputs: 3, dtype: "float64" }, dense(5, tanh), dense(4, undefined, { bias }));
  const x = randomNormal([1300, 3], { seed: 1 });
  const y = Float64Array.from({ length: 1300 }, (_, i) => i % 4);
  const whole = curvatureOf(net, "classification", { x, y }, { structure: "full" }).dense();
  const n = net.parameterCount;
  const size = bias ? 24 : 20;
  const due = Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return whole.data[(n - size + row) * n + n - size + column];
  });
  // At once, and in batches that do not divide the number of examples that wait for each other.
  for (const data of [{ x, y }, new DataLoader({ x, y }, { batchSize: 97 })]) {
    const last = curvatureOf(net, "classification", data, { structure: "full", weights: "lastLayer" });
    expect(last.dense().data).toBeAllClose(due, { relative: 1e-10, absolute: 1e-10 });
  }
});
