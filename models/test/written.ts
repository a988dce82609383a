// ONNX files with what toOnnx never writes: operators of ai.onnx.ml, texts, graphs within graphs.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { integer, nest, text, writeValue } from "../src/onnx/wire.ts";

type Given =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly text: string }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly texts: readonly string[] }
  | { readonly graph: GraphDraft };

export interface Drafted {
  readonly op: string;
  readonly inputs?: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: "ai.onnx.ml";
  readonly attributes?: Readonly<Record<string, Given>>;
}

export interface Array_ {
  readonly name: string;
  readonly dims: readonly number[];
  /** Truth values and 16-bit floats, given by their bits, are int32 fields. */
  readonly type?: keyof typeof types;
  readonly data: readonly number[];
  /** Its bytes in the place of fields of numbers. */
  readonly raw?: Uint8Array;
  /** In another file: location, offset and length. */
  readonly external?: Readonly<Record<string, string>>;
}

export interface GraphDraft {
  readonly nodes: readonly Drafted[];
  readonly arrays?: readonly Array_[];
  readonly inputs?: readonly {
    readonly name: string;
    readonly dims: readonly (number | string)[];
    readonly type?: number;
  }[];
  readonly outputs: readonly {
    readonly name: string;
    readonly dims?: readonly (number | string)[];
    readonly type?: number;
  }[];
}

const types = { float32: 1, int8: 3, int64: 7, bool: 9, float16: 10, double: 11, bfloat16: 16 };

const float = (w: BinaryWriter, field: number, value: number) => w.tag(field, WireType.Bit32).float(value);

function attribute(w: BinaryWriter, name: string, given: Given): void {
  text(w, 1, name);
  const kind = (code: number) => integer(w, 20, code);
  if ("float" in given) {
    float(w, 2, given.float);
    kind(1);
  } else if ("int" in given) {
    integer(w, 3, given.int);
    kind(2);
  } else if ("text" in given) {
    text(w, 4, given.text);
    kind(3);
  } else if ("graph" in given) {
    nest(w, 6, (inner) => graph(inner, given.graph));
    kind(5);
  } else if ("floats" in given) {
    for (const one of given.floats) float(w, 7, one);
    kind(6);
  } else if ("ints" in given) {
    for (const one of given.ints) integer(w, 8, one);
    kind(7);
  } else {
    for (const one of given.texts) text(w, 9, one);
    kind(8);
  }
}

function graph(w: BinaryWriter, { nodes, arrays = [], inputs = [], outputs }: GraphDraft): void {
  for (const { op, inputs: from = [], outputs: to, domain, attributes = {} } of nodes) {
    nest(w, 1, (node) => {
      for (const name of from) text(node, 1, name);
      for (const name of to) text(node, 2, name);
      text(node, 3, to[0]);
      text(node, 4, op);
      for (const [name, given] of Object.entries(attributes)) nest(node, 5, (a) => attribute(a, name, given));
      if (domain) text(node, 7, domain);
    });
  }
  text(w, 2, "graph");
  for (const { name, dims, type = "float32", data, raw, external } of arrays) {
    nest(w, 5, (t) => {
      for (const length of dims) integer(t, 1, length);
      integer(t, 2, types[type]);
      for (const one of data) {
        if (type === "float32") float(t, 4, one);
        else if (type === "double") t.tag(10, WireType.Bit64).double(one);
        else integer(t, type === "int64" ? 7 : 5, one);
      }
      text(t, 8, name);
      if (raw !== undefined) t.tag(9, WireType.LengthDelimited).bytes(raw);
      for (const [key, value] of Object.entries(external ?? {})) {
        nest(t, 13, (entry) => {
          text(entry, 1, key);
          text(entry, 2, value);
        });
      }
      if (external !== undefined) integer(t, 14, 1);
    });
  }
  for (const { name, dims, type = 1 } of inputs) writeValue(w, 11, name, type, dims);
  for (const { name, dims, type = 1 } of outputs) writeValue(w, 12, name, type, dims);
}

/** The bytes of a file. */
export function written(of: GraphDraft, opset = 17): Uint8Array {
  const w = new BinaryWriter();
  integer(w, 1, 8);
  nest(w, 7, (one) => graph(one, of));
  for (const [domain, version] of [
    ["", opset],
    ["ai.onnx.ml", 3],
  ] as const) {
    nest(w, 8, (one) => {
      text(one, 1, domain);
      integer(one, 2, version);
    });
  }
  return w.finish();
}
