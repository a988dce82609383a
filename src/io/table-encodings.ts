// A table's encoding from a file: every field is checked, because the numbers steer where inputs are written.

import type { ColumnEncoding, DatePart } from "../data/column-encoding.ts";
import { TableEncoding } from "../data/encoding.ts";
import { ENCODING_VERSION } from "../data/encoding-versions.ts";
import { checkDateFormat } from "../data/formats.ts";
import { checkEffects, type LevelEffects, mostLevels } from "../data/level-effects.ts";
import { MARGIN } from "../data/margins.ts";
import type { MissingRule } from "../data/missing.ts";
import { type NumberFormat, PLAIN } from "../data/number-format.ts";
import type { TargetEncoding } from "../data/target.ts";
import type { TargetScale } from "../data/target-scales.ts";
import { FileError, ValueError } from "../errors.ts";
import { Fields } from "./fields.ts";
import { malformed, parseJson } from "./json.ts";

/** Beyond real tables, and few enough to go through at once. */
const MOST_COLUMNS = 2 ** 16;
const MOST_CATEGORIES = 2 ** 12;
const [MOST_LEVELS, MOST_EFFECTS] = [mostLevels(1, 1), 2 ** 18];

const MOST_DRAWS = 64;

const numberFormat = ["decimal", "thousands", "unit", "settled"];

/** The fields of columns, by version: before the second, no draws and no formats of numbers were kept. */
const fieldsOf = (version: number) => {
  const shared = ["name", "kind", "fill", "missing", ...(version > 1 ? ["draws", "spread"] : [])];
  const numbers = [...shared, "mean", "sd", "low", "high", version > 1 ? "texts" : "lenient"];
  return {
    number: [...numbers, ...(version > 1 ? numberFormat : [])],
    date: [...numbers, "format", "parts", ...(version > 1 ? ["settled"] : [])],
    category: [...shared, "categories", "rest", ...(version > 4 ? ["effects"] : [])],
    ignored: ["name", "kind", "reason"],
  } as const;
};
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

export const encodingFields: readonly string[] = ["version", "columns", "target", "missing", "rule", "margin"];

/** The encoding in an object of a file. */
export function encodingOf(fields: Fields): TableEncoding {
  const version = fields.has("version") ? fields.integer("version", 2) : 1;
  if (version > ENCODING_VERSION) {
    throw new FileError(
      "newer",
      `${fields.where}: it has the version ${version}; this library reads versions up to ${ENCODING_VERSION}. Update it.`,
    );
  }
  if (version === 1 && (fields.has("rule") || fields.has("margin")))
    throw malformed(fields.path("version"), "expected 2");
  const known = fieldsOf(version);
  const list = fields.list("columns", MOST_COLUMNS);
  const columns = list.map((value, i): ColumnEncoding => {
    const where = `${fields.path("columns")}[${i}]`;
    const kind = new Fields(where, value, Object.values(known).flat()).choice("kind", kinds);
    return columnOf(new Fields(where, value, known[kind]), kind, version);
  });
  const target = targetOf(fields, version);
  const names = [...columns.map(({ name }) => name), target.name];
  if (new Set(names).size !== names.length) throw malformed(fields.path("columns"), "two columns have one name");
  const missing = fields.choice("missing", ["impute", "refuse"]);
  const rest = version === 1 ? { rule: { texts: [], marks: "classic" } as const, margin: MARGIN } : ruleOf(fields);
  const encoding = new TableEncoding({ columns, target, missing, ...rest });
  if (encoding.inputs.length === 0) throw malformed(fields.path("columns"), "there are no inputs");
  return encoding;
}

function ruleOf(fields: Fields): { rule: MissingRule; margin: number } {
  const rule = fields.object("rule", ["texts", "marks"]);
  const marks = rule.choice("marks", ["usual", "none", "classic"]);
  return { rule: { texts: rule.texts("texts", MOST_CATEGORIES), marks }, margin: positive(fields, "margin") };
}

