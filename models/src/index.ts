// laplace-ts-models: networks that were trained elsewhere.

export type { ParameterOrigin } from "./builder.ts";
export type { Checkpoint } from "./checkpoints/checkpoint.ts";
export { type MatchOptions, matchWeights, type WeightMatch } from "./checkpoints/match-weights.ts";
export type { MatchedWeights } from "./checkpoints/report.ts";
export { ModelError, type Problem } from "./errors.ts";
export type {
  FeaturesReport,
  Fitting,
  FrozenFeatures,
  KeepOptions,
  Predicting,
  StreamOptions,
} from "./features/frozen-features.ts";
export type { InputData, Inputs, InputsAndTargets } from "./features/inputs.ts";
export type { OnnxRuntime, OnnxSession } from "./features/runtime.ts";
export { type FeaturesOptions, withFeatures } from "./features/with-features.ts";
export type { Removed } from "./onnx/ends.ts";
export { fromOnnx, type ImportedOnnx, type OnnxOptions, type OnnxReport } from "./onnx/from-onnx.ts";
export type { ExternalData } from "./onnx/numbers.ts";
export { toOnnx } from "./onnx/onnx.ts";
export {
  fromTensorFlowJs,
  type TensorFlowJsOptions,
  type TensorFlowJsReport,
} from "./tensorflow-js/from-tensorflow-js.ts";
