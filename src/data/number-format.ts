// Numbers as tables write them: decimal commas, groups of digits, signs of currencies, percent, parentheses. How a column
// writes its numbers is settled by all of its cells; a cell is then read by what was settled.

import { plainNumber } from "./plain-number.ts";
import { checkText, checkTexts, checkWritten } from "./texts.ts";

/** How a column writes its numbers. */
export interface NumberFormat {
  /** What stands before the decimals. */
  readonly decimal: "." | ",";
  /** What stands between groups of digits: a space is any kind of space, an apostrophe either kind; "" for no groups. */
  readonly thousands: "" | "," | "." | " " | "'";
  /** The sign of the currency, or "%", that cells carry; "" for none. The number is the one written: 5 % is 5. */
  readonly unit: string;
  /** What settled it. */
  readonly settled: NumbersSettled;
}

/**
 * What settled how numbers are read: nothing had to be (plain), cells that can be read in one way only, the table's other
 * columns, the delimiter of the file, or an option.
 */
export type NumbersSettled = "plain" | "cells" | "table" | "delimiter" | "option";

/** What is known of a column's numbers before its cells are looked at. */
export interface NumberHints {
  readonly decimal?: NumberFormat["decimal"] | undefined;
  /** "" for none. */
  readonly thousands?: NumberFormat["thousands"] | undefined;
  /** The decimal sign of the table's other columns, where it is known. */
  readonly table?: NumberFormat["decimal"] | undefined;
  /** What stands between the cells of the file. */
  readonly delimiter?: string | undefined;
}

export const PLAIN: NumberFormat = { decimal: ".", thousands: "", unit: "", settled: "plain" };

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Numbers with a point that cannot stand between groups. */
const DIGITS_AND_POINT = /^-?(\d+\.(\d{1,2}|\d{4,40})|0\.\d+)$/;
/** Longer texts are neither numbers nor dates; this bounds the work of the patterns. */
export const LONGEST = 64;
const SPACES = /[\u00a0\u2000-\u200a\u202f\u205f\u3000]/g;
/** Signs, and the letters in which currencies are abbreviated. */
const CURRENCY = String.raw`(?:[A-Z]{0,3}\p{Sc}|USD|EUR|GBP|JPY|CHF|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|TRY|RUB|Fr\.|kr\.?|zł|Kč|Ft|Rs\.?)`;
/** The parts of a number with its signs: (1,234), $-5, -$5, 5 €, 12 %, 5-. */
const DRESSED = new RegExp(
  String.raw`^(?<open>\()?\s?(?<sign>[+\-−–])?\s?(?<before>${CURRENCY})?\s{0,3}(?<inner>[+\-−–(])?\s?(?<body>[\d.,' ]*\d[\d.,' ]*(?:[eE][+-]?\d+)?)(?<behind>-)?\s?(?<after>${CURRENCY}|%|‰)?\s?(?<close>\))?$`,
  "u",
);

/** A cell that is a number with its signs taken off; undefined if it is not one. */
interface Bare {
  readonly negative: boolean;
  readonly unit: string;
  /** Digits, separators, and perhaps an exponent. */
  readonly body: string;
}

