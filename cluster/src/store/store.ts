// What a store does: objects of bytes by name, written whole and once.

import { ValueError } from "laplace-ts";

/** An object as a listing has it. */
export interface StoredObject {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since it was written. */
  readonly age: number;
}

/**
 * Objects of bytes by name. A name is one or more words of small letters, digits, ".", "-" and "_", with "/" between them. Whoever
 * reads sees an object whole or not at all, and of several who write the same name one succeeds.
 * Every call throws a StoreError whose `reason` says what is wrong.
 */
export interface Store {
  /** Where it is, for messages and for workers: without passwords. */
  readonly address: string;
  /**
   * Writes an object, unless there is one of that name. Says whether it was written; after an answer that was lost it may be
   * there all the same.
   */
  putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean>;
  /** The bytes of an object; undefined where there is none. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** What a listing says of one object; undefined where there is none. */
  stat(name: string): Promise<StoredObject | undefined>;
  /** The objects whose names begin so, in the order of their names, in pages: what is written meanwhile may be missing. */
  list(prefix: string): AsyncIterable<readonly StoredObject[]>;
  /** Removes an object, if there is one. */
  delete(name: string): Promise<void>;
  /** Removes what is left of writers that did not end, and is older than so many milliseconds. */
  tidy(olderThan: number): Promise<void>;
}

const NAME = /^[a-z0-9_][a-z0-9._-]*(\/[a-z0-9_][a-z0-9._-]*)*$/;
/** S3 takes 1024 bytes, which a prefix shares; a folder's file system 255 for each word. */
const [LONGEST_NAME, LONGEST_WORD] = [800, 200];

/** @throws ValueError for what no store takes as a name */
export function checkName(name: string): void {
  const fits =
    NAME.test(name) && name.length <= LONGEST_NAME && name.split("/").every((word) => word.length <= LONGEST_WORD);
  if (!fits) {
    throw new ValueError(
      `An object's name is words of small letters, digits, ".", "-" and "_" with "/" between them, not ${JSON.stringify(name)}.`,
    );
  }
}

/** @throws ValueError for what no name begins with */
export function checkPrefix(prefix: string): void {
  if (prefix !== "") checkName(prefix.replace(/\/$/, ""));
}
