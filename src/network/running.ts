// Which networks are being trained at the moment.

import { LaplaceError } from "../errors.ts";
import type { Network } from "./network.ts";

/** A training, and whether its `onProgress` is running: the parameters are then those of a whole epoch. */
export interface Running {
  reporting: boolean;
}

const running = new WeakMap<Network, Running>();

/** Notes that a training begins. @throws LaplaceError while another one trains the network */
export function beginTraining(net: Network): Running {
  if (running.has(net)) {
    throw new LaplaceError(
      "train: this network is being trained by another call; two at once would mix their steps. A likely cause: await is missing before the other train(…).",
    );
  }
  const state = { reporting: false };
  running.set(net, state);
  return state;
}

export function endTraining(net: Network): void {
  running.delete(net);
}

/** @throws LaplaceError for a network in training, outside of its `onProgress` */
export function checkTrained(where: string, net: Network): void {
  if (running.get(net)?.reporting !== false) return;
  throw new LaplaceError(
    `${where}: the network is still being trained. A likely cause: await is missing, as in await train(net, …). In the midst of training there is net.clone(), and the network itself in onProgress.`,
  );
}
