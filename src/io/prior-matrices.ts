// The matrix of a prior in a file: a curvature of the posterior's structure, beside the posterior's own.

import { FileError } from "../errors.ts";
import type { PosteriorParts } from "../posterior/parts.ts";
import { Prior, type PriorMatrix } from "../structures/prior.ts";
import { priorMatrixOf } from "../structures/prior-matrix.ts";
import type { Read, Write } from "../structures/structure.ts";
import { rowOf, table } from "../structures/table.ts";
import type { Fields } from "./fields.ts";

const PREFIX = "prior.";

/** What of it is not an array. */
export const priorFields = (): readonly string[] => ["examples", ...table().flatMap((row) => row.fields)];

/** Writes its arrays, and gives what is not one. */
export function writeMatrix({ curvature }: PriorMatrix, write: Write) {
  const numbers = rowOf(curvature).write(curvature, (name, values, shape) => write(PREFIX + name, values, shape));
  return { examples: curvature.examples, ...numbers };
}

/** The prior of a file with its matrix. @throws FileError */
export function readMatrix(fields: Fields, read: Read, { fit, prior }: PosteriorParts): Prior {
  const { curvature } = fit;
  const { selection } = curvature;
  const named: Read = (name, shape) => read(PREFIX + name, shape);
  const matrix = priorMatrixOf(rowOf(curvature).read(selection, fields.positive("examples"), named, fields));
  if (matrix === undefined || prior.structure !== "scalar") {
    throw new FileError("malformed", "The prior's matrix is not one of the file's structure, or has several scales.");
  }
  return new Prior(selection, prior.precision, prior.mean, matrix);
}
