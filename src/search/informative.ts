// Which inputs to label next: those that say most of the weights, each given the ones that were chosen before it.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { columnsOf } from "../curvature/root-columns.ts";
import { checkBytes, checkInteger, checkOptions, OptionError, readBudget } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, copyTo, openScope, type Pointer } from "../kernels/memory.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, inPieces, type Steps } from "../kernels/steps.ts";
import { copyOutInSteps } from "../linalg/in-steps.ts";
import { type Contraction, runInSteps } from "../network/run.ts";
import { factorOf } from "../posterior/evidence.ts";
import { checkIsPosterior, type WeightGaussian } from "../posterior/weight-gaussian.ts";
import { cutFor, wholeRoute } from "../prediction/cuts.ts";
import { float64Rows } from "../structures/jacobian-rows.ts";

/** Options of `mostInformative`. */
export interface InformativeOptions {
  /** Bytes that derivatives of all inputs may need, [B, K, S] (default 1 GiB). */
  readonly memoryBudget?: number | undefined;
}

/** Inputs that were chosen, in the order in which they were. */
export interface Chosen {
  /** Their numbers among the inputs, none twice, [n]. */
  readonly indices: Uint32Array;
  /** What the label of each says of the weights, given the labels of those before it, in nats, [n]. */
  readonly gains: NDArray;
}

/**
 * The n inputs whose labels together say most of the weights, one after the other: the information gain of a label is
 * ½ log det(I + h Λ^½ J P⁻¹ Jᵀ Λ^½), of a Gaussian ½ log(1 + functionVariance / σ²), and with each that is chosen P grows by
 * h Jᵀ Λ J. So what is like a chosen input is worth little, and no input is chosen twice. That is exact for the linearised
 * network with a Gaussian likelihood, and for others that of their Fisher information Λ (MacKay 1992; Kirsch & Gal 2022,
 * arXiv:2208.00549); no greedy choice of others is better than 1 / (1 − 1/e) times (Nemhauser, Wolsey & Fisher 1978). The
 * mutual information of single labels of classes (BALD) is `epistemicScore`.
 * @param x [B, ...inputs] @param n from 1 to B
 * @throws ShapeError, ValueError for bad inputs; OptionError; MemoryBudgetError for derivatives [B, K, S] beyond the budget
 */
export function mostInformative(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: InformativeOptions = {},
): Chosen {
  return atOnce(chosen(posterior, x, n, options));
}

/** `mostInformative` in bursts. @throws as `mostInformative`; the signal's reason */
export async function mostInformativeAsync(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: InBursts<InformativeOptions> = {},
): Promise<Chosen> {
  return asynchronously("mostInformative", options, (rest) => chosen(posterior, x, n, rest));
}

function* chosen(
  posterior: WeightGaussian,
  x: ArrayLike,
  n: number,
  options: InformativeOptions,
): Steps<Chosen, ExamplesReport> {
  const where = "mostInformative";
  checkIsPosterior(where, "the first argument", posterior);
  checkOptions(where, options, ["memoryBudget"]);
  const memoryBudget = readBudget(where, options.memoryBudget);
  const { net, likelihood } = posterior;
  const inputs = net.readInputs(where, x);
  const [batch] = inputs.shape;
  checkInteger(where, "n", n, 1);
  if (n > batch) throw new OptionError(`${where}: n is ${n}, but there are ${batch} inputs to choose from.`);
  if (likelihood.observed === true) {
    throw new OptionError(
      `${where}: the likelihood "${likelihood.name}" has curvature: "observed", which only known targets have. It has gains where it is defined with curvature: "expected".`,
    );
  }
  const k = likelihood.rootColumns(net.outputShape);
  checkBytes(where, [batch, k, posterior.size], memoryBudget, "Fewer inputs to choose from need less.");
  const end = openScope();
  try {
    const rows = allocateFloats("float64", batch * k * posterior.size);
    yield* writeWhitenedRoots(where, posterior, inputs, k, rows);
    return yield* greedy(rows, { batch, k, size: posterior.size, n });
  } finally {
    end();
  }
}

