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
  | { readonly graph: GraphDraft }
  /** Within a function: the attribute of its calls, of a kind. */
  | { readonly ref: string; readonly kind: number };

export interface Drafted {
  readonly op: string;
  readonly inputs?: readonly string[];
  readonly outputs: readonly string[];
  readonly domain?: "ai.onnx.ml" | "own";
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

/** A function of the domain "own". */
export interface FunctionDraft {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that a call must have. */
  readonly needs?: readonly string[];
  readonly defaults?: Readonly<Record<string, Given>>;
  readonly nodes: readonly Drafted[];
}

export interface GraphDraft {
  /** The operators' version, 17 unless said otherwise; this and functions are of the whole model. */
  readonly opset?: number;
  readonly functions?: readonly FunctionDraft[];
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
  if ("ref" in given) {
    text(w, 21, given.ref);
    kind(given.kind);
  } else if ("float" in given) {
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

function nodesAt(w: BinaryWriter, field: number, nodes: readonly Drafted[]): void {
  for (const { op, inputs: from = [], outputs: to, domain, attributes = {} } of nodes) {
    nest(w, field, (node) => {
      for (const name of from) text(node, 1, name);
      for (const name of to) text(node, 2, name);
      text(node, 3, to[0]);
      text(node, 4, op);
      for (const [name, given] of Object.entries(attributes)) nest(node, 5, (a) => attribute(a, name, given));
      if (domain) text(node, 7, domain);
    });
  }
}

function graph(w: BinaryWriter, { nodes, arrays = [], inputs = [], outputs }: GraphDraft): void {
  nodesAt(w, 1, nodes);
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
export function written(of: GraphDraft): Uint8Array {
  const { opset = 17 } = of;
  const w = new BinaryWriter();
  integer(w, 1, 8);
  nest(w, 7, (one) => graph(one, of));
  const versions = (to: BinaryWriter, field: number) => {
    for (const [domain, version] of Object.entries({ "": opset, "ai.onnx.ml": 3, own: 1 })) {
      nest(to, field, (one) => {
        text(one, 1, domain);
        integer(one, 2, version);
      });
    }
  };
  versions(w, 8);
  for (const { name, inputs, outputs, needs = [], defaults = {}, nodes } of of.functions ?? []) {
    nest(w, 25, (one) => {
      text(one, 1, name);
      for (const input of inputs) text(one, 4, input);
      for (const output of outputs) text(one, 5, output);
      for (const need of needs) text(one, 6, need);
      nodesAt(one, 7, nodes);
      versions(one, 9);
      text(one, 10, "own");
      for (const [attribute_, given] of Object.entries(defaults)) {
        nest(one, 11, (a) => attribute(a, attribute_, given));
      }
    });
  }
  return w.finish();
}
