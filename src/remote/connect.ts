// The page's side: the library's calls, on a worker.

import type { NDArray } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import { checkInteger, checkOptions, OptionError, ValueError, valueText } from "../errors.ts";
import type { EvaluateOptions } from "../evaluation/evaluate.ts";
import type { Evaluation } from "../evaluation/metrics.ts";
import { networkJson } from "../io/networks.ts";
import type { InBursts } from "../kernels/steps.ts";
import type { Laplace } from "../laplace/fitting.ts";
import type { LaplaceOptions } from "../laplace/options.ts";
import type { Likelihood, LikelihoodKind } from "../likelihood/likelihood.ts";
import type { KindOf, Task } from "../likelihood/tasks.ts";
import { checkIsNetwork, Network } from "../network/network.ts";
import {
  type Disposing,
  type Functions,
  functions,
  laplaceCalls,
  type OnWorker,
  type RemoteNetwork,
  type RemotePosterior,
  type TransferOptions,
} from "./calls.ts";
import { Connection, type WorkerLike } from "./connection.ts";
import { callOn, RemoteObject } from "./handles.ts";

/** Options of `connect`. */
export interface ConnectOptions {
  /** Gives up waiting for a worker that does not answer, such as `AbortSignal.timeout(10_000)`; the worker is ended. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many threads the worker's large products take, itself included (default: all cores). Workers that are to work side by
   * side take 1 each: beyond the cores there are, threads wait for each other.
   */
  readonly threads?: number | undefined;
}

/** What `laplace` of a `Remote` gives: an approximation that is still to be fitted, on the worker. */
export interface RemoteLaplace<Kind extends LikelihoodKind = LikelihoodKind> {
  readonly fit: OnWorker<Laplace<Kind>["fit"]>;
  readonly sum: OnWorker<Laplace<Kind>["sum"]>;
  readonly posterior: OnWorker<Laplace<Kind>["posterior"]>;
}

/** What knows the likelihood's kind is typed in `Remote` itself. */
type RemoteFunctions = { readonly [Name in Exclude<keyof Functions, "evaluate">]: OnWorker<Functions[Name]> };

/**
 * A worker's library, as `connect` gives it: its functions take the arguments that they take on the page, with handles for
 * networks, fits, posteriors and models, and give promises. Errors are those of the page.
 */
export interface Remote extends RemoteFunctions, Disposing {
  /** A network of this thread as one of the worker, with its parameters as they are now. @throws LaplaceError for a primitive of one's own that has no name */
  send(net: Network): Promise<RemoteNetwork>;
  /** A network of the worker as one of this thread, with its parameters as they are there now. */
  receive(net: RemoteNetwork): Promise<Network>;
  /** `laplace`; what its options lack is said when it is fitted. */
  laplace<Given extends Likelihood | Task>(
    net: RemoteNetwork,
    options: Omit<LaplaceOptions<Given>, "prior"> & { readonly prior?: LaplaceOptions["prior"] | RemotePosterior },
  ): RemoteLaplace<KindOf<Given>>;
  /** `evaluate`: the metrics of the likelihood that the posterior has. */
  evaluate<Kind extends LikelihoodKind>(
    posterior: RemotePosterior<Kind>,
    data: Data,
    options?: InBursts<EvaluateOptions> & TransferOptions,
  ): Promise<Evaluation<Kind>>;
  /** Ends the connection and the worker: calls that wait are rejected with a LaplaceError. */
  close(): void;
}

/**
 * The library's calls on a worker, so that a page does nothing meanwhile but wait:
 *
 * ```ts
 * const remote = await connect(new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" }));
 * const net = await remote.send(chain({ inputs: 1 }, dense(20, tanh), dense(1)));
 * await remote.train(net, data, { loss: mse });
 * const posterior = await remote.laplace(net, { likelihood: "regression" }).fit(data);
 * const { mean, variance } = await (await posterior.optimizePrior()).predict(x);
 * ```
 *
 * Networks, fits, posteriors and models stay on the worker, and have handles here. Arrays are copied to the worker, or given to
 * it with the option `transfer`; those of results are given to the page. Memory that is shared is shared.
 * @param worker a page's Worker, one of Node's worker_threads, or a MessagePort that `serve` of laplace-ts/worker answers on
 * @throws OptionError; LaplaceError for a worker that does not start, or has another version of the library; the signal's reason
 */
export async function connect(worker: WorkerLike, options: ConnectOptions = {}): Promise<Remote> {
  const where = "connect";
  checkOptions(where, options, ["signal", "threads"]);
  const { signal, threads } = options;
  if (threads !== undefined) checkInteger(where, "threads", threads, 1);
  if (typeof worker?.postMessage !== "function") {
    const module = 'new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" })';
    throw new ValueError(`${where}: expected a worker, such as ${module}, got ${valueText(worker)}.`);
  }
  if (signal !== undefined && typeof signal?.addEventListener !== "function") {
    throw new OptionError(`${where}: signal must be an AbortSignal, such as AbortSignal.timeout(10_000).`);
  }
  const connection = new Connection(worker);
  await connection.ready(signal);
  if (threads !== undefined) await callOn(connection, "setThreads", [threads]);
  return remoteOf(connection);
}

function remoteOf(connection: Connection): Remote {
  const calls = functions.map((name) => [name, (...args: unknown[]) => callOn(connection, name, args)] as const);
  const remote = {
    ...(Object.fromEntries(calls) as unknown as RemoteFunctions),
    async send(net: Network): Promise<RemoteNetwork> {
      checkIsNetwork("send", net);
      const { parameters, buffers, graph } = net;
      const handle = (await callOn(connection, "send", [networkJson(net), parameters, buffers])) as RemoteObject;
      return handle.of(graph) as unknown as RemoteNetwork;
    },
    async receive(handle: RemoteNetwork): Promise<Network> {
      const graph = handle instanceof RemoteObject ? handle.graph : undefined;
      if (graph === undefined) {
        throw new ValueError(
          `receive: expected a network that a worker keeps, as send gives it, got ${valueText(handle)}.`,
        );
      }
      const found = await callOn(connection, "receive", [handle]);
      const [frozen, parameters, buffers] = found as [string[], NDArray, NDArray];
      return new Network(graph, parameters, frozen, buffers);
    },
    laplace(net: RemoteNetwork, options: LaplaceOptions) {
      const made = laplaceCalls.map((name) => {
        const call = (...args: unknown[]) =>
          callOn(connection, `laplace.${name}`, [net, options, ...args], undefined, 2);
        return [name, call] as const;
      });
      return Object.fromEntries(made);
    },
    close(): void {
      connection.close();
    },
  };
  const { dispose } = Symbol as { readonly dispose?: symbol };
  if (dispose !== undefined) Object.defineProperty(remote, dispose, { value: remote.close });
  return remote as unknown as Remote;
}