/** Writes √h Λ^½ J R of each input, R Rᵀ = P⁻¹, [B, K, S]: their products are those of labels in the posterior. */
function* writeWhitenedRoots(
  where: string,
  posterior: WeightGaussian,
  inputs: NDArray,
  k: number,
  to: Pointer,
): Steps<void, ExamplesReport> {
  const { net, likelihood, selection, size } = posterior;
  const precision = yield* posterior.factoring("rows");
  const root = Math.sqrt(factorOf(likelihood, posterior.temperature));
  let start = 0;
  const kept: Contraction<void> = {
    begin: (part) => {
      start = part.start;
    },
    add(backward) {
      const at = float64Rows(backward, selection);
      precision.whiten(at, backward.batch * k);
      const length = backward.batch * k * size;
      kernelsFor("float64").affine(length, root, at, 0, to + 8 * start * k * size, false);
    },
    finish() {},
  };
  const columns = columnsOf({ kind: "ggn", likelihood, samples: 1, seed: 0 });
  const { length } = cutFor(posterior, wholeRoute(net.graph.output.size), "rows");
  yield* runInSteps(where, posterior.model, [{ inputs }], columns, kept, selection.reaches, { length });
}

interface Sizes {
  readonly batch: number;
  readonly k: number;
  readonly size: number;
  readonly n: number;
}

/**
 * Cholesky with pivots, in blocks of K rows: after each choice i the blocks G_jj of G = W Wᵀ become those of what is left,
 * G_jj − T_j T_jᵀ, T_j = (what is left of G_ji) L⁻ᵀ with L Lᵀ = I + what is left of G_ii.
 */
function* greedy(w: Pointer, { batch, k, size, n }: Sizes): Steps<Chosen> {
  const [indices, gains] = [new Uint32Array(n), new Float64Array(n)];
  const rows = batch * k;
  const block = k * k;
  // G_jj of all j, [B, K, K]; L of the last choice; T of all choices but the last, [B, K, (n − 1) K].
  const left = allocateFloats("float64", batch * block);
  const l = allocateFloats("float64", block);
  const width = (n - 1) * k;
  const t = allocateFloats("float64", rows * width);
  yield* inPieces(() => {
    const [{ gemm }, step] = [kernelsFor("float64"), k * size];
    gemm(batch, k, k, size, w, step, size, 1, w, step, 1, size, left, block, k, 1, false);
  });
  const taken = new Uint8Array(batch);
  for (let s = 0; s < n; s++) {
    const blocks = yield* copyOutInSteps(left, batch * block);
    let [best, gain] = [-1, Number.NEGATIVE_INFINITY];
    for (let j = 0; j < batch; j++) {
      if (taken[j] === 1) continue;
      const own = logDeterminant(factorised(blocks, j, k), k);
      if (own > gain) [best, gain] = [j, own];
    }
    taken[best] = 1;
    [indices[s], gains[s]] = [best, gain];
    if (s === n - 1) break;
    const factor = factorised(blocks, best, k);
    yield* inPieces(() => {
      const { gemm, solveForward } = kernelsFor("float64");
      const [to, chosen] = [t + 8 * s * k, t + 8 * best * k * width];
      gemm(1, rows, k, size, w, 0, size, 1, w + 8 * best * k * size, 0, 1, size, to, 0, width, 1, false);
      if (s > 0) gemm(1, rows, k, s * k, t, 0, width, 1, chosen, 0, 1, width, to, 0, width, -1, true);
      copyTo("float64", l, factor, true);
      solveForward(k, rows, l, k, 1, to, 1, width);
      gemm(batch, k, k, k, to, k * width, width, 1, to, k * width, 1, width, left, block, k, -1, true);
    });
  }
  return { indices, gains: new NDArray(gains, [n]) };
}

/** L of L Lᵀ = I + block j. */
function factorised(blocks: Float64Array, j: number, k: number): Float64Array {
  const l = new Float64Array(k * k);
  for (let a = 0; a < k; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = blocks[(j * k + a) * k + b] + (a === b ? 1 : 0);
      for (let c = 0; c < b; c++) sum -= l[a * k + c] * l[b * k + c];
      // What is left of a block is at least 0, but for rounding.
      l[a * k + b] = a === b ? Math.sqrt(Math.max(sum, Number.EPSILON)) : sum / l[b * k + b];
    }
  }
  return l;
}

/** ½ log det L Lᵀ */
function logDeterminant(l: Float64Array, k: number): number {
  let sum = 0;
  for (let a = 0; a < k; a++) sum += Math.log(l[a * k + a]);
  return sum;
}
