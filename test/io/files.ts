// Safetensors files written by hand.

import { type NDArray, writeSafetensors } from "../../src/index.ts";
import { contentsChecksum } from "../../src/io/checksum.ts";

/** A file with a checksum that is right, whatever it says. */
export function sealed(
  tensors: Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const { "laplace-ts.checksum": _, ...texts } = metadata;
  return writeSafetensors(tensors, { ...texts, "laplace-ts.checksum": contentsChecksum(tensors, texts) });
}

/** The header's length in 8 bytes, the header, and the data. */
export function fileOf(
  header: string | Uint8Array,
  data: Uint8Array | readonly number[] = [],
  length?: bigint,
): Uint8Array {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

/** A header's entry. */
export function entry(
  name: string,
  dtype: string,
  shape: readonly (number | string)[],
  begin: number | string,
  end: number | string,
): string {
  return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;
}
