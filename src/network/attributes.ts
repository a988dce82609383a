// How a primitive's attributes are read from a file. Of a file nothing is believed: each reader refuses what no layer could
// have made, by an error that names the attribute.

import { LaplaceError } from "../errors.ts";

/** A file's attributes of one node. All methods throw with the attribute's place. */
export interface AttributeSource {
  /** The attribute's place, for messages. */
  path(name: string): string;
  text(name: string): string;
  boolean(name: string): boolean;
  finite(name: string): number;
  choice<const Choice extends string>(name: string, choices: readonly Choice[]): Choice;
  integer(name: string, minimum: number): number;
  integers(name: string, minimum: number, most: number): readonly number[];
}

/** Reads the attribute of that name. @throws LaplaceError */
export type AttributeReader<Value> = (from: AttributeSource, name: string) => Value;

/** A reader for each attribute, in the order in which files have them. */
export type AttributeReaders<Attributes> = { readonly [Name in keyof Attributes]: AttributeReader<Attributes[Name]> };

/** Any text. */
export const text: AttributeReader<string> = (from, name) => from.text(name);
/** true or false. */
export const boolean: AttributeReader<boolean> = (from, name) => from.boolean(name);
/** Any number but NaN and infinities. */
export const finite: AttributeReader<number> = (from, name) => from.finite(name);
/** An integer of at least 1. */
export const count: AttributeReader<number> = (from, name) => from.integer(name, 1);

/** One of these texts. */
/* @__NO_SIDE_EFFECTS__ */
export function oneOf<const Choice extends string>(...choices: readonly Choice[]): AttributeReader<Choice> {
  return (from, name) => from.choice(name, choices);
}

/** A list of integers of at least `minimum`, at most 32 of them, as many as there may be axes. */
/* @__NO_SIDE_EFFECTS__ */
export function integers(minimum: number): AttributeReader<readonly number[]> {
  return (from, name) => from.integers(name, minimum, 32);
}

/** Height and width, or the like: two integers of at least `minimum`. */
export function pair(minimum: number): AttributeReader<readonly [number, number]> {
  return (from, name) => {
    const [height, width] = from.integers(name, minimum, 2);
    if (width === undefined) throw new LaplaceError(`"${name}" must have two numbers.`);
    return [height, width];
  };
}

/** Top, bottom, left, right: four integers of at least 0. */
export const sides: AttributeReader<readonly [number, number, number, number]> = (from, name) => {
  const [top, bottom, left, right] = from.integers(name, 0, 4);
  if (right === undefined) throw new LaplaceError(`"${name}" must have four numbers.`);
  return [top, bottom, left, right];
};

/** A number that passes a test. */
/* @__NO_SIDE_EFFECTS__ */
export function numberThat(fits: (value: number) => boolean): AttributeReader<number> {
  return (from, name) => {
    const value = from.finite(name);
    if (fits(value)) return value;
    throw new LaplaceError(`${from.path(name)}: ${value} is out of range.`);
  };
}

/** A number above 0. */
export const positive = numberThat((value) => value > 0);
