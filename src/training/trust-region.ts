// Steps by the exact Hessian within a region where its model is trusted (Steihaug 1983; Toint 1981): conjugate gradients on products with
// it, which end at the region's boundary, also along a direction of negative curvature.

import { dot } from "../array/dot.ts";
import type { Plan } from "../curvature/plan.ts";
import { productInSteps } from "../curvature/products.ts";
import { allocateFloats, copyOut, copyTo, openScope } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Batch } from "../network/run.ts";
import { type DampedStep, factor, type Model, solveBoth } from "./damped-steps.ts";

/** A step in a region, and its length √(δᵀ M δ). */
export interface RegionStep extends DampedStep {
  readonly length: number;
  readonly radius: number;
  /** Whether it ends at the boundary. */
  readonly bounded: boolean;
}

/** What is added to the Gauss-Newton matrix, relative to its diagonal. */
const SOME = 1e-6;
/** The first region's radius, relative to the length of the Gauss-Newton step. */
const FIRST_REGION = 0.5;
/** Products at most in a step, and the part of the gradient, in the norm of M⁻¹, that is left at first. */
const [MOST_PRODUCTS, FIRST_PART] = [40, 0.1];

/**
 * Least of gᵀδ + ½ δᵀ (h ∇²L + P₀) δ where δᵀ M δ ≤ radius², M the damped Gauss-Newton matrix, whose factor preconditions: so a handful of
 * products does near a minimum. Undefined where M is not positive definite.
 */
export function byHessian(where: string, plan: Plan, batch: Batch) {
  const places = plan.selection.indices();
  const direction = new Float64Array(plan.net.parameterCount);
  let first: number | undefined;
  return function* (model: Model, given: number | undefined): Steps<RegionStep | undefined> {
    const { factor: h, penalties, gradient } = model;
    const n = gradient.length;
    const end = openScope();
    try {
      const l = yield* factor(model, SOME);
      if (l === undefined) return undefined;
      const b = allocateFloats("float64", n);
      const before = (r: Float64Array) => {
        copyTo("float64", b, r);
        solveBoth(n, l, b);
        return copyOut("float64", b, n) as Float64Array;
      };
      const step = new Float64Array(n);
      const residual = gradient.map((g) => -g);
      let z = before(residual);
      let rz = dot(residual, z);
      first ??= rz;
      const radius = given ?? FIRST_REGION * Math.sqrt(rz);
      const enough = rz * Math.min(FIRST_PART, Math.sqrt(rz / first)) ** 2;
      const p = z.slice();
      // sᵀMs, sᵀMp, pᵀMp
      let [ss, sp, pp] = [0, 0, rz];
      let predicted = 0;
      for (let taken = 0; taken < MOST_PRODUCTS && rz > enough; taken++) {
        for (let k = 0; k < n; k++) direction[places[k]] = p[k];
        const hp = yield* productInSteps(where, plan, [batch], direction);
        for (let k = 0; k < n; k++) hp[k] = h * hp[k] + penalties[k] * p[k];
        const curve = dot(p, hp);
        let by = rz / curve;
        const bounded = !(curve > 0) || ss + 2 * by * sp + by * by * pp >= radius * radius;
        if (bounded) by = (Math.sqrt(sp * sp + pp * (radius * radius - ss)) - sp) / pp;
        for (let k = 0; k < n; k++) step[k] += by * p[k];
        // pᵀr = rz, as p and the step so far are conjugate.
        predicted += by * rz - 0.5 * by * by * curve;
        ss += 2 * by * sp + by * by * pp;
        if (bounded) return { step, predicted, length: radius, radius, bounded };
        for (let k = 0; k < n; k++) residual[k] -= by * hp[k];
        z = before(residual);
        const next = dot(residual, z);
        const turn = next / rz;
        for (let k = 0; k < n; k++) p[k] = z[k] + turn * p[k];
        sp = turn * (sp + by * pp);
        pp = next + turn * turn * pp;
        rz = next;
      }
      return step.every(Number.isFinite)
        ? { step, predicted, length: Math.sqrt(ss), radius, bounded: false }
        : undefined;
    } finally {
      end();
    }
  };
}
