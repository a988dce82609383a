// Results: safetensors files that say who wrote them and the digest of what they hold. One of a name is written once; whoever
// writes it again must have the same bits.

import { FileError, readSafetensors, writeSafetensors } from "laplace-ts";
import { isBroken, StoreError } from "../errors.ts";
import { type Contents, contentsDigest } from "./digest.ts";
import type { Store } from "./store.ts";

const PREFIX = "laplace-ts-cluster.";
const [BY, DIGEST] = [`${PREFIX}by`, `${PREFIX}sha256`];

/** A result, and who wrote it. */
export interface Sealed extends Contents {
  readonly by: string;
  readonly digest: string;
}

const bytesOf = ({ tensors, metadata }: Contents, by: string, digest: string) =>
  writeSafetensors(tensors, { ...metadata, [BY]: by, [DIGEST]: digest });

/** Reads a result from a stranger's bytes. @throws StoreError for what is truncated, altered, or something else */
export function readSealed(name: string, bytes: Uint8Array): Sealed {
  const broken = (problem: "truncated" | "altered", why: string, cause?: unknown) =>
    new StoreError(problem, `The object ${name} in the store is not what was written: ${why}`, { cause });
  let read: Contents;
  try {
    read = readSafetensors(bytes);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw broken(error.reason === "truncated" ? "truncated" : "altered", error.message, error);
  }
  const { [BY]: by, [DIGEST]: digest, ...metadata } = read.metadata;
  if (by === undefined || digest === undefined) throw broken("altered", "nobody's name, or no digest, is in it.");
  const { tensors } = read;
  try {
    if (contentsDigest({ tensors, metadata }) === digest) return { tensors, metadata, by, digest };
  } catch (error) {
    // An array of a type that is not read throws when it is asked for.
    if (!(error instanceof FileError)) throw error;
    throw broken("altered", error.message, error);
  }
  throw broken("altered", `its digest is not ${digest}, which it says itself.`);
}

/** The result of that name; undefined where there is none. @throws StoreError for one that is truncated or altered */
export async function getSealed(store: Store, name: string): Promise<Sealed | undefined> {
  const bytes = await store.get(name);
  return bytes && readSealed(name, bytes);
}

/** The result of that name; one that is not what was written is removed, as good as none. */
export async function getWhole(store: Store, name: string): Promise<Sealed | undefined> {
  try {
    return await getSealed(store, name);
  } catch (error) {
    if (!isBroken(error)) throw error;
    await store.delete(name);
    return undefined;
  }
}

/**
 * Writes a result, once. Says whether it was written now; one that is truncated or altered is written anew.
 * @param by who writes it
 * @throws StoreError "conflict" where another one of that name has other bits
 */
export async function putSealed(store: Store, name: string, contents: Contents, by: string): Promise<boolean> {
  const digest = contentsDigest(contents);
  const bytes = bytesOf(contents, by, digest);
  for (;;) {
    if (await store.putIfAbsent(name, bytes)) return true;
    const before = await getWhole(store, name);
    if (before === undefined) continue;
    if (before.digest === digest) return false;
    throw new StoreError(
      "conflict",
      `The object ${name} was written by ${before.by} with other bits than those of ${by}. One of the two machines computes wrongly, or has another build of the kernels or of the library: of a pure sum both must be the same.`,
    );
  }
}
