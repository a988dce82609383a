// An ONNX file's messages, by the field numbers of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). The
// wire format is read by @bufbuild/protobuf, which checks lengths; nothing else in the file is believed.

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ModelError } from "../errors.ts";

export interface StoredTensor {
  name: string;
  dims: number[];
  type: number;
  raw: Uint8Array | undefined;
  numbers: number[];
  external: Map<string, string>;
  strings: number;
}

export interface Attribute {
  name: string;
  f?: number;
  i?: number;
  s?: string;
  t?: StoredTensor;
  floats: number[];
  ints: number[];
  strings: string[];
  /** A graph within the graph: a branch of If, the body of Loop. */
  graph: OnnxGraph | undefined;
  /** Within a function: the attribute of its calls that this one is; "" for one that is as it stands. */
  reference: string;
}

export interface OnnxNode {
  name: string;
  op: string;
  domain: string;
  /** Which of several functions of one name is meant. */
  overload: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
}

/** An input or output: its element type, and its axes' lengths, or their names. */
export interface ValueInfo {
  name: string;
  type: number;
  dims: (number | string)[] | undefined;
}

export interface OnnxGraph {
  nodes: OnnxNode[];
  initializers: StoredTensor[];
  inputs: ValueInfo[];
  outputs: ValueInfo[];
}

/** A function of the model's own, of nodes. */
export interface OnnxFunction {
  name: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  /** What attributes are where a call does not say. */
  attributes: Map<string, Attribute>;
  nodes: OnnxNode[];
}

export interface OnnxModel {
  producer: string;
  opset: number;
  graph: OnnxGraph | undefined;
  functions: OnnxFunction[];
}

type Fields = Record<number, (reader: BinaryReader, wire: WireType) => void>;

function message(reader: BinaryReader, length: number, fields: Fields): void {
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError("a message is longer than the file");
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    const read = fields[field];
    if (read === undefined) reader.skip(wire, field);
    else read(reader, wire);
  }
  if (reader.pos !== end) throw new RangeError("a message ends within a field");
}

const nested = (reader: BinaryReader, fields: Fields) => message(reader, reader.uint32(), fields);
const integer = (reader: BinaryReader): number => Number(reader.int64());

/** A repeated number, packed or not. */
function repeated(to: number[], one: (reader: BinaryReader) => number): Fields[number] {
  return (reader, wire) => {
    if (wire !== WireType.LengthDelimited) {
      to.push(one(reader));
      return;
    }
    const length = reader.uint32();
    const end = reader.pos + length;
    if (end > reader.len) throw new RangeError("a list is longer than the file");
    while (reader.pos < end) to.push(one(reader));
  };
}

function readTensor(reader: BinaryReader): StoredTensor {
  const t: StoredTensor = { name: "", dims: [], type: 0, raw: undefined, numbers: [], external: new Map(), strings: 0 };
  nested(reader, {
    1: repeated(t.dims, integer),
    2: (r) => {
      t.type = r.int32();
    },
    4: repeated(t.numbers, (r) => r.float()),
    5: repeated(t.numbers, (r) => r.int32()),
    6: (r) => {
      r.bytes();
      t.strings++;
    },
    7: repeated(t.numbers, integer),
    8: (r) => {
      t.name = r.string();
    },
    9: (r) => {
      t.raw = r.bytes();
    },
    10: repeated(t.numbers, (r) => r.double()),
    11: repeated(t.numbers, (r) => Number(r.uint64())),
    13: (r) => {
      let [key, value] = ["", ""];
      nested(r, {
        1: (one) => {
          key = one.string();
        },
        2: (one) => {
          value = one.string();
        },
      });
      t.external.set(key, value);
    },
  });
  return t;
}

/** More graphs within each other than any exporter writes. */
const MOST_DEPTH = 16;

