// Inputs of very different size, from what the curvature knows of them.

import { siteUseOf } from "../network/primitive.ts";
import { type Finding, text } from "./findings.ts";
import type { Posterior } from "./posterior.ts";

/** The root of what a number's digits tell apart: curvatures go with the squares of inputs. */
const MOST_TIMES = { float32: 2 ** 11.5, float64: 2 ** 26 } as const;

/**
 * Columns of the inputs that are so many times others that the curvature of their weights differs by more than the element type
 * has digits. A dense layer on the inputs shows it: the curvature of its weights is proportional to the inputs' squares.
 */
export function scalingFindings({ selection, curvature, net }: Posterior): Finding[] {
  const { graph } = selection;
  for (const { site, role, chosen, at, size } of selection.parameters) {
    const uses = graph.uses.get(site) ?? [];
    const onInputs = uses.length === 1 && uses[0].inputs[0] === graph.input;
    if (site.kind !== "linear" || role !== "weight" || chosen !== undefined || !onInputs) continue;
    // A layer on the rows of its input as they are.
    const { left, right } = siteUseOf(uses[0]);
    if ([left, right].some((side) => side?.channelsFirst !== false || side.unfold !== undefined)) continue;
    const squares = new Float64Array(site.inputs);
    const diagonal = curvature.diagonal().data;
    for (let i = 0; i < size; i++) squares[i % site.inputs] += diagonal[at + i];
    const columns = Array.from(squares.keys()).filter((i) => squares[i] > 0);
    if (columns.length < 2) continue;
    const smallest = columns.reduce((a, b) => (squares[b] < squares[a] ? b : a));
    const largest = columns.reduce((a, b) => (squares[b] > squares[a] ? b : a));
    const times = Math.sqrt(squares[largest] / squares[smallest]);
    if (!(times > MOST_TIMES[net.dtype])) continue;
    return [
      {
        code: "inputs-of-different-size",
        severity: "warning",
        message: `Column ${largest} of the inputs is about ${times < 1e6 ? text(times) : times.toExponential(0)} times as large as column ${smallest} (counted from 0): what their weights change differs by more than ${net.dtype} has digits, and training and tuning hardly see the small ones.`,
        advice: "Standardise the inputs, each column by its own mean and standard deviation, then train and fit again.",
        measured: { times, largest, smallest },
      },
    ];
  }
  return [];
}
