// The posterior precision that is diagonal in the weights themselves.

import { sumOfLogs } from "../../array/logs.ts";
import { keptNumbers } from "../../kernels/dry-run.ts";
import { shapeOf } from "../eigenblocks.ts";
import { FactoredPrecision } from "../factored.ts";
import type { Prior } from "../prior.ts";
import type { SelectedParameter } from "../selection.ts";
import type { DiagonalCurvature } from "./curvature.ts";

/** Numbers whose logarithms are summed at once: they stay in the cache. */
const AT_ONCE = 2 ** 13;

/** P = h diag(H) + P₀. Evidence and its gradient go through H as it lies; P is written where anything else is asked. */
export function diagonalPrecision(curvature: DiagonalCurvature, h: number, prior: Prior) {
  const { values, selection } = curvature;
  const { precision, structure } = prior;
  const perWeight = structure === "perWeight" ? precision : undefined;
  /** δ of a parameter's weights. */
  const deltaOf = (p: number) => precision[structure === "scalar" ? 0 : p];
  // A dry run has lengths alone, and loops that met them are slow ever after.
  const isKnown = values instanceof Float64Array;
  const own = (numbers: Float64Array, { at, size }: SelectedParameter) => numbers.subarray(at, at + size);
  const blocks = selection.parameters.map((selected, p) => {
    const { at, size } = selected;
    let known: Float64Array | undefined;
    return {
      selected,
      ...shapeOf(selected),
      qb: undefined,
      qa: undefined,
      get values() {
        if (known === undefined) {
          known = keptNumbers(size);
          if (isKnown) write(values, h, at, size, perWeight, deltaOf(p), known);
        }
        return known;
      },
    };
  });
  const logDeterminant = () => {
    let sum = 0;
    const some = new Float64Array(Math.min(AT_ONCE, values.length));
    selection.parameters.forEach(({ at, size }, p) => {
      for (let first = 0; first < size && isKnown; first += AT_ONCE) {
        const count = Math.min(AT_ONCE, size - first);
        write(values, h, at + first, count, perWeight, deltaOf(p), some);
        sum += sumOfLogs(some.subarray(0, count));
      }
    });
    return sum;
  };
  const gradient = () => {
    if (perWeight !== undefined && isKnown) return values.map((one, i) => perWeight[i] / (h * one + perWeight[i]));
    const result = new Float64Array(precision.length);
    selection.parameters.forEach(({ at, size }, p) => {
      if (isKnown) result[structure === "scalar" ? 0 : p] += sumOfShares(values, h, at, at + size, deltaOf(p));
    });
    return result;
  };
  const diagonals = (part: DiagonalCurvature) => selection.parameters.map((selected) => own(part.values, selected));
  return new FactoredPrecision(selection.size, blocks, gradient, diagonals, undefined, logDeterminant);
}

/** Writes h v + δ of so many numbers from a place on. */
function write(
  values: Float64Array,
  h: number,
  start: number,
  count: number,
  perWeight: Float64Array | undefined,
  delta: number,
  to: Float64Array,
): void {
  if (perWeight === undefined) for (let i = 0; i < count; i++) to[i] = h * values[start + i] + delta;
  else for (let i = 0; i < count; i++) to[i] = h * values[start + i] + perWeight[start + i];
}

/** Σ δ / (h v + δ), in four sums that do not wait for each other. */
function sumOfShares(values: Float64Array, h: number, start: number, end: number, delta: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = start;
  for (; i + 4 <= end; i += 4) {
    a += delta / (h * values[i] + delta);
    b += delta / (h * values[i + 1] + delta);
    c += delta / (h * values[i + 2] + delta);
    d += delta / (h * values[i + 3] + delta);
  }
  for (; i < end; i++) a += delta / (h * values[i] + delta);
  return a + b + (c + d);
}
