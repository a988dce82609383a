// laplace-ts/predict: posteriors out of files, and their predictions, in as few bytes as there can be. What a file may have is
// named by values, so that a bundle has what it names: no training, no fits, no tuning, no diagnosis.

// First in bundles, so that gzip has the texts of the kernels beside each other and code beside code.
import "./kernels/generated/bytes.ts";

export { type LoadOptions, loadPosterior } from "./io/load-by-values.ts";
export { predict, predictAsync, type StructureValue } from "./laplace/functions.ts";
export type { LikelihoodValue } from "./likelihood/entry.ts";
export {
  bernoulliValue as bernoulli,
  categoricalValue as categorical,
  gaussianValue as gaussian,
  heteroscedasticValue as heteroscedastic,
  poissonValue as poisson,
} from "./likelihood/entry.ts";
export { primitives as layers } from "./network/primitives/all.ts";
export type { WeightGaussian } from "./posterior/weight-gaussian.ts";
export type { Prediction, PredictOptions } from "./prediction/prediction.ts";
export { diagonal } from "./structures/diagonal/row.ts";
export { ekfac } from "./structures/ekfac/row.ts";
export { full } from "./structures/full/row.ts";
export { functional } from "./structures/functional/row.ts";
export { kfoc } from "./structures/kfoc/row.ts";
export { kronecker } from "./structures/kronecker/row.ts";
export { lowRank } from "./structures/lowrank/row.ts";
