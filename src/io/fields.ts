// Typed reading of JSON objects that came from a file. Every field is asked for by name; what nobody asked for is refused,
// because a field that this version does not know may change the meaning of the others.

import { FileError } from "../errors.ts";
import { type Json, type JsonObject, quoted } from "./json.ts";

/** A number as JSON that comes back to the bit, also where JSON has no such number. */
export function numberJson(x: number): Json {
  return Number.isFinite(x) && !Object.is(x, -0) ? x : Object.is(x, -0) ? "-0" : String(x);
}

const UNWRITABLE: ReadonlyMap<Json, number> = new Map<Json, number>([
  ["-0", -0],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** An object of a file, field by field. All methods throw FileError with the field's name. */
export class Fields {
  /** Where it stands, for messages. */
  readonly where: string;
  readonly #object: JsonObject;

  constructor(where: string, value: Json | undefined, known: readonly string[]) {
    this.where = where;
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw this.#expected("an object");
    this.#object = value as JsonObject;
    const extra = Object.keys(value).find((name) => !known.includes(name));
    if (extra !== undefined) throw new FileError("malformed", `${where} has the unknown field ${quoted(extra)}.`);
  }

  #expected(what: string, name?: string): FileError {
    return new FileError("malformed", `${this.where}${name === undefined ? "" : `.${name}`}: expected ${what}.`);
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#object, name);
  }

  /** The field's place, for messages about what is in it. */
  path(name: string): string {
    return `${this.where}.${name}`;
  }

  /** Whatever stands there, for readers of their own. */
  json(name: string): Json {
    const value = this.#object[name];
    if (value === undefined) throw this.#expected("a value", name);
    return value;
  }

  text(name: string): string {
    const value = this.#object[name];
    if (typeof value !== "string") throw this.#expected("a text", name);
    return value;
  }

  choice<const Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = choices.find((choice) => choice === this.#object[name]);
    if (value === undefined) throw this.#expected(`one of ${choices.join(", ")}`, name);
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#object[name];
    if (typeof value !== "boolean") throw this.#expected("true or false", name);
    return value;
  }

  /** Any number, as `numberJson` writes it. */
  number(name: string): number {
    const value = this.#object[name];
    const number = typeof value === "number" ? value : UNWRITABLE.get(value);
    if (number === undefined) throw this.#expected("a number", name);
    return number;
  }

  finite(name: string): number {
    const value = this.number(name);
    if (!Number.isFinite(value)) throw this.#expected("a finite number", name);
    return value;
  }

  positive(name: string): number {
    const value = this.finite(name);
    if (!(value > 0)) throw this.#expected("a number above 0", name);
    return value;
  }

  integer(name: string, minimum: number): number {
    const value = this.#object[name];
    if (!Number.isSafeInteger(value) || (value as number) < minimum) {
      throw this.#expected(`an integer of at least ${minimum}`, name);
    }
    return value as number;
  }

  list(name: string, most: number): readonly Json[] {
    const value = this.#object[name];
    if (!Array.isArray(value) || value.length > most) throw this.#expected(`a list of at most ${most}`, name);
    return value;
  }

  texts(name: string, most: number): readonly string[] {
    const value = this.list(name, most);
    if (!value.every((one) => typeof one === "string")) throw this.#expected("a list of texts", name);
    return value as readonly string[];
  }

  integers(name: string, minimum: number, most: number): readonly number[] {
    const value = this.list(name, most);
    if (!value.every((one) => Number.isSafeInteger(one) && (one as number) >= minimum)) {
      throw this.#expected(`a list of integers of at least ${minimum}`, name);
    }
    return value as readonly number[];
  }

  finites(name: string, most: number): readonly number[] {
    const value = this.list(name, most);
    if (!value.every((one) => typeof one === "number")) throw this.#expected("a list of numbers", name);
    return value as readonly number[];
  }

  /** A list of that many. */
  positives(name: string, length: number): readonly number[] {
    const value = this.list(name, length);
    if (value.length !== length || !value.every((one) => typeof one === "number" && one > 0)) {
      throw this.#expected(`a list of ${length} positive numbers`, name);
    }
    return value as readonly number[];
  }

  object(name: string, known: readonly string[]): Fields {
    return new Fields(this.path(name), this.#object[name], known);
  }

  /** The objects of a list. */
  objects(name: string, most: number, known: readonly string[]): readonly Fields[] {
    return this.list(name, most).map((value, i) => new Fields(`${this.path(name)}[${i}]`, value, known));
  }
}
