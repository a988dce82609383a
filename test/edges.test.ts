// Corners that several functions share.

import { expect, test } from "vitest";
import {
  array,
  batchedOuter,
  chain,
  crossEntropy,
  dense,
  einsum,
  exp,
  flatten,
  full,
  gradient,
  identity,
  jacobian,
  jvp,
  mse,
  NonFiniteLossError,
  network,
  OptionError,
  perSampleGradientNorms,
  perSampleGradients,
  relu,
  reshape,
  scaleShift,
  sgd,
  sigmoid,
  softmax,
  toyRegression,
  train,
  ValueError,
  vjp,
  zeros,
} from "../src/index.ts";

test("a softmax is refused at the end of a network also behind a change of shape", () => {
  expect(() => chain({ inputs: 2 }, dense(4), softmax, flatten)).toThrow(/losses and likelihoods take logits/);
  expect(() => chain({ inputs: 2 }, dense(4), softmax, (x) => reshape(x, [2, 2]))).toThrow(/logits/);
  expect(chain({ inputs: 2 }, softmax, dense(4)).outputShape).toEqual([4]);
});

test("options that are not an object are named as such", () => {
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
  expect(() => gradient(net, mse, batch)).toThrow(
    'gradient: at example 1 the network\'s value after "exp" is not finite',
  );
});

test("probabilities that sum to 1 but for rounding count as if they summed to 1 exactly", () => {
  const logits = array([[0.3, -1, 2]]);
  const rounded = array([[0.33333, 0.33333, 0.33333]]);
  const exact = array([[1 / 3, 1 / 3, 1 / 3]]);
  expect(crossEntropy(logits, rounded)).toBeCloseTo(crossEntropy(logits, exact), 12);
});

test("values that overflow inside a network are named, though its outputs are finite", () => {
  const net = network({ inputs: 1, dtype: "float64" }, (x) => sigmoid(exp(dense(1)(x))));
  net.setParameters([1, 0]);
  const x = [[1000]];
  expect(net.forward(x).item()).toBe(1);
  for (const derivative of [
    () => jacobian(net, x),
    () => jvp(net, x, [1, 0]),
    () => vjp(net, x, [[1]]),
    () => perSampleGradients(net, mse, { x, y: [[0]] }),
    () => perSampleGradientNorms(net, mse, { x, y: [[0]] }),
  ]) {
    expect(derivative).toThrow(/at example 0 the network's value after "exp" is not finite/);
  }
});

test("sums of very many float32 numbers keep their digits", () => {
  const n = 3 * 2 ** 23; // a running sum of ones would stop at 2^24
  const ones = full([n], 1, { dtype: "float32" });
  expect(einsum("i->", ones).item()).toBe(n);
  expect(einsum("i,i->", ones, ones).item()).toBe(n);
  expect(einsum("ij->j", ones.reshape(-1, 1)).item()).toBe(n);
  expect(einsum("ij->j", full([2 ** 24 + 2 ** 20, 2], 1, { dtype: "float32" })).toArray()).toEqual([
    2 ** 24 + 2 ** 20,
    2 ** 24 + 2 ** 20,
  ]);
});

test("the gradient of a small difference of large numbers is as exact as the difference", () => {
  const net = chain({ inputs: 3 }, identity);
  const f = Math.fround(200000.02);
  const batch = { x: [[f, f, f]], y: [[200000, 200000, 200000]] };
  const expected = Math.fround((2 / 3) * (f - 200000));
  expect(gradient(net, mse, batch, { withRespectTo: "inputs" })).toBeAllClose([expected, expected, expected], {
    relative: 1e-6,
  });
});

test("norms of gradients whose squares overflow or vanish are still right", () => {
  for (const x of [1e20, 1e-23]) {
    const net = chain({ inputs: 1 }, dense(1, undefined, { bias: false }));
    net.setParameters([0]);
    const batch = { x: [[x]], y: [[1]] };
    const [row] = perSampleGradients(net, mse, batch).data;
    expect(perSampleGradientNorms(net, mse, batch)).toBeAllClose([Math.abs(row)], { relative: 1e-6 });
    expect(Math.abs(row)).toBeGreaterThan(0);
  }
});

test("a shape that was given can be changed without changing the network", () => {
  const inputs = [2];
  const net = network({ inputs }, (x) => dense(1)(x));
  inputs[0] = 3;
  expect(net.inputShape).toEqual([2]);
  expect(net.forward([[1, 2]]).shape).toEqual([1, 1]);
});

test("training one network in two calls at once is refused, two networks are not", async () => {
  const data = toyRegression({ samples: 8 });
  const [a, b] = [chain({ inputs: 1 }, dense(1)), chain({ inputs: 1 }, dense(1))];
  const first = train(a, data, { loss: mse, epochs: 3 });
  await expect(train(a, data, { loss: mse })).rejects.toThrow("being trained by another call");
  await Promise.all([first, train(b, data, { loss: mse, epochs: 3 })]);
  expect(b.parameters.data).toEqual(a.parameters.data);
  await train(a, data, { loss: mse, epochs: 1 });
});

test("a step to parameters that are not finite is undone, though the loss may not see them", async () => {
  const net = network({ inputs: 1 }, (x) => relu(scaleShift({ scale: false })(x)));
  const data = { x: [[1], [1]], y: [[0], [0]] };
  const training = train(net, data, { loss: mse, optimizer: sgd({ learningRate: 1e39 }), batchSize: 1, epochs: 2 });
  await expect(training).rejects.toThrow(NonFiniteLossError);
  await expect(training).rejects.toMatchObject({ epoch: 1, batch: 1 });
  expect(net.parameters.data).toEqual(Float32Array.of(0));
});

test("batchedOuter and einsum take their options last", () => {
  const g = array([[1, 2]]);
  const out = zeros([1, 2, 2]);
  expect(batchedOuter(g, { out })).toBe(out);
  expect(einsum("bi,bj->bij", g, g, { out })).toBe(out);
  expect(out.toArray()).toEqual([
    [
      [1, 2],
      [2, 4],
    ],
  ]);
  expect(() => einsum("i->", [1], { output: out } as never)).toThrow(OptionError);
});
