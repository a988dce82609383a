// Errors of the command line, and the exit codes they end in.

import { FileError, LaplaceError, OptionError } from "laplace-ts";

/** Exit codes, as `laplace --help` lists them. */
export const exitCodes = {
  ok: 0,
  /** Data that cannot be read, fitted or predicted; a file that cannot be written. */
  input: 1,
  /** Options or arguments that do not exist or do not fit. */
  usage: 2,
  /** A model file that is truncated, altered, of a later version or something else. */
  model: 3,
  /** Something that should not happen. */
  internal: 70,
  interrupted: 130,
  hungUp: 129,
  terminated: 143,
} as const;

/** A table that cannot be read, or a row of it. */
export class TableError extends LaplaceError {
  override name: string = "TableError";
  /** The line of the file, the first being 1, where one is known. */
  readonly line: number | undefined;

  constructor(message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
    this.line = line;
  }
}

/** Options or arguments that do not fit together. */
export class UsageError extends LaplaceError {
  override name: string = "UsageError";
}

/** Files of the operating system, by the code that Node gives. */
const systemErrors: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file, not a folder",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "the links lead in a circle",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is too large for this disk or for the limit of this shell (ulimit -f)",
  EROFS: "the disk is read-only",
  EIO: "the disk or the device failed (an input or output error)",
  EPIPE: "the reader of the pipe has left",
  EMFILE: "too many files are open",
};

/** What a failed call of the operating system says, in words; undefined for other errors. */
export function systemMessage(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  if (!("syscall" in error)) return undefined;
  const path = "path" in error && typeof error.path === "string" ? `${error.path}: ` : "";
  return `${path}${systemErrors[error.code] ?? error.message}`;
}

/** The exit code that an error ends in. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof FileError) return exitCodes.model;
  if (error instanceof UsageError || error instanceof OptionError) return exitCodes.usage;
  if (error instanceof LaplaceError || systemMessage(error) !== undefined) return exitCodes.input;
  return exitCodes.internal;
}
