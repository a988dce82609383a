// Sums of the exact Hessian's products: with each weight's own direction, or with given ones.

import { hessianOfPart, type PartHessian } from "../derivatives/second.ts";
import { dryBytes } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Backward } from "../network/passes.ts";
import type { Part } from "../network/run.ts";
import type { Accumulator, ReadSums } from "./curvature.ts";
import { asFloat64 } from "./jacobian-rows.ts";
import type { Selection } from "./selection.ts";
import type { SumOptions } from "./structure.ts";

/** What sums are made of. */
export type Finish = (sums: ReadSums, examples: number) => ReturnType<Accumulator["finish"]>;

type AddPart = (hessian: PartHessian, backward: Backward, direction: Pointer, product: Pointer, to: Pointer) => void;

/** Sums of what `add` makes of each part. */
function partSums(likelihood: Likelihood, length: number, p: number, add: AddPart, finish: Finish): Accumulator {
  let part: Part;
  return {
    dtype: "float64",
    length,
    begin(next) {
      part = next;
    },
    add(backward, to) {
      const { dtype, kernels } = backward;
      const hessian = hessianOfPart(likelihood, part, backward);
      const [direction, product] = [allocateFloats(dtype, p), allocateFloats(dtype, p)];
      kernels.fill(p, 0, direction);
      add(hessian, backward, direction, product, to);
    },
    finish,
  };
}

/** The whole matrix, [S, S]; or its diagonal, [S], for which only a direction's own weight is looked at. */
export function hessianSums(
  likelihood: Likelihood,
  { selection }: SumOptions,
  own: boolean,
  finish: Finish,
): Accumulator {
  const { size, graph, siteList } = selection;
  const add: AddPart = (hessian, backward, direction, product, to) => {
    const { dtype, kernels } = backward;
    const bytes = bytesPerElement(dtype);
    for (const { parameter, site, at, size: count, chosen } of selection.parameters) {
      const moving = new Set([site]);
      // In a dry run one says how much memory all take.
      for (let i = 0; i < (dryBytes() === undefined ? count : 1); i++) {
        const place = parameter.offset + (chosen?.[i] ?? i);
        kernels.fill(1, 1, direction + place * bytes);
        hessian.times(direction, moving, own ? moving : siteList, product);
        kernels.fill(1, 0, direction + place * bytes);
        if (own) addSome(backward, product + place * bytes, 1, to + 8 * (at + i));
        else addSelected(backward, selection, product, to + 8 * (at + i) * size);
      }
    }
  };
  return partSums(likelihood, own ? size : size * size, graph.parameterCount, add, finish);
}

/** Q H of directions Q in rows, [c, S]. */
export function productSums(
  likelihood: Likelihood,
  { selection }: SumOptions,
  directions: Float64Array,
  finish: Finish,
): Accumulator {
  const { size, graph, siteList } = selection;
  const moving = new Set(siteList);
  const add: AddPart = (hessian, backward, direction, product, to) => {
    const { dtype } = backward;
    const rows = dryBytes() === undefined ? directions.length / size : 1;
    for (let row = 0; row < rows; row++) {
      inMemory(dtype, (memory) => {
        const start = direction / bytesPerElement(dtype);
        for (const { parameter, at, size: count, chosen } of selection.parameters) {
          const [from, place] = [row * size + at, start + parameter.offset];
          for (let i = 0; i < count; i++) memory[place + (chosen?.[i] ?? i)] = directions[from + i];
        }
      });
      hessian.times(direction, moving, siteList, product);
      addSelected(backward, selection, product, to + 8 * row * size);
    }
  };
  return partSums(likelihood, directions.length, graph.parameterCount, add, finish);
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
