// The posterior precision P = D + h V diag(l) Vᵀ, by Woodbury's identity. With U = √(h l) Vᵀ D^-½ = Σ √μ_k e_k w_kᵀ of orthonormal
// w_k, P = D^½ (I + Σ μ_k w_k w_kᵀ) D^½: all that is asked of P is asked of the r numbers μ.

import { dryBytes } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import {
  addToDiagonal,
  allocateFloats,
  bringOut,
  copyIn,
  type Numbers,
  openScope,
  type Pointer,
  scope,
} from "../../kernels/memory.ts";
import { inPieces, type Steps } from "../../kernels/steps.ts";
import { copyOutInSteps, eighInSteps } from "../../linalg/in-steps.ts";
import type { Backward } from "../../network/passes.ts";
import type { SelectedCurvature } from "../curvature.ts";
import { type Eigenpairs, type EigenpairsCurvature, transposed } from "../eigenpairs.ts";
import { rowsCovariance, rowsVariance } from "../jacobian-rows.ts";
import type { Precision } from "../precision.ts";
import { logDeterminantOf, type Prior } from "../prior.ts";
import { multiplied } from "../products.ts";

/** Factors P = h V diag(l) Vᵀ + P₀. */
export function* lowRankPrecision(curvature: EigenpairsCurvature, h: number, prior: Prior): Steps<Precision> {
  return new LowRankPrecision(curvature, prior, yield* whitenedPairs(yield* curvature.eigen(), h, prior));
}

/** μ and w of eigenpairs l and v, which may be below 0. */
export function* whitenedPairs({ values, vectors }: Eigenpairs, h: number, prior: Prior): Steps<Eigenpairs> {
  if (prior.structure === "scalar") {
    return { values: values.map((l) => (h * l) / prior.precision[0]), vectors };
  }
  const delta = prior.spread();
  const n = delta.length;
  const k = values.length;
  if (k === 0) return { values, vectors };
  const rows = vectors.map((v, i) => v * Math.sqrt((h * Math.abs(values[Math.floor(i / n)])) / delta[i % n]));
  const inner = yield* eighInSteps(multiplied(rows, k, rows, k, n), k, true);
  const least = 1e-15 * inner.values[k - 1];
  const mu = inner.values.map((value) => (value > least ? value : 0));
  const scales = mu.map((value) => (value > 0 ? 1 / Math.sqrt(value) : 0));
  const turns = transposed(inner.vectors, k, scales);
  if (values.every((l) => l >= 0)) return { values: mu, vectors: multiplied(turns, k, transposed(rows, n), n, k) };
  // Of rows R with the signs s, Rᵀ diag(s) R within the span of R: μ^½ Wᵀ diag(s) W μ^½ of R Rᵀ = W diag(μ) Wᵀ.
  const half = transposed(inner.vectors, k, mu.map(Math.sqrt));
  const weighed = half.map((x, i) => x * Math.sign(values[i % k]));
  const signed = yield* eighInSteps(multiplied(half, k, weighed, k, k), k, true);
  const both = multiplied(transposed(signed.vectors, k), k, transposed(turns, k), k, k);
  return { values: signed.values, vectors: multiplied(both, k, transposed(rows, n), n, k) };
}

export class LowRankPrecision implements Precision {
  readonly #curvature: Pick<SelectedCurvature, "size" | "selection">;
  readonly #prior: Prior;
  /** μ, and w in rows. */
  readonly #pairs: Eigenpairs;
  readonly #delta: Float64Array;

  constructor(curvature: Pick<SelectedCurvature, "size" | "selection">, prior: Prior, pairs: Eigenpairs) {
    this.#curvature = curvature;
    this.#prior = prior;
    this.#pairs = pairs;
    this.#delta = prior.spread();
  }