function columnOf(fields: Fields, kind: (typeof kinds)[number], version: number): ColumnEncoding {
  const name = fields.text("name");
  if (kind === "ignored") return { name, kind, reason: fields.text("reason") };
  const missing = fields.boolean("missing");
  if (kind === "category") {
    const many = fields.has("effects");
    const categories = fields.texts("categories", many ? MOST_LEVELS : MOST_CATEGORIES);
    if (categories.length === 0 || new Set(categories).size !== categories.length) {
      throw malformed(fields.path("categories"), "expected different texts");
    }
    const draws = version > 1 ? fields.texts("draws", MOST_DRAWS) : [];
    const [rest, fill] = [fields.boolean("rest"), fields.text("fill")];
    const listed = new Set(categories);
    if (many && !(listed.has(fill) && draws.length > 0 && draws.every((one) => listed.has(one)))) {
      throw malformed(fields.where, "expected fill and draws to be among the categories, which have effects");
    }
    return {
      name,
      kind,
      categories,
      rest,
      fill,
      missing,
      draws,
      spread: spreadOf(fields, version),
      ...(many && {
        effects: effectsOf(fields.object("effects", ["values", "open", "deviations"]), categories.length),
      }),
    };
  }
  const [low, high] = [fields.finite("low"), fields.finite("high")];
  if (low > high) throw malformed(fields.where, "low is above high");
  if (version === 1 && fields.boolean("lenient") && !missing) throw malformed(fields.where, "lenient needs missing");
  const texts = version > 1 ? fields.texts("texts", MOST_CATEGORIES) : [];
  const draws = version > 1 ? fields.finites("draws", MOST_DRAWS) : [];
  if (texts.length > 0 && !missing) throw malformed(fields.path("texts"), "they need missing");
  const moments = { mean: fields.finite("mean"), sd: positive(fields, "sd"), low, high, fill: fields.finite("fill") };
  const values = { ...moments, missing, texts, draws, spread: spreadOf(fields, version) };
  if (kind === "number") return { name, kind, ...values, ...numberFormatOf(fields, version) };
  const parts = fields.texts("parts", dateParts.length).map((part) => dateParts.find((known) => known === part));
  const known = parts.filter((part) => part !== undefined);
  // The first place is the trend's; no part comes twice.
  if (known.length !== parts.length || known[0] !== "trend" || new Set(known).size !== known.length) {
    throw malformed(fields.path("parts"), `expected "trend" first, then some of ${dateParts.slice(1).join(", ")}`);
  }
  return {
    name,
    kind,
    format: version > 1 ? dateFormatOf(fields) : fields.choice("format", ["iso", "dmy", "mdy"]),
    settled: version > 1 ? fields.choice("settled", ["cells", "sequence", "table", "option", "default"]) : "cells",
    parts: known,
    ...values,
  };
}

function effectsOf(fields: Fields, categories: number): LevelEffects {
  const [values, open] = [fields.finites("values", MOST_EFFECTS), fields.finites("open", MOST_LEVELS)];
  const deviations = fields.finites("deviations", MOST_LEVELS);
  try {
    return checkEffects(fields.where, { values, open, deviations }, categories);
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new FileError("malformed", cause.message, { cause });
  }
}

function spreadOf(fields: Fields, version: number): number {
  if (version === 1) return 1;
  const value = fields.finite("spread");
  if (!(value >= 0)) throw malformed(fields.path("spread"), "expected a number of at least 0");
  return value;
}

function numberFormatOf(fields: Fields, version: number): NumberFormat {
  if (version === 1) return PLAIN;
  const decimal = fields.choice("decimal", [".", ","]);
  const thousands = fields.choice("thousands", ["", ",", ".", " ", "'"]);
  if (thousands === decimal) throw malformed(fields.path("thousands"), "expected another sign than that of decimals");
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
  if (!(value > 0)) throw malformed(fields.path(name), "expected a positive number");
  return value;
}

function targetOf(fields: Fields, version: number): TargetEncoding {
  const numbers = [
    "name",
    "kind",
    "mean",
    "sd",
    ...(version > 1 ? numberFormat : []),
    ...(version > 2 ? ["scale"] : []),
    ...(version > 3 ? ["counts"] : []),
    ...(version > 5 ? ["low", "high"] : []),
  ];
  const any = fields.object("target", [...numbers, "classes"]);
  const kind = any.choice("kind", ["number", "classes"]);
  const target = fields.object("target", kind === "number" ? numbers : ["name", "kind", "classes"]);
  const name = target.text("name");
  if (kind === "number") {
    const scale = target.has("scale") && { scale: scaleOf(target) };
    const moments = { mean: target.finite("mean"), sd: positive(target, "sd") };
    const counts = target.has("counts") && target.boolean("counts");
    if (counts && (scale || moments.mean !== 0 || moments.sd !== 1)) {
      throw malformed(target.path("counts"), "counts have the mean 0, the sd 1 and no scale");
    }
    const ends = (target.has("low") || target.has("high")) && {
      low: target.finite("low"),
      high: target.finite("high"),
    };
    if (ends && !(ends.low < ends.high && (counts || scale))) {
      throw malformed(target.path("low"), "expected less than high, of counts or of a target on a scale");
    }
    const more = { ...scale, ...(counts && { counts }), ...ends };
    return { name, kind, ...moments, ...numberFormatOf(target, version), ...more };
  }
  const classes = target.texts("classes", MOST_CATEGORIES);
  if (classes.length < 2 || new Set(classes).size !== classes.length) {
    throw malformed(target.path("classes"), "expected at least two different texts");
  }
  return { name, kind, classes };
}

function scaleOf(target: Fields): TargetScale {
  const kind = target.object("scale", ["kind", "lambda", "center", "unit"]).choice("kind", ["log", "yeoJohnson"]);
  const scale = target.object("scale", kind === "log" ? ["kind"] : ["kind", "lambda", "center", "unit"]);
  if (kind === "log") return { kind };
  const lambda = scale.finite("lambda");
  if (!(lambda >= 0 && lambda <= 2)) throw malformed(scale.path("lambda"), "expected a number from 0 to 2");
  return { kind, lambda, center: scale.finite("center"), unit: positive(scale, "unit") };
}
