// Which column says how much rows count: relative to each other, or how often they are there.

import { UsageError } from "../errors.ts";
import { columnsIn } from "./options.ts";

interface Options {
  readonly weight?: string;
  readonly copies?: string;
}

/** The option that was given, and its column. @throws UsageError for both */
export function weightOption({ weight, copies }: Options): { readonly option: string; readonly given?: string } {
  if (weight !== undefined && copies !== undefined) {
    throw new UsageError(
      "give --weight or --copies, not both: weights are relative to each other, copies are how often each row is there.",
    );
  }
  if (copies !== undefined) return { option: "--copies", given: copies };
  return { option: "--weight", ...(weight !== undefined && { given: weight }) };
}

/** The column's name in the table; undefined where all rows count alike. @throws UsageError */
export function weightColumn(
  options: Options,
  names: readonly string[],
  target: string,
  kinds: Readonly<Record<string, string>>,
): string | undefined {
  const { option, given } = weightOption(options);
  if (given === undefined) return undefined;
  const [weight, another] = columnsIn(option, [given], names);
  if (another !== undefined) throw new UsageError(`${option} takes one column.`);
  const what = option === "--copies" ? "number of copies" : "weight";
  if (weight === target) throw new UsageError(`"${target}" is the target: it cannot be the ${what} too.`);
  if (Object.hasOwn(kinds, weight) && kinds[weight] !== "ignored") {
    throw new UsageError(
      `${option} and --${kinds[weight]} both name the column "${weight}": a ${what} is not learned from.`,
    );
  }
  return weight;
}
