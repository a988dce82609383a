// What a page and its worker say to each other, on a port of their own: other messages to the worker are others' business.

/** What is used of a MessagePort: its own type would ask users' projects for the library "DOM". */
export interface Port {
  postMessage(message: unknown, transfer?: unknown[]): void;
  addEventListener(type: string, listener: (event: { readonly data: unknown }) => void): void;
  start?(): void;
  close?(): void;
  /** Node's: whether the process waits for messages. */
  ref?(): void;
  unref?(): void;
}

/** The name by which a greeting is known among messages. */
export const GREETING = "laplace-ts.connect";

/** The first message to a worker: the version of the page's library, and the port for all others. */
export interface Greeting {
  readonly [GREETING]: string;
  readonly port: Port;
  /** The name of a lock that the worker holds as long as it lives, where nothing else tells a page that it has ended. */
  readonly lock: string | undefined;
}

/** A page's locks, by names that it and its workers share: whoever ends gives back what it held. */
interface Locks {
  request(name: string, options: { readonly signal?: AbortSignal }, held: () => unknown): Promise<unknown>;
}

/** Those of this runtime, if there are any: pages have them where they come by https, or from this machine. */
export const locks = (): Locks | undefined => (globalThis as { navigator?: { locks?: Locks } }).navigator?.locks;

/** @returns whether a message to a worker is for the library */
export function isGreeting(message: unknown): message is Greeting {
  return message !== null && typeof message === "object" && GREETING in message && "port" in message;
}

/** From the page: a call, of a function or, `on` an object that the worker keeps, of a method; about those there are; or whether it hears. */
export type Request =
  | { readonly id: number; readonly name: string; readonly on: number | undefined; readonly args: readonly unknown[] }
  | { readonly abort: number }
  | { readonly free: number }
  | { readonly ping: number };

/** From the worker: that it is ready, or hears; of a call what it gave, why it failed, or what one of its callbacks is to be told. */
export type Reply =
  | { readonly ready: string }
  | { readonly pong: number }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: unknown }
  | { readonly id: number; readonly callback: number; readonly args: readonly unknown[] };
