// What the path of an output leads to: a file to put in place whole, a device or pipe to write to, or standard output.

import { accessSync, constants, readlinkSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { descriptorStats } from "../descriptors.ts";
import { UsageError } from "../errors.ts";

/** Where an output goes. */
export interface Place {
  /** As it was given. */
  readonly path: string;
  /** Its file, symbolic links followed. */
  readonly real: string;
  /** A file that is replaced when the new one is whole; something that is written to; what standard output is already. */
  readonly kind: "file" | "stream" | "stdout";
  /** What is there now. */
  readonly found: Stats | undefined;
}

/** Something that is read or written, in words, and its path; "-" is standard input or output. */
export interface Named {
  readonly what: string;
  readonly path: string;
}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
/** As many symbolic links as Linux follows. */
const MOST_LINKS = 40;

/** @throws UsageError for what can neither be written to nor replaced; errors of the operating system */
export function placeOf(path: string): Place {
  if (path === "") throw new UsageError("the path of an output is empty.");
  const found = statSync(path, { throwIfNoEntry: false });
  const standard = descriptorStats(STDOUT);
  if (path === "-" || (found !== undefined && same(found, standard))) {
    return { path, real: path, kind: "stdout", found: standard };
  }
  if (found === undefined) return { path, real: target(path), kind: "file", found };
  if (found.isDirectory()) throw systemError("EISDIR", path);
  if (found.isFIFO() || found.isCharacterDevice()) return { path, real: path, kind: "stream", found };
  if (!found.isFile()) {
    const what = found.isBlockDevice() ? "a disk" : found.isSocket() ? "a socket" : "no file";
    throw new UsageError(`${path} is ${what}. Give the name of a file, a pipe or a character device.`);
  }
  if (found.nlink > 1) {
    throw new UsageError(
      `${path} has ${found.nlink} names (hard links), and a new file would have only this one. Remove it first, or give another name.`,
    );
  }
  return { path, real: realpathSync(path), kind: "file", found };
}

/** The file that a path would make: its own, or the one that a link which leads nowhere yet points to. */
function target(path: string): string {
  let at = resolve(path);
  for (let links = 0; links < MOST_LINKS; links++) {
    at = join(realpathSync(dirname(at)), basename(at));
    let next: string;
    try {
      next = readlinkSync(at);
    } catch {
      return at;
    }
    at = resolve(dirname(at), next);
  }
  throw systemError("ELOOP", path);
}

const same = (a: Stats, b: Stats) => a.dev === b.dev && a.ino === b.ino;

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(code), { code, syscall: "open", path });
}

/**
 * Refuses outputs before long work begins: those that cannot be written, and those that are an input or another output, by
 * whatever name or link. Devices may be given twice. @throws UsageError; errors of the operating system
 */
export function checkOutputs(outputs: readonly Named[], inputs: readonly Named[]): void {
  const used: { what: string; found: Stats | undefined; real: string }[] = [];
  for (const { what, path } of inputs) {
    const found = path === "-" ? descriptorStats(STDIN) : statSync(path, { throwIfNoEntry: false });
    used.push({ what, found, real: path });
  }
  const places = outputs.map(({ what, path }) => ({ what, ...placeOf(path) }));
  // What the shell has opened for us is an output too.
  const standard = places.find(({ kind }) => kind === "stdout");
  const rest = places.filter((place) => place !== standard);
  const implied = { what: "standard output", path: "-", real: "-", found: descriptorStats(STDOUT) };
  for (const place of [standard ?? implied, ...rest]) {
    const other = used.find((one) => clash(place, one));
    if (other !== undefined) {
      const path = place.path === "-" ? "standard output" : place.path;
      throw new UsageError(`${path} is both ${other.what} and ${place.what}. Give another name.`);
    }
    used.push(place);
  }
  for (const place of rest) {
    if (clash(place, { found: descriptorStats(STDERR), real: "" })) {
      throw new UsageError(`${place.path} is both standard error and ${place.what}. Give another name.`);
    }
    checkWritable(place);
  }
}

function clash(a: Pick<Place, "found" | "real">, b: Pick<Place, "found" | "real">): boolean {
  if (a.found === undefined || b.found === undefined) {
    return a.found === undefined && b.found === undefined && a.real === b.real;
  }
  return same(a.found, b.found) && (a.found.isFile() || a.found.isFIFO());
}

/** Replacing a file takes the right to write in its folder, which says nothing of a file that nobody may write. */
function checkWritable({ real, found }: Place): void {
  if (found !== undefined) accessSync(real, constants.W_OK);
  if (found === undefined || found.isFile()) accessSync(dirname(real), constants.W_OK);
}
