// The safetensors format (https://github.com/huggingface/safetensors): 8 bytes with the header's length, little-endian;
// the header, a JSON object of { dtype, shape, data_offsets } by tensor and of texts under "__metadata__"; then the data,
// without holes. Everything the header says is checked against the file before anything is allocated.

import { isPromise, refuseDetached } from "../array/entries.ts";
import { NDArray } from "../array/ndarray.ts";
import { FileError, LaplaceError, OptionError, ValueError, valueText } from "../errors.ts";
import { elementTypes, otherBytes } from "./dtypes.ts";
import { type Json, type JsonObject, malformed, parseJson, quoted, wellFormed } from "./json.ts";

/**
 * A file's bytes: `Uint8Array<ArrayBuffer>`, which pages take for what they send and keep; before TypeScript 5.7, whose
 * Uint8Array was the first with a buffer's type, Uint8Array.
 */
export type Bytes = ReturnType<Uint8ArrayConstructor["of"]>;

/** What a safetensors file holds. */
export interface Safetensors {
  /**
   * The arrays by name. The object has no prototype: a name that is not in the file is undefined. An array whose elements
   * are not read is named too, and throws when it is asked for.
   */
  readonly tensors: Record<string, NDArray>;
  /** Texts by name. */
  readonly metadata: Record<string, string>;
}

/** Beyond any header of real models, and little enough to read into memory. */
const LONGEST_HEADER = 2 ** 24;
const MOST_AXES = 32;
const METADATA = "__metadata__";
const FIELDS = ["dtype", "shape", "data_offsets"];

/** Refuses anything but bytes, and gives them as plain bytes: a Node Buffer has other ideas of `slice`. */
function readBytes(where: string, bytes: unknown): Uint8Array {
  if (ArrayBuffer.isView(bytes)) refuseDetached(where, "the file's bytes", bytes);
  if (ArrayBuffer.isView(bytes)) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // An ArrayBuffer of another realm, such as a frame's, is not an instance of this one's class.
  if (Object.prototype.toString.call(bytes) === "[object ArrayBuffer]") return new Uint8Array(bytes as ArrayBuffer);
  throw new OptionError(`${where}: expected a file's bytes, as a Uint8Array or an ArrayBuffer, got ${typeof bytes}.`);
}

