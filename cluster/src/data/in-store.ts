// Arrays in safetensors files that all machines see, as data: images, tables of numbers, whatever a network takes, in as many files
// as there are. Whoever sums a shard reads its rows.

import { type DatasetLike, FileError, NDArray, OptionError, readSafetensors } from "laplace-ts";
import type { Executor, FarData } from "laplace-ts/executor";
import { openStore, type StoreAddress } from "../store/open.ts";
import { type CheckedObject, digestsOfObjects } from "./blocks.ts";
import { bytesOfObject, identityOfObject, type ObjectIdentity } from "./objects.ts";
import { defineReader, type Index, indexed } from "./reading.ts";

/** Options of `inStore`. */
export interface InStoreOptions {
  /** The store of the fit, where an index of the rows goes. */
  readonly store: StoreAddress;
  /** safetensors files, in order: absolute paths that are the same on all machines, or s3://bucket/key. */
  readonly files: readonly string[];
  /** The array of the inputs in each file, [rows, ...inputs] (default "x"). */
  readonly x?: string | undefined;
  /** That of the targets, [rows, ...] (default "y"). */
  readonly y?: string | undefined;
  /** That of the examples' weights, [rows], where they have some. */
  readonly weights?: string | undefined;
  /** Who reads all of it once, for its digests, such as `cluster(…)` (default: this process). */
  readonly on?: Executor | undefined;
}

const KIND = "safetensors";
const WHERE = "inStore";
const LONGEST_HEADER = 2 ** 24;
/** Bytes of an element of each type. */
const widths: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
};

/** Where an array is in its file. */
interface Place {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its first byte. */
  readonly begin: number;
}

/** What is known of one file. */
interface FileOfArrays {
  readonly rows: number;
  readonly arrays: Readonly<Record<string, Place>>;
}

const malformed = (address: string, what: string) =>
  new FileError("malformed", `${WHERE}: ${address} is not a safetensors file with such arrays: ${what}.`);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const sizeOf = (shape: readonly number[]) => shape.reduce((size, one) => size * one, 1);

