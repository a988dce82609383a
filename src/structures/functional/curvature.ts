// The curvature as the functions at some points see it: Nyström's approximation H V (Vᵀ H V)⁻¹ Vᵀ H by orthonormal directions V in
// the span of their Jacobian's rows. It is H itself where the span has all of it, and never more than H.

import { ValueError } from "../../errors.ts";
import { dryBytes, keptMatrix, keptNumbers } from "../../kernels/dry-run.ts";
import type { Steps } from "../../kernels/steps.ts";
import { eighInSteps } from "../../linalg/in-steps.ts";
import { type Curvature, checkSame, multiple, sum } from "../curvature.ts";
import { type Eigenpairs, EigenpairsCurvature } from "../eigenpairs.ts";
import { productInSteps, symmetrised } from "../products.ts";
import type { Selection } from "../selection.ts";

/** Eigenvalues below this part of the largest are rounding. */
const ROUNDING = 1e-15;
/** Of Vᵀ H V, below this part of its largest: what couples such a direction to others is rounding. */
const COUPLED = 1e-12;

export class FunctionalCurvature extends EigenpairsCurvature {
  readonly structure = "functional";
  /** Vᵀ, [k, S]: orthonormal rows, and rows of zeros where the points have no more directions. */
  readonly basis: Float64Array;
  /** Vᵀ H, [k, S] */
  readonly sketch: Float64Array;
  /** tr H, exactly, [1]. */
  readonly trace: Float64Array;

  constructor(
    selection: Selection,
    examples: number,
    basis: Float64Array,
    sketch: Float64Array = new Float64Array(basis.length),
    trace: Float64Array = new Float64Array(1),
  ) {
    super(selection, examples);
    this.basis = basis;
    this.sketch = sketch;
    this.trace = trace;
  }

  /** k, the number of directions. */
  get features(): number {
    return this.basis.length / this.size;
  }

  /**
   * With Vᵀ H V = Q diag(g) Qᵀ the approximation is Bᵀ B, B = diag(√g) Qᵀ Vᵀ + diag(1/√g) Qᵀ Vᵀ H (I − V Vᵀ): what lies in the span
   * is not divided by anything.
   */
  protected override *decomposed(): Steps<Eigenpairs> {
    const { size: n, features: k, basis, sketch } = this;
    const inner = yield* productInSteps(k, k, n, [sketch, n, 1], [basis, 1, n]);
    const { values: g, vectors: q } = yield* eighInSteps(symmetrised(inner, k), k, true);
    const within = yield* productInSteps(k, n, k, [q, 1, k], [basis, n, 1]);
    const all = yield* productInSteps(k, n, k, [q, 1, k], [sketch, n, 1]);
    if (dryBytes() !== undefined) {
      yield* eighInSteps(inner, k, true);
      return { values: keptNumbers(k), vectors: keptMatrix(k * n) };
    }
    const turned = yield* productInSteps(k, k, k, [q, 1, k], [inner, k, 1]);
    const inSpan = yield* productInSteps(k, n, k, [turned, k, 1], [basis, n, 1]);
    for (let i = 0; i < k; i++) {
      const root = Math.sqrt(Math.max(0, g[i]));
      const coupled = g[i] > COUPLED * g[k - 1] && g[i] > 0 ? 1 / root : 0;
      for (let at = i * n; at < (i + 1) * n; at++) {
        within[at] = root * within[at] + coupled * (all[at] - inSpan[at]);
      }
      yield;
    }
    const { values, vectors } = yield* eighInSteps(
      yield* productInSteps(k, k, n, [within, n, 1], [within, 1, n]),
      k,
      true,
    );
    const least = Math.max(0, ROUNDING * values[k - 1]);
    const kept = values.filter((value) => value > least).reverse();
    const turns = new Float64Array(kept.length * k);
    for (let i = 0; i < kept.length; i++) {
      const scale = 1 / Math.sqrt(kept[i]);
      for (let j = 0; j < k; j++) turns[i * k + j] = scale * vectors[j * k + k - 1 - i];
    }
    return { values: kept, vectors: yield* productInSteps(kept.length, n, k, [turns, k, 1], [within, n, 1]) };
  }

  /** @throws ValueError for those of other points */
  merge(other: Curvature): FunctionalCurvature {
    checkSame<FunctionalCurvature>(this, other);
    const { basis } = this;
    if (basis.length !== other.basis.length || !basis.every((x, i) => x === other.basis[i])) {
      throw new ValueError("merge: the two are of other points, or of other parameters of the network.");
    }
    const [sketch, trace] = [sum(this.sketch, other.sketch), sum(this.trace, other.trace)];
    return new FunctionalCurvature(this.selection, this.examples + other.examples, basis, sketch, trace);
  }

  scale(factor: number): FunctionalCurvature {
    const [sketch, trace] = [multiple(this.sketch, factor), multiple(this.trace, factor)];
    return new FunctionalCurvature(this.selection, this.examples, this.basis, sketch, trace);
  }
}
