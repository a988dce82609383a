// Safetensors files written by hand.

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
