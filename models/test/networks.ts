// Networks that files are written of, and how what comes back is compared.

import {
  add,
  averagePool2d,
  batchNorm,
  chain,
  concatenate,
  conv1d,
  conv2d,
  convTranspose2d,
  dense,
  dropout,
  elu,
  flatten,
  gelu,
  globalAveragePool,
  globalMaxPool,
  gru,
  type Layer,
  layerNorm,
  leakyRelu,
  lstm,
  maxPool2d,
  multiHeadAttention,
  multiply,
  type NDArray,
  type Network,
  positionalEmbedding,
  Random,
  randomNormal,
  relu,
  residual,
  rmsNorm,
  scaleShift,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  sum,
  tanh,
} from "laplace-ts";
import { expect } from "vitest";

export const f64 = "float64";
export const inputsOf = (net: Network, batch = 3) => randomNormal([batch, ...net.inputShape], { seed: 2 });

/** The package has the built library's arrays, which the matcher knows by their numbers. */
export function close(
  actual: NDArray,
  expected: NDArray,
  tolerance: { relative?: number; absolute?: number } = {},
): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data).toBeAllClose(expected.data, tolerance);
}

/** Moves a network away from weights that are 0 and 1. */
export function shaken(net: Network): Network {
  const random = new Random(3);
  net.setParameters(Array.from(net.parameters.data, (x) => x + 0.3 * random.normal()));
  net.buffers.data.set(Array.from(net.buffers.data, (x) => x + random.uniform()));
  return net;
}

export const build = (inputs: number | number[], ...layers: Layer[]) =>
  shaken(chain({ inputs, dtype: f64 }, ...layers));

/** Networks of the library's layers. */
export const networks: Record<string, Network> = {
  "a perceptron": build(4, dense(5, tanh), dense(3, relu), dense(2)),
  functions: build(
    3,
    dense(4, silu),
    dense(4, gelu),
    dense(4, softplus),
    dense(4, (x) => leakyRelu(x, 0.25)),
    dense(4, sigmoid),
    dense(4, (x) => elu(x, 0.5)),
    dense(2),
  ),
  selu: build(3, dense(4, selu), dense(2)),
  "a network without biases": build(4, dense(5, tanh, { bias: false }), scaleShift(), dense(1)),
  images: build(
    [2, 7, 8],
    conv2d(4, 3, relu, { padding: 1, groups: 2 }),
    maxPool2d(2),
    batchNorm(),
    conv2d(3, [2, 1], tanh),
    averagePool2d(2, { padding: 1, countPadding: false }),
    flatten,
    dropout(0.5),
    dense(2),
  ),
  "a transposed convolution": build(
    [2, 4, 4],
    convTranspose2d(3, 3, relu, { stride: 2, padding: 1, outputPadding: 1 }),
    globalAveragePool,
    dense(2),
  ),
  channels: build([2, 9], conv1d(3, 3, relu, { stride: 2 }), globalMaxPool, dense(2)),
  "a transformer": build(
    [4, 6],
    positionalEmbedding(),
    (x) => add(x, multiHeadAttention(2, { causal: true })(layerNorm()(x))),
    residual(rmsNorm(), dense(5, gelu), dense(6)),
    dense(2),
  ),
  "an lstm": build([3, 4], lstm(3, { output: "last" }), dense(2)),
  "a gru": build([3, 4], gru(3), dense(2)),
  products: build(
    [3, 4],
    (x) => concatenate(multiply(x, softmax(x)), x),
    (x) => sum(x, 0),
    dense(2),
  ),
};
