// Weights along a training, for SWAG (Maddox, Izmailov, Garipov, Vetrov & Wilson 2019, arXiv:1902.02476, algorithm 1): their running
// mean and variance, and the last deviations from the mean.

import { NDArray } from "../array/ndarray.ts";
import { checkInteger, checkOptions, LaplaceError, refuseCopies, ValueError } from "../errors.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import type { EpochReport } from "./results.ts";

/** Options of `swag`. */
export interface SwagOptions {
  /** The first epoch that is collected (default: that behind half of them). */
  from?: number;
  /** After how many epochs the next is (default 1). */
  every?: number;
  /** How many deviations are kept, the last ones: the rank of the covariance beside its diagonal (default 20); 0 for the diagonal alone. */
  rank?: number;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy snapshots: swagPosterior makes a posterior of them, and savePosterior bytes";

/** Weights that were collected along a training. Made by `swag`. */
export class SwagSnapshots {
  readonly #net: Network;
  readonly #options: Required<Pick<SwagOptions, "every" | "rank">> & SwagOptions;
  readonly #mean: Float64Array;
  readonly #squares: Float64Array;
  readonly #buffers: Float64Array;
  #deviations: Float64Array[] = [];
  #count = 0;

  /** @internal */
  constructor(net: Network, options: SwagOptions) {
    this.#net = net;
    this.#options = { every: 1, rank: 20, ...options };
    this.#mean = new Float64Array(net.parameterCount);
    this.#squares = new Float64Array(net.parameterCount);
    this.#buffers = new Float64Array(net.buffers.size);
    refuseCopies(this, copies);
  }

  /** How many times weights were taken. */
  get count(): number {
    return this.#count;
  }

  /** Takes the network's weights, if it is their turn: the option `onProgress` of `train`. */
  collect = ({ epoch, epochs }: EpochReport): void => {
    const { from = Math.floor(epochs / 2) + 1, every } = this.#options;
    if (epoch >= from && (epoch - from) % every === 0) this.take();
  };

  /** Takes the network's weights as they are now. @throws ValueError for weights that are not finite */
  take(): void {
    const { parameters, buffers } = this.#net;
    if (!parameters.data.every(Number.isFinite)) throw new ValueError("swag: the network's weights are not finite.");
    const [mean, squares, rank] = [this.#mean, this.#squares, this.#options.rank];
    const n = ++this.#count;
    const deviation = new Float64Array(mean.length);
    for (let i = 0; i < mean.length; i++) {
      // Welford's update: squares of small deviations from large weights keep their digits.
      const before = parameters.data[i] - mean[i];
      mean[i] += before / n;
      deviation[i] = parameters.data[i] - mean[i];
      squares[i] += before * deviation[i];
    }
    for (let i = 0; i < this.#buffers.length; i++) this.#buffers[i] += (buffers.data[i] - this.#buffers[i]) / n;
    if (rank > 0) this.#deviations = [...this.#deviations, deviation].slice(-rank);
  }

  /**
   * The network at the mean of the weights, and of running statistics; and of all parameters the variance, [P], and the last
   * deviations, [K, P]. @throws LaplaceError where weights were taken less than twice
   */
  summary(): { readonly net: Network; readonly variance: Float64Array; readonly deviations: readonly Float64Array[] } {
    const n = this.#count;
    if (n < 2) {
      throw new LaplaceError(
        `swag: weights were taken ${n === 0 ? "never" : "once"}, and a variance needs two. The option onProgress: snapshots.collect of train takes them.`,
      );
    }
    const net = this.#net.clone();
    net.setParameters(new NDArray(this.#mean, [this.#mean.length]));
    net.buffers.data.set(this.#buffers);
    return { net, variance: this.#squares.map((square) => square / n), deviations: this.#deviations };
  }
}

/**
 * Collects a network's weights while it is trained, for `swagPosterior`: `const snapshots = swag(net, { from: 50 })`, then
 * `await train(net, data, { …, onProgress: snapshots.collect })`. Training goes on with a learning rate that stays high enough to go
 * about the minimum, such as that of plain `sgd`. @throws OptionError
 */
export function swag(net: Network, options: SwagOptions = {}): SwagSnapshots {
  const where = "swag";
  checkIsNetwork(where, net);
  checkOptions(where, options, ["from", "every", "rank"]);
  const { from, every, rank } = options;
  if (from !== undefined) checkInteger(where, "from", from, 1);
  if (every !== undefined) checkInteger(where, "every", every, 1);
  if (rank !== undefined) checkInteger(where, "rank", rank, 0);
  return new SwagSnapshots(net, options);
}
