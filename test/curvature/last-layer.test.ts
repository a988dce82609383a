// The whole matrix of the last layer, by the layer's factors, against the same block of the matrix over all weights.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bernoulli,
  categorical,
  chain,
  curvatureOf,
  DataLoader,
  dense,
  NDArray,
  poisson,
  randomNormal,
  relu,
  tanh,
} from "../../src/index.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

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

test("of more outputs, where blocks are left out whose sum is known, and rows whose input is 0", () => {
  const likelihoods = { classes: categorical(), labels: bernoulli(), counts: poisson() };
  const problem = fc.record({
    kind: fc.constantFrom<keyof typeof likelihoods>("classes", "labels", "counts"),
    outputs: fc.constantFrom(5, 6, 12),
    hidden: fc.integer({ min: 1, max: 6 }),
    activation: fc.constantFrom(relu, tanh),
    bias: fc.boolean(),
    examples: fc.constantFrom(1, 40, 530),
    batchSize: fc.constantFrom(13, 512, 600),
    weighted: fc.boolean(),
    seed: fc.nat(1000),
  });
  fc.assert(
    fc.property(problem, ({ kind, outputs, hidden, activation, bias, examples, batchSize, weighted, seed }) => {
      const layers = [dense(hidden, activation), dense(outputs, undefined, { bias })];
      const net = chain({ inputs: 2, dtype: "float64", seed }, ...layers);
      const x = randomNormal([examples, 2], { seed });
      const size = kind === "classes" ? examples : examples * outputs;
      const labels = Float64Array.from({ length: size }, (_, i) => (i * 7) % (kind === "classes" ? outputs : 2));
      const y = kind === "classes" ? labels : new NDArray(labels, [examples, outputs]);
      const weights = Float64Array.from({ length: examples }, (_, i) => (i + 1) % 3);
      const data = { x, y, ...(weighted && { weights }) };
      const whole = curvatureOf(net, likelihoods[kind], data, { structure: "full" }).dense();
      const n = net.parameterCount;
      const own = outputs * (hidden + Number(bias));
      const due = Array.from({ length: own * own }, (_, i) => {
        return whole.data[(n - own + Math.floor(i / own)) * n + n - own + (i % own)];
      });
      const loader = new DataLoader(data, { batchSize });
      const last = curvatureOf(net, likelihoods[kind], loader, { structure: "full", weights: "lastLayer" });
      expect(last.dense().data).toBeAllClose(due, { relative: 1e-10, absolute: 1e-10 });
    }),
    { numRuns: 40 },
  );
});
