// Kronecker factors as the precision of a prior.

import { type ArrayLike, asArray, shapeText } from "../array/ndarray.ts";
import { OptionError, ShapeError, valueText } from "../errors.ts";
import { readSymmetric } from "../linalg/cholesky.ts";
import { shapeOf } from "../structures/eigenblocks.ts";
import { type KroneckerFactors, Prior, readPrior } from "../structures/prior.ts";
import { type FactorsOf, factorsPrior } from "../structures/prior-matrix.ts";
import type { SelectedParameter } from "../structures/selection.ts";
import type { Source } from "./posterior-prior.ts";

/** Whether a value is a list of factors, and not numbers. */
export function areFactors(source: unknown): source is readonly KroneckerFactors[] {
  const named = (one: unknown) => typeof one === "object" && one !== null && "parameter" in one;
  return Array.isArray(source) && source.length > 0 && source.every(named);
}

/** The prior of a selection with these factors. */
export function ofFactors(
  where: string,
  given: readonly KroneckerFactors[],
  scale: number,
  mean: ArrayLike = 0,
): Source {
  const names = given.map(({ parameter }) => parameter);
  names.forEach((name, i) => {
    if (typeof name !== "string")
      throw new OptionError(`${where}: parameter of factors must be a name, got ${valueText(name)}.`);
    if (names.indexOf(name) !== i) throw new OptionError(`${where}: "${name}" has factors twice.`);
  });
  // As they are now.
  const factors = given.map(({ parameter, a, b }) => ({
    parameter,
    b: asArray(b).clone(),
    a: a === undefined ? undefined : asArray(a).clone(),
  }));
  return (who, selection) => {
    const own = selection.parameters.map(({ parameter }) => parameter.name);
    const [missing, strange] = [own.find((name) => !names.includes(name)), names.find((name) => !own.includes(name))];
    if (missing !== undefined || strange !== undefined) {
      throw new OptionError(
        `${who}: the prior needs factors for each of ${own.map((name) => `"${name}"`).join(", ")}: ${missing === undefined ? `"${strange}" is not among them` : `"${missing}" has none`}.`,
      );
    }
    const blocks = selection.parameters.map((selected, i) => readBlock(who, selected, factors[names.indexOf(own[i])]));
    const centred = readPrior(who, selection, scale, mean);
    return new Prior(selection, centred.precision, centred.mean, factorsPrior(selection, blocks));
  };
}

function readBlock(where: string, selected: SelectedParameter, { parameter, a, b }: KroneckerFactors): FactorsOf {
  const { groups, outputs, inputs } = shapeOf(selected);
  const weight = selected.role === "weight";
  if (weight === (a === undefined)) {
    throw new OptionError(
      `${where}: "${parameter}" is a ${weight ? "weight, whose precision has the factors a and b" : "vector, whose precision is b alone"}.`,
    );
  }
  const read = (side: string, matrix: ArrayLike, n: number) =>
    readFactor(`${where}: the factor ${side} of "${parameter}"`, matrix, groups, n);
  return { selected, b: read("b", b, outputs), a: a === undefined ? undefined : read("a", a, inputs) };
}

/** [groups, n, n], or [n, n] of one group. @throws ShapeError, ValueError */
function readFactor(where: string, matrix: ArrayLike, groups: number, n: number): Float64Array {
  const given = asArray(matrix);
  const shape = groups === 1 ? [n, n] : [groups, n, n];
  if (given.shape.join() !== shape.join()) {
    throw new ShapeError(`${where}: expected a matrix [${shape.join(", ")}], got shape ${shapeText(given.shape)}.`);
  }
  const all = given.reshape(groups, n, n);
  for (let g = 0; g < groups; g++) readSymmetric(where, all.sub(g));
  return Float64Array.from(given.data);
}
