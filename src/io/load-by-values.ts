// `loadPosterior` of values: what a file may have is named, and a bundle has no more.

import { checkOptions, OptionError, valueText } from "../errors.ts";
import type { LikelihoodValue } from "../likelihood/entry.ts";
import type { Primitive } from "../network/primitive.ts";
import { elementwise } from "../network/primitives/elementwise.ts";
import { input } from "../network/primitives/input.ts";
import { linear } from "../network/primitives/linear.ts";
import { reshape } from "../network/primitives/reshape.ts";
import { registered } from "../network/registry.ts";
import { WeightGaussian } from "../posterior/weight-gaussian.ts";
import type { Row } from "../structures/structure.ts";
import { bring, kinds } from "../structures/table.ts";
import { readPosterior } from "./read-posteriors.ts";

/** What a file may have. */
export interface LoadOptions {
  /** How its curvature is stored: some of `full`, `diagonal`, `kronecker`, `ekfac`, `lowRank`, `functional`. */
  structures: readonly Row[];
  /** Its likelihood: some of `gaussian`, `categorical`, `bernoulli`, `poisson`, `heteroscedastic`. */
  likelihoods: readonly LikelihoodValue[];
  /** `layers`, where its network has others than dense ones and activations. */
  layers?: readonly Primitive<never>[] | undefined;
}

const dense = [input, linear, elementwise, reshape] as readonly unknown[] as readonly Primitive<never>[];

/**
 * The posterior that `savePosterior` made a file of, for `predict`: the same numbers as those of laplace-ts, to the bit. It has no
 * methods. Nothing in the file is ever run.
 * @throws OptionError for a file that has what is not named; FileError for one that is truncated, altered, of a later version, or
 *   something else
 */
export function loadPosterior(bytes: Uint8Array | ArrayBuffer, options: LoadOptions): WeightGaussian {
  const where = "loadPosterior";
  checkOptions(where, options, ["structures", "likelihoods", "layers"]);
  const { layers = [] } = options;
  const valuesOf = (name: "structures" | "likelihoods"): readonly unknown[] => {
    const list: unknown = options[name];
    if (Array.isArray(list) && list.every((one) => typeof one?.read === "function")) return list;
    throw new OptionError(
      `${where}: ${name} must be a list of values of laplace-ts/predict, as in { structures: [full], likelihoods: [gaussian] }, got ${valueText(list)}. loadPosterior of laplace-ts needs none.`,
    );
  };
  const structures = valuesOf("structures") as readonly Row[];
  const likelihoods = valuesOf("likelihoods") as readonly LikelihoodValue[];
  if (!Array.isArray(layers)) {
    throw new OptionError(`${where}: layers must be layers of laplace-ts/predict, got ${valueText(layers)}.`);
  }
  let lack: OptionError | undefined;
  const missing = (what: string, name: string, option: string): never => {
    lack = new OptionError(
      `${where}: the file has the ${what} "${name}". Import it from laplace-ts/predict, and pass it in ${option}.`,
    );
    throw lack;
  };
  const elsewhere = (what: string): never => {
    lack = new OptionError(`${where}: the file has ${what}, which loadPosterior of laplace-ts reads.`);
    throw lack;
  };
  const primitives = new Map([...dense, ...layers].map((primitive) => [primitive.name, primitive]));
  bring(...structures);
  try {
    const parts = readPosterior(where, bytes, {
      curvature(structure, kind) {
        if (!structures.some((row) => row.name === structure)) missing("structure", structure, "structures");
        if (!kinds().some((one) => one === kind)) elsewhere(`the curvature "${kind}"`);
      },
      more(fields) {
        if (fields.has("prior")) elsewhere("a prior that is a matrix or another posterior");
        if (fields.has("swag")) elsewhere("a posterior of swag()");
        return undefined;
      },
      primitiveOf: (name) => primitives.get(name) ?? registered.get(name) ?? missing("layer", name, "layers"),
      likelihoodOf(fields, outputs) {
        const name = fields.text("name");
        const value = likelihoods.find((one) => one.name === name) ?? missing("likelihood", name, "likelihoods");
        return value.read(fields, outputs);
      },
    });
    return new WeightGaussian(parts);
  } catch (error) {
    throw lack ?? error;
  }
}
