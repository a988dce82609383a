// The weights of a TensorFlow.js model: arrays one after the other, as its manifest says, some of them quantised.

import { unsupported } from "../errors.ts";
import { half } from "../onnx/numbers.ts";
import { sizeOf, type Tensor, tensor } from "../tensor.ts";

interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string; readonly scale?: number; readonly min?: number };
}

interface Stored {
  readonly bytes: number;
  read(view: DataView, at: number): number;
}

const types: Readonly<Record<string, Stored | undefined>> = {
  float32: { bytes: 4, read: (v, at) => v.getFloat32(at, true) },
  int32: { bytes: 4, read: (v, at) => v.getInt32(at, true) },
  bool: { bytes: 1, read: (v, at) => v.getUint8(at) },
  uint8: { bytes: 1, read: (v, at) => v.getUint8(at) },
  uint16: { bytes: 2, read: (v, at) => v.getUint16(at, true) },
  float16: { bytes: 2, read: (v, at) => half(v.getUint16(at, true)) },
};

const isEntry = (one: unknown): one is Entry => {
  const { name, shape, dtype } = Object(one) as Partial<Entry>;
  const lengths = Array.isArray(shape) && shape.every((n) => Number.isInteger(n) && n >= 0);
  return typeof name === "string" && typeof dtype === "string" && lengths;
};

/** The arrays of a manifest, by name. @throws Unsupported */
export function readWeights(manifest: unknown, bytes: Uint8Array): Map<string, Tensor> {
  if (!Array.isArray(manifest)) return unsupported("The model has no weightsManifest.");
  const entries: unknown[] = manifest.flatMap((group) => (Object(group) as { weights?: unknown[] }).weights ?? []);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Tensor>();
  let at = 0;
  for (const entry of entries) {
    if (!isEntry(entry)) return unsupported("An entry of weightsManifest has no name, shape or dtype.");
    const { name, shape, dtype, quantization } = entry;
    const type = types[quantization?.dtype ?? dtype];
    if (type === undefined) return unsupported(`"${name}" has the type ${quantization?.dtype ?? dtype}.`);
    const size = sizeOf(shape);
    if (at + size * type.bytes > bytes.length) {
      return unsupported(
        `The weights end before "${name}": give the bytes of all files of the manifest, joined in its order.`,
      );
    }
    const { scale = 1, min = 0 } = quantization?.dtype === "float16" ? {} : (quantization ?? {});
    const data = Float64Array.from({ length: size }, (_, i) => type.read(view, at + i * type.bytes) * scale + min);
    found.set(name, tensor(shape, data, true, name));
    at += size * type.bytes;
  }
  if (at !== bytes.length) return unsupported(`The weights have ${bytes.length} bytes, the manifest ${at}.`);
  return found;
}
