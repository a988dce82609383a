// Messages of an ONNX file as bytes, by the field numbers of onnx.proto.

import { type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A message within a message, or a list of packed numbers. */
export function nest(writer: BinaryWriter, field: number, body: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  body(writer);
  writer.join();
}

export const text = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value);

export const integer = (writer: BinaryWriter, field: number, value: number) =>
  writer.tag(field, WireType.Varint).int64(value);

/**
 * An input or output of a graph by its name; where they are given with its element type in ONNX's numbers and its axes, of which
 * those in words may have any length.
 */
export function writeValue(
  writer: BinaryWriter,
  field: number,
  name: string,
  type?: number,
  dims?: readonly (number | string)[],
): void {
  nest(writer, field, (value) => {
    text(value, 1, name);
    if (type === undefined) return;
    nest(value, 2, (of) =>
      nest(of, 1, (tensor) => {
        integer(tensor, 1, type);
        if (dims === undefined) return;
        nest(tensor, 2, (shape) => {
          for (const length of dims) {
            nest(shape, 1, (axis) => (typeof length === "number" ? integer(axis, 1, length) : text(axis, 2, length)));
          }
        });
      }),
    );
  });
}
