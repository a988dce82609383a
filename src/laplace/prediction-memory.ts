// What predictions, evaluations and diagnoses will need on their way, before they start.

import type { Plan } from "../curvature/accumulate.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Needs } from "../likelihood/likelihood.ts";
import { nodeNumbers } from "../network/graph.ts";
import { backwardNumbers } from "../network/passes.ts";
import { partSize } from "../network/run.ts";
import type { Structure } from "../structures/curvature.ts";
import { shapeOf } from "../structures/eigenblocks.ts";
import { factoredScratch } from "../structures/factored.ts";
import { fullScratch } from "../structures/full/precision.ts";
import { rowNumbers } from "../structures/rows.ts";
import { columnNumbers, columnsOf, type Model, routeOf } from "./functions.ts";

const FLOAT64 = 8;

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
  const eigen = structure === "kronecker" || structure === "ekfac";
  const scratch: Model["scratch"] = (columns, batch) =>
    structure === "full"
      ? fullScratch(columns, batch, selection.size)
      : factoredScratch(selection, eigen, { columns, batch, dtype }, inner);
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
  // Scratch is counted for covariances.
  const each = whole ? block : columns;
  const common = (forward + rows * pulled) * bytes + copies;
  if (structure === "full") {
    // The factor, the rows, their products and a copy of these.
    return common + FLOAT64 * selection.size ** 2 + rowsBytes(plan, columns, rows) + rows * each * 2 * FLOAT64;
  }
  const own = (scratch(columns, rows, dtype, inner) - rows * columns ** 2) * bytes;
  const found = rows * each * (FLOAT64 + bytes);
  return common + rows * each * bytes + Math.max(own + basesBytes(plan, structure).peak, found);
}

/** Rows of the Jacobian, in float64 too. */
function rowsBytes({ net, selection }: Plan, columns: number, batch: number): number {
  const { dtype } = net;
  const rows = batch * columns * selection.size;
  const copies = dtype === "float64" ? 0 : FLOAT64 * rows;
  const scratch = bytesPerElement(dtype) * rowNumbers(selection, { columns, batch, dtype });
  return bytesPerElement(dtype) * rows + Math.max(copies, scratch);
}

/** What predictions make of eigenvalues and bases: bytes that are held from the first one on, and at their peak. */
export function basesBytes({ net, selection }: Plan, structure: Structure): { held: number; peak: number } {
  const bytes = bytesPerElement(net.dtype);
  let [held, peak] = [0, 0];
  for (const selected of selection.parameters) {
    const { groups, outputs, inputs } = shapeOf(selected);
    const size = groups * outputs * inputs;
    const weight = selected.role === "weight";
    const bases = structure === "diagonal" ? 0 : groups * (outputs ** 2 + (weight ? inputs ** 2 : 0));
    // Inverses of the eigenvalues are kept; in float32, bases and inverses too. A vector's roots are made anew.
    held += FLOAT64 * size + (net.dtype === "float32" ? bytes * (bases + (weight ? size : 0)) : 0);
    peak = Math.max(peak, (bases + size) * bytes + (weight ? 0 : FLOAT64 * size));
  }
  return { held, peak };
}

/** Draws of the weights, and two passes with the means over them. */
function networkBytes({ net, selection }: Plan, structure: Structure, { inputs, samples }: Asked): number {
  const { graph, dtype, parameterCount } = net;
  const bytes = bytesPerElement(dtype);
  const values = nodeNumbers(graph.nodes);
  const count = Math.min(inputs, partSize(4 * values, dtype));
  const draws = FLOAT64 * samples * selection.size;
  const matrix = structure === "full" ? FLOAT64 * selection.size ** 2 : 0;
  const sums = 6 * FLOAT64 * count * graph.output.size;
  const passes =
    (2 * parameterCount + count * (2 * values + graph.input.size)) * bytes + FLOAT64 * parameterCount + sums;
  return draws + Math.max(draws + matrix, passes);
}
