// A folder as a store: on one machine, or on a disk that all machines share. An object is a file. It is written under a name of
// its own, brought to the disk, and then linked to its place, which fails where a file is: so it is whole, and written once.

import { randomUUID } from "node:crypto";
import type { Dirent } from "node:fs";
import { link, mkdir, open, readdir, readFile, rm, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { StoreError, type StoreProblem } from "../errors.ts";
import { checkName, checkPrefix, type Store, type StoredObject } from "./store.ts";

/** Where files are written before they are whole. No object's name begins so. */
const INCOMING = ".incoming";
/** Objects of a page of a listing. */
const PAGE = 1000;

const problems: Readonly<Record<string, StoreProblem>> = {
  ENOSPC: "full",
  EDQUOT: "full",
  EFBIG: "full",
  EIO: "unreachable",
  ESTALE: "unreachable",
  EAGAIN: "unreachable",
  EBUSY: "unreachable",
  EINTR: "unreachable",
  ETIMEDOUT: "unreachable",
  EMFILE: "unreachable",
  ENFILE: "unreachable",
  ENOTCONN: "unreachable",
  EHOSTDOWN: "unreachable",
};

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException | undefined)?.code;

/** What an error of the file system is, for people and for programs. */
function failure(what: string, path: string, error: unknown): StoreError {
  const code = codeOf(error);
  const problem = problems[code ?? ""] ?? "refused";
  const advice =
    problem === "full"
      ? " The disk is full: make room, or remove what is old (laplace sweep)."
      : code === "EPERM" || code === "ENOTSUP" || code === "EOPNOTSUPP" || code === "ENOSYS" || code === "EMLINK"
        ? " The file system must have hard links, by which an object is written whole and once."
        : "";
  const text = error instanceof Error ? error.message : String(error);
  return new StoreError(problem, `The store could not ${what} ${path}: ${text}.${advice}`, { cause: error });
}

/** Brings a folder's entries to the disk, where the system can. */
async function syncFolder(path: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(path, "r");
    await handle.sync();
  } catch (error) {
    // Windows has no such thing, and some network file systems do it by themselves.
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "EBADF"].includes(codeOf(error) ?? "")) throw error;
  } finally {
    await handle?.close();
  }
}

class Folder implements Store {
  readonly address: string;
  readonly #root: string;
  /** Folders that were seen. */
  readonly #made = new Set<string>();

  constructor(path: string) {
    this.#root = resolve(path);
    this.address = this.#root;
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    checkName(name);
    const path = join(this.#root, name);
    const own = join(this.#root, INCOMING, `${hostname()}.${process.pid}.${randomUUID()}`);
    try {
      if (await this.stat(name)) return false;
      await this.#make(dirname(own));
      await this.#write(own, bytes);
      await this.#make(dirname(path));
      try {
        await link(own, path);
      } catch (error) {
        if (codeOf(error) === "EEXIST") return false;
        if (codeOf(error) !== "ENOENT") throw error;
        // Somebody removed the empty folder.
        this.#made.clear();
        await this.#make(dirname(path));
        await link(own, path);
      }
      await syncFolder(dirname(path));
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error instanceof StoreError ? error : failure("write", path, error);
    } finally {
      // What cannot be removed now, `tidy` removes later.
      await unlink(own).catch(() => {});
    }
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Makes a folder, and brings the entries of those above it to the disk. */
  async #make(path: string): Promise<void> {
    if (this.#made.has(path)) return;
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) {
      for (let at = path; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at));
    }
    this.#made.add(path);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkName(name);
    const path = join(this.#root, name);
    try {
      return await readFile(path);
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw failure("read", path, error);
    }
  }

  async stat(name: string): Promise<StoredObject | undefined> {
    checkName(name);
    const path = join(this.#root, name);
    try {
      const found = await stat(path);
      return found.isFile() ? { name, size: found.size, age: Date.now() - found.mtimeMs } : undefined;
    } catch (error) {
      if (isNothing(error)) return undefined;
      throw failure("look at", path, error);
    }
  }

  async *list(prefix: string): AsyncGenerator<readonly StoredObject[]> {
    checkPrefix(prefix);
    let page: StoredObject[] = [];
    for await (const name of this.#names("", prefix)) {
      // It may be gone by now.
      const found = await this.stat(name);
      if (found !== undefined) page.push(found);
      if (page.length < PAGE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  /** Names under a folder that begin with a prefix, in order. */
  async *#names(folder: string, prefix: string): AsyncGenerator<string> {
    let entries: Dirent[];
    try {
      entries = await readdir(join(this.#root, folder), { withFileTypes: true });
    } catch (error) {
      if (isNothing(error)) return;
      throw failure("list", join(this.#root, folder), error);
    }
    // A folder comes where the "/" behind its name does.
    const names = entries
      .filter(({ name }) => !name.startsWith("."))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? "/" : ""}`)
      .sort();
    for (const name of names) {
      if (!name.endsWith("/")) {
        if (name.startsWith(prefix)) yield name;
      } else if (name.startsWith(prefix) || prefix.startsWith(name)) yield* this.#names(name, prefix);
    }
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    const path = join(this.#root, name);
    try {
      await unlink(path);
    } catch (error) {
      if (!isNothing(error)) throw failure("remove", path, error);
    }
  }

  async tidy(olderThan: number): Promise<void> {
    const folder = join(this.#root, INCOMING);
    try {
      for (const name of await readdir(folder)) {
        const path = join(folder, name);
        const found = await stat(path).catch(() => undefined);
        if (found !== undefined && Date.now() - found.mtimeMs > olderThan) await rm(path, { force: true });
      }
    } catch (error) {
      if (!isNothing(error)) throw failure("tidy", folder, error);
    }
  }
}

/** Whether an error says that there is nothing of that name. */
const isNothing = (error: unknown) => codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";

/**
 * A folder as a store. It is made when something is written. Several machines need a disk that they share, such as NFS, with
 * hard links.
 */
export function folderStore(path: string): Store {
  return new Folder(path);
}
