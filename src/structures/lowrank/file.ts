// The products in a file.

import type { Selection } from "../selection.ts";
import type { Read, ReadNumbers, Write } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { AUTO_SHARE, sketchSize } from "./sketch.ts";

/** Writes its arrays; a rank "auto" as the share that it may leave out. */
export function write({ size, rank, sketch, trace, basis }: LowRankCurvature, write: Write) {
  write("curvature.sketch", sketch, [sketchSize(rank, size), size]);
  write("curvature.trace", trace, [1]);
  if (basis !== undefined) write("curvature.basis", basis, [basis.length / size, size]);
  return { rank: [rank === "auto" ? AUTO_SHARE : rank], ...(basis && { signed: [1] }) };
}

/** Reads them. @throws FileError */
export function read(selection: Selection, examples: number, read: Read, numbers: ReadNumbers): LowRankCurvature {
  const { size } = selection;
  const [given] = numbers.positives("rank", 1);
  const rank = given < 1 ? "auto" : Math.floor(given);
  const b = sketchSize(rank, size);
  const sketch = read("curvature.sketch", [b, size]);
  const basis = numbers.has("signed") ? read("curvature.basis", [b === size ? 0 : b, size]) : undefined;
  return new LowRankCurvature(selection, examples, rank, sketch, read("curvature.trace", [1]), basis);
}
