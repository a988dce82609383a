// The products in a file.

import type { Selection } from "../selection.ts";
import type { Read, ReadNumbers, Write } from "../structure.ts";
import { LowRankCurvature } from "./curvature.ts";
import { AUTO_SHARE, sketchSize } from "./sketch.ts";

/** Writes its arrays; a rank "auto" as the share that it may leave out. */
export function write({ size, directions, rank, sketch, trace, rows, basis }: LowRankCurvature, write: Write) {
  write("curvature.sketch", sketch, [directions, size]);
  write("curvature.trace", trace, [1]);
  if (basis !== undefined) write("curvature.basis", basis, [basis.length / size, size]);
  return {
    rank: [rank === "auto" ? AUTO_SHARE : rank],
    ...(basis && { signed: [1] }),
    // What has no rows is not told from what has not said.
    ...(rows > 0 && rows < Number.POSITIVE_INFINITY && { rows: [rows], directions: [directions] }),
  };
}

/** Reads them. @throws FileError */
export function read(selection: Selection, examples: number, read: Read, numbers: ReadNumbers): LowRankCurvature {
  const { size } = selection;
  const [given] = numbers.positives("rank", 1);
  const rank = given < 1 ? "auto" : Math.floor(given);
  const told = numbers.has("directions");
  const b = told ? numbers.positives("directions", 1)[0] : sketchSize(rank, size);
  const rows = told ? numbers.positives("rows", 1)[0] : undefined;
  const sketch = read("curvature.sketch", [b, size]);
  const basis = numbers.has("signed") ? read("curvature.basis", [b === size ? 0 : b, size]) : undefined;
  return new LowRankCurvature(selection, examples, rank, sketch, read("curvature.trace", [1]), rows, basis);
}
