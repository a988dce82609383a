// A table's encoding from a file: every field is checked, because the numbers steer where inputs are written.

import type { ColumnEncoding, DatePart } from "../data/columns.ts";
import { TableEncoding } from "../data/encoding.ts";
import { checkDateFormat } from "../data/formats.ts";
import type { NumberFormat } from "../data/numbers.ts";
import type { TargetEncoding } from "../data/target.ts";
import { FileError } from "../errors.ts";
import { Fields } from "./fields.ts";
import { parseJson } from "./json.ts";

/** Beyond real tables, and few enough to go through at once. */
const MOST_COLUMNS = 2 ** 16;
const MOST_CATEGORIES = 2 ** 12;

const shared = ["name", "kind", "fill", "missing"];
const numbers = [...shared, "mean", "sd", "low", "high", "lenient", "settled"];
const numberFormat = ["decimal", "thousands", "unit", "settled"];
const fieldsOf = {
  number: [...numbers, ...numberFormat],
  date: [...numbers, "format", "parts"],
  category: [...shared, "categories", "rest"],
  ignored: ["name", "kind", "reason"],
} as const;
const kinds = ["number", "category", "date", "ignored"] as const;
const dateParts: readonly DatePart[] = ["trend", "season", "weekday", "hour"];

/**
 * The encoding that `JSON.stringify(encoding)` made a text of. Of the text nothing is believed.
 * @throws FileError naming the field at fault
 */
export function readTableEncoding(json: string): TableEncoding {
  const where = "readTableEncoding";
  const value = parseJson(`${where}: the encoding`, json, { depth: 6, integers: false });
  return encodingOf(new Fields(`${where}: encoding`, value, encodingFields));
}

export const encodingFields: readonly string[] = ["columns", "target", "missing"];

/** The encoding in an object of a file. */
export function encodingOf(fields: Fields): TableEncoding {
  const list = fields.list("columns", MOST_COLUMNS);
  const columns = list.map((value, i): ColumnEncoding => {
    const where = `${fields.path("columns")}[${i}]`;
    const kind = new Fields(where, value, Object.values(fieldsOf).flat()).choice("kind", kinds);
    return columnOf(new Fields(where, value, fieldsOf[kind]), kind);
  });
  const target = targetOf(fields);
  const names = [...columns.map(({ name }) => name), target.name];
  if (new Set(names).size !== names.length) throw malformed(fields.path("columns"), "two columns have one name");
  const encoding = new TableEncoding({ columns, target, missing: fields.choice("missing", ["impute", "refuse"]) });
  if (encoding.inputs.length === 0) throw malformed(fields.path("columns"), "there are no inputs");
  return encoding;
}

const malformed = (where: string, what: string) => new FileError("malformed", `${where}: ${what}.`);

function columnOf(fields: Fields, kind: (typeof kinds)[number]): ColumnEncoding {
  const name = fields.text("name");
  if (kind === "ignored") return { name, kind, reason: fields.text("reason") };
  const missing = fields.boolean("missing");
  if (kind === "category") {
    const categories = fields.texts("categories", MOST_CATEGORIES);
    if (categories.length === 0 || new Set(categories).size !== categories.length) {
      throw malformed(fields.path("categories"), "different texts are due");
    }
    return { name, kind, categories, rest: fields.boolean("rest"), fill: fields.text("fill"), missing };
  }
  const [low, high, lenient] = [fields.finite("low"), fields.finite("high"), fields.boolean("lenient")];
  if (low > high) throw malformed(fields.where, "low is above high");
  if (lenient && !missing) throw malformed(fields.where, "lenient needs missing");
  const values = { mean: fields.finite("mean"), sd: positive(fields, "sd"), low, high, fill: fields.finite("fill") };
  if (kind === "number") return { name, kind, ...values, missing, lenient, ...numberFormatOf(fields) };
  const parts = fields.texts("parts", dateParts.length).map((part) => dateParts.find((known) => known === part));
  const known = parts.filter((part) => part !== undefined);
  // The first place is the trend's; no part comes twice.
  if (known.length !== parts.length || known[0] !== "trend" || new Set(known).size !== known.length) {
    throw malformed(fields.path("parts"), `"trend" first, and some of ${dateParts.slice(1).join(", ")} are due`);
  }
  return {
    name,
    kind,
    format: dateFormatOf(fields),
    settled: fields.choice("settled", ["cells", "sequence", "table", "option", "default"]),
    parts: known,
    ...values,
    missing,
    lenient,
  };
}

function numberFormatOf(fields: Fields): NumberFormat {
  const decimal = fields.choice("decimal", [".", ","]);
  const thousands = fields.choice("thousands", ["", ",", ".", " ", "'"]);
  if (thousands === decimal) throw malformed(fields.path("thousands"), "another sign than of decimals is due");
  const settled = fields.choice("settled", ["plain", "cells", "table", "delimiter", "option"]);
  return { decimal, thousands, unit: fields.text("unit"), settled };
}

function dateFormatOf(fields: Fields) {
  const format = fields.text("format");
  try {
    checkDateFormat(fields.where, format);
  } catch (cause) {
    throw malformed(fields.path("format"), cause instanceof Error ? cause.message.replace(/\.$/, "") : String(cause));
  }
  return format;
}

function positive(fields: Fields, name: string): number {
  const value = fields.finite(name);
  if (!(value > 0)) throw malformed(fields.path(name), "a positive number is due");
  return value;
}

function targetOf(fields: Fields): TargetEncoding {
  const numbers = ["name", "kind", "mean", "sd", ...numberFormat];
  const any = fields.object("target", [...numbers, "classes"]);
  const kind = any.choice("kind", ["number", "classes"]);
  const target = fields.object("target", kind === "number" ? numbers : ["name", "kind", "classes"]);
  const name = target.text("name");
  if (kind === "number") {
    return { name, kind, mean: target.finite("mean"), sd: positive(target, "sd"), ...numberFormatOf(target) };
  }
  const classes = target.texts("classes", MOST_CATEGORIES);
  if (classes.length < 2 || new Set(classes).size !== classes.length) {
    throw malformed(target.path("classes"), "at least two different texts are due");
  }
  return { name, kind, classes };
}
