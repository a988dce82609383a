// Likelihoods that users define, by a name that files know them by.

import { LaplaceError, OptionError, valueText } from "../errors.ts";
import type { Likelihood } from "./likelihood.ts";
import { ofNumbers } from "./of-numbers.ts";
import { ofRows } from "./of-rows.ts";
import type { NumberLikelihood, RowLikelihood } from "./plain.ts";
import { verify } from "./verify.ts";
import { verifyRows } from "./verify-rows.ts";

/** A value of an option that a file can keep. */
export type LikelihoodOption = number | string | boolean | readonly number[];

/** Options of a likelihood that was defined. */
export type LikelihoodOptions = Readonly<Record<string, LikelihoodOption>>;

const taken = ["gaussian", "heteroscedastic", "bernoulli", "categorical", "poisson"];
const defined = new Map<string, (options: LikelihoodOptions | undefined) => Likelihood>();

/** The names that a file may have. */
export const entryNames = (): readonly string[] => [...taken, ...defined.keys()];

/** A likelihood that was defined, from what a file says of it. @throws LaplaceError */
export function fromDefinition(name: string, options: unknown): Likelihood {
  const make = defined.get(name);
  if (make === undefined) {
    throw new LaplaceError(
      `expected a likelihood, one of ${entryNames().join(", ")}, got ${JSON.stringify(name.slice(0, 64))}. One's own is read after defineLikelihood has defined its name in this program.`,
    );
  }
  return make(options as LikelihoodOptions | undefined);
}

/**
 * Defines a likelihood by plain functions: of independent outputs, of one output f and its target y, or, where they say how many
 * `outputs` go together, of a row of outputs and its target (`RowLikelihood`). What it gives makes the likelihood from its options, to be used as gaussian() is: by `laplace`, `train`, `evaluate`, `diagnose`,
 * `uncertainty` and the others. `savePosterior` writes the name and the options, and `loadPosterior` needs the same
 * definition to have been made; the last one of a name counts.
 *
 * ```ts
 * const laplaceNoise = defineLikelihood("laplaceNoise", ({ scale }: { scale: number }) => ({ loss: …, gradient: …, … }));
 * laplace(net, { likelihood: laplaceNoise({ scale: 0.3 }) });
 * ```
 *
 * Each likelihood is checked when it is made, at some f: the gradient against differences of the loss; the information
 * against the mean of gradient², the mean and the variance against those of the density, and the density against 1, by
 * integrals over all targets; draws against the gradient and the information. Of rows all but the gradient against draws alone.
 * @param name of letters, digits, "-" and "_"; not that of a likelihood of the library
 * @param make from options, numbers, texts, booleans and lists of numbers, the functions: see `NumberLikelihood`, `RowLikelihood`
 * @throws OptionError for a bad name; the maker: OptionError for what is missing, ValueError for what does not agree
 */
export function defineLikelihood<Options extends [] | [LikelihoodOptions]>(
  name: string,
  make: (...options: Options) => NumberLikelihood | RowLikelihood,
): (...options: Options) => Likelihood<"numbers"> {
  const where = "defineLikelihood";
  if (typeof name !== "string" || !/^[\w-]{1,64}$/.test(name)) {
    throw new OptionError(`${where}: expected a name of letters, digits, "-" and "_", got ${valueText(name)}.`);
  }
  if (taken.includes(name)) throw new OptionError(`${where}: "${name}" is a likelihood of the library.`);
  if (typeof make !== "function") {
    throw new OptionError(
      `${where}: expected a function that gives the likelihood's functions, got ${make === null ? "null" : typeof make}.`,
    );
  }
  const maker = (...options: Options): Likelihood<"numbers"> => {
    const [given] = options;
    checkValues(name, given);
    const rule = make(...options);
    const entry = given === undefined ? {} : { options: structuredClone(given) };
    if (rule?.outputs !== undefined) {
      verifyRows(name, rule);
      return ofRows(name, rule, entry);
    }
    verify(name, rule);
    return ofNumbers(name, rule, entry);
  };
  defined.set(name, (options) => maker(...((options === undefined ? [] : [options]) as Options)));
  return maker;
}

/** @throws OptionError for options that a file cannot keep */
function checkValues(where: string, options: LikelihoodOptions | undefined): void {
  if (options === undefined) return;
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    throw new OptionError(`${where}: expected an object of options, got ${valueText(options)}.`);
  }
  for (const [name, value] of Object.entries(options)) {
    const numbers = Array.isArray(value) ? value : [value];
    if (numbers.every(Number.isFinite) || typeof value === "string" || typeof value === "boolean") continue;
    throw new OptionError(
      `${where}: expected the option ${name} to be a finite number, a text, a boolean or a list of numbers, which files can keep, got ${valueText(value)}.`,
    );
  }
}
