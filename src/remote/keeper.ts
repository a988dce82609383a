// What goes to a worker once: a posterior or a network that it has is not sent again.

import type { NDArray } from "../array/ndarray.ts";
import { networkJson } from "../io/networks.ts";
import { savePosterior } from "../io/posteriors.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { Network } from "../network/network.ts";
import type { WeightGaussian } from "../posterior/weight-gaussian.ts";
import type { Connection } from "./connection.ts";
import { callOn } from "./handles.ts";

/** Posteriors stay as they are; networks must for as long as a run. */
export type Kept = Network | WeightGaussian;

interface Sent {
  /** What stands for it in messages; where this is garbage, the worker forgets it. */
  readonly handle: Promise<unknown>;
  /** Its parameters and buffers as they were sent: networks of other numbers have the same graph, and a network may change. */
  readonly numbers: readonly NDArray[];
}

/** What each worker was sent: of a graph the last network. */
const sent = new WeakMap<Connection, WeakMap<object, Sent>>();

/** Sends, during one run. */
export class Keeper {
  readonly #bytes = new Map<WeightGaussian, Uint8Array>();
  readonly #copies = new Map<Network, readonly NDArray[]>();

  /** What stands for something on a worker, which is sent there unless it has it. */
  send(connection: Connection, kept: Kept): Promise<unknown> {
    const all = sent.get(connection) ?? new WeakMap<object, Sent>();
    sent.set(connection, all);
    const isNetwork = kept instanceof Network;
    const [key, numbers] = isNetwork ? [kept.graph, this.#copiesOf(kept)] : [kept, []];
    const before = all.get(key);
    if (before?.numbers.every((array, i) => sameBits(array, numbers[i]))) return before.handle;
    const handle = isNetwork
      ? callOn(connection, "send", [networkJson(kept), ...numbers])
      : callOn(connection, "loadPosterior", [this.#bytesOf(kept)]);
    all.set(key, { handle, numbers });
    handle.catch(() => all.delete(key));
    return handle;
  }

  #copiesOf(net: Network): readonly NDArray[] {
    const copies = this.#copies.get(net) ?? [net.parameters.clone(), net.buffers.clone()];
    this.#copies.set(net, copies);
    return copies;
  }

  #bytesOf(posterior: WeightGaussian): Uint8Array {
    const bytes = this.#bytes.get(posterior) ?? savePosterior(posterior as Posterior);
    this.#bytes.set(posterior, bytes);
    return bytes;
  }
}

/** Whether two arrays are the same, −0 and each NaN apart. */
function sameBits(a: NDArray, b: NDArray): boolean {
  if (a === b || a.dtype !== b.dtype) return a === b;
  const [ours, theirs] = [a, b].map(({ data }) => new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4));
  for (let i = 0; i < ours.length; i++) if (ours[i] !== theirs[i]) return false;
  return true;
}
