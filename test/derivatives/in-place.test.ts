// Gradients whose result lies in the kernels' memory: they are written there, and are the same.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  chain,
  crossEntropy,
  dense,
  gradient,
  gradientAsync,
  kernelArray,
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

test("values that are not finite leave the result as it was", () => {
  const net = chain({ inputs: 2, seed: 1 }, dense(2));
  net.setParameters(zeros([net.parameterCount]).data.fill(3e38));
  const out = kernelArray([net.parameterCount], { dtype: "float32" });
  out.data.fill(7);
  expect(() => gradient(net, crossEntropy, { x: [[1, 2]], y: [0] }, { out })).toThrow(ValueError);
  expect([...out].every((value) => value === 7)).toBe(true);
  out.free();
});
