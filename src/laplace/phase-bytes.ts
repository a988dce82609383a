// What predictions, evaluations and diagnoses will need on their way, before they start: of the kernels' memory what dry runs
// count, and of JavaScript's arrays the results, with copies of them, and what of a part is outside that memory.

import type { Plan } from "../curvature/plan.ts";
import { dryRun } from "../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, scope } from "../kernels/memory.ts";
import type { Needs } from "../likelihood/likelihood.ts";
import { panels } from "../network/panels.ts";
import { functionBytes, routeOf, wholeRoute } from "../prediction/cuts.ts";
import type { Precision } from "../structures/precision.ts";

export const FLOAT64 = 8;

/** What is asked for, and of how many inputs. */
export interface Asked {
  readonly inputs: number;
  /** An approximation of the likelihood, or "network". */
  readonly approximation: string;
  /** Draws of "network". */
  readonly samples: number;
}

/** Bytes that the phases need beside what the posterior holds, and what it holds from then on. */
export interface PhaseBytes {
  readonly predict: number;
  readonly evaluate: number;
  /** Asked for last: what it makes is there from then on. */
  diagnose(): number;
  readonly kept: number;
}

/** The part of the inputs that passes at once, with what becomes of it, and the results of all inputs. */
export function phaseBytes(plan: Plan, precision: Precision, asked: Asked): PhaseBytes {
  const { net, likelihood } = plan;
  const { inputs, approximation } = asked;
  const numbers = FLOAT64 * inputs * net.graph.output.size;
  const network = approximation === "network";
  const needs = network ? "mean" : likelihood.needs(approximation);
  const route = routeOf(net, plan.selection, likelihood);
  let kept = 0;
  const known = new Map<Needs | "sums", number>();
  const way = (what: Needs | "sums") => {
    const all = known.get(what);
    if (all !== undefined) return all;
    const found =
      network && what !== "sums"
        ? networkBytes(plan, precision, asked)
        : functionBytes(plan, route, what, inputs, precision, true);
    kept += found.kept;
    known.set(what, found.all);
    return found.all;
  };
  // Means, variances, and both of the function; what a pass forward leaves out is computed later, of copied inputs.
  const copy = needs === "mean" && !network ? inputs * net.graph.input.size * bytesPerElement(net.dtype) : 0;
  const results = (needs === "mean" && !network ? 3 : 4) * numbers + copy;
  const predict = results + way(needs);
  const labels = likelihood.logProbabilities !== undefined;
  // Probabilities with their logarithms, of binary labels those of both; numbers are sorted and weighted for metrics.
  const logs = likelihood.group(net.outputShape).size === 1 ? 2 : 1;
  const evaluate = labels ? (1 + logs) * numbers + Math.max(way(needs), 2 * numbers) : Math.max(predict, 6 * numbers);
  // Of the function the variance is always looked at; targets are beside the results, and then copies of all of these.
  const seen = needs === "mean" && !network ? "variance" : needs;
  const beside = (5 + (labels ? 1 + logs : 0)) * numbers + copy;
  // Of a label's logits variances of sums, too.
  const sums = likelihood.targets === "classes" ? "sums" : seen;
  const diagnose = () => Math.max(beside + Math.max(way(seen), way(sums)), (labels ? 14 : 11) * numbers);
  return { predict, evaluate, diagnose, kept };
}

/** Draws of the weights, and two passes with the means over them. */
function networkBytes(plan: Plan, precision: Precision, { inputs, samples }: Asked) {
  const { net, selection } = plan;
  const { parameterCount, graph } = net;
  const draws = FLOAT64 * samples * selection.size;
  const drawn = dryRun(() => {
    for (const [, count] of panels(samples, selection.size)) {
      scope(() => precision.colour(allocateFloats("float64", count * selection.size), count));
    }
  });
  const passes = functionBytes(plan, wholeRoute(graph.output.size), "network", inputs, precision);
  const sums = FLOAT64 * (6 * passes.count * graph.output.size + parameterCount);
  return { all: draws + Math.max(drawn.all, passes.all + sums), kept: drawn.kept + passes.kept };
}