/** The header as text, and the data behind it. */
function split(where: string, bytes: Uint8Array): { text: string; data: Uint8Array } {
  const have = bytes.length;
  if (have < 8) {
    throw new FileError("truncated", `${where}: a safetensors file begins with 8 bytes; this one has ${have}.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const length = view.getUint32(0, true) + 2 ** 32 * view.getUint32(4, true);
  if (length > LONGEST_HEADER) {
    throw malformed(where, `a header of ${length} bytes is beyond ${LONGEST_HEADER}: probably not a safetensors file`);
  }
  if (8 + length > have) {
    throw new FileError("truncated", `${where}: the header ends at byte ${8 + length}, but the file has ${have}.`);
  }
  // A copy, because decoders refuse shared memory.
  const header = bytes.slice(8, 8 + length);
  if (header[0] !== 0x7b) throw malformed(where, "the header does not begin with {: probably not a safetensors file");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
  } catch {
    throw malformed(where, "the header is not UTF-8");
  }
  return { text, data: bytes.subarray(8 + length) };
}

/** A tensor as the header describes it. */
interface Entry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const isIntegers = (value: Json | undefined): value is readonly number[] =>
  Array.isArray(value) && value.every((one) => typeof one === "number");

/** One tensor's description. All numbers are integers of at least 0, which the JSON was checked for. */
function readEntry(where: string, name: string, value: Json): Entry {
  const fail = (what: string) => malformed(where, `the tensor ${quoted(name)} ${what}`);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw fail("has no description");
  const { dtype, shape, data_offsets: offsets } = value as JsonObject;
  const extra = Object.keys(value).find((field) => !FIELDS.includes(field));
  if (extra !== undefined) throw fail(`has the unknown field ${quoted(extra)}`);
  if (typeof dtype !== "string") throw fail("has no dtype");
  if (!isIntegers(shape) || shape.length > MOST_AXES) throw fail(`has no shape of at most ${MOST_AXES} axes`);
  if (!isIntegers(offsets) || offsets.length !== 2) throw fail("has no two data_offsets");
  const width = elementTypes.get(dtype)?.bytes ?? otherBytes.get(dtype);
  // Lengths beside a length of 0 count too: no array has them.
  const most = shape.reduce((product, length) => product * Math.max(length, 1), width ?? 1);
  if (!Number.isSafeInteger(most)) throw fail(`has the impossible shape [${shape.join(", ")}]`);
  const [begin, end] = offsets;
  const bytes = width === undefined ? Math.max(0, end - begin) : shape.includes(0) ? 0 : most;
  if (end - begin !== bytes) {
    throw fail(
      `of shape [${shape.join(", ")}] and dtype ${quoted(dtype)} takes ${bytes} bytes, but has ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** The header's tensors in order of their data, which must fill the rest of the file. */
function readEntries(where: string, header: JsonObject, available: number): Entry[] {
  const entries = Object.keys(header)
    .filter((name) => name !== METADATA)
    .map((name) => readEntry(where, name, header[name]))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let next = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== next) {
      const what = begin < next ? "overlap those before them" : "leave a hole before them";
      throw malformed(where, `the bytes of the tensor ${quoted(name)} (${begin} to ${end}) ${what}`);
    }
    next = end;
  }
  if (next > available) {
    throw new FileError(
      "truncated",
      `${where}: the tensors take ${next} bytes, but the file has ${available} for them.`,
    );
  }
  if (next < available) throw malformed(where, `${available - next} bytes follow the last tensor`);
  return entries;
}

function readMetadata(where: string, value: Json | undefined): Record<string, string> {
  const result: Record<string, string> = Object.create(null);
  if (value === undefined) return result;
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw malformed(where, `${METADATA} is not an object`);
  }
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== "string") throw malformed(where, `the metadata ${quoted(name)} is not a text`);
    result[name] = text;
  }
  return result;
}

/** A tensor of a file whose elements are still to be read. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /** @throws FileError for elements of a type that is not read, or that no float holds */
  read(): NDArray;
}

function readTensor(where: string, data: Uint8Array, { name, dtype, shape, begin, end }: Entry): NDArray {
  const at = `${where}: the tensor ${quoted(name)}`;
  const type = elementTypes.get(dtype);
  if (type === undefined) {
    const known = [...elementTypes.keys()].join(", ");
    throw new FileError("unsupported", `${at} has the dtype ${quoted(dtype)}. Read are ${known}.`);
  }
  const own = new Uint8Array(end - begin);
  own.set(data.subarray(begin, end));
  return new NDArray(type.read(at, own), shape);
}

/** A file's header, checked as a whole; its tensors are read one by one. @throws FileError */
export function openFile(where: string, bytes: unknown) {
  const { text, data } = split(where, readBytes(where, bytes));
  const header = parseJson(`${where}: the header`, text, { depth: 3, integers: true }) as JsonObject;
  const metadata = readMetadata(where, header[METADATA]);
  const entries = readEntries(where, header, data.length);
  const tensors = entries.map((entry): [string, StoredTensor] => {
    return [entry.name, { shape: entry.shape, read: () => readTensor(where, data, entry) }];
  });
  return { tensors: new Map(tensors), metadata };
}

/** `readSafetensors` on behalf of another function. */
export function readFile(where: string, bytes: unknown): Safetensors {
  const { tensors: stored, metadata } = openFile(where, bytes);
  const tensors: Record<string, NDArray> = Object.create(null);
  for (const [name, tensor] of stored) {
    try {
      tensors[name] = tensor.read();
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      // Whoever does not ask for it does not care.
      const get = () => {
        throw error;
      };
      Object.defineProperty(tensors, name, { get, enumerable: true });
    }
  }
  return { tensors, metadata };
}

