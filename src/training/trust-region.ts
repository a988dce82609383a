// Steps by the exact Hessian within a region where its model is trusted (Steihaug 1983; Toint 1981): conjugate gradients on products with
// it, which end at the region's boundary, also along a direction of negative curvature.

import { conjugateGradients } from "../curvature/conjugate-gradients.ts";
import type { Plan } from "../curvature/plan.ts";
import { allocateFloats, copyOut, copyTo, openScope } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Batch } from "../network/run.ts";
import {
  byCholesky,
  type DampedStep,
  factor,
  type Model,
  productsWith,
  smallerAndSmaller,
  solveBoth,
} from "./damped-steps.ts";

/** A step in a region, and its length √(δᵀ M δ). */
export interface RegionStep extends DampedStep {
  readonly length: number;
  readonly radius: number;
  /** Whether it ends at the boundary. */
  readonly bounded: boolean;
  /**
   * What the step lacks by the third derivatives T, −½ M⁻¹ T δδ: M⁻¹ (g(θ + δ) − g − H δ) with H, the exact Hessian, at θ + δ, where the network has to
   * be. So valleys that bend are followed (geodesic acceleration: Transtrum & Sethna 2012). @param there g(θ + δ)
   */
  correction(there: Float64Array): Steps<Float64Array | undefined>;
}

/** What is added to the Gauss-Newton matrix, relative to its diagonal. */
const SOME = 1e-6;
/** The same for corrections, which go across a valley and not along it. */
const ACROSS = 0.3;
/** The first region's radius, relative to the length of the Gauss-Newton step. */
const FIRST_REGION = 0.5;
/** Products at most in a step. */
const MOST_PRODUCTS = 40;

/**
 * Least of gᵀδ + ½ δᵀ (h ∇²L + P₀) δ where δᵀ M δ ≤ radius², M the damped Gauss-Newton matrix, whose factor preconditions: so a handful of
 * products does near a minimum. Undefined where M is not positive definite.
 */
export function byHessian(where: string, plan: Plan, batch: Batch) {
  const untilSmall = smallerAndSmaller();
  return function* (model: Model, given: number | undefined): Steps<RegionStep | undefined> {
    const { factor: h, penalties, gradient } = model;
    const n = gradient.length;
    const end = openScope();
    try {
      const l = yield* factor(model, SOME);
      if (l === undefined) return undefined;
      const b = allocateFloats("float64", n);
      let radius = Number.NaN;
      const times = productsWith(where, plan, batch, h, penalties);
      const found = yield* conjugateGradients({
        times,
        b: gradient.map((g) => -g),
        before(r) {
          copyTo("float64", b, r);
          solveBoth(n, l, b);
          return copyOut("float64", b, n) as Float64Array;
        },
        products: MOST_PRODUCTS,
        enough: untilSmall(),
        radius(rz) {
          radius = given ?? FIRST_REGION * Math.sqrt(rz);
          return radius;
        },
      });
      const { x: step, decrease: predicted, length, bounded } = found;
      if (!bounded && !step.every(Number.isFinite)) return undefined;
      function* correction(there: Float64Array): Steps<Float64Array | undefined> {
        const along = yield* times(step);
        const { step: by } =
          (yield* byCholesky({ ...model, gradient: there.map((g, i) => gradient[i] + along[i] - g) }, ACROSS)) ?? {};
        return by;
      }
      return { step, predicted, length, radius, bounded, correction };
    } finally {
      end();
    }
  };
}
