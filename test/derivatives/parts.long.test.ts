// Batches that do not fit the working memory at once are processed in parts.

import { expect, test, vi } from "vitest";
import {
  array,
  chain,
  type DType,
  dense,
  einsum,
  flatten,
  gradient,
  jacobian,
  jvp,
  mse,
  type NDArray,
  type Network,
  perSampleGradientNorms,
  perSampleGradients,
  randomNormal,
  tanh,
  vjp,
} from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { partSize } from "../../src/network/run.ts";
import { near } from "../reference/draw.ts";

const EXAMPLES = 31;
const valuesPerExample = ({ graph }: Network) => graph.nodes.reduce((sum, node) => sum + node.size, 0);

/** Few parameters at many positions: an example needs some megabytes of working memory. */
function wideNetwork(dtype: DType): Network {
  const net = chain({ inputs: [2000, 2], dtype, seed: 3 }, dense(71, tanh), dense(1, tanh), flatten, dense(2));
  expect(net.parameterCount).toBeLessThan(5000);
  return net;
}

/** The results for each example alone, side by side. */
function oneByOne(count: number, f: (example: number) => NDArray): NDArray {
  const parts = Array.from({ length: count }, (_, i) => f(i));
  const data = parts.flatMap((part) => [...part.data]);
  return array(data, { shape: [count, ...parts[0].shape.slice(1)] });
}

test.each(["float64", "float32"] as const)("many parts give what single examples give in %s", (dtype) => {
  const net = wideNetwork(dtype);
  // forward() takes the largest parts, then come derivatives with one column.
  expect(partSize(valuesPerExample(net), dtype)).toBeLessThan(EXAMPLES);
  expect(partSize(valuesPerExample(net) * 4, dtype)).toBeLessThan(EXAMPLES / 3);
  const x = randomNormal([EXAMPLES, 2000, 2], { seed: 1, dtype });
  const y = randomNormal([EXAMPLES, 2], { seed: 2, dtype });
  const one = (values: NDArray, i: number) => values.sub(i).reshape(1, ...values.shape.slice(1));
  const expectSame = (f: (x: NDArray, y: NDArray) => NDArray) => {
    const expected = oneByOne(EXAMPLES, (i) => f(one(x, i), one(y, i)));
    expect(f(x, y)).toBeAllClose(expected, near(expected.data, dtype, 1e-3));
    return expected;
  };
  expectSame((x) => net.forward(x));
  const j = expectSame((x) => jacobian(net, x));
  expectSame((x) => jacobian(net, x, { withRespectTo: "inputs" }));
  const rows = expectSame((x, y) => perSampleGradients(net, mse, { x, y }, { reduction: "sum" }));
  expectSame((x, y) => perSampleGradientNorms(net, mse, { x, y }, { reduction: "sum" }));
  expectSame((x, y) => gradient(net, mse, { x, y }, { reduction: "sum", withRespectTo: "inputs" }));
  expectSame((x, y) => vjp(net, x, y, { withRespectTo: "inputs" }));

  const sum = einsum("bp->p", rows);
  expect(gradient(net, mse, { x, y }, { reduction: "sum" })).toBeAllClose(sum, near(sum.data, dtype));
  const pulled = einsum("bcp,bc->p", j, y.as(j.dtype));
  expect(vjp(net, x, y)).toBeAllClose(pulled, near(pulled.data, dtype));
  const [dTheta, dx] = [randomNormal([net.parameterCount], { seed: 4 }), randomNormal(x.shape, { seed: 5 })];
  const moved = oneByOne(EXAMPLES, (i) => jvp(net, one(x, i), { parameters: dTheta, inputs: one(dx, i) }));
  expect(jvp(net, x, { parameters: dTheta, inputs: dx })).toBeAllClose(moved, near(moved.data, dtype));
});

test("the work of the Jacobian, of per-sample gradients and of their norms is in proportion to the batch", () => {
  const net = chain({ inputs: 5, dtype: "float64" }, dense(7, tanh), dense(3));
  const spy = vi.spyOn(kernelsFor("float64"), "gemm");
  /** Multiplications in matrix products, and the number of products. */
  const work = (run: () => void) => {
    spy.mockClear();
    run();
    const multiplications = spy.mock.calls.reduce((sum, [batch, m, n, k]) => sum + batch * m * n * k, 0);
    return { multiplications, calls: spy.mock.calls.length };
  };
  try {
    const results = [
      (x: NDArray) => jacobian(net, x),
      (x: NDArray, y: NDArray) => perSampleGradients(net, mse, { x, y }),
      (x: NDArray, y: NDArray) => perSampleGradientNorms(net, mse, { x, y }),
    ];
    for (const result of results) {
      const of = (batch: number) => work(() => result(randomNormal([batch, 5]), randomNormal([batch, 3])));
      const one = of(1);
      expect(one.multiplications).toBeGreaterThan(0);
      for (const batch of [2, 16, 64]) {
        expect(of(batch)).toEqual({ multiplications: batch * one.multiplications, calls: one.calls });
      }
    }
  } finally {
    spy.mockRestore();
  }
});
