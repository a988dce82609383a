// Files of arrays as NumPy writes them, for tests.

import { deflateRawSync } from "node:zlib";

/** A .npy file. */
export function npy(shape: readonly number[], type: string, bytes: Uint8Array): Buffer {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11);
  const start = Buffer.from("\x93NUMPY\x01\x00\x00\x00", "latin1");
  start.writeUInt16LE(padded.length + 1, 8);
  return Buffer.concat([start, Buffer.from(`${padded}\n`, "latin1"), bytes]);
}

/** A zip of them, packed. */
export function npz(arrays: Readonly<Record<string, Buffer>>): Buffer {
  const [files, list]: [Buffer[], Buffer[]] = [[], []];
  let at = 0;
  for (const [name, content] of Object.entries(arrays)) {
    const packed = deflateRawSync(content);
    const path = Buffer.from(`${name}.npy`);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(content.length, 18);
    shared.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), shared, path, packed]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    list.push(Buffer.concat([Buffer.from("PK\x01\x02\0\0", "latin1"), shared, place, path]));
    files.push(local);
    at += local.length;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(list.length, 10);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, ...list, end]);
}
