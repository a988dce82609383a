// The loss over all data, expanded to second order around a network's parameters: its value, its whole gradient and its
// curvature, in one pass.

import { zeros } from "../array/ndarray.ts";
import { lossGradient, weighted } from "../derivatives/cotangents.ts";
import { sum } from "../derivatives/results.ts";
import { reporting, type Steps } from "../kernels/steps.ts";
import { outputsOf } from "../network/part-outputs.ts";
import { type Batch, type Contraction, type Pull, runInParts } from "../network/run.ts";
import type { Curvature } from "../structures/curvature.ts";
import { curvaturePull, cutOfPass, type PlannedPass } from "./accumulate.ts";
import { accumulatorsOf, passesOf } from "./accumulators.ts";
import { lossOf } from "./losses-and-norms.ts";
import type { Plan } from "./plan.ts";

/** Sums over all examples, at unit noise. */
export interface Slope {
  readonly loss: number;
  /** Over the selected weights, [S]. */
  readonly gradient: Float64Array;
}

/** The same with the curvature. */
export interface Expansion extends Slope {
  readonly curvature: Curvature;
}

/** The expansion at the plan's network, of a structure that goes through the data once. @throws ValueError for values that are not finite */
export function* expansion(where: string, plan: Plan, batch: Batch): Steps<Expansion> {
  const examples = batch.inputs.shape[0];
  const pass = passOf(plan);
  const cut = cutOfPass(pass, examples);
  const pulls = [slopePull(plan, examples), curvaturePull(where, pass, cut, 0, () => examples)] as const;
  const [first, { curvature }] = yield* reporting(runInParts(where, plan.net, [batch], cut, pulls), () => undefined);
  return { ...first, curvature };
}

/** The loss's own column, and what it gives. */
export function slopePull(plan: Plan, examples: number): Pull<Steps<Slope>> {
  const { net, likelihood, selection } = plan;
  const slopes = sum(net, zeros([net.parameterCount], { dtype: net.dtype }), {
    sites: selection.siteList,
    examples,
  });
  const total = totalLoss(plan);
  const contraction: Contraction<Steps<Slope>> = {
    ...slopes,
    begin: total.begin,
    // biome-ignore lint/correctness/useYield: as the others
    *finish() {
      return { loss: total.finish(), gradient: selection.take(slopes.finish().data) };
    },
  };
  return { columns: weighted(lossGradient(likelihood, 1), 1), contraction, target: selection.reaches };
}

export function passOf(plan: Plan): PlannedPass {
  const accumulatorFor = accumulatorsOf(plan, passesOf(plan)[0], undefined);
  return { plan, accumulatorFor, apart: 1, number: 0 };
}

export function totalLoss({ likelihood }: Plan): Required<Pick<Contraction<number>, "begin" | "finish">> {
  let loss = 0;
  return {
    begin: (part) =>
      lossOf(likelihood, outputsOf(part), part.targets, part.weights, undefined, (some) => {
        loss += some;
      }),
    finish: () => loss,
  };
}
