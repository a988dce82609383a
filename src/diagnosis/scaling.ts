// Inputs that training and tuning hardly see: columns of very different size, far from 0 beside their spread, or nearly equal.

import { dot } from "../array/dot.ts";
import { type InputSums, layerOnInputs } from "../curvature/input-sums.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { type Finding, text } from "./findings.ts";

/** The root of what a number's digits tell apart: curvatures go with the squares of inputs. */
const MOST_TIMES = { float32: 2 ** 11.5, float64: 2 ** 26 } as const;
/** A few roundings of a number. */
const ROUNDING = { float32: 2 ** -21, float64: 2 ** -50 } as const;
/** Rows that compare two columns, and the share of their spread that these must show. */
const FEW = 8;
const SHARE = 0.1;
/** Columns beyond which pairs are not compared. */
const MOST_COLUMNS = 512;
/** What two columns leave of each other's squares where it is worth to look closely. */
const ALIKE = 1e-5;

const times = (x: number) => (x < 1e6 ? text(x) : x.toExponential(0));

/** What of the inputs is beyond the digits of the network's numbers, where a dense layer is on them. */
export function scalingFindings(posterior: WeightPosterior): Finding[] {
  const site = layerOnInputs(posterior.selection.graph);
  if (site === undefined) return [];
  const { inputs } = posterior.fit;
  const one = sizes(posterior, site);
  if (inputs === undefined) return one;
  const { dtype } = posterior.net;
  return [...one, ...(site.bias === undefined ? [] : offsets(inputs, dtype)), ...twins(inputs, dtype)];
}

/**
 * Columns of the inputs that are so many times others that the curvature of their weights differs by more than the element type
 * has digits. The curvature of a dense layer's weights is proportional to the inputs' squares.
 */
function sizes({ selection, curvature, net }: WeightPosterior, site: LinearSite): Finding[] {
  const { inputs } = site;
  const selected = selection.parameters.find((one) => one.site === site && one.role === "weight");
  if (selected === undefined || selected.chosen !== undefined) return [];
  const squares = new Float64Array(inputs);
  const diagonal = curvature.diagonal().data;
  for (let i = 0; i < selected.size; i++) squares[i % inputs] += diagonal[selected.at + i];
  const columns = Array.from(squares.keys()).filter((i) => squares[i] > 0);
  if (columns.length < 2) return [];
  const smallest = columns.reduce((a, b) => (squares[b] < squares[a] ? b : a));
  const largest = columns.reduce((a, b) => (squares[b] > squares[a] ? b : a));
  const ratio = Math.sqrt(squares[largest] / squares[smallest]);
  if (!(ratio > MOST_TIMES[net.dtype])) return [];
  return [
    {
      code: "inputs-of-different-size",
      severity: "warning",
      message: `Column ${largest} of the inputs is about ${times(ratio)} times as large as column ${smallest} (counted from 0): what their weights change differs by more than ${net.dtype} has digits, and training and tuning hardly see the small ones.`,
      advice: "Standardise the inputs, each column by its own mean and standard deviation, then train and fit again.",
      measured: { times: ratio, largest, smallest },
    },
  ];
}

/** The column that is furthest from 0 beside its spread, as years, times and counts from a far zero are. */
function offsets(inputs: InputSums, dtype: "float32" | "float64"): Finding[] {
  let [column, most] = [0, 0];
  inputs.shift.forEach((_, j) => {
    const [mean, spread] = [Math.abs(inputs.mean(j)), inputs.spread(j)];
    // A constant, or its rounding, moves nothing.
    if (!(spread > ROUNDING.float64 * mean)) return;
    if (mean / spread > most) [column, most] = [j, mean / spread];
  });
  if (!(most > MOST_TIMES[dtype])) return [];
  const [mean, spread] = [inputs.mean(column), inputs.spread(column)];
  return [
    {
      code: "inputs-far-from-zero",
      severity: "warning",
      message: `Column ${column} of the inputs (counted from 0) lies around ${Number(mean.toPrecision(6))} with a standard deviation of only ${text(spread)}: ${dtype} hardly tells its weight from the bias, and training and tuning see little of what the column says.`,
      advice:
        "Take the column's mean from it, or standardise the inputs, each column by its own mean and standard deviation, then train and fit again.",
      measured: { column, mean, spread, times: most },
    },
  ];
}

/** The two columns that are most alike without being the same: what makes them differ is beyond the type's digits. */
function twins(inputs: InputSums, dtype: "float32" | "float64"): Finding[] {
  const { kept, shift } = inputs;
  if (kept < FEW || shift.length > MOST_COLUMNS) return [];
  const columns = Array.from(shift, (_, j) => centred(inputs.column(j))).map((values, j) => {
    const size = Math.abs(inputs.mean(j)) + inputs.spread(j);
    return { j, values, spread: Math.sqrt(dot(values, values) / kept), size };
  });
  // Columns that these rows say nothing of, such as marks of what is rare, are left out, and constants.
  const seen = columns.filter(
    ({ j, spread, size }) => spread > ROUNDING.float64 * size && spread > SHARE * inputs.spread(j),
  );
  let most: { readonly times: number; readonly first: number; readonly second: number } | undefined;
  for (const [at, a] of seen.entries()) {
    for (const b of seen.slice(0, at)) {
      const slope = dot(a.values, b.values) / dot(b.values, b.values);
      if (dot(a.values, a.values) - slope * dot(a.values, b.values) > ALIKE * dot(a.values, a.values)) continue;
      const left = a.values.map((x, i) => x - slope * b.values[i]);
      const rest = Math.sqrt(dot(left, left) / kept);
      // The same column in another unit differs by rounding, and no number is lost: the prior shares the weight.
      if (rest <= ROUNDING[dtype] * (a.size + Math.abs(slope) * b.size)) continue;
      if (a.spread / rest > (most?.times ?? MOST_TIMES[dtype]))
        most = { times: a.spread / rest, first: b.j, second: a.j };
    }
  }
  if (most === undefined) return [];
  return [
    {
      code: "inputs-nearly-equal",
      severity: "warning",
      message: `Columns ${most.first} and ${most.second} of the inputs (counted from 0) say the same to 1 part in ${times(most.times)}: ${dtype} hardly has digits for what makes them differ, and training and tuning do not see it.`,
      advice:
        "Leave one of the two out, or give their difference, standardised, instead of it; then train and fit again.",
      measured: most,
    },
  ];
}

/** Less their mean; less the first before, so that digits are kept. */
function centred(values: readonly number[]): Float64Array {
  const moved = Float64Array.from(values, (x) => x - values[0]);
  const mean = moved.reduce((sum, x) => sum + x, 0) / moved.length;
  return moved.map((x) => x - mean);
}
