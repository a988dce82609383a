// Small networks with every kind of pass: images through convolutions, words through attention.

import {
  chain,
  conv2d,
  type DType,
  dense,
  embedding,
  flatten,
  gelu,
  layerNorm,
  maxPool2d,
  multiHeadAttention,
  type Network,
  residual,
  tanh,
} from "../../src/index.ts";

/** Of images [2, side, side], three outputs. */
export function imageNetwork(dtype: DType, side: number): Network {
  const convolution = conv2d(4, 3, tanh, { groups: 2 });
  return chain({ inputs: [2, side, side], dtype, seed: 1 }, convolution, maxPool2d(2), flatten, dense(3));
}

/** Of six tokens below 9, five outputs at each. */
export function wordNetwork(dtype: DType): Network {
  const block = residual(layerNorm(), multiHeadAttention(2));
  return chain({ inputs: [6], dtype, seed: 1 }, embedding(9, 4), block, dense(3, gelu), dense(5));
}