/** An array's place, checked against its file. @throws FileError */
function placeOf({ address, size }: ObjectIdentity, name: string, header: unknown, data: number): Place {
  const entry = Object.hasOwn(Object(header), name) ? (header as Record<string, unknown>)[name] : undefined;
  const { dtype, shape, data_offsets: offsets } = Object(entry) as Readonly<Record<string, unknown>>;
  const width = typeof dtype === "string" ? widths[dtype] : undefined;
  if (entry === undefined) throw malformed(address, `there is no array "${name}"`);
  if (width === undefined) throw malformed(address, `the array "${name}" has the type ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || shape.length === 0 || !shape.every(isCount) || !Array.isArray(offsets)) {
    throw malformed(address, `the array "${name}" has no rows`);
  }
  const [first, end] = offsets as readonly unknown[];
  const fits = isCount(first) && isCount(end) && end - first === sizeOf(shape) * width && data + end <= size;
  if (!fits) throw malformed(address, `the array "${name}" is not where its header says`);
  return { dtype: dtype as string, shape, begin: data + first };
}

async function lookAt(object: ObjectIdentity, names: readonly string[]): Promise<FileOfArrays> {
  const { address, size } = object;
  if (size < 8) throw malformed(address, `it has ${size} bytes`);
  const head = await bytesOfObject(WHERE, object, 0, 8);
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  if (length > LONGEST_HEADER || 8 + length > size) throw malformed(address, `its header has ${length} bytes`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(await bytesOfObject(WHERE, object, 8, 8 + length)));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw malformed(address, "its header is not JSON");
  }
  const arrays = Object.fromEntries(names.map((name) => [name, placeOf(object, name, header, 8 + length)]));
  const rows = new Set(Object.values(arrays).map(({ shape }) => shape[0]));
  if (rows.size > 1) throw malformed(address, "its arrays have other numbers of rows");
  return { rows: [...rows][0], arrays };
}

/** Some rows of an array, as the library reads a file of nothing else. */
async function rowsOf(object: CheckedObject, { dtype, shape, begin }: Place, first: number, end: number) {
  const width = widths[dtype] * sizeOf(shape.slice(1));
  const bytes = await object.read(begin + first * width, begin + end * width);
  const own = { rows: { dtype, shape: [end - first, ...shape.slice(1)], data_offsets: [0, bytes.length] } };
  const header = new TextEncoder().encode(JSON.stringify(own));
  const file = new Uint8Array(8 + header.length + bytes.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  file.set(bytes, 8 + header.length);
  return readSafetensors(file).tensors.rows;
}

/** Arrays of some rows each, one after the other. */
function joined(parts: readonly NDArray[]): NDArray {
  if (parts.length === 1) return parts[0];
  const [first] = parts;
  const all = new (first.dtype === "float32" ? Float32Array : Float64Array)(parts.reduce((n, one) => n + one.size, 0));
  let at = 0;
  for (const { data, size } of parts) {
    all.set(data, at);
    at += size;
  }
  return new NDArray(all, [parts.reduce((n, { shape }) => n + shape[0], 0), ...first.shape.slice(1)]);
}

function reader({ objects, metadata }: Index): (first: number, end: number) => Promise<DatasetLike> {
  const { files, x, y, weights } = JSON.parse(metadata.arrays ?? "{}") as {
    readonly files: readonly FileOfArrays[];
    readonly x: string;
    readonly y: string;
    readonly weights?: string;
  };
  if (!Array.isArray(files) || files.length !== objects.length) {
    throw new FileError("malformed", `${WHERE}: the index is not one of arrays.`);
  }
  const all = files.reduce((sum, { rows }) => sum + rows, 0);
  const read = async (name: string, first: number, end: number) => {
    if (end > all) throw new FileError("malformed", `${WHERE}: there are ${all} rows, and none up to ${end}.`);
    const parts: NDArray[] = [];
    let start = 0;
    for (const [i, { rows, arrays }] of files.entries()) {
      const [from, to] = [Math.max(first, start), Math.min(end, start + rows)];
      if (from < to) parts.push(await rowsOf(objects[i], arrays[name], from - start, to - start));
      start += rows;
    }
    return joined(parts);
  };
  return async (first, end) => ({
    x: await read(x, first, end),
    y: await read(y, first, end),
    ...(weights !== undefined && { weights: await read(weights, first, end) }),
  });
}

defineReader(KIND, reader);

/**
 * Arrays in safetensors files that all machines see, as data of a fit: `laplace(…).fit(await inStore({ store, files, on }), { on })`.
 * Shards carry names and ranges; whoever sums one reads its rows, and holds them against the digests that were found at first. The
 * bits are those of the same arrays in memory.
 * @throws StoreError for files that are missing; FileError for others than safetensors with these arrays; OptionError
 */
export async function inStore(options: InStoreOptions): Promise<FarData> {
  const { store, files: addresses, x = "x", y = "y", weights, on } = options;
  if (!Array.isArray(addresses) || addresses.length === 0 || !addresses.every((one) => typeof one === "string")) {
    throw new OptionError(`${WHERE}: files must be a list of safetensors files, at least one.`);
  }
  const objects: ObjectIdentity[] = [];
  for (const address of addresses) objects.push(await identityOfObject(WHERE, address));
  const names = [x, y, ...(weights === undefined ? [] : [weights])];
  const files: FileOfArrays[] = [];
  for (const object of objects) files.push(await lookAt(object, names));
  for (const name of names) {
    const shapes = new Set(files.map(({ arrays }) => `${arrays[name].dtype} [rows, ${arrays[name].shape.slice(1)}]`));
    if (shapes.size > 1) {
      throw new FileError(
        "malformed",
        `${WHERE}: the array "${name}" is not alike in all files: ${[...shapes].join("; ")}.`,
      );
    }
  }
  return indexed(openStore(WHERE, store), {
    kind: KIND,
    objects,
    digests: await digestsOfObjects(objects, on),
    examples: files.reduce((sum, { rows }) => sum + rows, 0),
    tensors: {},
    metadata: { arrays: JSON.stringify({ files, x, y, weights }) },
  });
}
