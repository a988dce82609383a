// laplace-ts/mini: a network, its training, a posterior and predictions, in as few bytes as there can be. Structures and
// likelihoods are values, and what posteriors do are functions, so that a bundle has what it names. With a bundler the rest of
// laplace-ts goes with these: layers, likelihoods, `evaluate`.

// First in bundles, so that gzip has the texts of the kernels beside each other and code beside code.
import "./kernels/generated/bytes.ts";

export { toyRegression } from "./data/toy.ts";
export type { FitOptions, Laplace } from "./laplace/fitting.ts";
export {
  evidence,
  laplace,
  optimizePrior,
  optimizePriorAsync,
  predict,
  predictAsync,
  type StructureValue,
  type ValueOptions,
} from "./laplace/functions.ts";
export { gaussian } from "./likelihood/gaussian.ts";
export { mse } from "./losses/losses.ts";
export { dense, gelu, relu, sigmoid, silu, softplus, tanh } from "./network/layers.ts";
export { chain, type Network } from "./network/network.ts";
export type { WeightGaussian } from "./posterior/weight-gaussian.ts";
export type { Prediction } from "./prediction/prediction.ts";
export { diagonal } from "./structures/diagonal/row.ts";
export { ekfac } from "./structures/ekfac/row.ts";
export { full } from "./structures/full/row.ts";
export { functional } from "./structures/functional/row.ts";
export { kfoc } from "./structures/kfoc/row.ts";
export { kronecker } from "./structures/kronecker/row.ts";
export { lowRank } from "./structures/lowrank/row.ts";
export { adam } from "./training/optimisers.ts";
export { train } from "./training/train.ts";
