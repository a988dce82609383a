// Curvatures as arrays by name, and back: what each structure keeps, whole.

import { LaplaceError } from "../errors.ts";
import { columnSums, withColumnSums } from "../structures/column-sums.ts";
import type { Curvature, Structure } from "../structures/curvature.ts";
import { DiagonalCurvature } from "../structures/diagonal/curvature.ts";
import { shapeOf } from "../structures/eigenblocks.ts";
import { EkfacCurvature } from "../structures/ekfac/curvature.ts";
import { FullCurvature } from "../structures/full/curvature.ts";
import { KroneckerCurvature } from "../structures/kronecker/curvature.ts";
import type { SelectedParameter, Selection } from "../structures/selection.ts";
import type { Fields } from "./fields.ts";

/** Arrays on their way into a file. */
export type Write = (name: string, values: Float64Array, shape: readonly number[]) => void;

/** An array of a file, whose shape must be this. @throws FileError */
export type Read = (name: string, shape: readonly number[]) => Float64Array;

/** What of a curvature is no array. */
export interface CurvatureJson {
  readonly examples: number;
  /** Of Kronecker factors: how many terms each block's A sums. */
  readonly counts?: readonly number[];
}

export const curvatureFields: readonly (keyof CurvatureJson)[] = ["examples", "counts"];

/** The names of a parameter's arrays. */
const nameOf = ({ parameter }: SelectedParameter, part: string) => `curvature.${parameter.name}.${part}`;

/** Writes a curvature's arrays. @throws LaplaceError for one that is not the library's own */
export function writeCurvature(curvature: Curvature, write: Write): CurvatureJson {
  const { size, examples } = curvature;
  if (curvature instanceof FullCurvature) write("curvature.matrix", curvature.matrix, [size, size]);
  else if (curvature instanceof DiagonalCurvature) write("curvature.diagonal", curvature.values, [size]);
  else if (curvature instanceof KroneckerCurvature) {
    for (const { selected, a, b } of curvature.blocks) {
      const { outputs, inputs, groups } = shapeOf(selected);
      write(nameOf(selected, "b"), b, [groups * outputs, outputs]);
      if (a !== undefined) write(nameOf(selected, "a"), a, [groups * inputs, inputs]);
    }
    return { examples, counts: curvature.blocks.map(({ count }) => count) };
  } else if (curvature instanceof EkfacCurvature) {
    for (const { selected, groups, outputs, inputs, qb, qa, values } of curvature.blocks) {
      write(nameOf(selected, "qb"), qb, [groups * outputs, outputs]);
      if (qa !== undefined) write(nameOf(selected, "qa"), qa, [groups * inputs, inputs]);
      write(nameOf(selected, "values"), values, [groups * outputs, inputs]);
    }
  } else throw new LaplaceError(`A curvature of the structure "${curvature.structure}" cannot be written to a file.`);
  return { examples };
}

/** Reads a curvature over these weights. @throws FileError */
export function readCurvature(fields: Fields, structure: Structure, selection: Selection, read: Read): Curvature {
  const examples = fields.integer("examples", 1);
  const { size, parameters } = selection;
  switch (structure) {
    case "full":
      return new FullCurvature(selection, examples, read("curvature.matrix", [size, size]));
    case "diagonal":
      return new DiagonalCurvature(selection, examples, read("curvature.diagonal", [size]));
    case "kronecker": {
      const counts = fields.positives("counts", parameters.length);
      const blocks = parameters.map((selected, i) => {
        const { outputs, inputs, groups } = shapeOf(selected);
        const b = read(nameOf(selected, "b"), [groups * outputs, outputs]);
        const a = selected.role === "weight" ? read(nameOf(selected, "a"), [groups * inputs, inputs]) : undefined;
        return { selected, b, a, count: counts[i] };
      });
      return new KroneckerCurvature(selection, examples, blocks);
    }
    case "ekfac": {
      const blocks = parameters.map((selected) => {
        const shape = shapeOf(selected);
        const { outputs, inputs, groups } = shape;
        const qb = read(nameOf(selected, "qb"), [groups * outputs, outputs]);
        const qa = selected.role === "weight" ? read(nameOf(selected, "qa"), [groups * inputs, inputs]) : undefined;
        const values = read(nameOf(selected, "values"), [groups * outputs, inputs]);
        return { selected, ...shape, qb, qa, values, factors: undefined };
      });
      return new EkfacCurvature(selection, examples, blocks);
    }
  }
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
