// The page's end of a connection: calls that wait for their answers, and what ends them early.

import { LaplaceError, valueText } from "../errors.ts";
import { version } from "../io/version.ts";
import type { Kind } from "./calls.ts";
import { errorOf } from "./errors.ts";
import { GREETING, locks, type Port, type Reply, type Request } from "./messages.ts";
import { type Mark, mark, type Packing, pack, unpack } from "./values.ts";

/** What `connect` needs of a worker; one of a page, one of Node and a MessagePort all have it. */
export interface WorkerLike {
  postMessage(message: unknown, transfer: never[]): void;
  terminate?(): unknown;
}

/** Events of a page's workers and of Node's. */
interface Events {
  addEventListener?(
    type: string,
    listener: (event: { readonly message?: string; readonly error?: unknown }) => void,
  ): void;
  on?(type: string, listener: (value: unknown) => void): void;
  ref?(): void;
  unref?(): void;
}

interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

interface Waiting {
  settle(reply: { readonly result: unknown } | { readonly error: unknown }): void;
  /** Functions among the options of the call, which the worker calls by their places. */
  readonly callbacks: readonly ((...args: unknown[]) => unknown)[];
  fail(error: unknown): void;
}

/** What is to be told of a call besides its arguments. */
export interface CallOptions {
  /** The number of the object whose method it is. */
  readonly on?: number | undefined;
  /** How many of the first arguments keep their memory whatever the last says. */
  readonly kept?: number;
  /** What a mark for an object that the worker keeps becomes. */
  readonly handle: (kind: Kind, id: number, facts: object) => unknown;
  /** What stands for a value in a message. */
  readonly stand: Packing["stand"];
  /** What is given where the worker says that it is the object itself. */
  readonly self?: unknown;
}

const callbackNames = ["onProgress", "onWarning"];

/** How often a worker that is waited for is asked whether it hears, until it is given up. */
const ASKED = 3;

