// Gradients whose result lies in the kernels' memory: they are the same, and written when all is known.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  chain,
  crossEntropy,
  dense,
  exp,
  gradient,
  gradientAsync,
  kernelArray,
  mse,
  NDArray,
  tanh,
  ValueError,
  zeros,
} from "../../src/index.ts";
import { drawCase } from "../reference/draw.ts";

test("a gradient into the kernels' memory has the bits of one elsewhere, also in bursts", async () => {
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (draw) => {
      const { net, loss, x, y } = drawCase(draw);
      const expected = gradient(net, loss.loss, { x, y });
      const out = kernelArray([net.parameterCount], { dtype: net.dtype });
      for (const one of [gradient, gradientAsync]) {
        out.data.fill(Number.NaN);
        expect(await one(net, loss.loss, { x, y }, { out })).toBe(out);
        expect([...out]).toEqual([...expected]);
      }
      out.free();
    }),
    { numRuns: 30 },
  );
});

test("parameters themselves may be where their gradient goes", () => {
  const make = () => chain({ inputs: 3, seed: 1 }, dense(2));
  const [net, other] = [make(), make()];
  const data = { x: [[1, 2, 3]], y: [1] };
  gradient(net, crossEntropy, data, { out: net.parameters });
  expect([...net.parameters]).toEqual([...gradient(other, crossEntropy, data)]);
});

test("values that are not finite leave the result as it was, also where parts before them were summed", () => {
  const [rows, wide] = [40_000, 64];
  const net = chain({ inputs: 8, seed: 1, dtype: "float64" }, dense(wide, tanh), dense(2, exp));
  const out = kernelArray([net.parameterCount], { dtype: "float64" });
  out.data.fill(7);
  const x = zeros([rows, 8], { dtype: "float64" });
  const y = zeros([rows, 2], { dtype: "float64" });
  net.setParameters(net.parameters.data.map((value) => 1e5 * value));
  x.data.fill(1, 8 * (rows - 2)).fill(-1, 8 * (rows - 1));
  expect(() => gradient(net, mse, { x, y }, { out })).toThrow(ValueError);
  expect([...out].every((value) => value === 7)).toBe(true);
  out.free();
});

test("the result may lie among the data", () => {
  const [rows, net] = [60_000, chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(4, tanh), dense(1))];
  const size = net.parameterCount;
  const data = kernelArray([rows + size], { dtype: "float64" });
  const plain = Float64Array.from({ length: rows + size }, (_, i) => Math.sin(i));
  data.data.set(plain);
  const x = new NDArray(
    Float64Array.from({ length: 2 * rows }, (_, i) => Math.cos(i)),
    [rows, 2],
  );
  const part = (all: Float64Array, first: number, end: number, shape: number[]) =>
    new NDArray(all.subarray(first, end), shape);
  const expected = gradient(net, mse, { x, y: part(plain, size, size + rows, [rows, 1]) });
  const own = data.data as Float64Array;
  const y = part(own, size, size + rows, [rows, 1]);
  const out = part(own, rows, rows + size, [size]);
  expect([...gradient(net, mse, { x, y }, { out })]).toEqual([...expected]);
  data.free();
});
