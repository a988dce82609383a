// The digests of data that somebody else wrote, block by block: found once, by whoever does shards, and held against what is read.

import { FileError, NDArray } from "laplace-ts";
import { contentsOf, type Executor, type Shards, valueFrom, waitedFor } from "laplace-ts/executor";
import { StoreError } from "../errors.ts";
import { digestOf } from "../store/digest.ts";
import type { StoredTask } from "../tasks.ts";
import { bytesOfObject, type ObjectIdentity } from "./objects.ts";

/** Bytes of a block. */
export const BLOCK = 2 ** 20;
/** Blocks that are one shard. */
const TOGETHER = 64;
/** 32-bit words of a digest. */
const WORDS = 8;
const WHERE = "data";

/** How many blocks so many bytes are. */
const blocksOf = (size: number) => Math.ceil(size / BLOCK);

/** Some blocks of an object. */
interface SomeBlocks {
  readonly object: number;
  readonly first: number;
  readonly end: number;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** An object's identity, as a stranger may have written it. @throws FileError */
export function readIdentity(value: unknown): ObjectIdentity {
  const { address, size, version } = Object(value) as Partial<ObjectIdentity>;
  if (typeof address === "string" && isCount(size) && typeof version === "string") return { address, size, version };
  throw new FileError("malformed", "The file does not say which data it is of.");
}

async function digestsOf(object: ObjectIdentity, first: number, end: number): Promise<Uint32Array> {
  const words = new Uint32Array(WORDS * (end - first));
  for (let block = first; block < end; block++) {
    const bytes = await bytesOfObject(WHERE, object, block * BLOCK, Math.min(object.size, (block + 1) * BLOCK));
    const digest = digestOf(bytes);
    for (let word = 0; word < WORDS; word++) {
      words[WORDS * (block - first) + word] = Number.parseInt(digest.slice(8 * word, 8 * word + 8), 16);
    }
  }
  return words;
}

const jobOf = (value: unknown): SomeBlocks => {
  const { object, first, end } = Object(value) as Partial<SomeBlocks>;
  if (isCount(object) && isCount(first) && isCount(end) && first < end) return { object, first, end };
  throw new FileError("malformed", "The file does not say which blocks of data it is of.");
};

/** Digests of blocks. */
export const digestTask: StoredTask<readonly ObjectIdentity[], SomeBlocks, Uint32Array> = {
  name: "laplace-ts-cluster digests",
  *begin(objects) {
    return function* ({ object, first, end }) {
      return (yield* waitedFor(() => digestsOf(objects[object], first, end))) as Uint32Array;
    };
  },
  writeWork: async (objects) => contentsOf(objects),
  // Blocks are not examples of a fit.
  writeJob: (job) => ({ ...contentsOf(job), examples: 0 }),
  readResult(_, contents) {
    const words = valueFrom(WHERE, contents);
    if (words instanceof Uint32Array && words.length % WORDS === 0) return words;
    throw new FileError("malformed", "The file has no digests of blocks.");
  },
  async open(contents) {
    const value = valueFrom(WHERE, contents);
    const objects = (Array.isArray(value) ? value : []).map(readIdentity);
    return {
      adds: false,
      async do(written) {
        const { object, first, end } = jobOf(valueFrom(WHERE, written));
        if (!(end <= blocksOf(objects[object]?.size ?? 0))) {
          throw new FileError("malformed", "The file is of blocks that the data do not have.");
        }
        return contentsOf(await digestsOf(objects[object], first, end));
      },
      add() {
        throw new FileError("malformed", "Digests of blocks do not add.");
      },
    };
  },
};

/** The digests of all blocks of objects, [blocks, 8] words each. @param on who reads them (default: this process) @throws StoreError */
export async function digestsOfObjects(objects: readonly ObjectIdentity[], on?: Executor): Promise<readonly NDArray[]> {
  const jobs: SomeBlocks[] = [];
  objects.forEach(({ size }, object) => {
    for (let first = 0; first < blocksOf(size); first += TOGETHER) {
      jobs.push({ object, first, end: Math.min(first + TOGETHER, blocksOf(size)) });
    }
  });
  const found = objects.map(({ size }) => new Float64Array(WORDS * blocksOf(size)));
  const shards: Shards<readonly ObjectIdentity[], SomeBlocks, Uint32Array> = {
    where: WHERE,
    task: digestTask,
    // biome-ignore lint/correctness/useYield: there is nothing to wait for
    *prepare() {
      return objects;
    },
    jobs,
    take(place, words) {
      const { object, first } = jobs[place];
      found[object].set(words, WORDS * first);
    },
  };
  if (on === undefined) {
    for (const [place, { object, first, end }] of jobs.entries()) {
      shards.take(place, await digestsOf(objects[object], first, end));
    }
  } else if (jobs.length > 0) await on.run(shards);
  return found.map((words) => new NDArray(words, [words.length / WORDS, WORDS]));
}

/** An object whose blocks are held against their digests when they are read. */
export class CheckedObject {
  readonly identity: ObjectIdentity;
  readonly #digests: NDArray;
  /** The last block that was read: the next range begins in it. */
  #kept: { readonly block: number; readonly bytes: Uint8Array } | undefined;

  /** @throws FileError where there are not as many digests as blocks */
  constructor(identity: ObjectIdentity, digests: NDArray | undefined) {
    if (digests?.shape.join() !== [blocksOf(identity.size), WORDS].join()) {
      throw new FileError("malformed", `The file has no digests of the data ${identity.address}.`);
    }
    this.identity = identity;
    this.#digests = digests;
  }

  /** Bytes from one to before another. @throws StoreError where they are missing, truncated or altered */
  async read(first: number, end: number): Promise<Uint8Array> {
    const { address, size } = this.identity;
    if (!(first >= 0 && first <= end && end <= size)) {
      throw new FileError("malformed", `The data ${address} have ${size} bytes; none from ${first} to ${end}.`);
    }
    const bytes = new Uint8Array(end - first);
    for (let block = Math.floor(first / BLOCK); block * BLOCK < end; block++) {
      const own = await this.#block(block);
      const from = Math.max(first, block * BLOCK);
      const to = Math.min(end, block * BLOCK + own.length);
      bytes.set(own.subarray(from - block * BLOCK, to - block * BLOCK), from - first);
    }
    return bytes;
  }

  async #block(block: number): Promise<Uint8Array> {
    if (this.#kept?.block === block) return this.#kept.bytes;
    const { address, size } = this.identity;
    const bytes = await bytesOfObject(WHERE, this.identity, block * BLOCK, Math.min(size, (block + 1) * BLOCK));
    const digest = digestOf(bytes);
    const words = this.#digests.data.subarray(WORDS * block, WORDS * (block + 1));
    const known = Array.from(words, (word) => word.toString(16).padStart(8, "0")).join("");
    if (digest !== known) {
      throw new StoreError(
        "altered",
        `The data ${address} are not those that the fit was begun with: other bytes from ${block * BLOCK} on. They must stay as they are while a fit reads them; a new fit takes them as they are now.`,
      );
    }
    this.#kept = { block, bytes };
    return bytes;
  }
}