  get #size(): number {
    return this.#curvature.size;
  }

  /** The eigenpairs are there already. */
  *prepare(): Steps<void> {}

  get logDeterminant(): number {
    return this.#pairs.values.reduce((sum, mu) => sum + Math.log1p(mu), logDeterminantOf(this.#prior));
  }

  logPriorGradient(): Float64Array {
    const { structure } = this.#prior;
    if (structure !== "scalar") return this.#prior.sums(this.#left());
    return Float64Array.of(this.#pairs.values.reduce((sum, mu) => sum - mu / (1 + mu), this.#size));
  }

  /** δ_i (P⁻¹)_ii: what the prior has of each weight. */
  #left(): Float64Array {
    const { values, vectors } = this.#pairs;
    const n = this.#size;
    const result = new Float64Array(n).fill(1);
    if (dryBytes() !== undefined) return result;
    values.forEach((mu, k) => {
      for (let i = 0; i < n; i++) result[i] -= (mu / (1 + mu)) * vectors[k * n + i] ** 2;
    });
    return result;
  }

  *traces(parts: readonly EigenpairsCurvature[]): Steps<Float64Array> {
    const result = new Float64Array(parts.length);
    for (const [c, part] of parts.entries()) {
      const { values, vectors } = yield* part.eigen();
      const n = this.#size;
      const forms = new Float64Array(values.length);
      yield* inPieces(() => {
        const rows = copyIn("float64", vectors, true);
        this.whiten(rows, values.length);
        const at = allocateFloats("float64", values.length);
        kernelsFor("float64").dotRows(values.length, n, rows, rows, at, false);
        bringOut("float64", at, values.length, forms, 0);
      });
      values.forEach((value, k) => {
        result[c] += value * forms[k];
      });
    }
    return result;
  }

  *variance(): Steps<Float64Array> {
    return this.#left().map((left, i) => left / this.#delta[i]);
  }

  dense(): Steps<Float64Array> {
    return this.#whole(0.5, (mu) => mu);
  }

  covariance(): Steps<Float64Array> {
    return this.#whole(-0.5, (mu) => -mu / (1 + mu));
  }

  /** D^e (I + Σ f(μ) w wᵀ) D^e */
  *#whole(exponent: number, of: (mu: number) => number): Steps<Float64Array> {
    const n = this.#size;
    const end = openScope();
    try {
      const to = allocateFloats("float64", n * n);
      yield* inPieces(() => {
        kernelsFor("float64").fill(n * n, 0, to);
        addToDiagonal(n, 1, to);
        this.#weigh(to, n, exponent);
        this.#add(to, n, of);
        this.#weigh(to, n, exponent);
      });
      return yield* copyOutInSteps(to, n * n);
    } finally {
      end();
    }
  }

  /** Rows times D^e. */
  #weigh(rows: Pointer, n: number, exponent: number): void {
    scope(() => {
      const powers = copyIn("float64", dryBytes() === undefined ? this.#delta.map((d) => d ** exponent) : this.#delta);
      kernelsFor("float64").multiply(n, this.#size, rows, powers, rows, false);
    });
  }

  /** Rows times I + Σ f(μ) w wᵀ. */
  #add(rows: Pointer, n: number, of: (mu: number) => number): void {
    const { values, vectors } = this.#pairs;
    const [k, size] = [values.length, this.#size];
    if (k === 0) return;
    scope(() => {
      const kernels = kernelsFor("float64");
      const w = copyIn("float64", vectors, true);
      const along = allocateFloats("float64", n * k);
      kernels.gemm(1, n, k, size, rows, 0, size, 1, w, 0, 1, size, along, 0, k, 1, false);
      kernels.multiply(n, k, along, copyIn("float64", values.map(of)), along, false);
      kernels.gemm(1, n, size, k, along, 0, k, 1, w, 0, size, 1, rows, 0, size, 1, true);
    });
  }

  whiten(rows: Pointer, n: number): void {
    this.#weigh(rows, n, -0.5);
    this.#add(rows, n, root);
  }

  colour(rows: Pointer, n: number): void {
    this.#add(rows, n, root);
    this.#weigh(rows, n, -0.5);
  }

  *quadraticForm(rows: Float64Array, n: number): Steps<Float64Array> {
    const result = new Float64Array(n);
    const size = this.#size;
    yield* inPieces(() => {
      const [x, y] = [copyIn("float64", rows, true), copyIn("float64", rows, true)];
      this.#weigh(x, n, 0.5);
      this.#weigh(y, n, 0.5);
      this.#add(y, n, (mu) => mu);
      const forms = allocateFloats("float64", n);
      kernelsFor("float64").dotRows(n, size, x, y, forms, false);
      bringOut("float64", forms, n, result, 0);
    });
    return result;
  }

  functionCovariance(backward: Backward): Numbers {
    return rowsCovariance(backward, this.#curvature.selection, this);
  }

  functionVariance(backward: Backward): Numbers {
    return rowsVariance(backward, this.#curvature.selection, this);
  }
}

/** (1 + μ)^-½ − 1 */
const root = (mu: number) => 1 / Math.sqrt(1 + mu) - 1;
