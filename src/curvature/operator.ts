// A curvature by its products alone, for matrices that do not fit into memory.

import type { ArrayLike, NDArray } from "../array/ndarray.ts";
import { checkData, type Data, refuseIterator } from "../data/batches.ts";
import { checkNumber, checkOptions, ValueError } from "../errors.ts";
import { copyIn, copyOut, scope } from "../kernels/memory.ts";
import { asynchronously, atOnce, reporting, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Task } from "../likelihood/tasks.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { solveRows } from "../structures/precision.ts";
import { Prior } from "../structures/prior.ts";
import { select } from "../structures/selection.ts";
import { rowOf } from "../structures/table.ts";
import {
  diagonalOf,
  eigenvaluesOf,
  type Matrix,
  type ProductSteps,
  solutionOf,
  spectrumOf,
  timesOf,
  traceOf,
} from "./by-products.ts";
import type {
  EigenOptions,
  Eigenpairs,
  Estimate,
  InProducts,
  RandomVectorsOptions,
  Solution,
  SolveOptions,
  Spectrum,
  SpectrumOptions,
  TraceOptions,
} from "./estimates.ts";
import { type CurvatureProductOptions, productSteps } from "./products.ts";
import { checkSame } from "./same-products.ts";

/**
 * A curvature at unit noise, known by its products. Made by `curvatureOperator`. Each method has an asynchronous form, which works in
 * bursts, reports the products that it took (`onProgress`), and stops between two parts of the data (`signal`): what it throws then
 * is the signal's reason.
 */
export class CurvatureOperator {
  /** S, the number of weights. */
  readonly size: number;
  readonly #matrix: () => Matrix;

  /** @internal @param times in steps, which report nothing */
  constructor(size: number, times: (v: Float64Array) => Steps<Float64Array>, inverse: Matrix["inverse"]) {
    this.size = size;
    this.#matrix = () => ({ size, times: counted(times), inverse });
  }

