// Priors whose precision is a Kronecker product for each parameter, P₀ = δ M with M = N ⊗ K. The posterior's P = h B ⊗ A + δ N ⊗ K
// is a sum of two, and two symmetric matrices, one of them positive definite, are diagonal in a common basis: with Uᵀ N U = 1, Uᵀ B U = diag(d) and
// Vᵀ K V = 1, Vᵀ A V = diag(e) is P⁻¹ = W diag(1 / (h d_i e_j + δ)) Wᵀ, W = U ⊗ V (Golub & Van Loan, Matrix Computations, 8.7.1). So all is exact.

import { sumOfLogs } from "../../array/logs.ts";
import { ValueError } from "../../errors.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { bringOut, copyIn, openScope, type Pointer, scope } from "../../kernels/memory.ts";
import { inPieces, type Steps } from "../../kernels/steps.ts";
import { type Curvature, multiple } from "../curvature.ts";
import { diagonalInBasis, type EigenBlock, rotate, shapeOf } from "../eigenblocks.ts";
import { eigenPrecision } from "../factored.ts";
import type { Precision, PrecisionOptions } from "../precision.ts";
import { Prior, type PriorMatrix } from "../prior.ts";
import { productInSteps } from "../products.ts";
import { columnsInA, type KroneckerBlock, KroneckerCurvature } from "./curvature.ts";
import { type Basis, eigenbasis } from "./eigenbasis.ts";
import { nearestProduct } from "./nearest.ts";

/** M of a prior, of Kronecker products. */
export class KroneckerPrior implements PriorMatrix {
  readonly curvature: KroneckerCurvature;
  readonly diagonal: Float64Array;
  #logDeterminant: number | undefined;
  /** Bases of factors, by their arrays: curvatures at other noises share them. */
  readonly #known: readonly WeakMap<Float64Array, Basis>[];

  constructor(curvature: KroneckerCurvature) {
    this.curvature = curvature;
    this.diagonal = curvature.diagonal().data as Float64Array;
    this.#known = curvature.blocks.map(() => new WeakMap());
  }

  get logDeterminant(): number {
    return this.#logDeterminant as number;
  }

