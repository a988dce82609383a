// Corners that several functions share.

import { expect, test } from "vitest";
import {
  array,
  chain,
  crossEntropy,
  dense,
  exp,
  flatten,
  gradient,
  jacobian,
  mse,
  OptionError,
  perSampleGradients,
  reshape,
  softmax,
  ValueError,
} from "../src/index.ts";

test("a softmax is refused at the end of a network also behind a change of shape", () => {
  expect(() => chain({ inputs: 2 }, dense(4), softmax, flatten)).toThrow(/losses and likelihoods take logits/);
  expect(() => chain({ inputs: 2 }, dense(4), softmax, (x) => reshape(x, [2, 2]))).toThrow(/logits/);
  expect(chain({ inputs: 2 }, softmax, dense(4)).outputShape).toEqual([4]);
});

test("options that are no object are named as such", () => {
  const net = chain({ inputs: 1 }, dense(1));
  const batch = { x: [[1]], y: [[1]] };
  expect(() => gradient(net, mse, batch, null as never)).toThrow(OptionError);
  expect(() => perSampleGradients(net, mse, batch, 3 as never)).toThrow("the options must be an object, not 3");
});

test("an infinite memory budget allows everything", () => {
  const net = chain({ inputs: 1 }, dense(1));
  expect(jacobian(net, [[1]], { memoryBudget: Number.POSITIVE_INFINITY }).shape).toEqual([1, 1, 2]);
});

test("a derivative of a loss whose outputs overflow is refused, as the loss itself is", () => {
  const net = chain({ inputs: 1, dtype: "float64" }, exp, dense(1));
  const batch = { x: [[1], [1000]], y: [[0], [0]] };
  expect(() => mse(net.forward(batch.x), batch.y)).toThrow(ValueError);
  expect(() => gradient(net, mse, batch)).toThrow("the network's output has the value");
});

test("probabilities that sum to 1 but for rounding count as if they summed to 1 exactly", () => {
  const logits = array([[0.3, -1, 2]]);
  const rounded = array([[0.33333, 0.33333, 0.33333]]);
  const exact = array([[1 / 3, 1 / 3, 1 / 3]]);
  expect(crossEntropy(logits, rounded)).toBeCloseTo(crossEntropy(logits, exact), 12);
});
