// Likelihoods from what a file says of them.

import { checkNumber } from "../errors.ts";
import type { ClassOptions } from "../losses/classes.ts";
import { bernoulli } from "./bernoulli.ts";
import { categorical } from "./categorical.ts";
import { fromDefinition } from "./define-likelihood.ts";
import { gaussianOf } from "./gaussian.ts";
import { heteroscedastic } from "./heteroscedastic.ts";
import type { Likelihood } from "./likelihood.ts";
import { poisson } from "./poisson.ts";

/** A file's entry, field by field; each method refuses what it does not find. */
export interface EntryFields {
  readonly where: string;
  text(name: string): string;
  json(name: string): unknown;
  has(name: string): boolean;
  choice<const Choice extends string>(name: string, choices: readonly Choice[]): Choice;
  boolean(name: string): boolean;
  integer(name: string, minimum: number): number;
  finite(name: string): number;
  positives(name: string, length: number): readonly number[];
}

/** The fields that entries may have. */
export const entryFields: readonly string[] = [
  "name",
  "noise",
  "ratios",
  "classAxis",
  "ignoredLabel",
  "density",
  "dispersion",
  "options",
];

const classOptions = (fields: EntryFields): ClassOptions => ({
  ...(fields.has("classAxis") && { classAxis: fields.choice("classAxis", ["first", "last"]) }),
  ...(fields.has("ignoredLabel") && { ignoredLabel: fields.integer("ignoredLabel", Number.MIN_SAFE_INTEGER) }),
});

/** Reads the likelihood of a file, of a network with so many outputs. @throws LaplaceError for what no likelihood is */
export type ReadLikelihood = (fields: EntryFields, outputs: number) => Likelihood;

/** A likelihood that files name, as a value. */
export interface LikelihoodValue {
  readonly name: string;
  readonly read: ReadLikelihood;
}

/** The likelihood of `gaussian()`, as a value. */
export const gaussianValue: LikelihoodValue = {
  name: "gaussian",
  read(fields, outputs) {
    const noise = fields.finite("noise");
    checkNumber(fields.where, "noise", noise, 0, true);
    const ratios = fields.has("ratios") ? fields.positives("ratios", outputs) : undefined;
    return gaussianOf(noise, ratios, fields.has("apart") && fields.boolean("apart"));
  },
};

/** That of `bernoulli()`. */
export const bernoulliValue: LikelihoodValue = {
  name: "bernoulli",
  read: (fields) => bernoulli(classOptions(fields)),
};

/** That of `categorical()`. */
export const categoricalValue: LikelihoodValue = {
  name: "categorical",
  read: (fields) => categorical(classOptions(fields)),
};

/** That of `poisson()`. */
export const poissonValue: LikelihoodValue = {
  name: "poisson",
  read: (fields) => poisson(fields.has("dispersion") ? { dispersion: fields.finite("dispersion") } : {}),
};

/** That of `heteroscedastic()`. */
export const heteroscedasticValue: LikelihoodValue = {
  name: "heteroscedastic",
  read: (fields) =>
    heteroscedastic(fields.has("density") ? { density: fields.choice("density", ["gaussian", "mixture"]) } : {}),
};

/** The likelihood of a file's entry, of a network with so many outputs. @throws LaplaceError for what no likelihood is */
export function readEntry(fields: EntryFields, outputs: number): Likelihood {
  const name = fields.text("name");
  const all = [gaussianValue, bernoulliValue, categoricalValue, poissonValue, heteroscedasticValue];
  const value = all.find((one) => one.name === name);
  if (value !== undefined) return value.read(fields, outputs);
  return fromDefinition(name, fields.has("options") ? fields.json("options") : undefined);
}
