// A checkpoint's tensors: shapes at once, numbers when they are asked for.

import { array, type NDArray, OptionError, type PlainArray, readSafetensors } from "laplace-ts";

/** A checkpoint: the bytes of a safetensors file, or of several that make up one; or arrays by name. */
export type Checkpoint =
  | Uint8Array
  | ArrayBuffer
  | readonly (Uint8Array | ArrayBuffer)[]
  | Readonly<Record<string, NDArray | PlainArray>>;

export interface StoredTensor {
  readonly shape: readonly number[];
  /** Whether a network has such a thing: counters and numbers of positions are whole numbers beside it. */
  readonly real: boolean;
  read(): NDArray;
}

/** Buffers of whole numbers, where no type tells. */
const counters = /(^|[./])(num_batches_tracked|position_ids|token_type_ids)$/;

const isBytes = (one: unknown): one is Uint8Array | ArrayBuffer =>
  ArrayBuffer.isView(one) || Object.prototype.toString.call(one) === "[object ArrayBuffer]";

/** A file's tensors. The library has checked its header when this reads it. @throws FileError */
function ofFile(file: Uint8Array | ArrayBuffer): [string, StoredTensor][] {
  const { tensors } = readSafetensors(file);
  const bytes = isView(file) ? new Uint8Array(file.buffer, file.byteOffset, file.byteLength) : new Uint8Array(file);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(8, 8 + length)));
  return Object.keys(tensors).map((name) => {
    const { dtype, shape } = header[name] as { dtype: string; shape: number[] };
    return [name, { shape, real: !/^(I|U|BOOL)/.test(dtype) && !counters.test(name), read: () => tensors[name] }];
  });
}

const isView = (one: object): one is Uint8Array => ArrayBuffer.isView(one);

/** @throws FileError, OptionError */
export function openCheckpoint(where: string, checkpoint: Checkpoint): Map<string, StoredTensor> {
  const files = Array.isArray(checkpoint) ? checkpoint : isBytes(checkpoint) ? [checkpoint] : undefined;
  if (files === undefined) {
    if (checkpoint === null || typeof checkpoint !== "object") {
      throw new OptionError(`${where}: expected the bytes of a safetensors file, or arrays by name.`);
    }
    const entries = Object.entries(checkpoint as Readonly<Record<string, NDArray | PlainArray>>);
    return new Map(
      entries.map(([name, given]) => {
        const read = () => array(given as NDArray);
        return [name, { shape: read().shape, real: !counters.test(name), read }];
      }),
    );
  }
  const all = new Map<string, StoredTensor>();
  for (const file of files as readonly (Uint8Array | ArrayBuffer)[]) {
    if (!isBytes(file)) throw new OptionError(`${where}: a list must have the bytes of safetensors files.`);
    for (const [name, tensor] of ofFile(file)) {
      if (all.has(name)) throw new OptionError(`${where}: two of the files have a tensor "${name}".`);
      all.set(name, tensor);
    }
  }
  return all;
}
