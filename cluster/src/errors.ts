// The errors of this package.

import { LaplaceError } from "laplace-ts";
import { errorOf } from "laplace-ts/executor";

/** What is wrong with a store, or with an object in it. */
export type StoreProblem =
  /** An object that is needed is not there. */
  | "missing"
  /** An object ends before it should. */
  | "truncated"
  /** An object's bytes are not those that were written. */
  | "altered"
  /** Two workers gave a shard other bits. */
  | "conflict"
  /** There is no room. */
  | "full"
  /** The store does not let us read or write there, or cannot do what is needed of it. */
  | "refused"
  /** The store did not answer, or had an error of its own that may pass. */
  | "unreachable";

/** A store that did not do what was asked, or an object in it that is not what was written. `reason` says which. */
export class StoreError extends LaplaceError {
  override name: string = "StoreError";
  readonly reason: StoreProblem;

  constructor(reason: StoreProblem, message: string, options?: ErrorOptions) {
    super(message);
    this.reason = reason;
    if (options?.cause !== undefined) this.cause = options.cause;
  }
}

/** Whether an error may pass: what was asked can be asked again. */
export const mayPass = (error: unknown): boolean => error instanceof StoreError && error.reason === "unreachable";

/** Whether an object is there that is not what was written: as good as none. */
export const isBroken = (error: unknown): boolean =>
  error instanceof StoreError && (error.reason === "truncated" || error.reason === "altered");

/** A shard that no worker did: their processes ended, or lost it, time and again. */
export class ShardError extends LaplaceError {
  override name: string = "ShardError";
  readonly fit: string;
  readonly shard: number;

  constructor(fit: string, shard: number, message: string) {
    super(message);
    this.fit = fit;
    this.shard = shard;
  }
}

/** Whether an error is a shard's own, which another try will not change: wrong data, options, or bits. */
export function isLasting(error: unknown): boolean {
  if (error instanceof StoreError) return error.reason === "conflict";
  return error instanceof LaplaceError && !(error instanceof ShardError);
}

const own: Readonly<Record<string, abstract new (...args: never[]) => LaplaceError>> = { StoreError, ShardError };

/** Whether it is a written error, and not what a stranger has put in the place of one. */
export function isWritten(one: unknown): boolean {
  const { name, message } = Object(one) as { readonly name?: unknown; readonly message?: unknown };
  return typeof name === "string" && typeof message === "string";
}

/** An error that another process wrote by `errorMessage`: of the same class, with the same fields. */
export function errorFrom(message: unknown): Error {
  const { cause, ...rest } = message as { readonly cause?: unknown };
  const error = errorOf(rest);
  if (isWritten(cause)) error.cause = errorFrom(cause);
  if (Object.hasOwn(own, error.name)) Object.setPrototypeOf(error, own[error.name].prototype);
  return error;
}
