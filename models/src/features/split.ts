// An ONNX file as two files, before and behind a value. What is not of the graph, such as operators' versions, is copied as it
// is; field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { unsupported } from "../errors.ts";
import type { OnnxGraph, StoredTensor } from "../onnx/file.ts";
import type { ExternalData } from "../onnx/numbers.ts";
import { integer, nest, text, writeValue } from "../onnx/wire.ts";
import type { Parts } from "./cuts.ts";

const GRAPH = 7;
const NODE = 1;
const GRAPH_NAME = 2;
const INITIALIZER = 5;
const INPUT = 11;
const OUTPUT = 12;
const RAW_DATA = 9;
const EXTERNAL = [13, 14];
/** The element type int64. */
const INT64 = 7;

interface Field {
  readonly number: number;
  /** The field with its tag. */
  readonly whole: Uint8Array;
  /** What a field with a length holds. */
  readonly body: Uint8Array;
}

/** The fields of a message, of bytes that were read before. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wire] = reader.tag();
    let body = new Uint8Array(0);
    if (wire === WireType.LengthDelimited) body = reader.bytes() as typeof body;
    else reader.skip(wire, number);
    fields.push({ number, whole: bytes.subarray(start, reader.pos), body });
  }
  return fields;
}

function written(write: (writer: BinaryWriter) => void): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish() as Uint8Array<ArrayBuffer>;
}

/** A tensor of another file with its numbers in it. @throws Unsupported */
function inlined(stored: StoredTensor, whole: Uint8Array, external: ExternalData): (writer: BinaryWriter) => void {
  const location = stored.external.get("location") ?? "";
  const all = external(location);
  if (!(all instanceof Uint8Array)) unsupported(`externalData gave no Uint8Array for "${location}".`);
  const offset = Number(stored.external.get("offset") ?? 0);
  const length = Number(stored.external.get("length") ?? all.length - offset);
  if (!(Number.isInteger(offset) && offset >= 0 && length >= 0 && offset + length <= all.length)) {
    unsupported(`"${location}" ends before "${stored.name}", which is at ${offset} and ${length} bytes long.`);
  }
  return (writer) => {
    for (const field of fieldsOf(whole)) {
      if (field.number !== RAW_DATA && !EXTERNAL.includes(field.number)) writer.raw(field.whole);
    }
    writer.tag(RAW_DATA, WireType.LengthDelimited).bytes(all.subarray(offset, offset + length));
  };
}

/** The names that nodes take. */
function usedBy({ nodes }: OnnxGraph, kept: (node: number) => boolean): Set<string> {
  return new Set(nodes.flatMap((node, i) => (kept(i) ? node.inputs : [])));
}

/** The whole file anew, with another graph. */
function withGraph(file: Uint8Array, write: (graph: BinaryWriter, fields: Field[]) => void) {
  const fields = fieldsOf(file);
  return written((writer) => {
    for (const field of fields) {
      if (field.number === GRAPH) nest(writer, GRAPH, (graph) => write(graph, fieldsOf(field.body)));
      else writer.raw(field.whole);
    }
  });
}

/** The file of what is before a value, whose outputs are the value and the shapes that what is behind it needs. */
export function fileBefore(
  file: Uint8Array,
  graph: OnnxGraph,
  value: string,
  { before, shapes }: Parts,
  external: ExternalData | undefined,
): Uint8Array<ArrayBuffer> {
  // Graphs within nodes take values that their nodes do not name, so everything stays.
  const all = [...before].some((i) => [...graph.nodes[i].attributes.values()].some((one) => one.graph));
  const kept = (i: number) => all || before.has(i);
  const used = usedBy(graph, kept);
  used.add(value);
  return withGraph(file, (writer, fields) => {
    let [node, initializer, input] = [0, 0, 0];
    for (const { number, whole, body } of fields) {
      if (number === NODE) {
        if (kept(node++)) writer.raw(whole);
      } else if (number === INITIALIZER) {
        const stored = graph.initializers[initializer++];
        if (!all && !used.has(stored.name)) continue;
        if (external === undefined || stored.external.size === 0) writer.raw(whole);
        else nest(writer, INITIALIZER, inlined(stored, body, external));
      } else if (number === INPUT) {
        if (all || used.has(graph.inputs[input++].name)) writer.raw(whole);
      } else if (number !== OUTPUT) writer.raw(whole);
    }
    for (const name of [value, ...[...shapes].map((i) => graph.nodes[i].outputs[0])]) writeValue(writer, OUTPUT, name);
  });
}

/** What is known of a value that a file begins with. */
export interface Beginning {
  readonly value: string;
  /** Its element type in ONNX's numbers. */
  readonly type: number;
  /** Its shape for one example. */
  readonly shape: readonly number[];
  /** Constants of a batch of one, by name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

/** The file of what is behind a value, whose one input the value is. */
export function fileBehind(
  file: Uint8Array,
  graph: OnnxGraph,
  { behind }: Parts,
  outputs: readonly string[],
  { value, type, shape, shapes }: Beginning,
): Uint8Array<ArrayBuffer> {
  const used = usedBy(graph, (i) => behind.has(i));
  return withGraph(file, (writer, fields) => {
    let [node, initializer, output] = [0, 0, 0];
    for (const { number, whole } of fields) {
      if (number === NODE) {
        if (behind.has(node++)) writer.raw(whole);
      } else if (number === INITIALIZER) {
        if (used.has(graph.initializers[initializer++].name)) writer.raw(whole);
      } else if (number === OUTPUT) {
        if (outputs.includes(graph.outputs[output++].name)) writer.raw(whole);
      } else if (number === GRAPH_NAME) writer.raw(whole);
    }
    writeValue(writer, INPUT, value, type, ["batch", ...shape]);
    for (const [name, lengths] of Object.entries(shapes)) {
      nest(writer, INITIALIZER, (tensor) => {
        integer(tensor, 1, lengths.length);
        integer(tensor, 2, INT64);
        for (const length of lengths) integer(tensor, 7, length);
        text(tensor, 8, name);
      });
    }
  });
}
