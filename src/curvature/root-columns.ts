// The columns whose outer products make a curvature.

import { Random } from "../array/random.ts";
import { lossGradient, weighted } from "../derivatives/cotangents.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { roots } from "../likelihood/roots.ts";
import { outputsOf } from "../network/part-outputs.ts";
import type { Columns } from "../network/run.ts";
import { rowOf } from "../structures/table.ts";
import { once, type Plan } from "./plan.ts";
import { viewOf } from "./positions.ts";

/** Outputs from which on Λ is taken in closed form, unless a structure says otherwise: of fewer, columns cost little. */
const MANY_OUTPUTS = 64;

/**
 * Those that a pass pulls back, times the roots of the examples' weights (of a Hessian, the weights): Λ^½, or what is left of it behind the last layer, where
 * that has many outputs.
 * @param first the place of the first example in the data
 */
export function passColumns(plan: Plan, first = 0): Columns {
  const { likelihood, net, kind } = plan;
  const closed = once(plan, "head", () => {
    if (kind !== "ggn") return undefined;
    const { graph, selection } = viewOf(plan) ?? { graph: net.graph, selection: plan.selection };
    const head = likelihood.head?.(graph, net.outputShape);
    if (head === undefined) return undefined;
    const row = rowOf(plan);
    if (head.site.outputs < (row.spreadFrom?.(selection, head.site) ?? MANY_OUTPUTS)) return undefined;
    return row.takesSpread(selection, head.site) ? head.behind(selection.reaches) : undefined;
  });
  return closed ?? weighted(columnsOf(plan, first), kind === "hessian" ? 1 : 0.5);
}

/**
 * Those of a plan.
 * @param first the place of the first example in the data
 */
export function columnsOf(
  { kind, likelihood, samples, seed }: Pick<Plan, "kind" | "likelihood" | "samples" | "seed">,
  first = 0,
): Columns {
  if (kind === "ggn") return roots(likelihood);
  return kind === "monteCarlo" ? drawn(likelihood, samples, seed, first) : lossGradient(likelihood, 1);
}

/**
 * Gradients at targets drawn from the likelihood. Each draw of an example has a stream of its own, by the example's place in the
 * data: draws do not depend on how the data are cut, and shards have those of one pass.
 */
function drawn(likelihood: Likelihood, samples: number, seed: number, from: number): Columns {
  const master = new Random(seed);
  const keys = Array.from({ length: samples }, () => Uint32Array.from({ length: 4 }, () => master.uint32()));
  const stream = new Random();
  return {
    count: () => samples,
    write(part, { first, count }, to) {
      const f = outputsOf(part);
      const n = f.batch * f.outputs;
      for (let k = 0; k < count; k++) {
        const key = keys[first + k];
        const draws = (b: number) => stream.restart(key, from + part.start + b);
        likelihood.drawColumn(f, draws, to + k * n * bytesPerElement(f.dtype));
      }
      f.kernels.affine(count * n, 1 / Math.sqrt(samples), to, 0, to, false);
      likelihood.dropIgnored?.(f, part.targets, count, to);
    },
  };
}
