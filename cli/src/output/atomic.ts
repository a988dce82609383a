// Files that are there whole or not at all: written beside their place under another name, flushed to disk, renamed.

import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { access, constants, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Files that are being written. */
const unfinished = new Set<AtomicFile>();

/** Removes all that is not finished: the last thing before the process ends by a signal or an error. */
export function removeUnfinished(): void {
  for (const file of unfinished) file.abort();
}

/** A file on its way. */
export class AtomicFile {
  readonly path: string;
  readonly #temporary: string;
  #descriptor: number | undefined;

  constructor(path: string) {
    this.path = path;
    const name = `.${basename(path)}.${process.pid}-${randomBytes(4).toString("hex")}.tmp`;
    this.#temporary = join(dirname(path), name);
    this.#descriptor = openSync(this.#temporary, "wx");
    unfinished.add(this);
  }

  /** Writes after what was written before. */
  write(content: string | Uint8Array): void {
    if (this.#descriptor === undefined) throw new Error(`${this.path} is closed.`);
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
  }

  /** Puts the file in its place. */
  commit(): void {
    if (this.#descriptor === undefined) throw new Error(`${this.path} is closed.`);
    fsyncSync(this.#descriptor);
    this.#close();
    renameSync(this.#temporary, this.path);
    unfinished.delete(this);
  }

  /** Removes what there is, unless the file is in its place. */
  abort(): void {
    if (!unfinished.delete(this)) return;
    this.#close();
    try {
      unlinkSync(this.#temporary);
    } catch {
      // It is gone already.
    }
  }

  #close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Writes a whole file. */
export function writeAtomically(path: string, content: string | Uint8Array): void {
  const file = new AtomicFile(path);
  try {
    file.write(content);
    file.commit();
  } finally {
    file.abort();
  }
}

/** Refuses a path that cannot be written before long work begins. @throws errors of the operating system */
export async function checkWritable(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) throw Object.assign(new Error(), { code: "EISDIR", syscall: "open", path });
  await access(dirname(path), constants.W_OK);
}
