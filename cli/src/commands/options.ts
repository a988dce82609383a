// Options that several commands share, and how texts of the command line become values.

import { stat } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../errors.ts";
import type { ReadOptions } from "../table/csv.ts";

/** Options of every command that reads a table. */
export interface TableOptions {
  readonly encoding?: string;
  readonly delimiter?: string;
}

/** Adds the options of reading a table. */
export function withTableOptions(command: Command): Command {
  return command
    .option("--encoding <name>", "encoding of a CSV file (default: UTF-8, or UTF-16 by its byte-order mark)")
    .option("--delimiter <character>", "what stands between cells (default: found from the first line)", delimiter);
}

/** Adds --json. */
export function withJson(command: Command): Command {
  return command.addOption(new Option("--json", "print one JSON object on standard output, and nothing else there"));
}

/** How a table is read. */
export function readOptions({ encoding, delimiter }: TableOptions): ReadOptions {
  return { encoding, delimiter };
}

function delimiter(text: string): string {
  const character = text === "\\t" || text === "tab" ? "\t" : text;
  if (character.length !== 1 || /["\n\r]/.test(character)) {
    throw new InvalidArgumentError('One character is due, such as ";" or "tab".');
  }
  return character;
}

/** A reader of integers of at least `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < minimum) {
      throw new InvalidArgumentError(`An integer of at least ${minimum} is due.`);
    }
    return value;
  };
}

/** A number between 0 and 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("A number between 0 and 1 is due, such as 0.2.");
  return value;
}

/** Widths, such as 32,32. */
export function widths(text: string): number[] {
  const parts = text.split(",");
  if (parts.length > 8 || !parts.every((part) => /^[1-9]\d{0,4}$/.test(part.trim()))) {
    throw new InvalidArgumentError("Widths of hidden layers are due, such as 32,32.");
  }
  return parts.map(Number);
}

/** An option that may be given again: its arguments, in order. */
export function listed(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

/**
 * The columns that an option's arguments name: an argument is a column's whole name, or several names between commas, those
 * with a comma of their own in double quotes. @throws UsageError for a name that no column has
 */
export function columnsIn(option: string, given: readonly string[], names: readonly string[]): string[] {
  // Accents are one character or two, as the shell and the file have it.
  const named = (name: string) => names.find((one) => one.normalize("NFC") === name.normalize("NFC"));
  return given.flatMap((text) => {
    const whole = named(text) ?? named(text.trim());
    if (whole !== undefined) return [whole];
    const parts = Array.from(text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g), ([, quoted, bare]) =>
      quoted === undefined ? bare.trim() : quoted.replaceAll('""', '"'),
    ).filter((name) => name !== "");
    return parts.map((name) => {
      const own = named(name);
      if (own === undefined) throw new UsageError(`${option}: there is no column "${name}". ${columnList(names)}`);
      return own;
    });
  });
}

/** A sentence that lists columns, the first of many. */
export function columnList(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => name.slice(0, 60));
  const more = names.length > shown.length ? `, … (${names.length} in all)` : "";
  return `The columns are ${shown.join(", ")}${more}.`;
}

/** Bytes, with a unit if any: 512MiB, 1GB, 1000000. */
export function bytes(text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*(|[kmg]i?b?|b)$/i.exec(text.trim()) ?? [];
  const letter = unit[0]?.toLowerCase() ?? "b";
  const base = unit[1]?.toLowerCase() === "i" ? 1024 : 1000;
  const value = Number(digits) * base ** "bkmg".indexOf(letter);
  if (!(value > 0)) throw new InvalidArgumentError("Bytes are due, such as 512MiB.");
  return value;
}

/** The size of a file, for progress; undefined for pipes and standard input. */
export async function sizeOf(path: string): Promise<number | undefined> {
  if (path === "-") return undefined;
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/** Texts between commas, added to those before; an empty one is a text. */
export function texts(text: string, before: readonly string[]): string[] {
  return [...before, ...text.split(",").map((one) => one.trim())];
}
