// What predictions, evaluations and diagnoses will need on their way, before they start.

import type { Plan } from "../curvature/plan.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Needs } from "../likelihood/likelihood.ts";
import { nodeNumbers } from "../network/graph.ts";
import { backwardNumbers } from "../network/passes.ts";
import { partSize } from "../network/run.ts";
import { columnNumbers, columnsOf, type Model, routeOf } from "../prediction/functions.ts";
import { FLOAT64 } from "../structures/bytes.ts";
import type { Structure } from "../structures/curvature.ts";
import { table } from "../structures/table.ts";

/** What is asked for, and of how many inputs. */
export interface Asked {
  readonly inputs: number;
  /** An approximation of the likelihood, or "network". */
  readonly approximation: string;
  /** Draws of "network". */
  readonly samples: number;
}

/** Bytes that the phases need beside what the posterior holds. */
export interface PhaseBytes {
  readonly predict: number;
  readonly evaluate: number;
  readonly diagnose: number;
}

/** The part of the inputs that passes at once, with what becomes of it, and the results of all inputs. */
export function phaseBytes(plan: Plan, structure: Structure, asked: Asked): PhaseBytes {
  const { net, likelihood } = plan;
  const { inputs, approximation } = asked;
  const numbers = FLOAT64 * inputs * net.graph.output.size;
  const network = approximation === "network";
  const needs = network ? "mean" : likelihood.needs(approximation);
  const way = (what: Needs) =>
    network ? networkBytes(plan, structure, asked) : partBytes(plan, structure, inputs, what);
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
  const diagnose = Math.max(beside + way(seen), (labels ? 14 : 11) * numbers);
  return { predict, evaluate, diagnose };
}

/** How much passes at once, as `eachFunction` cuts it. */
function partBytes(plan: Plan, structure: Structure, inputs: number, needs: Needs): number {
  const { net, selection, likelihood } = plan;
  const { dtype, graph, parameterCount } = net;
  const bytes = bytesPerElement(dtype);
  const route = routeOf(net, selection, likelihood);
  const { view, width, group } = route;
  const inner = view?.graph ?? graph;
  const { memory } = table[structure];
  const scratch: Model["scratch"] = (columns, batch) => memory.scratch(selection, { columns, batch, dtype }, inner);
  const model: Model = { net, selection, scratch };
  const whole = needs === "covariance";
  const columns = whole ? group.size : needs === "mean" ? 0 : columnsOf(model, route);
  const block = whole ? columns ** 2 : 0;
  const bound = needs === "mean" ? 0 : columnNumbers(model, route, columns) + block * (FLOAT64 / bytes);
  const values = nodeNumbers(graph.nodes);
  const count = Math.min(inputs, partSize(values + (view === undefined ? bound : 0), dtype));
  const rows = view === undefined ? count : Math.min(count * view.positions, partSize(bound, dtype));
  const forward = parameterCount + net.buffers.size + count * (values + graph.input.size);
  // Copies of the means, and what becomes of them.
  const copies = rows * width * FLOAT64 * (needs === "mean" ? 3 : 2);
  if (needs === "mean") return forward * bytes + copies;
  const pulled = columns * width + backwardNumbers(inner, selection.reaches, columns);
  const common = (forward + rows * pulled) * bytes + copies;
  return common + memory.variances(selection, { columns, batch: rows, dtype }, inner, whole ? block : columns);
}

/** Draws of the weights, and two passes with the means over them. */
function networkBytes({ net, selection }: Plan, structure: Structure, { inputs, samples }: Asked): number {
  const { graph, dtype, parameterCount } = net;
  const bytes = bytesPerElement(dtype);
  const values = nodeNumbers(graph.nodes);
  const count = Math.min(inputs, partSize(4 * values, dtype));
  const draws = FLOAT64 * samples * selection.size;
  const matrix = table[structure].memory.draws(selection);
  const sums = 6 * FLOAT64 * count * graph.output.size;
  const passes =
    (2 * parameterCount + count * (2 * values + graph.input.size)) * bytes + FLOAT64 * parameterCount + sums;
  return draws + Math.max(draws + matrix, passes);
}
