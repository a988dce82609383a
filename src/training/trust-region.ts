// Steps by the exact Hessian within a region where its model is trusted (Steihaug 1983; Toint 1981): conjugate gradients on products with
// it, which end at the region's boundary, also along a direction of negative curvature.

import { conjugateGradients } from "../curvature/conjugate-gradients.ts";
import type { Point } from "../curvature/point.ts";
import { allocateFloats, copyOut, copyTo, openScope } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import { byCholesky, type DampedStep, factor, type Model, smallerAndSmaller, solveBoth } from "./damped-steps.ts";

/** A step in a region, and its length √(δᵀ M δ). */
export interface RegionStep extends DampedStep {
  readonly length: number;
  readonly radius: number;
  /** Whether it ends at the boundary. */
  readonly bounded: boolean;
  /**
   * What the step lacks by the third derivatives T, −½ M⁻¹ T δδ: M⁻¹ (g(θ + δ) − g − H δ) with H, the exact Hessian, at θ + δ.
   * So valleys that bend are followed (geodesic acceleration: Transtrum & Sethna 2012). @param there g(θ + δ) @param at θ + δ
   */
  correction(there: Float64Array, at: Point): Steps<Float64Array | undefined>;
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
 * products does near a minimum. Undefined where M is not positive definite. A second step of the same model, in a smaller region, needs no more
 * products.
 */
export function byHessian() {
  const untilSmall = smallerAndSmaller();
  return function* (model: Model, point: Point, given: number | undefined): Steps<RegionStep | undefined> {
    const { factor: h, penalties, gradient } = model;
    let radius = given ?? Number.NaN;
    if (model.path === undefined) {
      const n = gradient.length;
      const end = openScope();
      try {
        const l = yield* factor(model, SOME);
        if (l === undefined) return undefined;
        const b = allocateFloats("float64", n);
        model.path = yield* conjugateGradients({
          times: productsAt(point, h, penalties),
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
      } finally {
        end();
      }
    }
    const { x: step, decrease: predicted, length, bounded } = model.path.within(radius);
    if (!bounded && !step.every(Number.isFinite)) return undefined;
    function* correction(there: Float64Array, at: Point): Steps<Float64Array | undefined> {
      const along = yield* productsAt(at, h, penalties)(step);
      const { step: by } =
        (yield* byCholesky({ ...model, gradient: there.map((g, i) => gradient[i] + along[i] - g) }, ACROSS)) ?? {};
      return by;
    }
    return { step, predicted, length, radius, bounded, correction };
  };
}

/** Products with h ∇²L + P₀ at a point. */
function productsAt(point: Point, h: number, penalties: Float64Array) {
  return function* (d: Float64Array): Steps<Float64Array> {
    const product = yield* point.product(d);
    for (let k = 0; k < d.length; k++) product[k] = h * product[k] + penalties[k] * d[k];
    return product;
  };
}
