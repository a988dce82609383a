// The bytes of an ONNX file, by the field numbers of onnx.proto.

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { integer, nest, text, writeValue } from "./wire.ts";

export type AttributeValue = number | string | readonly number[] | { readonly float: number };

/** A node to be written. */
export interface NodeDraft {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

export type ElementType = "float32" | "float64" | "int64";

/** Numbers to be written. */
export interface TensorDraft {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: ElementType;
  readonly data: ArrayLike<number>;
}

/** An input or output; a length in words is that of an axis that may have any. */
export interface ValueDraft {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly (number | string)[];
}

export interface ModelDraft {
  readonly nodes: readonly NodeDraft[];
  readonly initializers: readonly TensorDraft[];
  readonly inputs: readonly ValueDraft[];
  readonly outputs: readonly ValueDraft[];
}

/** The operators' version: what runtimes since 2022 have. */
export const OPSET = 17;

const codes: Record<ElementType, number> = { float32: 1, float64: 11, int64: 7 };

function attribute(writer: BinaryWriter, name: string, value: AttributeValue): void {
  text(writer, 1, name);
  if (typeof value === "number") {
    integer(writer, 3, value);
    integer(writer, 20, 2);
  } else if (typeof value === "string") {
    text(writer, 4, value);
    integer(writer, 20, 3);
  } else if ("float" in value) {
    writer.tag(2, WireType.Bit32).float(value.float);
    integer(writer, 20, 1);
  } else {
    for (const one of value) integer(writer, 8, one);
    integer(writer, 20, 7);
  }
}

function bytesOf({ type, data }: TensorDraft): Uint8Array {
  const view = new DataView(new ArrayBuffer(data.length * (type === "float32" ? 4 : 8)));
  for (let i = 0; i < data.length; i++) {
    if (type === "float32") view.setFloat32(4 * i, data[i], true);
    else if (type === "float64") view.setFloat64(8 * i, data[i], true);
    else view.setBigInt64(8 * i, BigInt(data[i]), true);
  }
  return new Uint8Array(view.buffer);
}

/** Writes a model. */
export function writeModel({ nodes, initializers, inputs, outputs }: ModelDraft): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  integer(writer, 1, 8);
  text(writer, 2, "laplace-ts");
  nest(writer, 7, (graph) => {
    for (const node of nodes) {
      nest(graph, 1, (one) => {
        for (const name of node.inputs) text(one, 1, name);
        for (const name of node.outputs) text(one, 2, name);
        text(one, 3, node.outputs[0]);
        text(one, 4, node.op);
        for (const [name, of] of Object.entries(node.attributes ?? {})) nest(one, 5, (a) => attribute(a, name, of));
      });
    }
    text(graph, 2, "network");
    for (const tensor of initializers) {
      nest(graph, 5, (one) => {
        for (const length of tensor.dims) integer(one, 1, length);
        integer(one, 2, codes[tensor.type]);
        text(one, 8, tensor.name);
        one.tag(9, WireType.LengthDelimited).bytes(bytesOf(tensor));
      });
    }
    for (const { name, type, dims } of inputs) writeValue(graph, 11, name, codes[type], dims);
    for (const { name, type, dims } of outputs) writeValue(graph, 12, name, codes[type], dims);
  });
  nest(writer, 8, (opset) => {
    text(opset, 1, "");
    integer(opset, 2, OPSET);
  });
  return writer.finish() as Uint8Array<ArrayBuffer>;
}