/** Every runtime's. */
export const timers = globalThis as unknown as {
  setTimeout(callback: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
};

export class Connection {
  readonly #worker: WorkerLike & Events;
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #ended: LaplaceError | undefined;
  #failed = false;
  readonly #lock: string | undefined;
  readonly #watch = new AbortController();
  readonly #patience: number;
  #timer: unknown;
  /** How often it was asked whether it hears, since it last said something. */
  #asked = 0;

  /**
   * @param patience milliseconds after which a worker that is waited for, and says nothing, is ended; one that works hears
   *   between its bursts
   */
  constructor(worker: WorkerLike, patience = Number.POSITIVE_INFINITY) {
    this.#worker = worker;
    this.#patience = patience;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1 as unknown as Port;
    this.#port.addEventListener("message", ({ data }) => this.#hear(data as Reply));
    this.#port.start?.();
    this.#listen();
    // A page is not told that somebody ended its worker: a lock is, which the worker held.
    const watched = typeof worker.terminate === "function" && typeof this.#worker.addEventListener === "function";
    this.#lock = watched && locks() !== undefined ? `laplace-ts ${crypto.randomUUID()}` : undefined;
    worker.postMessage({ [GREETING]: version, port: port2, lock: this.#lock }, [port2 as never]);
  }

  #listen(): void {
    const failed = (why: string) => {
      this.#failed = this.#waiting.has(0);
      this.end(`the worker failed: ${why}`);
    };
    const { addEventListener, on } = this.#worker;
    if (typeof addEventListener === "function") {
      addEventListener.call(this.#worker, "error", ({ message, error }) => {
        // An error of other code in a worker that has begun does not end it.
        if (!this.#waiting.has(0)) return;
        const text = message ?? (error instanceof Error ? error.message : "");
        failed(text === "" || text === undefined ? `its script was not found, or could not be run. ${WHERE}` : text);
      });
      // Where what serves a port ends, so does the port, in runtimes that say so.
      this.#port.addEventListener("close", () => this.end("the worker has ended"));
    } else if (typeof on === "function") {
      on.call(this.#worker, "error", (error) => failed(error instanceof Error ? error.message : valueText(error)));
      on.call(this.#worker, "exit", () => this.end("the worker has ended"));
    }
  }

  /** Resolves when the worker has answered the greeting. @throws LaplaceError; the signal's reason */
  async ready(signal: Signal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    await this.#wait(
      this.#next++,
      signal,
      [],
      () => undefined,
      () => this.close(),
    );
  }

  /** A call and its answer. */
  call(name: string, args: readonly unknown[], options: CallOptions): Promise<unknown> {
    const { on, kept = 0, handle, stand, self } = options;
    const last = args[args.length - 1] as { readonly transfer?: boolean } | undefined;
    const give = isOptions(last) && last.transfer === true;
    const callbacks: ((...args: unknown[]) => unknown)[] = [];
    const transfer = new Set<unknown>();
    let signal: Signal | undefined;
    const packed = args.map((arg, i) =>
      pack(isOptions(arg) ? withoutTransfer(arg) : arg, {
        where: name,
        give: give && i >= kept && !isOptions(arg),
        transfer,
        stand: (value, key) => {
          if (typeof value === "function" && callbackNames.includes(key)) {
            callbacks.push(value as () => unknown);
            return mark("callback", { at: callbacks.length - 1 });
          }
          if (key !== "signal" || typeof (value as Partial<Signal>).addEventListener !== "function")
            return stand(value, key);
          signal = value as Signal;
          return mark("signal");
        },
      }),
    );
    if (this.#ended !== undefined) throw this.#ended;
    signal?.throwIfAborted();
    const id = this.#next++;
    this.#post({ id, name, on, args: packed }, transfer);
    const read = (kind: string, { of, id: number, facts }: Mark) => {
      if (kind === "self") return self;
      return handle(of as Kind, number as number, unpack(facts, read) as object);
    };
    return this.#wait(id, signal, callbacks, read, () => this.#post({ abort: id }));
  }

  #wait(
    id: number,
    signal: Signal | undefined,
    callbacks: Waiting["callbacks"],
    read: (kind: string, known: Mark) => unknown,
    stop: () => void,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let failure: { readonly error: unknown } | undefined;
      const fail = (error: unknown) => {
        failure ??= { error };
        stop();
      };
      const abort = () => fail(signal?.reason);
      signal?.addEventListener("abort", abort);
      const settle: Waiting["settle"] = (reply) => {
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(id);
        this.#hold();
        if ("error" in reply) {
          reject((failure ?? reply).error);
          return;
        }
        // Of a result that comes too late the objects are let go: their handles are garbage.
        const result = unpack(reply.result, read);
        if (failure !== undefined) reject(failure.error);
        else resolve(result);
      };
      this.#waiting.set(id, { settle, callbacks, fail });
      this.#hold();
    });
  }

  /** Node's process waits for a worker while a call does, and no longer. */
  #hold(): void {
    const waits = this.#waiting.size > 0 && this.#ended === undefined;
    for (const one of [this.#port, this.#worker]) {
      if (waits) one.ref?.();
      else one.unref?.();
    }
    if (!waits) timers.clearTimeout(this.#timer);
    else if (this.#timer === undefined && this.#patience < Number.POSITIVE_INFINITY) this.#ask(0);
    if (!waits) this.#timer = undefined;
  }

  /** Asks whether it hears, from time to time: a thread of ours that was busy itself for long has asked once meanwhile. */
  #ask(times: number): void {
    this.#asked = times;
    this.#timer = timers.setTimeout(
      () => {
        if (this.#asked === ASKED) {
          this.end("the worker does not answer");
          void this.#worker.terminate?.();
          return;
        }
        this.#post({ ping: this.#asked });
        this.#ask(this.#asked + 1);
      },
      this.#patience / (ASKED + 1),
    );
  }

  #post(message: Request, transfer: Iterable<unknown> = []): void {
    try {
      if (this.#ended === undefined) this.#port.postMessage(message, [...transfer]);
    } catch (cause) {
      // What a clone refuses says in its text what to do instead.
      const said = cause instanceof Error ? cause.message : String(cause);
      throw new LaplaceError(`A value cannot go to a worker: ${said}`, { cause });
    }
  }

  #hear(reply: Reply): void {
    this.#asked = 0;
    if ("pong" in reply) return;
    if ("ready" in reply) {
      const same = reply.ready === version;
      const error = new LaplaceError(
        `connect: the worker runs laplace-ts ${reply.ready}, and this is ${version}. Load both from one version.`,
      );
      this.#waiting.get(0)?.settle(same ? { result: undefined } : { error });
      this.#watchLock();
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    if ("callback" in reply) {
      const read = () => undefined;
      try {
        waiting.callbacks[reply.callback](...reply.args.map((arg) => unpack(arg, read)));
      } catch (error) {
        waiting.fail(error);
      }
    } else {
      waiting.settle("error" in reply ? { error: errorOf(reply.error) } : reply);
    }
  }

  /** Waits for the lock that the worker holds by now. */
  #watchLock(): void {
    if (this.#lock === undefined) return;
    const { signal } = this.#watch;
    locks()
      ?.request(this.#lock, { signal }, () => this.end("the worker has ended"))
      .catch(() => {});
  }

  /** Whether it was there and is not any more, or was closed: what failed from the beginning is another thing. */
  get lost(): boolean {
    return this.#ended !== undefined && !this.#failed;
  }

  /** Lets the worker forget an object. */
  free(id: number): void {
    this.#post({ free: id });
  }

  /** Ends the connection: what waits, and every later call, fails with a LaplaceError that says why. */
  end(why: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = new LaplaceError(`The call to the worker has no answer: ${why}.`);
    this.#port.close?.();
    this.#hold();
    this.#watch.abort();
    for (const { settle } of [...this.#waiting.values()]) settle({ error: this.#ended });
  }

  /** `end`, and the worker ends too. */
  close(): unknown {
    this.end("the connection was closed");
    return this.#worker.terminate?.();
  }
}

/** What to write as a worker's address, where one failed to load. */
const WHERE =
  'Likely cause: new URL("laplace-ts/worker", import.meta.url) is read by bundlers; elsewhere write new URL(import.meta.resolve("laplace-ts/worker"))';

const isOptions = (value: unknown): value is { readonly transfer?: boolean } =>
  value !== null && typeof value === "object" && Object.hasOwn(value, "transfer");

function withoutTransfer({ transfer: _, ...rest }: { readonly transfer?: boolean }): object {
  return rest;
}
