// The cells of one column in few bytes, from which each text comes back as it was written: codes of a dictionary as long as few texts
// are different; then numbers beside how they were written, and other texts as bytes. What the column means is not asked here, so
// nothing depends on when that is known.

import { Growing } from "./growing.ts";
import { TextHeap } from "./heap.ts";

/** Different texts up to which cells are codes. */
const MOST_TEXTS = 2 ** 14;

/** How a number is written: as JavaScript writes it, or from `FIXED` on with so many decimals. Other cells are codes, or places of bytes. */
const [PLAIN, CODE, BYTES, FIXED] = [0, 1, 2, 3];
const MOST_DECIMALS = 20;
/** Numbers of so many characters have about as many digits as a float64 tells apart: they are as programs write them. */
const LONG = 16;
/** The texts that may be numbers as they are written here; longer ones are not tried. */
const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]\d+)?$/;
const LONGEST = 26;

/** The texts of a column. */
export class Cells {
  readonly #most: number;
  #places = new Map<string, number>();
  #texts: string[] = [];
  readonly #codes = new Growing(Int32Array);
  /** Once texts are many. */
  #many:
    | { readonly values: Growing<Float64Array>; readonly forms: Growing<Uint8Array>; readonly heap: TextHeap }
    | undefined;

  /** @param most different texts up to which cells are codes */
  constructor(most = MOST_TEXTS) {
    this.#most = most;
  }

  get length(): number {
    return this.#many?.forms.length ?? this.#codes.length;
  }

  push(text: string): void {
    const code = this.#many === undefined ? this.#codeOf(text) : undefined;
    if (code !== undefined) this.#codes.push(code);
    else {
      if (this.#many === undefined) this.#spread();
      this.#pushMany(text);
    }
  }

  at(row: number): string {
    if (this.#many === undefined) return this.#texts[this.#codes.at(row)];
    const { values, forms, heap } = this.#many;
    const [value, form] = [values.at(row), forms.at(row)];
    if (form === PLAIN) return String(value);
    if (form === CODE) return this.#texts[value];
    return form === BYTES ? heap.at(value) : value.toFixed(form - FIXED);
  }

  /** The code of a text; undefined where there is no room for another. */
  #codeOf(text: string): number | undefined {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    if (this.#texts.length >= this.#most) return undefined;
    // A cell may be a view of the whole text that it was cut from, which would stay in memory with it.
    const own = JSON.parse(JSON.stringify(text)) as string;
    this.#places.set(own, this.#texts.length);
    this.#texts.push(own);
    return this.#texts.length - 1;
  }

  /** Codes become numbers, where the texts are; the others have codes again, of a dictionary of theirs. */
  #spread(): void {
    const [texts, codes] = [this.#texts, this.#codes];
    [this.#texts, this.#places] = [[], new Map()];
    this.#many = { values: new Growing(Float64Array), forms: new Growing(Uint8Array), heap: new TextHeap() };
    for (let row = 0; row < codes.length; row++) this.#pushMany(texts[codes.at(row)]);
    codes.clear();
  }

  #pushMany(text: string): void {
    if (this.#many === undefined) return;
    const { values, forms, heap } = this.#many;
    const number = writtenOf(text);
    if (number !== undefined) {
      values.push(number.value);
      forms.push(number.form);
      return;
    }
    const code = this.#codeOf(text);
    values.push(code ?? heap.push(text));
    forms.push(code === undefined ? BYTES : CODE);
  }
}

/** The number that a text is and how it is written, where it comes back from both; undefined for other texts. */
function writtenOf(text: string): { readonly value: number; readonly form: number } | undefined {
  if (text.length > LONGEST || !NUMBER.test(text)) return undefined;
  const value = Number(text);
  const point = text.indexOf(".");
  const decimals = point < 0 ? 0 : text.length - point - 1;
  const fixed = decimals > 0 && decimals <= MOST_DECIMALS;
  if (fixed && text.length < LONG && value.toFixed(decimals) === text) return { value, form: FIXED + decimals };
  if (String(value) === text) return { value, form: PLAIN };
  return fixed && value.toFixed(decimals) === text ? { value, form: FIXED + decimals } : undefined;
}
