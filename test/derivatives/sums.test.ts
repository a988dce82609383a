// Long sums in float32: many equal contributions add up to their number times one of them, whatever the layer.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  conv2d,
  curvatureOf,
  curvatureProduct,
  dense,
  flatten,
  gradient,
  jacobian,
  mse,
  type Network,
  perSampleGradients,
  type Structure,
  scaleShift,
  tanh,
  vjp,
} from "../../src/index.ts";

const N = 300_000;

const nets: [name: string, net: Network, examples: number, tolerance: number][] = [
  ["one weight", chain({ inputs: 1 }, dense(1)), N, 2 ** -23],
  ["several", chain({ inputs: 3, seed: 1 }, dense(5, tanh), scaleShift(), dense(2)), 100_000, 2 ** -22],
  ["positions", chain({ inputs: [1, 20, 20], seed: 1 }, conv2d(2, 3), flatten, dense(1)), 400, 2 ** -21],
  // Shorter sums are of float32 for a thousand terms at a time.
  ["a few thousand", chain({ inputs: 3, seed: 1 }, dense(5, tanh), dense(2)), 20_000, 1e-5],
  ["parts and a rest", chain({ inputs: 3, seed: 1 }, dense(5, tanh), dense(1)), 33_333, 2 ** -21],
  // Of many weights, products are summed in float32 for a while: the error does not grow with the number of examples.
  ["many weights", chain({ inputs: 2, seed: 1 }, dense(500, tanh), dense(2)), 6_000, 3e-5],
];

describe.each(nets)("%s", (_, net, n, tolerance) => {
  const shape = net.inputShape;
  const outputs = net.outputShape;
  const full = (first: number, ...rest: readonly number[]) =>
    array(new Float32Array([first, ...rest].reduce((a, b) => a * b, 1)).fill(1), { shape: [first, ...rest] });
  const all = { x: full(n, ...shape), y: full(n, ...outputs) };
  // A few, in the order of their products that many have.
  const few = 16;
  const one = { x: full(few, ...shape), y: full(few, ...outputs) };
  const near = (found: ArrayLike<number>, due: ArrayLike<number>) => {
    const largest = Math.max(...Array.from(due, Math.abs));
    for (let i = 0; i < due.length; i++) {
      const size = Math.max(Math.abs(due[i]), 1e-3 * largest) / few;
      if (Math.abs(found[i] / n - due[i] / few) > tolerance * size) expect(found[i] / n).toBe(due[i] / few);
    }
  };

  /** Sums over the first axis of [few, ...], in float64. */
  const summed = ({ data }: { data: ArrayLike<number> }) => {
    const result = new Float64Array(net.parameterCount);
    for (let i = 0; i < data.length; i++) result[i % result.length] += data[i];
    return result;
  };

  test("gradients, sums and means", () => {
    // Where positions share weights, sums of a few are float64 throughout, and rows are not.
    const shared = shape.length > 1;
    const due = shared
      ? gradient(net, mse, one, { reduction: "sum" }).data
      : summed(perSampleGradients(net, mse, one, { reduction: "sum" }));
    near(gradient(net, mse, all, { reduction: "sum" }).data, due);
    near(
      gradient(net, mse, all).data.map((value) => value * n * outputs[0]),
      due,
    );
    near(vjp(net, all.x, all.y).data, shared ? vjp(net, one.x, one.y).data : summed(jacobian(net, one.x)));
  });

  test.each(["diagonal", "kronecker", "ekfac"] as Structure[])("curvature: %s", (structure) => {
    const likelihood = outputs[0] === 1 ? "count" : "regression";
    const basis = structure === "ekfac" ? curvatureOf(net, likelihood, one, { structure: "kronecker" }) : undefined;
    const of = (data: typeof all) => curvatureOf(net, likelihood, data, { structure, basis }).diagonal().data;
    near(of(all), of(one));
  });

  test("products with a vector", () => {
    const v = new Float64Array(net.parameterCount).fill(1);
    near(curvatureProduct(net, "regression", all, v).data, curvatureProduct(net, "regression", one, v).data);
  });
});