function readAttribute(reader: BinaryReader, depth: number): Attribute {
  const a: Attribute = { name: "", floats: [], ints: [], strings: [], graph: undefined, reference: "" };
  const aGraph: Fields[number] = (r) => {
    a.graph = readGraph(r, depth + 1);
  };
  nested(reader, {
    1: (r) => {
      a.name = r.string();
    },
    2: (r) => {
      a.f = r.float();
    },
    3: (r) => {
      a.i = integer(r);
    },
    4: (r) => {
      a.s = text(r.bytes());
    },
    5: (r) => {
      a.t = readTensor(r);
    },
    6: aGraph,
    11: aGraph,
    7: repeated(a.floats, (r) => r.float()),
    8: repeated(a.ints, integer),
    9: (r) => a.strings.push(text(r.bytes())),
    21: (r) => {
      a.reference = r.string();
    },
  });
  return a;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function readNode(reader: BinaryReader, depth: number): OnnxNode {
  const node: OnnxNode = { name: "", op: "", domain: "", overload: "", inputs: [], outputs: [], attributes: new Map() };
  nested(reader, {
    1: (r) => node.inputs.push(r.string()),
    2: (r) => node.outputs.push(r.string()),
    3: (r) => {
      node.name = r.string();
    },
    4: (r) => {
      node.op = r.string();
    },
    5: (r) => {
      const attribute = readAttribute(r, depth);
      node.attributes.set(attribute.name, attribute);
    },
    7: (r) => {
      node.domain = r.string();
    },
    8: (r) => {
      node.overload = r.string();
    },
  });
  return node;
}

function readFunction(reader: BinaryReader): OnnxFunction {
  const made: OnnxFunction = {
    name: "",
    domain: "",
    overload: "",
    inputs: [],
    outputs: [],
    attributes: new Map(),
    nodes: [],
  };
  nested(reader, {
    1: (r) => {
      made.name = r.string();
    },
    4: (r) => made.inputs.push(r.string()),
    5: (r) => made.outputs.push(r.string()),
    7: (r) => made.nodes.push(readNode(r, 1)),
    10: (r) => {
      made.domain = r.string();
    },
    11: (r) => {
      const attribute = readAttribute(r, 1);
      made.attributes.set(attribute.name, attribute);
    },
    13: (r) => {
      made.overload = r.string();
    },
  });
  return made;
}

function readValueInfo(reader: BinaryReader): ValueInfo {
  const info: ValueInfo = { name: "", type: 0, dims: undefined };
  const dimension = (r: BinaryReader, dims: (number | string)[]) => {
    let length: number | string = "";
    nested(r, {
      1: (one) => {
        length = integer(one);
      },
      2: (one) => {
        length = one.string();
      },
    });
    dims.push(length);
  };
  const shape = (r: BinaryReader) => {
    const dims: (number | string)[] = [];
    nested(r, { 1: (one) => dimension(one, dims) });
    info.dims = dims;
  };
  const tensorType = (r: BinaryReader) =>
    nested(r, {
      1: (one) => {
        info.type = one.int32();
      },
      2: shape,
    });
  nested(reader, {
    1: (r) => {
      info.name = r.string();
    },
    2: (r) => nested(r, { 1: tensorType }),
  });
  return info;
}

function readGraph(reader: BinaryReader, depth = 0): OnnxGraph {
  if (depth > MOST_DEPTH) throw new RangeError(`graphs are within each other more than ${MOST_DEPTH} times`);
  const graph: OnnxGraph = { nodes: [], initializers: [], inputs: [], outputs: [] };
  nested(reader, {
    1: (r) => graph.nodes.push(readNode(r, depth)),
    5: (r) => graph.initializers.push(readTensor(r)),
    11: (r) => graph.inputs.push(readValueInfo(r)),
    12: (r) => graph.outputs.push(readValueInfo(r)),
  });
  return graph;
}

/** The values that a node takes: its inputs, and what graphs within it take from around them. */
export function takenBy(node: OnnxNode): string[] {
  const inner = [...node.attributes.values()].flatMap(({ graph }) => {
    if (graph === undefined) return [];
    const own = new Set([...graph.initializers, ...graph.inputs].map(({ name }) => name));
    for (const { outputs } of graph.nodes) for (const name of outputs) own.add(name);
    const taken = [...graph.nodes.flatMap(takenBy), ...graph.outputs.map(({ name }) => name)];
    return taken.filter((name) => !own.has(name));
  });
  return [...node.inputs, ...inner];
}

/** The messages of an ONNX file. @throws ModelError for other bytes */
export function readModel(where: string, bytes: Uint8Array): OnnxModel {
  const model: OnnxModel = { producer: "", opset: 0, graph: undefined, functions: [] };
  try {
    const reader = new BinaryReader(bytes);
    message(reader, bytes.length, {
      2: (r) => {
        model.producer = r.string();
      },
      7: (r) => {
        model.graph = readGraph(r);
      },
      8: (r) => {
        let [domain, version] = ["", 0];
        nested(r, {
          1: (one) => {
            domain = one.string();
          },
          2: (one) => {
            version = integer(one);
          },
        });
        if (domain === "" || domain === "ai.onnx") model.opset = version;
      },
      25: (r) => model.functions.push(readFunction(r)),
    });
  } catch (cause) {
    const why = `The bytes are not an ONNX file: ${cause instanceof Error ? cause.message : cause}.`;
    throw new ModelError(where, [{ operator: "", node: "", why }]);
  }
  if (model.graph !== undefined) return model;
  throw new ModelError(where, [{ operator: "", node: "", why: "The bytes are not an ONNX file: there is no graph." }]);
}
