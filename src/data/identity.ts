// What a text means, for comparing: 1 and 1.0 are one value, so are Yes and yes, and é as one character or as two.

import { checkText, checkTexts } from "./texts.ts";

/** Numbers without leading zeros, which make codes; with an exponent only where that cannot be a code such as 1E3. */
const NUMBER =
  /^[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+|(?:(?:0|[1-9]\d*)\.\d*|\.\d+)[eE][+-]?\d+|[1-9]\d*[eE][+-]\d+)$/;
const WHOLE = /^\+?(-?\d+)(?:\.0*)?$/;
/** Words of truth: case says nothing in them. */
const BOOLEAN = /^(?:true|false|yes|no|on|off)$/i;
/** Spaces that no one sees: two for one, and those that do not break. */
const SPACES = /[^\S ]| {2}/;
/** Digits that a float64 keeps. */
const DIGITS = 15;

/**
 * A text that is equal for texts of one meaning: without spaces around it, of those within one of each, Unicode composed
 * (NFC), numbers as JavaScript writes them, true, false, yes, no, on and off in lower case. Other words that differ in case
 * are different: they may be names. Numbers of more than 15 digits, which a float64 would make one of several, and codes
 * with leading zeros, stay as they are.
 */
export function identityOf(cell: string): string {
  checkText("identityOf", cell);
  const text = cell.trim();
  const first = text.charCodeAt(0);
  // + - . and digits
  if (first >= 43 && first <= 57 && NUMBER.test(text)) {
    const digits = text
      .replace(/[eE].*/, "")
      .replace(/\D/g, "")
      .replace(/^0+/, "");
    if (digits.length <= DIGITS) {
      const value = Number(text);
      if (Number.isFinite(value)) return String(value === 0 ? 0 : value);
    }
    return WHOLE.exec(text)?.[1] ?? text;
  }
  if (BOOLEAN.test(text)) return text.toLowerCase();
  const composed = text.normalize("NFC");
  return SPACES.test(composed) ? composed.replace(/\s+/g, " ") : composed;
}

/** A value that occurs: how it is shown, and how often it is there. */
export interface Occurrence {
  readonly text: string;
  readonly count: number;
}

/**
 * The values among cells and how often each occurs, the most frequent first, ties in the order of the alphabet. Shown is the
 * form that is written most, of numbers the shortest.
 */
export function occurrences(cells: readonly string[]): Occurrence[] {
  checkTexts("occurrences", "cells", cells);
  const forms = new Map<string, Map<string, number>>();
  for (const cell of cells) {
    const identity = identityOf(cell);
    const own = forms.get(identity) ?? new Map<string, number>();
    if (own.size === 0) forms.set(identity, own);
    const text = cell.trim().normalize("NFC");
    own.set(text, (own.get(text) ?? 0) + 1);
  }
  const found = [...forms].map(([identity, own]): Occurrence => {
    const sorted = [...own].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    const count = sorted.reduce((sum, [, n]) => sum + n, 0);
    // A value that is written in one way alone is shown as it is written.
    const number = sorted.length > 1 && !BOOLEAN.test(identity);
    return { text: number ? identity : sorted[0][0], count };
  });
  return found.sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
}

/** A value that is written in several ways, each with how often it is there, the most frequent first. */
export function spellings(cells: readonly string[]): Occurrence[][] {
  const forms = new Map<string, number>();
  for (const cell of cells) forms.set(cell, (forms.get(cell) ?? 0) + 1);
  const values = new Map<string, Occurrence[]>();
  for (const [text, count] of forms) {
    const identity = identityOf(text);
    values.set(identity, [...(values.get(identity) ?? []), { text, count }]);
  }
  const several = [...values.values()].filter((own) => own.length > 1);
  return several.map((own) => own.sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1)));
}

/** Places of texts by what they mean; texts that are written alike come first. */
export function placesOf(texts: readonly string[]): (cell: string) => number | undefined {
  checkTexts("placesOf", "texts", texts);
  const written = new Map(texts.map((text, i) => [text, i]));
  const meant = new Map(texts.map((text, i) => [identityOf(text), i] as const).reverse());
  return (cell) => written.get(cell.trim()) ?? meant.get(identityOf(cell));
}
