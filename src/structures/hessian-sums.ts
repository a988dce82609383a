// Sums of the exact Hessian's products: with each weight's own direction, or with given ones.

import { hessianOfPart } from "../derivatives/second.ts";
import { dryBytes } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Site } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import type { Part } from "../network/run.ts";
import type { Accumulator, Curvature, ReadSums } from "./curvature.ts";
import { asFloat64 } from "./jacobian-rows.ts";
import type { Selection } from "./selection.ts";

/** Directions in rows, [c, S]; the weights' own, which are the whole matrix; or of these each one's own weight, which is its diagonal. */
export type Directions = Float64Array | "all" | "own";

/** Q H of directions Q, [c, S]; [S] of the diagonal. @param make the curvature, of all sums */
export function hessianSums(
  likelihood: Likelihood,
  selection: Selection,
  rows: Directions,
  make: (sums: ReadSums, examples: number) => ReturnType<Accumulator<Curvature>["finish"]>,
): Accumulator {
  const { size, graph, siteList } = selection;
  const indices = selection.indices();
  const own = rows === "own";
  let part: Part;
  return {
    dtype: "float64",
    length: typeof rows === "string" ? (own ? size : size * size) : rows.length,
    begin(next) {
      part = next;
    },
    add(backward, to) {
      const { dtype, kernels } = backward;
      const bytes = bytesPerElement(dtype);
      const p = graph.parameterCount;
      const hessian = hessianOfPart(likelihood, part, backward);
      const [direction, product] = [allocateFloats(dtype, p), allocateFloats(dtype, p)];
      kernels.fill(p, 0, direction);
      // In a dry run one says how much memory all take.
      const most = (count: number) => (dryBytes() === undefined ? count : 1);
      const all = new Set(siteList);
      const multiply = (row: number, moving: ReadonlySet<Site>) => {
        hessian.times(direction, moving, own ? moving : siteList, product);
        if (own) addSome(backward, product + indices[row] * bytes, 1, to + 8 * row);
        else addSelected(backward, selection, product, to + 8 * row * size);
      };
      if (typeof rows !== "string") {
        for (let row = 0; row < most(rows.length / size); row++) {
          inMemory(dtype, (memory) => {
            for (let i = 0; i < size; i++) memory[direction / bytes + indices[i]] = rows[row * size + i];
          });
          multiply(row, all);
        }
        return;
      }
      for (const { site, at, size: count } of selection.parameters) {
        const moving = new Set([site]);
        for (let i = at; i < at + most(count); i++) {
          const place = direction + indices[i] * bytes;
          kernels.fill(1, 1, place);
          multiply(i, moving);
          kernels.fill(1, 0, place);
        }
      }
    },
    finish: make,
  };
}

/** Adds numbers of the pass's type to sums of float64. */
function addSome({ dtype }: Backward, from: Pointer, count: number, to: Pointer): void {
  scope(() => kernelsFor("float64").copyRows(1, count, asFloat64(dtype, from, count), 0, to, 0, true));
}

/** Adds the selected weights' part of [P] to a row [S]. */
function addSelected(backward: Backward, { parameters }: Selection, from: Pointer, to: Pointer): void {
  const bytes = bytesPerElement(backward.dtype);
  for (const { parameter, at, size, chosen } of parameters) {
    if (chosen === undefined) addSome(backward, from + parameter.offset * bytes, size, to + 8 * at);
    else {
      chosen.forEach((place, i) => {
        addSome(backward, from + (parameter.offset + place) * bytes, 1, to + 8 * (at + i));
      });
    }
  }
}
