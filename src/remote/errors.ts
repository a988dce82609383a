// Errors that cross: of the same class, with the same fields.

import * as own from "../errors.ts";

const { LaplaceError } = own;

/** What is written of an error. */
interface ErrorMessage {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: unknown;
  /** Whether it is a DOMException, such as that of an abort. */
  readonly dom: boolean;
}

/** An error as a message has it. What is thrown and no error goes as its text. */
export function errorMessage(error: unknown): ErrorMessage {
  if (!(error instanceof Error))
    return { name: "Error", message: own.valueText(error), stack: undefined, fields: {}, dom: false, cause: undefined };
  const { name, message, stack, cause } = error;
  // Fields of the library's errors are plain; another error's may be anything.
  const kept = error instanceof LaplaceError ? Object.entries(error) : [];
  const fields = Object.fromEntries(kept.filter(([key]) => !["name", "message", "stack", "cause"].includes(key)));
  return {
    name,
    message,
    stack,
    fields,
    dom: error instanceof DOMException,
    cause: cause instanceof Error ? errorMessage(cause) : undefined,
  };
}

/** The class of that name: the library's, or JavaScript's. */
function classOf(name: string): (new (message: string) => Error) | undefined {
  const found = (own as Record<string, unknown>)[name] ?? (globalThis as Record<string, unknown>)[name];
  const fits = typeof found === "function" && (found === Error || found.prototype instanceof Error);
  return fits ? (found as new (message: string) => Error) : undefined;
}

/** The error of a message. */
export function errorOf(written: unknown): Error {
  const { name, message, stack, fields, cause, dom } = written as ErrorMessage;
  if (dom) return new DOMException(message, name);
  // The library's constructors have parameters of their own.
  const error = new Error(message, cause === undefined ? undefined : { cause: errorOf(cause) });
  Object.setPrototypeOf(error, (classOf(name) ?? Error).prototype);
  if (stack !== undefined) error.stack = stack;
  if (error.name !== name || error instanceof LaplaceError) error.name = name;
  return Object.assign(error, fields);
}
