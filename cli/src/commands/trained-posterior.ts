// What `laplace posterior` keeps in its file beside the posterior, so that other rows are read as those that it was fitted to.

import {
  type Json,
  loadPosterior,
  type Network,
  type NumberFormat,
  numberReader,
  type Posterior,
  readSafetensors,
} from "laplace-ts";
import { UsageError } from "../errors.ts";
import type { Reading as TargetReading, TrainedTask } from "../fitting/trained.ts";
import type { Examples } from "../model/examples.ts";
import type { Reading } from "./options.ts";

/** A posterior around a network that was trained elsewhere, and how rows are read for it. */
export interface TrainedPosterior {
  readonly posterior: Posterior;
  readonly task: TrainedTask;
  /** In the network's order, of a label. */
  readonly classes: readonly string[];
  readonly target: string;
  /** Columns of the inputs in the network's order, or their array; none of either in files of other programs. */
  readonly inputs: readonly string[];
  readonly array: string | undefined;
  /** How numbers of some columns are written; those of others are found out. */
  readonly written: ReadonlyMap<string, NumberFormat>;
  readonly reading: Reading;
}

const KEY = "trained-model";

/** The texts of the file beside the posterior. */
export function metadataOf(
  { inputs, array, written = new Map(), target }: Examples,
  { task, classes }: TargetReading,
  reading: Reading,
): Record<string, string> {
  return {
    [KEY]: JSON.stringify({ task, classes, target, inputs, array, written: Object.fromEntries(written), reading }),
  };
}

/** What `laplace posterior` wrote; undefined for other files. @throws FileError for a posterior that is altered */
export function trainedPosterior(bytes: Uint8Array): TrainedPosterior | undefined {
  const text = readSafetensors(bytes).metadata[KEY];
  if (text === undefined) return undefined;
  const fields = fieldsOf(jsonOf(text));
  const task = (["regression", "classification", "binary"] as const).find((one) => one === fields.task);
  if (task === undefined) return undefined;
  const posterior = loadPosterior(bytes);
  const outputs = posterior.net.graph.output.size;
  const classes = textsOf(fields.classes);
  const count = task === "binary" ? 2 : outputs;
  return {
    posterior,
    task,
    classes: classes.length === count ? classes : Array.from({ length: count }, (_, i) => String(i)),
    target: typeof fields.target === "string" ? fields.target : "target",
    inputs: textsOf(fields.inputs),
    array: typeof fields.array === "string" ? fields.array : undefined,
    written: new Map(
      Object.entries(fieldsOf(fields.written)).flatMap(([name, format]) => (isFormat(format) ? [[name, format]] : [])),
    ),
    reading: readingOf(fieldsOf(fields.reading)) ?? {},
  };
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

const textsOf = (value: Json | undefined): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];

/** Whether a value says how numbers are written. */
export function isFormat(value: unknown): value is NumberFormat {
  try {
    numberReader(value as NumberFormat);
    return true;
  } catch {
    return false;
  }
}

/** @param advice what to do about it @throws UsageError for rows of another width than the network's */
export function checkWidth(
  { width, inputs, target, lines }: Examples,
  { graph, inputShape }: Network,
  advice: string,
): void {
  if (width === graph.input.size || lines.length === 0) return;
  const columns =
    inputs.length > 0 ? `, in the columns ${inputs.slice(0, 20).join(", ")}${inputs.length > 20 ? ", …" : ""}` : "";
  const besides = target === "" ? "" : ` besides "${target}"`;
  throw new UsageError(
    `the network takes [${inputShape.join(", ")}], ${graph.input.size} numbers; a row has ${width}${besides}${columns}. ${advice}`,
  );
}

/** An object's fields; none of anything else. */
export function fieldsOf(value: Json | undefined): Readonly<Record<string, Json | undefined>> {
  if (value === undefined || value === null || typeof value !== "object" || Array.isArray(value)) return {};
  return value as Readonly<Record<string, Json>>;
}

/** How a table was read. */
export function readingOf(fields: Readonly<Record<string, Json | undefined>>): Reading | undefined {
  const { encoding, delimiter, skip, comment, header } = fields;
  const texts = Object.entries({ encoding, delimiter, comment }).filter(
    ([name, value]) => typeof value === "string" && value !== "" && (name !== "delimiter" || value.length === 1),
  );
  const reading = {
    ...Object.fromEntries(texts),
    ...(typeof skip === "number" && Number.isSafeInteger(skip) && skip > 0 && { skip }),
    ...(typeof header === "boolean" && { header }),
  };
  return Object.keys(reading).length > 0 ? reading : undefined;
}
