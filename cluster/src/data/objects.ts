// Files and objects that somebody else wrote, which all machines see: read in ranges, and never written.

import { type FileHandle, open } from "node:fs/promises";
import { hostname } from "node:os";
import { isAbsolute } from "node:path";
import { OptionError } from "laplace-ts";
import { StoreError } from "../errors.ts";
import { again } from "../store/retrying.ts";
import { openBucketObject } from "../store/s3.ts";

/** Which object it is, as it was when it was first looked at. */
export interface ObjectIdentity {
  /** An absolute path, or s3://bucket/key. */
  readonly address: string;
  /** Bytes. */
  readonly size: number;
  /** A word that changes when it is written anew. */
  readonly version: string;
}

/** What is asked of an object. */
interface Asked {
  look(): Promise<Omit<ObjectIdentity, "address"> | undefined>;
  read(first: number, end: number): Promise<Uint8Array | undefined>;
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException | undefined)?.code ?? "";

/** A file of this machine, or of a disk that it shares. */
function fileAt(path: string): Asked {
  const opened = async <T>(ask: (handle: FileHandle) => Promise<T>): Promise<T | undefined> => {
    let handle: FileHandle | undefined;
    try {
      handle = await open(path);
      return await ask(handle);
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined;
      const problem = ["EIO", "ESTALE", "EAGAIN", "ETIMEDOUT", "EMFILE", "ENFILE"].includes(codeOf(error))
        ? "unreachable"
        : "refused";
      throw new StoreError(problem, `The data ${path} cannot be read: ${(error as Error).message}.`, { cause: error });
    } finally {
      await handle?.close();
    }
  };
  return {
    look: () =>
      opened(async (handle) => {
        const found = await handle.stat();
        return { size: found.size, version: Math.round(found.mtimeMs).toString(36) };
      }),
    read: (first, end) =>
      opened(async (handle) => {
        const bytes = new Uint8Array(end - first);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, first);
        return bytes.subarray(0, bytesRead);
      }),
  };
}

/** @throws OptionError for what is neither an absolute path nor a bucket's object */
function askedOf(where: string, address: string): Asked {
  if (/^s3:/i.test(address)) return openBucketObject(where, address);
  if (isAbsolute(address)) return fileAt(address);
  throw new OptionError(
    `${where}: data that machines read must be an absolute path, the same on all of them, or s3://bucket/key.`,
  );
}

const missing = (address: string) =>
  new StoreError(
    "missing",
    `The data ${address} are not there on ${hostname()}. All machines must see them by the same path or address.`,
  );

/** An object as it is now. @throws StoreError where there is none; OptionError */
export async function identityOfObject(where: string, address: string): Promise<ObjectIdentity> {
  const found = await again(() => askedOf(where, address).look());
  if (found === undefined) throw missing(address);
  return { address, ...found };
}

/**
 * Bytes of an object from one to before another.
 * @throws StoreError where it is missing, or shorter than it was
 */
export async function bytesOfObject(
  where: string,
  { address, size }: Pick<ObjectIdentity, "address" | "size">,
  first: number,
  end: number,
): Promise<Uint8Array> {
  if (first >= end) return new Uint8Array(0);
  const bytes = await again(() => askedOf(where, address).read(first, end));
  if (bytes === undefined) throw missing(address);
  if (bytes.length === end - first) return bytes;
  throw new StoreError(
    "truncated",
    `The data ${address} had ${size} bytes, and now end within ${first} to ${end}. They must stay as they are while a fit reads them.`,
  );
}
