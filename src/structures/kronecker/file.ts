// Kronecker factors in a file: the arrays of each block, and how many terms its A sums.

import { shapeOf } from "../eigenblocks.ts";
import type { Selection } from "../selection.ts";
import { nameOf, type Read, type ReadNumbers, type Write } from "../structure.ts";
import { KroneckerCurvature } from "./curvature.ts";

export const fields = ["counts"];

/** Writes the arrays, and gives the counts. */
export function write({ blocks }: KroneckerCurvature, write: Write) {
  for (const { selected, a, b } of blocks) {
    const { outputs, inputs, groups } = shapeOf(selected);
    write(nameOf(selected, "b"), b, [groups * outputs, outputs]);
    if (a !== undefined) write(nameOf(selected, "a"), a, [groups * inputs, inputs]);
  }
  return { counts: blocks.map(({ count }) => count) };
}

/** Reads them. @throws FileError */
export function read(selection: Selection, examples: number, read: Read, numbers: ReadNumbers): KroneckerCurvature {
  const { parameters } = selection;
  const counts = numbers.positives("counts", parameters.length);
  const blocks = parameters.map((selected, i) => {
    const { outputs, inputs, groups } = shapeOf(selected);
    const b = read(nameOf(selected, "b"), [groups * outputs, outputs]);
    const a = selected.role === "weight" ? read(nameOf(selected, "a"), [groups * inputs, inputs]) : undefined;
    return { selected, b, a, count: counts[i] };
  });
  return new KroneckerCurvature(selection, examples, blocks);
}
