// Corrected eigenvalues and their bases in a file: the arrays of each block.

import { shapeOf } from "../eigenblocks.ts";
import type { Selection } from "../selection.ts";
import { nameOf, type Read, type Write } from "../structure.ts";
import { EkfacCurvature } from "./curvature.ts";

/** Writes the arrays. */
export function write({ blocks }: EkfacCurvature, write: Write) {
  for (const { selected, groups, outputs, inputs, qb, qa, values } of blocks) {
    write(nameOf(selected, "qb"), qb, [groups * outputs, outputs]);
    if (qa !== undefined) write(nameOf(selected, "qa"), qa, [groups * inputs, inputs]);
    write(nameOf(selected, "values"), values, [groups * outputs, inputs]);
  }
  return {};
}

/** Reads them. @throws FileError */
export function read(selection: Selection, examples: number, read: Read): EkfacCurvature {
  const blocks = selection.parameters.map((selected) => {
    const shape = shapeOf(selected);
    const { outputs, inputs, groups } = shape;
    const qb = read(nameOf(selected, "qb"), [groups * outputs, outputs]);
    const qa = selected.role === "weight" ? read(nameOf(selected, "qa"), [groups * inputs, inputs]) : undefined;
    const values = read(nameOf(selected, "values"), [groups * outputs, inputs]);
    return { selected, ...shape, qb, qa, values, factors: undefined };
  });
  return new EkfacCurvature(selection, examples, blocks);
}
