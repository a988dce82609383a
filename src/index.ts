// The public surface, all of it.

// First in bundles, so that gzip has the texts of the kernels beside each other and code beside code.
import "./kernels/generated/bytes.ts";

export { batchedMatmul, batchedOuter, batchedTranspose } from "./array/batched.ts";
export { einsum } from "./array/einsum.ts";
export type { PlainArray } from "./array/entries.ts";
export type { FormatOptions } from "./array/format.ts";
export { logGamma } from "./array/gamma.ts";
export {
  type ArrayLike,
  type ArrayOptions,
  array,
  full,
  kernelArray,
  NDArray,
  type Nested,
  zeros,
} from "./array/ndarray.ts";
export { Random, type RandomOptions, randomNormal, randomUniform } from "./array/random.ts";
export { type CurvatureProductOptions, curvatureProduct, curvatureProductAsync } from "./curvature/products.ts";
export * from "./curvature/public.ts";
export type { AsyncData } from "./data/arriving.ts";
export type { Data } from "./data/batches.ts";
export { cellReader, cellText } from "./data/cell-texts.ts";
export { classWeights } from "./data/class-weights.ts";
export type {
  CategoryColumn,
  ColumnEncoding,
  ColumnKind,
  DateColumn,
  DatePart,
  IgnoredColumn,
  MeasuredColumn,
  NumberColumn,
} from "./data/column-encoding.ts";
export { numbersBut } from "./data/column-encoding.ts";
export { type Dataset, type DatasetLike, dataset } from "./data/dataset.ts";
export type { DatesSettled } from "./data/date-format.ts";
export { type DateFormat, dayText } from "./data/dates.ts";
export {
  type EncodedRows,
  type EncodeRow,
  type ReadingOptions,
  TableEncoding,
  type TableEncodingParts,
  type TableRow,
  tableEncoding,
  tableEncodingSteps,
} from "./data/encoding.ts";
export type { TableEncodingOptions } from "./data/encoding-options.ts";
export { checkDateFormat, type TableFormatOptions } from "./data/formats.ts";
export { type GatherOptions, gather } from "./data/gather.ts";
export { identityOf, type Occurrence, occurrences, placesOf, spellings } from "./data/identity.ts";
export { inputNames } from "./data/input-names.ts";
export { type LevelEffects, levelsAlong } from "./data/level-effects.ts";
export { DataLoader, type DataLoaderOptions } from "./data/loader.ts";
export { looksMissing, type MissingRule, type MissingTest, missingTest } from "./data/missing.ts";
export { twoOrders } from "./data/naming.ts";
export { type NumberFormat, type NumbersSettled, numberFormat, numberOf, numberReader } from "./data/number-format.ts";
export { type Readable, type Reading, readerOf } from "./data/reading.ts";
export { type SplitOptions, splitDataset, take } from "./data/split.ts";
export type { Table, TableColumns } from "./data/table.ts";
export { guessTask, type TargetEncoding, type TargetTask, type TaskGuess, taskGuess } from "./data/target.ts";
export type { TargetScale } from "./data/target-scales.ts";
export {
  type ToyOptions,
  type ToyRegressionOptions,
  type TwoMoonsOptions,
  toyLinear,
  toyMulti,
  toyNonLinear,
  toyRegression,
  twoMoons,
} from "./data/toy.ts";
export type { MemoryOptions } from "./derivatives/budget.ts";
export * from "./derivatives/gradient.ts";
export {
  type JacobianOptions,
  jacobian,
  jacobianAsync,
  jvp,
  jvpAsync,
  type Tangent,
  type VjpOptions,
  vjp,
  vjpAsync,
} from "./derivatives/jacobian.ts";
export type { DiagnoseOptions } from "./diagnosis/diagnose.ts";
export type { Diagnosis, Finding, FindingCode } from "./diagnosis/findings.ts";
export {
  defaultMemoryBudget,
  FileError,
  type FileProblem,
  IndefiniteHessianError,
  LaplaceError,
  MemoryBudgetError,
  NonFiniteLossError,
  NotPositiveDefiniteError,
  OptionError,
  PlatformError,
  ShapeError,
  type ShapeMismatch,
  ValueError,
  WeightsError,
} from "./errors.ts";
export {
  accuracy,
  auroc,
  brierScore,
  type CalibrationErrorOptions,
  type ClassMetricOptions,
  expectedCalibrationError,
  negativeLogLikelihood,
  type ReliabilityCurve,
  type ReliabilityOptions,
  reliabilityCurve,
} from "./evaluation/classification.ts";
export {
  type ConformalIntervals,
  type ConformalSetOptions,
  type ConformalSets,
  conformalIntervals,
  conformalSets,
  type MeanAndVariance,
} from "./evaluation/conformal.ts";
export { poissonNegativeLogLikelihood } from "./evaluation/counts.ts";
export {
  type Coverage,
  coverageByGroup,
  coverageBySlab,
  type GroupCoverage,
  type Regions,
  type SlabCoverage,
  type SlabOptions,
} from "./evaluation/coverage.ts";
export { type EvaluateOptions, evaluate, evaluateAsync } from "./evaluation/evaluate.ts";
export { type FoldIntervalOptions, type FoldIntervals, foldIntervals } from "./evaluation/fold-intervals.ts";
export { type Fold, type FoldOptions, folds } from "./evaluation/folds.ts";
export type { HeldOutOptions, HeldOutReport, ScoreName, WithWorkers } from "./evaluation/held-out.ts";
export type {
  ClassMetrics,
  Evaluation,
  LabelMetrics,
  Metrics,
  NormalMetrics,
  NumberMetrics,
} from "./evaluation/metrics.ts";
export {
  type MixtureEvaluation,
  type MixtureIntervalOptions,
  type MixtureIntervals,
  type MixturePrediction,
  mixture,
  type PosteriorMixture,
} from "./evaluation/mixture.ts";
export { normalCdf, normalQuantile } from "./evaluation/normal.ts";
export {
  type CalibrationCurve,
  type CalibrationCurveOptions,
  calibrationCurve,
  crps,
  gaussianNegativeLogLikelihood,
  type IntervalMetricOptions,
  type IntervalOptions,
  intervalCoverage,
  meanAbsoluteError,
  rootMeanSquaredError,
  type Sharpness,
  sharpness,
  sigmaScaling,
} from "./evaluation/regression.ts";
export {
  epistemicScore,
  epistemicScoreAsync,
  outOfDistributionAuroc,
  outOfDistributionAurocAsync,
  type Uncertainty,
  type UncertaintyOptions,
  uncertainty,
  uncertaintyAsync,
} from "./evaluation/uncertainty.ts";
export type { Json, JsonObject } from "./io/json.ts";
export { loadMixture, saveMixture } from "./io/mixtures.ts";
export { loadFit, loadPosterior, type SaveOptions, saveFit, savePosterior } from "./io/posteriors.ts";
export { type Bytes, readSafetensors, type Safetensors, writeSafetensors } from "./io/safetensors.ts";
export { readTableEncoding } from "./io/table-encodings.ts";
export type { TableGuarantee } from "./io/table-guarantee-files.ts";
export { type TableRegions, tableConformity, tableRegions } from "./io/table-guarantees.ts";
export type { TablePart } from "./io/table-mixtures.ts";
export { loadTableModel, saveTableModel } from "./io/table-model-files.ts";
export {
  TableModel,
  type TableModelParts,
  type TablePrediction,
  tableModel,
} from "./io/table-models.ts";
export type { TableMixture } from "./io/table-posteriors.ts";
export { type TableScores, tableLogDensities, tableQuantiles, tableScores } from "./io/table-scores.ts";
export { version } from "./io/version.ts";
export { type LoadedWeights, loadWeights, type WeightsOptions } from "./io/weights.ts";
export { type KernelBuild, type KernelInfo, kernels } from "./kernels/kernels.ts";
export type { DType, FloatArray } from "./kernels/memory.ts";
export type { BurstOptions, ExamplesReport, InBursts, Steps, StopSignal } from "./kernels/steps.ts";
export { type EstimateOptions, estimateMemory } from "./laplace/estimate-memory.ts";
export type { FitOptions, Laplace } from "./laplace/fitting.ts";
export { type GaussianPrior, type GaussianPriorOptions, gaussianPrior } from "./laplace/gaussian-prior.ts";
export { type IvonPosteriorOptions, ivonPosterior } from "./laplace/ivon.ts";
export { laplace } from "./laplace/laplace.ts";
export type { MemoryEstimate } from "./laplace/memory-estimate.ts";
export type { LaplaceOptions } from "./laplace/options.ts";
export type { Posterior } from "./laplace/posterior.ts";
export { type SwagPosteriorOptions, swagPosterior } from "./laplace/swag.ts";
export { bernoulli } from "./likelihood/bernoulli.ts";
export { categorical } from "./likelihood/categorical.ts";
export { defineLikelihood, type LikelihoodOption, type LikelihoodOptions } from "./likelihood/define-likelihood.ts";
export { type GaussianOptions, gaussian } from "./likelihood/gaussian.ts";
export { type HeteroscedasticOptions, heteroscedastic } from "./likelihood/heteroscedastic.ts";
export type { Likelihood, LikelihoodKind } from "./likelihood/likelihood.ts";
export type {
  DrawSource,
  NumberLikelihood,
  Row,
  RowLikelihood,
  TargetMoments,
  TargetNumbers,
} from "./likelihood/plain.ts";
export { type PoissonOptions, poisson } from "./likelihood/poisson.ts";
export type { KindOf, Task } from "./likelihood/tasks.ts";
export { Cholesky, cholesky } from "./linalg/cholesky.ts";
export { type Eigh, eigh } from "./linalg/eigh.ts";
export { type SyrkOptions, solveTriangular, syrk, type TriangularOptions } from "./linalg/triangular.ts";
export type { ClassAxis, ClassOptions, IgnoreOptions } from "./losses/classes.ts";
export {
  binaryCrossEntropy,
  crossEntropy,
  type Loss,
  type LossWithOptions,
  mse,
  type Reduction,
  type WeightOptions,
} from "./losses/losses.ts";
export {
  type AttentionOptions,
  multiHeadAttention,
  type PositionalOptions,
  positionalEmbedding,
} from "./network/layers/attention.ts";
export {
  type Conv1dOptions,
  type Conv2dOptions,
  type ConvTranspose2dOptions,
  conv1d,
  conv2d,
  convTranspose2d,
  type PairOption,
} from "./network/layers/convolution.ts";
export { dropout } from "./network/layers/dropout.ts";
export { type EmbeddingOptions, embedding, tied } from "./network/layers/embedding.ts";
export { type FourierFeaturesOptions, fourierFeatures } from "./network/layers/fourier.ts";
export { lastPosition, type MaskedLayer, paddingMask } from "./network/layers/masks.ts";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  layerNorm,
  type NormOptions,
  type RmsNormOptions,
  rmsNorm,
} from "./network/layers/normalisation.ts";
export {
  type AveragePool1dOptions,
  type AveragePool2dOptions,
  averagePool1d,
  averagePool2d,
  globalAveragePool,
  globalMaxPool,
  type MaxPool1dOptions,
  type MaxPool2dOptions,
  maxPool1d,
  maxPool2d,
} from "./network/layers/pooling.ts";
export {
  type ConcatenateOptions,
  concatenate,
  type MatmulOptions,
  matmul,
  mean,
  permute,
  slice,
  split,
  stack,
  sum,
  transpose,
} from "./network/layers/rearrange.ts";
export { gru, lstm, type RecurrentOptions } from "./network/layers/recurrent.ts";
export {
  add,
  cos,
  type DenseOptions,
  dense,
  elu,
  erf,
  exp,
  flatten,
  gelu,
  type Initialisation,
  identity,
  type Layer,
  leakyRelu,
  log,
  multiply,
  relu,
  reshape,
  residual,
  type ScaleShiftOptions,
  scaleShift,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  subtract,
  tanh,
} from "./network/layers.ts";
export { chain, type Network, type NetworkOptions, network } from "./network/network.ts";
export type { Parameter, Shape } from "./network/parameters.ts";
export { preference } from "./network/preference.ts";
export type { Traced } from "./network/trace.ts";
export type { Evidence, EvidenceGradient } from "./posterior/evidence.ts";
export type { Fit } from "./posterior/fit.ts";
export type { SampleOptions } from "./posterior/sampling.ts";
export type { HeldOut, HeldOutCandidate, Tuning, TuningOptions, TuningReport } from "./posterior/tuning.ts";
export type { WeightPosterior } from "./posterior/weight-posterior.ts";
export type { FunctionSampleOptions } from "./prediction/function-samples.ts";
export { type InputGradients, inputGradients, inputGradientsAsync } from "./prediction/input-gradients.ts";
export type { Linearised } from "./prediction/linearised.ts";
export type {
  Approximation,
  FunctionCovarianceOptions,
  Prediction,
  PredictOptions,
} from "./prediction/prediction.ts";
export { type RewardOptions, type Rewards, rewards, rewardsAsync } from "./prediction/rewards.ts";
export { logProbabilitiesOf } from "./prediction/together.ts";
export type {
  Disposing,
  Handle,
  OnWorker,
  Received,
  RemoteCurvature,
  RemoteFit,
  RemoteNetwork,
  RemoteOperator,
  RemotePosterior,
  RemoteTableModel,
  Sent,
  TransferOptions,
} from "./remote/calls.ts";
export { type ConnectOptions, connect, type Remote, type RemoteLaplace } from "./remote/connect.ts";
export type { WorkerLike } from "./remote/connection.ts";
export { type Workers, type WorkersOptions, workers } from "./remote/workers.ts";
export * from "./search/public.ts";
export type { Executor, OnExecutor, Shards, ShardTask } from "./shards/executor.ts";
export type { CountedWeights, WeightVariances } from "./structures/counted-weights.ts";
export type { Curvature, Eigenbasis, Factors, LowRank, Rank, Structure } from "./structures/curvature.ts";
export type { Hyperparameters, KroneckerFactors, PriorStructure } from "./structures/prior.ts";
export type { Weights } from "./structures/selection.ts";
export type { EvidenceOptions, EvidenceRule, EvidenceRun, Learned, WeightGroups } from "./training/evidence-options.ts";
export { type GaussNewtonOptions, gaussNewton } from "./training/gauss-newton.ts";
export { type IvonOptions, ivon } from "./training/ivon.ts";
export { type LastLayerEvidenceOptions, lastLayerEvidence } from "./training/last-layer-evidence.ts";
export { type MarginalLikelihoodOptions, marginalLikelihood } from "./training/marginal-likelihood.ts";
export type { Minimiser } from "./training/minimiser.ts";
export {
  type AdamOptions,
  type AdamWOptions,
  adam,
  adamW,
  type Optimizer,
  type SgdOptions,
  sgd,
} from "./training/optimisers.ts";
export type { TrainingOptions } from "./training/options.ts";
export { type ProgressBarOptions, progressBar } from "./training/progress.ts";
export type { EpochReport, TrainingEvidence, TrainingResult, WeightGroup } from "./training/results.ts";
export { cosineDecay, type DecayOptions, linearDecay, type Schedule } from "./training/schedules.ts";
export { type SwagOptions, type SwagSnapshots, swag } from "./training/swag.ts";
export { train } from "./training/train-arriving.ts";
export type * from "./training/variational.ts";
