// Files that are there whole or not at all: written beside their place under another name, flushed to disk, renamed.

import { randomBytes } from "node:crypto";
import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, type Stats, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Place } from "./place.ts";
import { writeWhole } from "./write.ts";

/** Files that are being written. */
const unfinished = new Set<AtomicFile>();

/** Removes all that is not finished: the last thing before the process ends by a signal or an error. */
export function removeUnfinished(): void {
  for (const file of unfinished) file.abort();
}

/** A file on its way. */
export class AtomicFile {
  readonly #path: string;
  readonly #real: string;
  readonly #temporary: string;
  #descriptor: number | undefined;

  constructor({ path, real, found }: Place) {
    [this.#path, this.#real] = [path, real];
    // Short, because a name that just fits would not with more.
    this.#temporary = join(dirname(real), `.laplace-${process.pid}-${randomBytes(4).toString("hex")}.tmp`);
    // Nobody may read of a private file while it is written.
    this.#descriptor = openSync(this.#temporary, "wx", found === undefined ? 0o666 : 0o600);
    unfinished.add(this);
    if (found !== undefined) keepRights(this.#descriptor, found);
  }

  /** Writes after what was written before. @throws errors of the operating system */
  write(content: string | Uint8Array): void {
    writeWhole(this.#open, content, this.#path);
  }

  /** Flushes what was written to disk: what cannot be kept fails here. */
  flush(): void {
    named(this.#path, () => fsyncSync(this.#open));
  }

  /** Puts the file in its place. */
  commit(): void {
    const descriptor = this.#open;
    this.#descriptor = undefined;
    named(this.#path, () => closeSync(descriptor));
    named(this.#path, () => renameSync(this.#temporary, this.#real));
    unfinished.delete(this);
  }

  /** Removes what there is, unless the file is in its place. */
  abort(): void {
    if (!unfinished.delete(this)) return;
    try {
      if (this.#descriptor !== undefined) closeSync(this.#descriptor);
      this.#descriptor = undefined;
      unlinkSync(this.#temporary);
    } catch {
      // It is gone already.
    }
  }

  get #open(): number {
    if (this.#descriptor === undefined) throw new Error(`${this.#path} is closed.`);
    return this.#descriptor;
  }
}

/** The mode of the file that is replaced, and its owner as far as we may. */
function keepRights(descriptor: number, { uid, gid, mode }: Stats): void {
  try {
    fchownSync(descriptor, uid, gid);
  } catch {
    // Only root gives files away.
  }
  fchmodSync(descriptor, mode & 0o7777);
}

/** Errors of the operating system with the path that they are about, instead of a name that nobody chose. */
function named(path: string, call: () => void): void {
  try {
    call();
  } catch (error) {
    throw error instanceof Error ? Object.assign(error, { path }) : error;
  }
}