/** The number a cell says, in decimal digits with a point; undefined if it says none. */
export function numberOf(cell: string): number | undefined {
  checkText("numberOf", cell);
  const plain = plainNumber(cell);
  if (!Number.isNaN(plain)) return plain;
  if (cell.length > LONGEST) return undefined;
  const text = cell.trim();
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

function bareOf(cell: string): Bare | undefined {
  checkText("numberReader", cell);
  if (cell.length > LONGEST) return undefined;
  const text = cell.replace(SPACES, " ").replaceAll("’", "'").trim();
  const found = DRESSED.exec(text)?.groups;
  if (found === undefined) return undefined;
  const { open, sign, before, inner, behind, after, close } = found;
  const body = found.body.trim();
  // 5,- is a price without cents.
  const signs = [open, sign, inner, /[.,]$/.test(body) ? undefined : behind].filter((one) => one !== undefined);
  if (signs.includes("(") !== (close !== undefined) || signs.length > 1) return undefined;
  if (before !== undefined && after !== undefined) return undefined;
  return { negative: signs.length > 0 && signs[0] !== "+", unit: before ?? after ?? "", body };
}

/** What one body's separators say: its only reading, or the separator that may be either. */
type Evidence =
  | { readonly decimal?: NumberFormat["decimal"]; readonly thousands?: NumberFormat["thousands"] }
  | { readonly either: "," | "." }
  | undefined;

/** Groups of three digits, or as in India two and at last three. */
const GROUPED = /^\d{1,3}(?:([,.' ])\d{3})(?:\1\d{3})*$|^\d{1,2}(?:,\d{2})+,\d{3}$/;

function evidenceOf(body: string): Evidence {
  const mantissa = body.replace(/[eE].*$/, "");
  const separators = mantissa.replace(/\d/g, "");
  if (separators === "") return {};
  const last = separators[separators.length - 1];
  const others = separators.slice(0, -1);
  const digitsBefore = mantissa.indexOf(last);
  if (others === "") {
    if (last !== "," && last !== ".") {
      return GROUPED.test(mantissa) ? { thousands: last as NumberFormat["thousands"] } : undefined;
    }
    // 0,123 and 1234,567 are not groups.
    const groups = GROUPED.test(mantissa) && mantissa[0] !== "0" && digitsBefore <= 3 && body === mantissa;
    return groups ? { either: last } : { decimal: last };
  }
  const first = others[0] as NumberFormat["thousands"];
  if (![...others].every((one) => one === first)) return undefined;
  const whole = last === first ? mantissa : mantissa.slice(0, mantissa.lastIndexOf(last));
  if (!GROUPED.test(whole)) return undefined;
  if (last === first) return { thousands: first };
  return last === "," || last === "." ? { decimal: last, thousands: first } : undefined;
}

/**
 * How a column writes its numbers, by all of its cells: cells that can be read in one way only decide (1,5 or 1,234,567 or
 * 1.234,5), most of them where they disagree. Where a comma or a point may be either in every cell, whole numbers below 1000
 * beside it, a currency, the table's other columns or the delimiter do; a point is then a decimal point.
 */
export function numberFormat(texts: readonly string[], hints: NumberHints = {}): NumberFormat {
  checkTexts("numberFormat", "texts", texts);
  checkWritten("numberFormat", hints, []);
  return formatByEvidence(numberEvidence(texts), hints);
}

/** What cells say of how their numbers are written: how often each sign was seen, and each unit, in the order in which they came. */
export interface NumberEvidence {
  readonly counts: ReadonlyMap<string, number>;
  readonly units: ReadonlyMap<string, number>;
}

/** What cells and others behind them say together. */
export function addNumberEvidence(left: NumberEvidence, right: NumberEvidence): NumberEvidence {
  const both = (name: keyof NumberEvidence) => {
    const sums = new Map(left[name]);
    for (const [what, count] of right[name]) sums.set(what, (sums.get(what) ?? 0) + count);
    return sums;
  };
  return { counts: both("counts"), units: both("units") };
}

/** What cells say of how their numbers are written. Of parts of them it adds up, in order, to that of all. */
export function numberEvidence(texts: readonly string[]): NumberEvidence {
  const counts = new Map<string, number>();
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  const units = new Map<string, number>();
  for (const text of texts) {
    // Nearly all cells of nearly all tables.
    if (DIGITS_AND_POINT.test(text)) {
      count("decimal .");
      continue;
    }
    const bare = bareOf(text);
    if (bare === undefined) continue;
    if (bare.unit !== "") units.set(bare.unit, (units.get(bare.unit) ?? 0) + 1);
    const evidence = evidenceOf(bare.body);
    if (evidence === undefined) continue;
    if ("either" in evidence) count(`either ${evidence.either}`);
    else if (evidence.decimal === undefined && evidence.thousands === undefined) {
      if (Number(bare.body) !== 0) count(bare.body.length <= 3 ? "small" : "large");
    } else {
      if (evidence.decimal !== undefined) count(`decimal ${evidence.decimal}`);
      if (evidence.thousands !== undefined) count(`thousands ${evidence.thousands}`);
    }
  }
  return { counts, units };
}

/** `numberFormat` of the cells that said so. */
export function formatByEvidence({ counts, units }: NumberEvidence, hints: NumberHints = {}): NumberFormat {
  const of = (what: string) => counts.get(what) ?? 0;
  const unit = [...units].sort(([, a], [, b]) => b - a)[0]?.[0] ?? "";
  if (hints.decimal !== undefined || hints.thousands !== undefined) {
    const decimal = hints.decimal ?? (hints.thousands === "." ? "," : ".");
    const other = decimal === "," ? "." : ",";
    return { decimal, thousands: hints.thousands ?? bestGroup(of, other) ?? other, unit, settled: "option" };
  }
  // Thousands of one kind are decimals of the other.
  const comma = of("decimal ,") + of("thousands .");
  const point = of("decimal .") + of("thousands ,");
  const separated = [...counts.keys()].some((what) => what !== "small" && what !== "large");
  if (!separated) return { ...PLAIN, unit };
  const group = (decimal: "." | ",") => {
    const other = decimal === "," ? "." : ",";
    return bestGroup(of, other) ?? (of(`either ${other}`) > 0 ? other : "");
  };
  const settled = (decimal: "." | ",", by: NumbersSettled): NumberFormat => {
    const thousands = group(decimal);
    const plain = decimal === "." && thousands === "";
    return { decimal, thousands, unit, settled: plain && (by === "cells" || of("either .") === 0) ? "plain" : by };
  };
  if (comma !== point) return settled(comma > point ? "," : ".", "cells");
  if (comma > 0) return settled(hints.table ?? (hints.delimiter === ";" ? "," : "."), "cells");
  if (of("either ,") > 0) {
    // Points that may be either beside commas that may be either: no cell has both, or it would say.
    if (unit !== "" && unit !== "%") return settled(".", "cells");
    // Decimals with three digits each are not written beside whole numbers; their zeros would be written too.
    if (of("small") > 0 && of("large") === 0) return settled(".", "cells");
    if (hints.table !== undefined) return settled(hints.table, "table");
    return settled(hints.delimiter === ";" ? "," : ".", "delimiter");
  }
  if (of("either .") > 0) {
    // Prices do not have three decimals: 1.500 € is 1500 €.
    if (unit !== "" && unit !== "%" && unit !== "‰") return settled(",", "cells");
    if (hints.table !== undefined) return settled(hints.table, "table");
    return { ...PLAIN, unit, settled: hints.delimiter === ";" && of("small") === 0 ? "delimiter" : "plain" };
  }
  // Spaces or apostrophes between whole numbers.
  return settled(hints.table ?? ".", "cells");
}

/** The thousands that occur most, of those that can stand beside a decimal sign. */
function bestGroup(of: (what: string) => number, other: "." | ","): NumberFormat["thousands"] | undefined {
  const possible = [other, " ", "'"] as const;
  const best = possible.reduce((most, next) => (of(`thousands ${next}`) > of(`thousands ${most}`) ? next : most));
  return of(`thousands ${best}`) > 0 ? best : undefined;
}

/** Reads the cells of a column: the number that one says, or undefined if it says none in this format. */
export function numberReader(format: NumberFormat): (cell: string) => number | undefined {
  checkWritten("numberReader", format, ["decimal", "thousands", "unit"]);
  const { decimal, thousands, unit } = format;
  const plain = readsPlain(format);
  const whole = thousands === "" ? undefined : new RegExp(`^${groupPattern(thousands)}$`);
  return (cell) => {
    if (plain) {
      const value = numberOf(cell);
      if (value !== undefined) return value;
    }
    const bare = bareOf(cell);
    if (bare === undefined || !sameUnit(bare, unit)) return undefined;
    const [mantissa, exponent = ""] = split(bare.body, /[eE]/);
    const at = mantissa.indexOf(decimal);
    const before = at < 0 ? mantissa : mantissa.slice(0, at);
    const after = at < 0 ? "" : mantissa.slice(at + 1);
    const digits = /^\d*$/.test(before) ? before : whole?.test(before) ? before.replace(/\D/g, "") : undefined;
    if (digits === undefined || !/^\d*$/.test(after) || digits + after === "") return undefined;
    const value = Number(`${digits || "0"}.${after || "0"}${exponent === "" ? "" : `e${exponent}`}`);
    if (!Number.isFinite(value)) return undefined;
    return bare.negative ? -value : value;
  };
}

/** Whether a number that is written plainly is read as it stands. */
export function readsPlain({ decimal, thousands, unit }: NumberFormat): boolean {
  return decimal === "." && thousands !== "." && unit !== "%" && unit !== "‰";
}

function groupPattern(thousands: string): string {
  const sign = thousands === "." ? "\\." : thousands;
  const three = String.raw`\d{1,3}(?:${sign}\d{3})+`;
  return thousands === "," ? String.raw`(?:${three}|\d{1,2}(?:,\d{2})+,\d{3})` : three;
}

/** Without a sign, a number may be an amount of the column's currency, but not a percentage: 5 % beside 0.05 is a question. */
function sameUnit(bare: Bare, unit: string): boolean {
  if (bare.unit === unit) return true;
  const share = (one: string) => one === "%" || one === "‰";
  if (bare.unit === "") return !share(unit) || /^[0.,]*$/.test(bare.body);
  return unit === "" && !share(bare.unit);
}

function split(text: string, by: RegExp): readonly string[] {
  const at = text.search(by);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Whether a text is a number in some format: plain, grouped, with a sign or without. */
export function isNumberLike(text: string): boolean {
  const bare = bareOf(text);
  return bare !== undefined && evidenceOf(bare.body) !== undefined;
}

/** The unit behind a number where that is neither a currency nor percent, such as kg: such texts are not read as numbers. */
export function foreignUnit(text: string): string | undefined {
  if (text.length > LONGEST) return undefined;
  return /^\s*[+-]?\d[\d.,]*\s?(?<unit>[\p{L}°µ²³/]{1,12})\s*$/u.exec(text)?.groups?.unit;
}

/** How numbers are written, by an example: 1234.5, 1.234,5, $ 1,234.5. */
export function numbersInWords({ decimal, thousands, unit }: NumberFormat): string {
  const number = `1${thousands}234${decimal}5`;
  return `such as ${unit === "%" || unit === "‰" ? `${number} ${unit}` : unit === "" ? number : `${unit} ${number}`}`;
}
