// A Gaussian prior over weights with any precision: a matrix, or what an earlier posterior knows.

import type { ArrayLike } from "../array/ndarray.ts";
import { checkNumber, checkOptions, OptionError, refuseJson, ShapeError } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { bytesPerElement, type DType, inMemory, type Pointer } from "../kernels/memory.ts";
import { atOnce, oneStep, type Steps } from "../kernels/steps.ts";
import { readSymmetric } from "../linalg/cholesky.ts";
import { weightOf } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import { WeightGaussian } from "../posterior/weight-gaussian.ts";
import { type KroneckerFactors, Prior, type PriorMatrix, readPrior } from "../structures/prior.ts";
import { wholePrior } from "../structures/prior-matrix.ts";
import { type Selection, select } from "../structures/selection.ts";
import type { EvidenceRun, PriorRule } from "../training/evidence-options.ts";
import { likelihoodOf } from "../training/likelihood-of.ts";
import { areFactors, ofFactors } from "./factors-prior.ts";
import { type OverPlan, ofPosterior, overPlan, type Source } from "./posterior-prior.ts";

/** Options of `gaussianPrior`. */
export interface GaussianPriorOptions {
  /** What the precision is multiplied by (default 1): below 1 an earlier posterior is forgotten in part. `optimizePrior` tunes it. */
  scale?: number | undefined;
  /** μ₀ of a matrix, as the option `priorMean` (default 0); a posterior has its own. */
  mean?: ArrayLike | undefined;
}

/** A Gaussian prior with any precision, made by `gaussianPrior`: the option `prior` of `laplace` and of `train`. */
export interface GaussianPrior extends PriorRule {
  readonly name: "gaussianPrior";
  /** @internal The prior of a plan. */
  readonly over: OverPlan;
}

/**
 * The Gaussian prior N(μ₀, P₀⁻¹) of a precision that is not a diagonal of one number for each weight: the option `prior` of `laplace`, whose
 * posterior has the precision P = H/(σ² T) + P₀, and of `train`, whose penalty is ½ (θ − μ₀)ᵀ P₀ (θ − μ₀) beside the summed loss.
 *
 * - of a posterior, with its mean and precision: what earlier data said goes on, and a network learns tasks one after the other
 *   (Ritter, Botev & Barber 2018, arXiv:1805.07810). The next posterior has its structure, "full", "diagonal" or "kronecker", and its
 *   weights. The precision of "kronecker", a product and a diagonal, becomes the nearest product for each weight: that with the least
 *   Kullback-Leibler divergence of its Gaussian from the posterior;
 * - of Kronecker factors, P₀ = B ⊗ A for each weight and B for each vector, for the structure "kronecker": a list as
 *   `curvature.factors()` gives it, of all parameters of the selection, with symmetric positive definite factors;
 * - of a symmetric positive definite matrix P₀, [S, S], for the structure "full": in the order of `indices` of the posterior, as
 *   `precision()` is.
 * @throws ShapeError, ValueError for a matrix that is not symmetric; OptionError
 */
export function gaussianPrior(
  source: WeightGaussian | ArrayLike | readonly KroneckerFactors[],
  options: GaussianPriorOptions = {},
): GaussianPrior {
  const where = "gaussianPrior";
  checkOptions(where, options, ["scale", "mean"]);
  const { scale = 1, mean } = options;
  checkNumber(where, "scale", scale, 0, true);
  const make =
    source instanceof WeightGaussian
      ? ofPosterior(where, source, scale)
      : areFactors(source)
        ? ofFactors(where, source, scale, mean)
        : ofMatrix(where, source, scale, mean);
  if (source instanceof WeightGaussian && mean !== undefined) {
    throw new OptionError(`${where}: a posterior has a mean of its own, so leave mean out.`);
  }
  const prior: GaussianPrior = {
    name: where,
    over: overPlan(make),
    learn: ({ net, rule, data }) =>
      oneStep(() => {
        const known = make("train", selectionIn(net, source));
        const { likelihood, scale: unit } = likelihoodOf(rule, "prior");
        const given = data.weights && Float64Array.from(data.weights.data);
        const count = weightOf(likelihood, net.outputShape, data.targets.data, given) || 1;
        return new Penalty(known, net.dtype, (unit * likelihood.hyper.value ** 2) / count);
      }),
  };
  return refuseJson(
    prior,
    () => "structuredClone, postMessage and JSON do not copy a prior, which is made of functions: make it again",
  );
}

/** The weights that a prior is of. @throws OptionError for a network with others */
function selectionIn(net: Network, source: unknown): Selection {
  if (!(source instanceof WeightGaussian)) return select("train", net);
  const { graph } = source.selection;
  if (graph.parameterCount === net.parameterCount) return source.selection;
  throw new OptionError(
    `train: the prior is of a network with ${graph.parameterCount} parameters, this one has ${net.parameterCount}.`,
  );
}

function ofMatrix(where: string, matrix: ArrayLike, scale: number, mean: ArrayLike = 0): Source {
  const { data, shape } = readSymmetric(where, matrix);
  const numbers = Float64Array.from(data);
  return (who, selection) => {
    const { size } = selection;
    if (shape[0] !== size) {
      throw new ShapeError(`${who}: expected a prior precision [${size}, ${size}], got shape [${shape.join(", ")}].`);
    }
    const centred = readPrior(who, selection, scale, mean);
    return new Prior(selection, centred.precision, centred.mean, wholePrior(selection, numbers));
  };
}

/** The prior's penalty, in the mean over the data that `train` takes of its loss. */
class Penalty implements EvidenceRun {
  readonly #prior: Prior;
  readonly #indices: Uint32Array;
  readonly #bytes: number;
  readonly #dtype: DType;
  readonly #unit: number;

  /** @param unit what the loss is multiplied by where the log likelihood is summed */
  constructor(prior: Prior, dtype: DType, unit: number) {
    this.#prior = prior;
    this.#indices = prior.selection.indices();
    this.#dtype = dtype;
    this.#bytes = bytesPerElement(dtype);
    this.#unit = unit * prior.precision[0];
  }

  /** Of ½ d M d, d = θ − μ₀: M d. */
  add(_: Kernels, parameters: Pointer, gradient: Pointer): number {
    const { mean, matrix } = this.#prior;
    const [from, to] = [parameters / this.#bytes, gradient / this.#bytes];
    const deviation = inMemory(this.#dtype, (memory) => mean.map((m, i) => memory[from + this.#indices[i]] - m));
    const pull = atOnce((matrix as PriorMatrix).times(deviation));
    inMemory(this.#dtype, (memory) => {
      for (let i = 0; i < pull.length; i++) memory[to + this.#indices[i]] += this.#unit * pull[i];
    });
    return 0.5 * this.#unit * pull.reduce((sum, x, i) => sum + x * deviation[i], 0);
  }

  after(): Steps<undefined> {
    return oneStep(() => undefined);
  }
}
