// Curvatures as arrays by name, and back: what each structure keeps, whole.

import { columnSums, withColumnSums } from "../curvature/outputs-apart.ts";
import type { Curvature, Structure } from "../structures/curvature.ts";
import type { Selection } from "../structures/selection.ts";
import type { Read, Write } from "../structures/structure.ts";
import { rowNamed, rowOf, table } from "../structures/table.ts";
import type { Fields } from "./fields.ts";

/** Writes a curvature's arrays, and gives what of it is not an array. */
export function writeCurvature(curvature: Curvature, write: Write) {
  return { examples: curvature.examples, ...rowOf(curvature).write(curvature, write) };
}

/** Reads a curvature over these weights. @throws FileError */
export function readCurvature(document: Fields, structure: Structure, selection: Selection, read: Read): Curvature {
  const fields = document.object("curvature", ["examples", ...table().flatMap((row) => row.fields)]);
  return rowNamed(structure).read(selection, fields.positive("examples"), read, fields);
}

/** Writes what curvatures of the outputs, kept apart, have of their own. */
export function writeApart(each: readonly Curvature[], write: Write): void {
  each.forEach((one, c) => {
    columnSums(one).forEach((array, k) => {
      write(`outputs.${c}.${k}`, array, [array.length]);
    });
  });
}

/** Reads so many of them, of the same structure as their sum. @throws FileError */
export function readApart(sum: Curvature, outputs: number, read: Read): readonly Curvature[] {
  const own = columnSums(sum);
  return Array.from({ length: outputs }, (_, c) =>
    withColumnSums(
      sum,
      own.map(({ length }, k) => read(`outputs.${c}.${k}`, [length])),
    ),
  );
}
