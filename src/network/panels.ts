// Panels: rows of a matrix that are in the kernels' memory at once.

import { inPieces, type Steps } from "../kernels/steps.ts";
import { partSize } from "./run.ts";

/** Calls `visit` for some of n rows after the others, within a scope and in pieces each: as many as are 32 MiB of so many numbers. */
export function* eachPanel(n: number, width: number, visit: (first: number, count: number) => void): Steps<void> {
  for (const [first, count] of panels(n, width)) {
    yield* inPieces(() => visit(first, count));
    yield;
  }
}

/** The first, and how many, of rows that are 32 MiB of so many numbers, or what is left. */
export function panels(n: number, width: number): readonly (readonly [first: number, count: number])[] {
  const most = partSize(width, "float64");
  return Array.from({ length: Math.ceil(n / most) }, (_, i) => [i * most, Math.min(most, n - i * most)]);
}