  /** The product with a vector [S], or with each row of [n, S], in float64. @throws ShapeError */
  times(v: ArrayLike): NDArray {
    return atOnce(timesOf(this.#matrix(), v));
  }

  /** `times` in bursts. */
  async timesAsync(v: ArrayLike, options: InProducts = {}): Promise<NDArray> {
    return asynchronously("times", options, () => timesOf(this.#matrix(), v));
  }

  /** The trace: unbiased, and exact where "hutch++" may take as many products as the matrix has rank, three times. @throws OptionError */
  trace(options: TraceOptions = {}): Estimate {
    return atOnce(traceOf(this.#matrix(), options));
  }

  /** `trace` in bursts. */
  async traceAsync(options: InProducts<TraceOptions> = {}): Promise<Estimate> {
    return asynchronously("trace", options, (rest) => traceOf(this.#matrix(), rest));
  }

  /** The diagonal, [S], by random signs (Bekas et al. 2007): unbiased. @throws OptionError */
  diagonal(options: RandomVectorsOptions = {}): Estimate<NDArray> {
    return atOnce(diagonalOf(this.#matrix(), options));
  }

  /** `diagonal` in bursts. */
  async diagonalAsync(options: InProducts<RandomVectorsOptions> = {}): Promise<Estimate<NDArray>> {
    return asynchronously("diagonal", options, (rest) => diagonalOf(this.#matrix(), rest));
  }

  /** The k eigenvalues at an end of the spectrum, with their vectors, by Lanczos. @throws OptionError */
  eigenvalues(k: number, options: EigenOptions = {}): Eigenpairs {
    return atOnce(eigenvaluesOf(this.#matrix(), k, options));
  }

  /** `eigenvalues` in bursts. */
  async eigenvaluesAsync(k: number, options: InProducts<EigenOptions> = {}): Promise<Eigenpairs> {
    return asynchronously("eigenvalues", options, (rest) => eigenvaluesOf(this.#matrix(), k, rest));
  }

  /**
   * The density of the spectrum by stochastic Lanczos quadrature (Ubaru et al. 2017): Σ weights f(values) estimates tr f(H), and the
   * weights sum to S. @throws OptionError
   */
  spectrum(options: SpectrumOptions = {}): Spectrum {
    return atOnce(spectrumOf(this.#matrix(), options));
  }

  /** `spectrum` in bursts. */
  async spectrumAsync(options: InProducts<SpectrumOptions> = {}): Promise<Spectrum> {
    return asynchronously("spectrum", options, (rest) => spectrumOf(this.#matrix(), rest));
  }

  /**
   * x with (H + shift) x = b, by conjugate gradients (Hestenes & Stiefel 1952), for a vector [S] or each row of [n, S].
   * @throws OptionError, ShapeError; ValueError where the matrix is not positive along a direction
   */
  solve(b: ArrayLike, options: SolveOptions = {}): Solution {
    return atOnce(solutionOf(this.#matrix(), b, options));
  }

  /** `solve` in bursts. */
  async solveAsync(b: ArrayLike, options: InProducts<SolveOptions> = {}): Promise<Solution> {
    return asynchronously("solve", options, (rest) => solutionOf(this.#matrix(), b, rest));
  }
}

/** Products that report how many were taken. */
function counted(times: (v: Float64Array) => Steps<Float64Array>): Matrix["times"] {
  let products = 0;
  return function* (v) {
    const result = yield* times(v);
    products++;
    yield { products };
    return result;
  };
}

/**
 * A curvature of the summed loss at unit noise by its products: the generalised Gauss-Newton matrix, a Fisher matrix or the exact
 * Hessian, over data that are gone through at each product. The network is copied. Two products with one vector are compared first:
 * data that come in another order to draws of "monteCarlo", or are augmented at random, are refused.
 * @param options those of `curvatureProduct` @param data as for that, but no iterator, which can be gone through only once
 * @throws as `curvatureProduct`; ValueError for data that are not the same each time
 */
export function curvatureOperator(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: CurvatureProductOptions = {},
): CurvatureOperator {
  return atOnce(operatorSteps(net, likelihood, data, options));
}

/** `curvatureOperator` in bursts: two products are compared first. @throws as `curvatureOperator`; the signal's reason */
export async function curvatureOperatorAsync(
  net: Network,
  likelihood: Likelihood | Task,
  data: Data,
  options: InProducts<CurvatureProductOptions> = {},
): Promise<CurvatureOperator> {
  return asynchronously("curvatureOperator", options, (rest) => operatorSteps(net, likelihood, data, rest));
}

function* operatorSteps(
  ...[net, likelihood, data, options]: Required<Parameters<typeof curvatureOperator>>
): ProductSteps<CurvatureOperator> {
  const where = "curvatureOperator";
  checkIsNetwork(where, net);
  checkOptions(where, options, ["curvature", "monteCarloSamples", "seed", "weights", "first", "memoryBudget"]);
  checkData(where, data);
  refuseIterator(where, data, "every product goes through the data");
  const model = net.clone();
  const selection = options.weights === undefined ? undefined : select(where, net, options.weights);
  const size = selection?.size ?? net.parameterCount;
  const times = function* (v: Float64Array): Steps<Float64Array> {
    const product = productSteps(model, likelihood, data, v, options);
    return Float64Array.from((yield* reporting(product, () => undefined)).data);
  };
  yield* checkSame(where, counted(times), size);
  return new CurvatureOperator(size, times, function* (curvature, shift) {
    const own = selection ?? select(where, net.clone().unfreeze(), "all");
    if (!curvature.selection.equals(own)) throw new ValueError("solve: the preconditioner is over other weights.");
    checkNumber("solve", "shift", shift, 0, true);
    const prior = new Prior(curvature.selection, Float64Array.of(shift), new Float64Array(size));
    const precision = yield* rowOf(curvature).precision(curvature, 1, prior, { damping: false });
    yield* precision.prepare("rows");
    return (v) =>
      scope(() => {
        const rows = copyIn("float64", own.arrange(v));
        solveRows(precision, rows, 1);
        return own.arrange(copyOut("float64", rows, size) as Float64Array, true);
      });
  });
}
