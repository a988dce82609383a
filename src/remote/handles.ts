// Handles: what a page holds of the objects that a worker keeps, and calls with them.

import { isPromise } from "../array/entries.ts";
import { inspect, NDArray } from "../array/ndarray.ts";
import { asyncOf, batchesOf, checkData, type Data } from "../data/batches.ts";
import { gather } from "../data/gather.ts";
import { DataLoader } from "../data/loader.ts";
import { LaplaceError, OptionError, refuseCopies, ValueError } from "../errors.ts";
import type { Graph } from "../network/graph.ts";
import { Network } from "../network/network.ts";
import { type Kind, kinds } from "./calls.ts";
import type { Connection } from "./connection.ts";
import { standByName } from "./stand.ts";
import { mark } from "./values.ts";

const copies = () =>
  "a handle is not what the worker keeps: remote.savePosterior(…) gives bytes, remote.receive(…) a network";

/** Tells workers of objects whose handles nobody holds any more. */
let forgotten: FinalizationRegistry<{ readonly connection: Connection; readonly id: number }> | undefined;

/** A handle. Its methods and facts are those of its kind. */
export class RemoteObject {
  readonly #connection: Connection;
  readonly #kind: Kind;
  readonly #id: number;
  #disposed = false;
  #graph: Graph | undefined;

  constructor(connection: Connection, kind: Kind, id: number, facts: object, graph: Graph | undefined) {
    this.#connection = connection;
    this.#kind = kind;
    this.#id = id;
    this.#graph = graph;
    Object.assign(this, facts);
    for (const name of kinds[kind].calls) {
      Object.defineProperty(this, name, { value: (...args: unknown[]) => callOn(connection, name, args, this) });
    }
    const { dispose } = Symbol as { readonly dispose?: symbol };
    if (dispose !== undefined) Object.defineProperty(this, dispose, { value: () => this.dispose() });
    refuseCopies(this, copies);
    forgotten ??= new FinalizationRegistry(({ connection, id }) => connection.free(id));
    forgotten.register(this, { connection, id }, this);
  }

  /** Of a network that was sent: what its parameters are of. */
  get graph(): Graph | undefined {
    return this.#graph;
  }

  /** The same, of that graph. */
  of(graph: Graph): this {
    this.#graph = graph;
    return this;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    forgotten?.unregister(this);
    this.#connection.free(this.#id);
  }

  /** @internal Its number in messages of a connection. @throws LaplaceError for what was disposed of; ValueError for another's */
  idAt(where: string, connection: Connection): number {
    if (this.#connection !== connection) {
      throw new ValueError(
        `${where}: the ${words[this.#kind]} is on another worker. What is called together must be on one: send or load it there too.`,
      );
    }
    if (this.#disposed) throw new LaplaceError(`${where}: the ${words[this.#kind]} was disposed of.`);
    return this.#id;
  }

  toString(): string {
    const { size, structure } = this as { readonly size?: number; readonly structure?: string };
    const what = structure === undefined ? "" : ` (${structure}, ${size} weights)`;
    return `A ${words[this.#kind]}${what} that a worker keeps${this.#disposed ? ", disposed of" : ""}`;
  }

  [inspect](): string {
    return this.toString();
  }
}

const words: Readonly<Record<Kind, string>> = {
  network: "network",
  fit: "fit",
  curvature: "curvature",
  operator: "operator",
  posterior: "posterior",
  tableModel: "model",
  work: "work",
};

/** What stands in a message for what is neither plain nor an array. @throws ValueError where nothing does */
function stand(where: string, connection: Connection, value: object, name: string): unknown {
  if (value instanceof RemoteObject) return mark("object", { id: value.idAt(where, connection) });
  if (value instanceof Network) {
    throw new ValueError(
      `${where}: the network is one of this thread. Send it first: const net = await remote.send(network).`,
    );
  }
  return standByName(where, value, name);
}

/** Batches of data as a list, or a promise of it where they come in time; everything else as it is. */
function listed(where: string, value: unknown): unknown {
  if (value instanceof DataLoader && where === "train") {
    throw new OptionError(
      `${where}: the order of a DataLoader does not go to a worker. Give its data (loader.data), with batchSize, shuffle and seed as options.`,
    );
  }
  const isFunction = typeof value === "function" && !("rule" in value);
  if (isFunction) checkData(where, value as Data);
  const given = isFunction ? value() : value;
  const inTime = asyncOf(given);
  if (inTime !== undefined) return gather(inTime);
  const isIterable =
    value !== null &&
    typeof value === "object" &&
    !Array.isArray(value) &&
    !ArrayBuffer.isView(value) &&
    !(value instanceof NDArray) &&
    Symbol.iterator in value;
  return isFunction || isIterable ? Array.from(batchesOf(where, (isFunction ? () => given : value) as Data)) : value;
}

/**
 * A call of a function, or of a method of an object.
 * @param kept how many of the first arguments keep their memory, whatever the options say
 * @throws what the call throws on the worker, of the same class; LaplaceError where there is no answer
 */
export async function callOn(
  connection: Connection,
  name: string,
  args: readonly unknown[],
  on?: RemoteObject,
  kept = 0,
): Promise<unknown> {
  const where = name.slice(name.indexOf(".") + 1);
  const lists = args.map((arg) => listed(where, arg));
  return connection.call(
    name,
    // Calls go in their order, but those that wait for their data.
    lists.some(isPromise) ? await Promise.all(lists) : lists,
    {
      on: on?.idAt(where, connection),
      kept,
      stand: (value, key) => stand(where, connection, value, key),
      handle: (kind, id, facts) => new RemoteObject(connection, kind, id, facts, on?.graph),
      self: on,
    },
  );
}
