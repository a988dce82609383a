// Which inputs to label next: those that say most of the weights, each given the ones that were chosen before it.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import { columnsOf } from "../curvature/root-columns.ts";
import { checkBytes, checkInteger, checkOptions, newFloats, OptionError, readBudget } from "../errors.ts";
import { copyOutTo, later } from "../kernels/memory.ts";
import { asynchronously, atOnce, type ExamplesReport, type InBursts, type Steps } from "../kernels/steps.ts";
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
  const rows = yield* whitenedRoots(where, posterior, inputs, k);
  return yield* greedy(rows, { batch, k, size: posterior.size, n });
}

/** √h Λ^½ J R of each input, R Rᵀ = P⁻¹, [B, K, S]: their products are those of labels in the posterior. */
function* whitenedRoots(
  where: string,
  posterior: WeightGaussian,
  inputs: NDArray,
  k: number,
): Steps<Float64Array, ExamplesReport> {
  const { net, likelihood, selection, size } = posterior;
  const rows = newFloats(where, [inputs.shape[0], k, size]);
  const precision = yield* posterior.factoring("rows");
  let start = 0;
  const kept: Contraction<void> = {
    begin: (part) => {
      start = part.start;
    },
    add(backward) {
      const at = float64Rows(backward, selection);
      precision.whiten(at, backward.batch * k);
      const from = start * k * size;
      later(() => copyOutTo("float64", at, backward.batch * k * size, rows, from));
    },
    finish() {},
  };
  const columns = columnsOf({ kind: "ggn", likelihood, samples: 1, seed: 0 });
  const { length } = cutFor(posterior, wholeRoute(net.graph.output.size), "rows");
  yield* runInSteps(where, posterior.model, [{ inputs }], columns, kept, selection.reaches, { length });
  const root = Math.sqrt(factorOf(likelihood, posterior.temperature));
  for (let i = 0; i < rows.length; i++) rows[i] *= root;
  return rows;
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
function* greedy(w: Float64Array, { batch, k, size, n }: Sizes): Steps<Chosen> {
  const [indices, gains] = [new Uint32Array(n), new Float64Array(n)];
  const left = new Float64Array(batch * k * k);
  for (let j = 0; j < batch; j++) {
    productInto(left, j * k * k, w, j * k, w, j * k, k, size);
    if (j % 256 === 255) yield;
  }
  const taken = new Uint8Array(batch);
  const steps: Float64Array[] = [];
  for (let s = 0; s < n; s++) {
    let [best, gain] = [-1, Number.NEGATIVE_INFINITY];
    for (let j = 0; j < batch; j++) {
      if (taken[j] === 1) continue;
      const own = logDeterminant(factorised(left, j, k), k);
      if (own > gain) [best, gain] = [j, own];
    }
    taken[best] = 1;
    [indices[s], gains[s]] = [best, gain];
    if (s === n - 1) break;
    const factor = factorised(left, best, k);
    const t = new Float64Array(batch * k * k);
    for (let j = 0; j < batch; j++) {
      if (taken[j] === 1 && j !== best) continue;
      productInto(t, j * k * k, w, j * k, w, best * k, k, size);
      for (const before of steps) {
        for (let a = 0; a < k; a++) {
          for (let b = 0; b < k; b++) {
            let sum = 0;
            for (let c = 0; c < k; c++) sum += before[(j * k + a) * k + c] * before[(best * k + b) * k + c];
            t[(j * k + a) * k + b] -= sum;
          }
        }
      }
      solveRight(t, j, factor, k);
      if (j % 256 === 255) yield;
    }
    for (let j = 0; j < batch; j++) if (taken[j] === 0) subtractSquare(left, t, j, k);
    steps.push(t);
    yield;
  }
  return { indices, gains: new NDArray(gains, [n]) };
}

/** Writes the products of k rows with k rows, [k, k]. */
function productInto(
  to: Float64Array,
  at: number,
  one: Float64Array,
  first: number,
  other: Float64Array,
  second: number,
  k: number,
  size: number,
): void {
  for (let a = 0; a < k; a++) {
    for (let b = 0; b < k; b++) {
      const [i, j] = [(first + a) * size, (second + b) * size];
      let sum = 0;
      for (let c = 0; c < size; c++) sum += one[i + c] * other[j + c];
      to[at + a * k + b] = sum;
    }
  }
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

/** Block j times L⁻ᵀ. */
function solveRight(blocks: Float64Array, j: number, l: Float64Array, k: number): void {
  for (let a = 0; a < k; a++) {
    const row = (j * k + a) * k;
    for (let b = 0; b < k; b++) {
      let sum = blocks[row + b];
      for (let c = 0; c < b; c++) sum -= blocks[row + c] * l[b * k + c];
      blocks[row + b] = sum / l[b * k + b];
    }
  }
}

/** Block j less T_j T_jᵀ. */
function subtractSquare(blocks: Float64Array, t: Float64Array, j: number, k: number): void {
  for (let a = 0; a < k; a++) {
    for (let b = 0; b < k; b++) {
      let sum = 0;
      for (let c = 0; c < k; c++) sum += t[(j * k + a) * k + c] * t[(j * k + b) * k + c];
      blocks[(j * k + a) * k + b] -= sum;
    }
  }
}
