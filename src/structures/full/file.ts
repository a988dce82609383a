// The whole matrix in a file.

import type { Selection } from "../selection.ts";
import type { Read, Write } from "../structure.ts";
import { FullCurvature } from "./curvature.ts";

/** Writes its array. */
export function write({ size, matrix }: FullCurvature, write: Write) {
  write("curvature.matrix", matrix, [size, size]);
  return {};
}

/** Reads it. @throws FileError */
export function read(selection: Selection, examples: number, read: Read): FullCurvature {
  const { size } = selection;
  return new FullCurvature(selection, examples, read("curvature.matrix", [size, size]));
}
