// Training on batches that come in time.

import type { AsyncData } from "../data/arriving.ts";
import { asyncOf, checkData, type Data } from "../data/batches.ts";
import { gathered } from "../data/gather.ts";
import { readBursts } from "../kernels/steps.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { readTrainingOptions, type TrainingOptions } from "./options.ts";
import type { TrainingResult } from "./results.ts";
import { train as trainOn } from "./train.ts";

/**
 * Trains a network, changing its parameters but for frozen ones: `await train(…)`, or what comes next sees it half trained. Each call begins afresh: with new optimiser state, and with the order of
 * samples that the seed gives. The loss is not evaluated again after the last step. Here, and nowhere else, `dropout` drops
 * and `batchNorm` takes the batch's statistics, from which it learns its running ones.
 * @param data { x, y }, with `weights` each sample counts so much; a DataLoader, whose batches and order they are; or other
 *   batches, put together, such as a generator's, or those of an async iterable, which are waited for first
 * @throws ShapeError, ValueError for bad data; OptionError for bad options; LaplaceError while another call trains the
 *   network: all before anything changes
 * @throws NonFiniteLossError if the loss is not finite; the last parameters with a finite loss are kept
 */
export async function train(net: Network, data: Data | AsyncData, options: TrainingOptions): Promise<TrainingResult> {
  if (typeof data === "function") checkData("train", data as Data);
  const given = typeof data === "function" ? data() : data;
  const inTime = asyncOf(given);
  if (inTime === undefined) return trainOn(net, (typeof data === "function" ? () => given : given) as Data, options);
  // What is wrong with the call is said before anybody waits.
  checkIsNetwork("train", net);
  readTrainingOptions(options, undefined);
  const { signal } = readBursts("train", options);
  return trainOn(net, await gathered("train", inTime, signal), options);
}