/**
 * Reads a safetensors file, of PyTorch or whoever wrote it. F64, I32 and I64 become float64 arrays, F32, F16, BF16, U8 and
 * BOOL float32 ones, all exactly. A tensor of another type, or with an integer that no float holds, is named among the others
 * (`Object.keys`), and throws a FileError when it is asked for.
 * @throws FileError for a file that is truncated or breaks the format's rules
 */
export function readSafetensors(bytes: Uint8Array | ArrayBuffer): Safetensors {
  return readFile("readSafetensors", bytes);
}

/** Names as a file can hold them, in order. @throws ValueError */
function readNames(where: string, what: string, values: object): string[] {
  if (values === null || typeof values !== "object" || isPromise(values)) {
    throw new OptionError(`${where}: the ${what} must be an object of them by name, not ${valueText(values)}.`);
  }
  const names = Object.keys(values).sort();
  const broken = names.find((name) => !wellFormed(name));
  if (broken !== undefined) throw new ValueError(`${where}: the name ${quoted(broken)} has half a character.`);
  return names;
}

/**
 * The bytes of a safetensors file with these arrays, as F32 and F64. The same input gives the same bytes: float64 arrays
 * come first, so that all data is aligned, then names count.
 * @param metadata texts by name, kept beside the arrays
 * @throws ValueError for names and texts that a file cannot hold
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>> = {},
): Bytes {
  const where = "writeSafetensors";
  const texts = readNames(where, "metadata", metadata).map((name) => {
    const text = metadata[name];
    if (typeof text === "string" && wellFormed(text)) return `${JSON.stringify(name)}:${JSON.stringify(text)}`;
    throw new ValueError(`${where}: the metadata ${quoted(name)} must be well-formed text.`);
  });
  const parts = readNames(where, "tensors", tensors).map((name) => {
    const tensor = tensors[name];
    if (!(tensor instanceof NDArray)) throw new ValueError(`${where}: ${quoted(name)} must be an NDArray.`);
    if (tensor.data.length !== tensor.size) refuseDetached(where, quoted(name), tensor.data);
    if (name === METADATA) throw new ValueError(`${where}: no tensor can have the name ${METADATA}.`);
    if (tensor.rank > MOST_AXES) throw new ValueError(`${where}: ${quoted(name)} has more than ${MOST_AXES} axes.`);
    return { name, tensor };
  });
  parts.sort((a, b) => Number(a.tensor.dtype === "float32") - Number(b.tensor.dtype === "float32"));
  let size = 0;
  const fields = parts.map(({ name, tensor: { data, shape, dtype } }) => {
    const begin = size;
    size += data.byteLength;
    const type = dtype === "float64" ? "F64" : "F32";
    return `${JSON.stringify(name)}:{"dtype":"${type}","shape":[${shape.join()}],"data_offsets":[${begin},${size}]}`;
  });
  if (texts.length > 0) fields.unshift(`"${METADATA}":{${texts.join()}}`);
  const header = new TextEncoder().encode(`{${fields.join()}}`);
  const length = Math.ceil(header.length / 8) * 8;
  if (length > LONGEST_HEADER) throw new ValueError(`${where}: names and metadata take ${length} bytes, too many.`);
  const result = makeBytes(where, 8 + length + size);
  new DataView(result.buffer).setUint32(0, length, true);
  result.set(header, 8);
  result.fill(0x20, 8 + header.length, 8 + length);
  let at = 8 + length;
  for (const { tensor } of parts) {
    const { buffer, byteOffset, byteLength } = tensor.data;
    result.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  return result;
}

function makeBytes(where: string, length: number): Bytes {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new LaplaceError(`${where}: no memory for a file of ${length} bytes.`, { cause });
  }
}
