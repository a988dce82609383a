// Losses at all temperatures at once are those of posteriors at each of them.

import fc from "fast-check";
import { gaussNewton, laplace, NDArray, randomNormal, tableEncoding, tableModel, train } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { learningOf, networkFor } from "../src/fitting/network.ts";
import { lossesByScale, scaled, scalesOf } from "../src/fitting/scales.ts";
import type { Numbers } from "../src/model/rows.ts";
import { inTurns } from "../src/turn.ts";

const property = fc.record({
  classes: fc.integer({ min: 2, max: 5 }),
  inputs: fc.integer({ min: 1, max: 4 }),
  rows: fc.integer({ min: 12, max: 40 }),
  hidden: fc.constantFrom([], [3]),
  structure: fc.constantFrom("full" as const, "kronecker" as const, "diagonal" as const),
  seed: fc.nat(1000),
});

describe("losses of classes", () => {
  test("at all temperatures are those of the posterior at each of them", async () => {
    await fc.assert(
      fc.asyncProperty(property, async ({ classes, inputs, rows, hidden, structure, seed }) => {
        const x = randomNormal([rows, inputs], { seed });
        // Each class is there.
        const labels = Float64Array.from({ length: rows }, (_, i) => {
          return (i + (i >= classes && x.data[i * inputs] > 0 ? 1 : 0)) % classes;
        });
        const names = Array.from({ length: inputs }, (_, j) => `x${j}`);
        const cells = Array.from(labels, (label, i) => [
          ...names.map((_, j) => String(x.data[i * inputs + j])),
          `c${label}`,
        ]);
        const encoding = tableEncoding(
          { names: [...names, "y"], rows: cells },
          { target: "y", task: "classification" },
        );
        const learning = learningOf(encoding);
        const y = new NDArray(labels, classes > 2 ? [rows] : [rows, 1]);
        const net = networkFor(inputs, learning.outputs, hidden, "tanh", seed);
        await train(net, { x, y }, { loss: learning.loss, optimizer: gaussNewton(), epochs: 3, weightDecay: 0.1 });
        const options = { likelihood: learning.likelihood(1), structure, priorPrecision: 0.5, checks: false };
        const posterior = await laplace(net, options).fit({ x, y });
        const model = tableModel({ posterior, encoding, approximation: learning.approximation });
        const nothing = Array.from({ length: rows }, () => []);
        const numbers: Numbers = { rows, x, y, unusual: nothing, gaps: nothing };
        const found = await inTurns(lossesByScale(model, numbers));
        const temperatures = scalesOf(model);
        expect(found).toHaveLength(temperatures.length);
        for (const [s, temperature] of temperatures.entries()) {
          const logs = scaled(posterior, temperature).logProbabilities(x, { approximation: learning.approximation });
          const count = logs.size / rows;
          expect(Array.from(found[s])).toEqual(Array.from(labels, (label, i) => -logs.data[i * count + label]));
        }
      }),
      { numRuns: 20 },
    );
  });
});
