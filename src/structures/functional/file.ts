// The points' directions, and the curvature's products with them, in a file.

import type { Selection } from "../selection.ts";
import type { Read, ReadNumbers, Write } from "../structure.ts";
import { FunctionalCurvature } from "./curvature.ts";

/** Writes its arrays. */
export function write({ size, features, basis, sketch, trace }: FunctionalCurvature, write: Write) {
  write("curvature.basis", basis, [features, size]);
  write("curvature.sketch", sketch, [features, size]);
  write("curvature.trace", trace, [1]);
  return { features: [features] };
}

/** Reads them. @throws FileError */
export function read(selection: Selection, examples: number, read: Read, numbers: ReadNumbers): FunctionalCurvature {
  const k = Math.floor(numbers.positives("features", 1)[0]);
  const basis = read("curvature.basis", [k, selection.size]);
  const sketch = read("curvature.sketch", [k, selection.size]);
  return new FunctionalCurvature(selection, examples, basis, sketch, read("curvature.trace", [1]));
}