  *prepare(): Steps<void> {
    if (this.#logDeterminant !== undefined) return;
    let sum = 0;
    for (const { selected, values } of yield* this.curvature.decomposing()) {
      if (!values.every((value) => value > 0)) {
        throw new ValueError(`The matrix of the prior is not positive definite: that of "${selected.parameter.name}".`);
      }
      sum += sumOfLogs(values);
    }
    this.#logDeterminant = sum;
  }

  times(v: Float64Array): Steps<Float64Array> {
    return products([[this.curvature, 1]], v, v.length);
  }

  *precision(curvature: Curvature, h: number, prior: Prior, _: PrecisionOptions): Steps<Precision> {
    yield* this.prepare();
    const own = curvature as KroneckerCurvature;
    const basis = yield* this.basis(own);
    const [delta] = prior.precision;
    const one = new Prior(prior.selection, prior.precision, prior.mean);
    const precision = eigenPrecision(own, basis, h, one, false, ({ blocks }) =>
      blocks.map((block, i) => {
        const inA = columnsInA(block);
        return diagonalInBasis(basis[i], inA ? (block.a as Float64Array) : block.b, inA);
      }),
    );
    return withMatrix(precision, this, own, basis, h, delta);
  }

  /** The blocks in the basis W where M is 1 and the curvature diagonal. */
  *basis(curvature: KroneckerCurvature): Steps<readonly EigenBlock[]> {
    const ours = yield* this.curvature.decomposing();
    const blocks: EigenBlock[] = [];
    for (const [k, block] of curvature.blocks.entries()) {
      const { selected, a, b, count } = block;
      yield* ours[k].complete?.() ?? [];
      const { groups, outputs, inputs, qb, qa, factors: roots } = ours[k];
      const { b: ofB, a: ofA } = roots as NonNullable<EigenBlock["factors"]>;
      const [left, right] = columnsInA(block) ? [1 / count, 1] : [1, 1 / count];
      const known = this.#known[k];
      const common = function* (
        factor: Float64Array,
        n: number,
        by: number,
        q: Float64Array,
        eigenvalues: Float64Array,
      ) {
        const found = known.get(factor) ?? (yield* commonBasis(factor, groups, n, by, q, eigenvalues));
        known.set(factor, found);
        return found;
      };
      const u = yield* common(b, outputs, a === undefined ? 1 : left, qb, ofB);
      const v = a && (yield* common(a, inputs, right, qa as Float64Array, ofA));
      const factors = { b: u.values, a: v?.values ?? new Float64Array(groups).fill(1) };
      const values = new Float64Array(selected.size);
      for (let i = 0; i < values.length; i++) {
        const row = Math.floor(i / inputs);
        values[i] = factors.b[row] * factors.a[Math.floor(row / outputs) * inputs + (i % inputs)];
      }
      blocks.push({ selected, groups, outputs, inputs, qb: u.vectors, qa: v?.vectors, values, factors });
    }
    return blocks;
  }
}

/** What differs where the basis is not orthonormal, and M is not 1. */
function withMatrix(
  precision: Precision,
  { curvature: matrix, logDeterminant }: KroneckerPrior,
  curvature: KroneckerCurvature,
  basis: readonly EigenBlock[],
  h: number,
  delta: number,
): Precision {
  const n = curvature.size;
  const terms = [[curvature, h] as const, [matrix, delta] as const];
  const roots = new Float64Array(n);
  for (const { selected, values } of basis) {
    roots.set(
      values.map((value) => 1 / Math.sqrt(h * value + delta)),
      selected.at,
    );
  }
  Object.defineProperty(precision, "logDeterminant", { value: precision.logDeterminant + logDeterminant });
  return Object.assign(precision, {
    *dense(): Steps<Float64Array> {
      const unit = new Float64Array(n * n);
      for (let i = 0; i < n; i++) unit[i * (n + 1)] = 1;
      return yield* products(terms, unit, n);
    },
    colour(rows: Pointer, count: number): void {
      scope(() => kernelsFor("float64").multiply(count, n, rows, copyIn("float64", roots, true), rows, false));
      rotate(basis, count, n, rows, true);
    },
    *quadraticForm(rows: Float64Array, count: number): Steps<Float64Array> {
      const all = yield* products(terms, rows, n);
      const sums = new Float64Array(count);
      for (let i = 0; i < all.length; i++) sums[Math.floor(i / n)] += rows[i] * all[i];
      return sums;
    },
  });
}

/** Σ_t c_t H_t x of rows x, [n, S]. */
function* products(
  terms: readonly (readonly [KroneckerCurvature, number])[],
  x: Float64Array,
  width: number,
): Steps<Float64Array> {
  const end = openScope();
  try {
    const result = new Float64Array(x.length);
    yield* inPieces(() => {
      let sum = 0;
      for (const [{ blocks }, factor] of terms) {
        const rows = copyIn("float64", x, true);
        // Factors in the place of bases: a rotation multiplies by B ⊗ A itself.
        const factors = blocks.map(({ selected, a, b, count }): EigenBlock => {
          const qa = a && multiple(a, 1 / count);
          return { selected, ...shapeOf(selected), qb: multiple(b, factor), qa, values: b, factors: undefined };
        });
        rotate(factors, x.length / width, width, rows, false);
        if (sum !== 0) kernelsFor("float64").affine(x.length, 1, rows, 0, sum, true);
        else sum = rows;
      }
      bringOut("float64", sum, x.length, result, 0);
    });
    return result;
  } finally {
    end();
  }
}

/**
 * A basis U, [groups, n, n] in columns, with Uᵀ N U = 1 and Uᵀ F U = diag(values).
 * @param factor F, times `by` @param q eigenvectors of N, and @param eigenvalues its eigenvalues
 */
function* commonBasis(
  factor: Float64Array,
  groups: number,
  n: number,
  by: number,
  q: Float64Array,
  eigenvalues: Float64Array,
): Steps<Basis> {
  const [values, vectors] = [new Float64Array(groups * n), new Float64Array(groups * n * n)];
  for (let g = 0; g < groups; g++) {
    const at = g * n * n;
    const white = q.slice(at, at + n * n);
    for (let i = 0; i < white.length; i++) white[i] /= Math.sqrt(eigenvalues[g * n + (i % n)]);
    const half = yield* productInSteps(n, n, n, [factor.slice(at, at + n * n), n, 1], [white, n, 1]);
    const inner = yield* productInSteps(n, n, n, [white, 1, n], [half, n, 1]);
    const own = yield* eigenbasis(symmetrised(inner, n), n, by);
    values.set(own.values, g * n);
    vectors.set(yield* productInSteps(n, n, n, [white, n, 1], [own.vectors, n, 1]), at);
  }
  return { values, vectors };
}

/** A matrix without what rounding leaves of asymmetry, in place. */
function symmetrised(matrix: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const mean = 0.5 * (matrix[i * n + j] + matrix[j * n + i]);
      matrix[i * n + j] = mean;
      matrix[j * n + i] = mean;
    }
  }
  return matrix;
}

