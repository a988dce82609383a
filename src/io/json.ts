// JSON from files that nobody vouches for. JSON.parse lets a name come twice, nests as deeply as the stack allows, and
// reads 1e0 as an integer; this reader refuses what is not plain, and its objects have no prototype to fall back on.

import { FileError } from "../errors.ts";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** An object of JSON. */
export interface JsonObject {
  readonly [name: string]: Json;
}

/** The error for a file that is not what it should be. */
export const malformed = (where: string, what: string): FileError => new FileError("malformed", `${where}: ${what}.`);

/** How much is allowed. */
export interface JsonLimits {
  /** How deeply lists and objects may nest. */
  readonly depth: number;
  /** Whether numbers must be integers from 0 to 2⁵³ − 1, in digits alone. */
  readonly integers: boolean;
}

const SPACES = " \t\n\r";
/** Values of all kinds: beyond any real file, and few enough to read at once. */
const MOST_VALUES = 2 ** 19;
/** No double needs more. */
const LONGEST_NUMBER = 40;

/** Text of unknown origin for a message: quoted, cut, without control characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Whether every character has both its halves: others do not survive UTF-8. */
export function wellFormed(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}

/** What the text says; only spaces may follow it. @throws FileError naming the position */
export function parseJson(where: string, text: string, limits: JsonLimits): Json {
  return new Parser(where, text, limits).all();
}

class Parser {
  readonly #where: string;
  readonly #text: string;
  readonly #limits: JsonLimits;
  #at = 0;
  #values = 0;

  constructor(where: string, text: string, limits: JsonLimits) {
    this.#where = where;
    this.#text = text;
    this.#limits = limits;
  }

  all(): Json {
    const value = this.#value(0);
    while (this.#text[this.#at] === " ") this.#at++;
    if (this.#at < this.#text.length) throw this.#error("something follows the JSON");
    return value;
  }

  #error(what: string): FileError {
    return malformed(this.#where, `${what} (at character ${this.#at})`);
  }

  #skip(): void {
    while (this.#at < this.#text.length && SPACES.includes(this.#text[this.#at])) this.#at++;
  }

  /** Takes a character if it comes next. */
  #takes(character: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #value(depth: number): Json {
    if (this.#values++ === MOST_VALUES) throw this.#error(`the JSON has more than ${MOST_VALUES} values`);
    this.#skip();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#list(depth + 1);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #enter(depth: number): void {
    if (depth > this.#limits.depth) throw this.#error(`the JSON nests deeper than ${this.#limits.depth} levels`);
    this.#at++;
  }

  #object(depth: number): JsonObject {
    this.#enter(depth);
    const result: Record<string, Json> = Object.create(null);
    if (this.#takes("}")) return result;
    do {
      this.#skip();
      if (this.#text[this.#at] !== '"') throw this.#error("expected a name in quotes");
      const name = this.#string();
      if (name in result) throw this.#error(`the name ${quoted(name)} comes twice`);
      if (!this.#takes(":")) throw this.#error("expected a colon");
      result[name] = this.#value(depth);
    } while (this.#takes(","));
    if (!this.#takes("}")) throw this.#error("expected a comma or the end of an object");
    return result;
  }

  #list(depth: number): Json[] {
    this.#enter(depth);
    const result: Json[] = [];
    if (this.#takes("]")) return result;
    do result.push(this.#value(depth));
    while (this.#takes(","));
    if (!this.#takes("]")) throw this.#error("expected a comma or the end of a list");
    return result;
  }

  #string(): string {
    const start = this.#at++;
    let escaped = false;
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 34) break;
      if (Number.isNaN(code)) throw this.#error("a text does not end");
      if (code < 32) throw this.#error("a text has a control character");
      if (code !== 92) continue;
      escaped = true;
      this.#at++;
    }
    this.#at++;
    if (!escaped) return this.#text.slice(start + 1, this.#at - 1);
    let result: string;
    try {
      result = JSON.parse(this.#text.slice(start, this.#at));
    } catch {
      throw this.#error("a text has an escape that does not exist");
    }
    if (!wellFormed(result)) throw this.#error("a text has half a character");
    return result;
  }

  #word(word: string, value: boolean | null): boolean | null {
    if (!this.#text.startsWith(word, this.#at)) throw this.#error("expected a value");
    this.#at += word.length;
    return value;
  }

  #number(): number {
    const ahead = this.#text.slice(this.#at, this.#at + LONGEST_NUMBER);
    const [token, , fraction, exponent] = /^(-?)(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/.exec(ahead) ?? [""];
    if (token === "") throw this.#error("expected a value");
    if (token.length === LONGEST_NUMBER) throw this.#error("a number has too many digits");
    const value = Number(token);
    const integer = fraction === undefined && exponent === undefined && token[0] !== "-" && Number.isSafeInteger(value);
    if (this.#limits.integers && !integer) throw this.#error(`${token} is not an integer from 0 to 2^53 - 1`);
    if (!Number.isFinite(value)) throw this.#error(`${token} is too large`);
    this.#at += token.length;
    return value;
  }
}
