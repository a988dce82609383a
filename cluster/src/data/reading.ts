// Rows of data that lie where all machines see them: who asks for a fit writes an index of them, and whoever sums a shard reads its
// rows by the index. Of every block that is read the digest is held against that of the index.

import { type DatasetLike, FileError, type NDArray, readSafetensors, writeSafetensors } from "laplace-ts";
import { type FarData, farData } from "laplace-ts/executor";
import { StoreError } from "../errors.ts";
import { getContent, putContent } from "../store/content.ts";
import type { Contents } from "../store/digest.ts";
import { retrying } from "../store/retrying.ts";
import type { Store } from "../store/store.ts";
import { CheckedObject, readIdentity } from "./blocks.ts";
import type { ObjectIdentity } from "./objects.ts";

/** What a reader is given: what it wrote into the index, and the objects that this names. */
export interface Index extends Contents {
  readonly objects: readonly CheckedObject[];
}

/** Opens an index: gives what reads rows from one to before another. @throws FileError for an index of another kind */
export type Reader = (index: Index) => (first: number, end: number) => Promise<DatasetLike>;

const readers = new Map<string, Reader>();

/** Has this process read data of a kind, which indexes name. A worker has it by a module that its option `imports` names. */
export function defineReader(kind: string, reader: Reader): void {
  readers.set(kind, reader);
}

const [READER, OBJECTS, DIGESTS] = ["laplace-ts-cluster.reader", "laplace-ts-cluster.objects", "digests/"];

/** Where rows are: an index in the store, and which of its rows. */
interface RowsAt {
  readonly index: string;
  readonly first: number;
  readonly end: number;
}

/** The index that some rows name; undefined for others. */
export function indexOf(at: unknown): string | undefined {
  const { index } = Object(at) as Partial<RowsAt>;
  return typeof index === "string" && /^[0-9a-f]{64}$/.test(index) ? index : undefined;
}

/** Opened indexes, the last ones of each store. */
const opened = new WeakMap<Store, Map<string, Promise<ReturnType<Reader>>>>();
const MOST_KEPT = 4;

async function open(store: Store, name: string): Promise<ReturnType<Reader>> {
  const { tensors, metadata } = readSafetensors(await getContent(store, name));
  const { [READER]: kind = "", [OBJECTS]: list = "[]", ...texts } = metadata;
  const reader = readers.get(kind);
  if (reader === undefined) {
    throw new StoreError(
      "refused",
      `This worker cannot read data of the kind ${JSON.stringify(kind)}: start it by laplace worker, or with --import of the file that defines the reader.`,
    );
  }
  let known: unknown;
  try {
    known = JSON.parse(list);
  } catch {}
  if (!Array.isArray(known)) throw new FileError("malformed", "The file is not an index of data.");
  const objects = known.map((one, i) => new CheckedObject(readIdentity(one), tensors[`${DIGESTS}${i}`]));
  return reader({ objects, tensors, metadata: texts });
}

/** Rows of data, by where they are. @throws StoreError; FileError for what is not where rows are */
export async function readRows(store: Store, at: unknown): Promise<DatasetLike> {
  const name = indexOf(at);
  const { first, end } = Object(at) as Partial<RowsAt>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (name === undefined || !isCount(first) || !isCount(end) || first >= end) {
    throw new FileError("malformed", "The file does not say where its rows are.");
  }
  const kept = opened.get(store) ?? new Map<string, Promise<ReturnType<Reader>>>();
  opened.set(store, kept);
  const opening = kept.get(name) ?? open(store, name);
  kept.delete(name);
  kept.set(name, opening);
  for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
  opening.catch(() => kept.delete(name));
  return (await opening)(first, end);
}

/** An index to be written. */
export interface NewIndex extends Contents {
  /** By which name `defineReader` has what reads it. */
  readonly kind: string;
  readonly objects: readonly ObjectIdentity[];
  /** Of each object's blocks. */
  readonly digests: readonly NDArray[];
  /** How many rows there are. */
  readonly examples: number;
}

/** Writes an index: data that `fit` takes, whose rows are read where they are summed. @throws StoreError */
export async function indexed(given: Store, index: NewIndex): Promise<FarData> {
  const store = retrying(given);
  const { kind, objects, digests, examples, tensors, metadata } = index;
  const own = Object.fromEntries(digests.map((one, i) => [`${DIGESTS}${i}`, one]));
  const bytes = writeSafetensors(
    { ...tensors, ...own },
    { ...metadata, [READER]: kind, [OBJECTS]: JSON.stringify(objects) },
  );
  const name = await putContent(store, bytes);
  return farData({
    examples,
    rowsAt(first, end) {
      const at: RowsAt = { index: name, first, end };
      return { at, read: () => readRows(store, at) };
    },
  });
}