/**
 * The precision of a posterior, P = h B ⊗ A + P₀, as M: the nearest Kronecker product for each weight (`nearest.ts`), and all of a vector.
 * With this step at each of several posteriors, one after the other, learning is assumed density filtering.
 */
export function* priorOfFactors(
  curvature: KroneckerCurvature,
  h: number,
  prior: Prior,
  damping: boolean,
): Steps<KroneckerPrior> {
  const { matrix, precision } = prior;
  const before = matrix instanceof KroneckerPrior ? matrix : undefined;
  const basis = yield* before?.basis(curvature) ?? curvature.decomposing();
  const blocks: KroneckerBlock[] = [];
  for (const [k, block] of basis.entries()) {
    yield* block.complete?.() ?? [];
    const { selected, groups, outputs, inputs, qb, qa, factors } = block;
    const delta = precision[prior.structure === "scalar" ? 0 : k];
    const { b: d, a: e } = factors as NonNullable<EigenBlock["factors"]>;
    const size = outputs * inputs;
    const [b, a] = [new Float64Array(groups * outputs ** 2), qa && new Float64Array(groups * inputs ** 2)];
    const own = before?.curvature.blocks[k];
    for (let g = 0; g < groups; g++) {
      const [x, y] = [multiple(d.subarray(g * outputs, (g + 1) * outputs), h), e.slice(g * inputs, (g + 1) * inputs)];
      const damped = damping && before === undefined && qa !== undefined;
      const p = new Float64Array(size);
      for (let i = 0; i < size; i++) {
        const [left, right] = [x[Math.floor(i / inputs)], y[i % inputs]];
        const [root, both] = [Math.sqrt(delta), left * right + delta];
        p[i] = damped ? both + root * (left / Math.sqrt(h) + Math.sqrt(h) * right) : both;
      }
      const near = qa === undefined ? { rows: p, columns: y } : yield* nearestProduct(p, y, delta);
      b.set(yield* congruent(near.rows, qb, own?.b, outputs, g), g * outputs ** 2);
      if (qa !== undefined) a?.set(yield* congruent(near.columns, qa, own?.a, inputs, g), g * inputs ** 2);
    }
    blocks.push({ selected, b, a, count: 1 });
  }
  return new KroneckerPrior(new KroneckerCurvature(curvature.selection, curvature.examples, blocks));
}

/** T diag(values) Tᵀ of a group, [n, n]: T = Q of an orthonormal basis, T = U⁻ᵀ = N U of one with Uᵀ N U = 1. */
function* congruent(
  values: Float64Array,
  basis: Float64Array,
  factor: Float64Array | undefined,
  n: number,
  group: number,
): Steps<Float64Array> {
  const part = (all: Float64Array) => all.slice(group * n * n, (group + 1) * n * n);
  const own = part(basis);
  const t = factor === undefined ? own : yield* productInSteps(n, n, n, [part(factor), n, 1], [own, n, 1]);
  const weighed = t.map((one, i) => one * values[i % n]);
  return symmetrised(yield* productInSteps(n, n, n, [weighed, n, 1], [t, 1, n]), n);
}
