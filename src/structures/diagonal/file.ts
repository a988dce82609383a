// The diagonal in a file.

import type { Selection } from "../selection.ts";
import type { Read, Write } from "../structure.ts";
import { DiagonalCurvature } from "./curvature.ts";

/** Writes its array. */
export function write({ size, values }: DiagonalCurvature, write: Write) {
  write("curvature.diagonal", values, [size]);
  return {};
}

/** Reads it. @throws FileError */
export function read(selection: Selection, examples: number, read: Read): DiagonalCurvature {
  return new DiagonalCurvature(selection, examples, read("curvature.diagonal", [selection.size]));
}
