// Columns that need no likelihood: the gradient of a loss, given cotangents, units.

import { allocateFloats, bytesPerElement, copyIn, scope } from "../kernels/memory.ts";
import type { LossRule } from "../losses/losses.ts";
import { outputsOf } from "../network/part-outputs.ts";
import type { Columns } from "../network/run.ts";

/** ∂ℓ/∂f at the targets, one column, times one scale or one for each example. */
export function lossGradient(rule: LossRule, scale: number | Float64Array): Columns {
  return {
    count: () => 1,
    write(part, _, to) {
      const f = outputsOf(part);
      rule.gradient(f, part.targets, typeof scale === "number" ? scale : 1, to);
      if (typeof scale === "number") return;
      const factors = copyIn(f.dtype, scale.subarray(part.start, part.start + part.count));
      f.kernels.scaleRows(part.count, f.outputs, to, factors, 1, to);
    },
  };
}

/**
 * The same columns times the examples' weights, where there are any: those themselves for what is linear in a column, their
 * roots for what is quadratic.
 */
export function weighted(columns: Columns, power: 1 | 0.5): Columns {
  return {
    ...columns,
    write(part, which, to) {
      columns.write(part, which, to);
      const { weights, forward, count } = part;
      if (weights === undefined) return;
      const { kernels, dtype, graph } = forward;
      const width = graph.output.size;
      scope(() => {
        const factors = copyIn(dtype, power === 1 ? weights : weights.map(Math.sqrt));
        for (let k = 0; k < which.count; k++) {
          const at = to + k * count * width * bytesPerElement(dtype);
          kernels.scaleRows(count, width, at, factors, 1, at);
        }
      });
    },
  };
}

/** The cotangents that go with the inputs, one column. */
export const given: Columns = {
  count: () => 1,
  write({ forward, count, targets }, _, to) {
    const n = count * forward.graph.output.size;
    forward.kernels.copyRows(1, n, targets, n, to, n, false);
  },
};

/** A column for each output, 1 there and 0 elsewhere: C of them, in their order or where `place` puts each. */
export function unit(place: (column: number) => number = (column) => column): Columns {
  return {
    count: (shape) => shape.reduce((size, length) => size * length, 1),
    write({ forward, count: batch }, { first, count }, to) {
      const { kernels, dtype, graph } = forward;
      const outputs = graph.output.size;
      kernels.fill(count * batch * outputs, 0, to);
      const one = allocateFloats(dtype, 1);
      kernels.fill(1, 1, one);
      for (let k = 0; k < count; k++) {
        const at = to + (k * batch * outputs + place(first + k)) * bytesPerElement(dtype);
        kernels.copyRows(batch, 1, one, 0, at, outputs, false);
      }
    },
  };
}
