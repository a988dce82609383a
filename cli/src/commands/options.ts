// Options that several commands share, and how texts of the command line become values.

import { stat } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { checkDateFormat, type DateFormat, OptionError, type TableFormatOptions } from "laplace-ts";
import { UsageError } from "../errors.ts";
import type { ReadOptions } from "../table/csv.ts";

/** Threads by default at most: each takes memory of its own. */
export const MOST_CORES = 8;

/** Options of every command that reads a table. */
export interface TableOptions {
  readonly encoding?: string;
  readonly delimiter?: string;
  readonly skip?: number;
  readonly comment?: string;
  readonly header?: boolean;
  readonly decimal?: "." | ",";
  readonly thousands?: NonNullable<TableFormatOptions["thousands"]>;
  readonly dateFormat: readonly string[];
}

/** How a file is read that was said for the table of the training: the same is expected of others. */
export type Reading = Omit<ReadOptions, "onSkip">;

/** Adds the options of reading a table. */
export function withTableOptions(command: Command): Command {
  return command
    .option("--encoding <name>", "encoding of a CSV file (default: UTF-8, or UTF-16 by its byte-order mark)")
    .option("--delimiter <character>", "what stands between cells (default: found from the first lines)", delimiter)
    .option("--skip <n>", "lines above the header that are left out (default: 0)", integer(0))
    .option("--comment <text>", "lines that begin with it are left out, such as #", comment)
    .addOption(new Option("--header", "the first line names the columns (default)"))
    .option("--no-header", "there is no header: the columns are x1, x2, …")
    .addOption(
      new Option("--decimal <sign>", "what stands before decimals (default: as all rows have it)").choices([".", ","]),
    )
    .option("--thousands <sign>", "what stands between thousands, or none (default: as all rows have it)", thousands)
    .option(
      "--date-format <format>",
      'iso, dmy, mdy, ymd, names, time or a pattern such as "%d.%m.%y"; of one column by name=format, there also excel or unix; may be given again',
      listed,
      [],
    );
}

/** Adds --on-error. */
export function withOnError(command: Command): Command {
  return command.addOption(
    new Option("--on-error <rule>", "a row that cannot be read ends the work, or is left out")
      .choices(["stop", "skip"])
      .default("stop"),
  );
}

/** Adds --json. */
export function withJson(command: Command): Command {
  return command.addOption(new Option("--json", "print one JSON object on standard output, and nothing else there"));
}

/** How a table is read: by the options, then as the training's table was. */
export function readOptions(options: TableOptions, reading: Reading = {}): Reading {
  const { encoding, delimiter, skip, comment, header } = options;
  const said = Object.entries({ encoding, delimiter, skip, comment, header }).filter(
    ([, value]) => value !== undefined,
  );
  return { ...reading, ...Object.fromEntries(said) };
}

/**
 * How numbers and dates are written, where that is said.
 * @param names the table's columns, or those of the model
 * @throws UsageError for a format that is not one, or a column that is not there
 */
export function formatOptions(options: TableOptions, names: readonly string[]): TableFormatOptions {
  const { decimal, thousands, dateFormat } = options;
  const own: Record<string, DateFormat> = {};
  let all: DateFormat | undefined;
  for (const text of dateFormat) {
    const at = names
      .map((name) => (text.startsWith(`${name}=`) ? name.length : -1))
      .reduce((a, b) => Math.max(a, b), -1);
    const format = at < 0 ? text : text.slice(at + 1);
    try {
      checkDateFormat("--date-format", format);
    } catch (error) {
      if (!(error instanceof OptionError) || at >= 0 || !text.includes("=")) throw error;
      throw new UsageError(`--date-format ${text}: there is no such column. ${columnList(names)}`);
    }
    if (at >= 0) own[text.slice(0, at)] = format;
    else if (format === "excel" || format === "unix") {
      throw new UsageError(
        `--date-format ${format} is for numbers, so it needs a column: --date-format day=${format}.`,
      );
    } else all = format;
  }
  const columns = Object.keys(own).length > 0;
  if (columns && all !== undefined) {
    throw new UsageError("--date-format is given for all columns, and for some: name each of them.");
  }
  return { decimal, thousands, dateFormat: columns ? own : all };
}

function comment(text: string): string {
  if (text.trim() === "" || /["\n\r]/.test(text)) {
    throw new InvalidArgumentError("Expected the beginning of a comment line, such as #.");
  }
  return text;
}

function thousands(text: string): NonNullable<TableFormatOptions["thousands"]> {
  const words = { space: " ", apostrophe: "'", comma: ",", point: ".", none: "none" } as const;
  const found = Object.entries(words).find(([word, sign]) => text === word || text === sign)?.[1];
  if (found === undefined) throw new InvalidArgumentError('Expected one of , . \' "space" or "none".');
  return found;
}

function delimiter(text: string): string {
  const character = text === "\\t" || text === "tab" ? "\t" : text;
  if (character.length !== 1 || /["\n\r]/.test(character)) {
    throw new InvalidArgumentError('Expected one character, such as ";" or "tab".');
  }
  return character;
}

/** A reader of integers of at least `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < minimum) {
      throw new InvalidArgumentError(`Expected an integer of at least ${minimum}.`);
    }
    return value;
  };
}

/** A number between 0 and 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("Expected a number between 0 and 1, such as 0.2.");
  return value;
}

/** Levels of intervals, such as 0.5,0.9. */
export function levels(text: string): number[] {
  return text.split(",").map((part) => fraction(part.trim()));
}

/** Widths, such as 32,32. */
export function widths(text: string): number[] {
  const parts = text.split(",");
  if (parts.length > 8 || !parts.every((part) => /^[1-9]\d{0,4}$/.test(part.trim()))) {
    throw new InvalidArgumentError("Expected widths of hidden layers, such as 32,32.");
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
  if (!(value > 0)) throw new InvalidArgumentError("Expected bytes, such as 512MiB.");
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
