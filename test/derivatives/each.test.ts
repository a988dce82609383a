// Gradients of samples, taken as they are made: the rows of the array, some after the other, in one buffer.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  array,
  chain,
  crossEntropy,
  dense,
  MemoryBudgetError,
  mse,
  OptionError,
  perSampleGradients,
  perSampleGradientsAsync,
  randomNormal,
  tanh,
} from "../../src/index.ts";
import { drawCase } from "../reference/draw.ts";

test("are those of the array, of any network", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const { net, loss, x, y } = drawCase(draw);
      const found: number[] = [];
      const each = ({ data, shape }: { data: ArrayLike<number>; shape: readonly number[] }, first: number) => {
        expect([first * shape[1], shape[1]]).toEqual([found.length, net.parameterCount]);
        found.push(...Array.from(data));
      };
      expect(perSampleGradients(net, loss.loss, { x, y }, { each })).toBeUndefined();
      expect(found).toEqual([...perSampleGradients(net, loss.loss, { x, y }).data]);
    }),
    { numRuns: 30 },
  );
});

/** A network of so many weights that few rows come at once. */
const net = chain({ inputs: 1000, seed: 1 }, dense(1300, tanh), dense(2));
const x = randomNormal([8, 1000], { seed: 2, dtype: "float32" });
// Labels that are left out have scales of their own.
const data = { x, y: array([0, 1, -100, 1, 1, 0, -100, 0]), weights: array([1, 2, 3, 4, 0, 6, 7, 8]) };
const loss = crossEntropy.with({ ignoredLabel: -100 });

test("come in parts, with weights and labels that are left out, also in bursts", async () => {
  const due = perSampleGradients(net, loss, data);
  const told: number[] = [];
  const collect = () => {
    const parts: [number, Float32Array][] = [];
    const buffers = new Set<ArrayBufferLike>();
    const each = (rows: typeof due, first: number) => {
      buffers.add(rows.data.buffer);
      parts.push([first, Float32Array.from(rows.data)]);
    };
    return { parts, buffers, each };
  };
  const [one, two] = [collect(), collect()];
  perSampleGradients(net, loss, data, { each: one.each });
  const onProgress = ({ examples }: { examples: number }) => void told.push(examples);
  expect(await perSampleGradientsAsync(net, loss, data, { each: two.each, onProgress })).toBeUndefined();
  for (const { parts, buffers } of [one, two]) {
    expect(parts.map(([first]) => first)).toEqual([0, 3, 6]);
    expect(buffers.size).toBe(1);
    expect(
      parts.every(([first, rows]) => rows.every((v, i) => Object.is(v, due.data[first * net.parameterCount + i]))),
    ).toBe(true);
  }
  expect(told.at(-1)).toBe(8);
  expect(told).toEqual(told.toSorted((a, b) => a - b));
});

test("need no more memory for more samples; what each throws is thrown; bad options are refused", () => {
  const memoryBudget = 2 ** 24;
  const each = () => {};
  expect(() => perSampleGradients(net, loss, data, { memoryBudget })).toThrow(MemoryBudgetError);
  expect(perSampleGradients(net, loss, data, { memoryBudget, each })).toBeUndefined();
  const failing = () => {
    throw new RangeError("full");
  };
  expect(() => perSampleGradients(net, loss, data, { each: failing })).toThrow(new RangeError("full"));
  const small = chain({ inputs: 1, seed: 1 }, dense(1));
  const batch = { x: [[1]], y: [[1]] };
  expect(() => perSampleGradients(small, mse, batch, { each: 3 as never })).toThrow(
    new OptionError("perSampleGradients: each must be a function that takes rows, not 3."),
  );
  const out = perSampleGradients(small, mse, batch);
  expect(() => perSampleGradients(small, mse, batch, { each, out } as never)).toThrow(/nothing for out/);
});
