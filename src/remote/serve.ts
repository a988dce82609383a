// The worker's side: answers what a page calls, and keeps networks, fits, posteriors and models for it.

import type { NDArray } from "../array/ndarray.ts";
import { curvatureOfAsync } from "../curvature/curvature-of.ts";
import { CurvatureOperator, curvatureOperatorAsync } from "../curvature/operator.ts";
import { curvatureProductAsync } from "../curvature/products.ts";
import { gradientAsync, perSampleGradientNormsAsync, perSampleGradientsAsync } from "../derivatives/gradient.ts";
import { jacobianAsync, jvpAsync, vjpAsync } from "../derivatives/jacobian.ts";
import { LaplaceError } from "../errors.ts";
import { evaluateAsync } from "../evaluation/evaluate.ts";
import { epistemicScoreAsync, outOfDistributionAurocAsync, uncertaintyAsync } from "../evaluation/uncertainty.ts";
import type { Json } from "../io/json.ts";
import { loadFit, loadPosterior, saveFit, savePosterior } from "../io/posteriors.ts";
import { loadTableModel, saveTableModel } from "../io/table-model-files.ts";
import { TableModel } from "../io/table-models.ts";
import { version } from "../io/version.ts";
import { kernels, useWideModule } from "../kernels/kernels.ts";
import { estimateMemory } from "../laplace/estimate-memory.ts";
import { laplace } from "../laplace/laplace.ts";
import type { LaplaceOptions } from "../laplace/options.ts";
import { Posterior } from "../laplace/posterior.ts";
import { Network } from "../network/network.ts";
import { Fit } from "../posterior/fit.ts";
import { inputGradientsAsync } from "../prediction/input-gradients.ts";
import { rewardsAsync } from "../prediction/rewards.ts";
import { acquisitionGradientsAsync } from "../search/acquisition.ts";
import { mostInformativeAsync } from "../search/informative.ts";
import { thompsonChoiceAsync } from "../search/thompson.ts";
import { SelectedCurvature } from "../structures/curvature.ts";
import { train } from "../training/train.ts";
import { byName, networkOf } from "./by-name.ts";
import { type Functions, type Kind, kinds, type laplaceCalls } from "./calls.ts";
import { errorMessage } from "./errors.ts";
import { type Greeting, isGreeting, locks, type Port, type Request } from "./messages.ts";
import { Work } from "./tasks.ts";
import { type Mark, mark, pack, unpack } from "./values.ts";

type Callable = (...args: never[]) => unknown;

const laplaceMethod =
  (name: (typeof laplaceCalls)[number]) =>
  (net: Network, options: LaplaceOptions, ...args: never[]): unknown =>
    (laplace(net, options)[name] as (...all: never[]) => unknown)(...args);

/** Everything that has a name and no object. */
const functions: Readonly<Record<string, Callable>> & { readonly [Name in keyof Functions]: Callable } = {
  train,
  estimateMemory,
  evaluate: evaluateAsync,
  uncertainty: uncertaintyAsync,
  epistemicScore: epistemicScoreAsync,
  inputGradients: inputGradientsAsync,
  acquisitionGradients: acquisitionGradientsAsync,
  mostInformative: mostInformativeAsync,
  thompsonChoice: thompsonChoiceAsync,
  rewards: rewardsAsync,
  outOfDistributionAuroc: outOfDistributionAurocAsync,
  gradient: gradientAsync,
  perSampleGradients: perSampleGradientsAsync,
  perSampleGradientNorms: perSampleGradientNormsAsync,
  jacobian: jacobianAsync,
  jvp: jvpAsync,
  vjp: vjpAsync,
  curvatureProduct: curvatureProductAsync,
  curvatureOf: curvatureOfAsync,
  curvatureOperator: curvatureOperatorAsync,
  savePosterior,
  loadPosterior,
  saveFit,
  loadFit,
  saveTableModel,
  loadTableModel,
  kernelInfo: kernels.info,
  setThreads: kernels.setThreads,
  "laplace.fit": laplaceMethod("fit"),
  "laplace.sum": laplaceMethod("sum"),
  "laplace.posterior": laplaceMethod("posterior"),
  send(json: Json, parameters: NDArray, buffers: NDArray): Network {
    return networkOf("send", json, parameters, buffers);
  },
  work: Work.begin,
  useWide: useWideModule,
  receive: ({ frozen, parameters, buffers }: Network) => [[...frozen], parameters.clone(), buffers.clone()],
};

const classes: Readonly<Record<Kind, abstract new (...args: never[]) => object>> = {
  network: Network,
  fit: Fit,
  curvature: SelectedCurvature,
  operator: CurvatureOperator,
  posterior: Posterior,
  tableModel: TableModel,
  work: Work as never,
};

/** Results that share memory with what the worker keeps. */
const shares = ["named"];

/** One page's connection. */
class Session {
  readonly #port: Port;
  readonly #objects = new Map<number, object>();
  readonly #running = new Map<number, AbortController>();
  #next = 0;

  constructor({ port, lock }: Greeting) {
    this.#port = port;
    port.addEventListener("message", ({ data }) => this.#hear(data as Request));
    port.start?.();
    const ready = () => port.postMessage({ ready: version });
    if (lock === undefined) ready();
    else hold(lock, ready);
  }

  #hear(request: Request): void {
    if ("free" in request) this.#objects.delete(request.free);
    else if ("ping" in request) this.#port.postMessage({ pong: request.ping });
    else if ("abort" in request) this.#running.get(request.abort)?.abort();
    else void this.#answer(request);
  }

  async #answer({ id, name, on, args }: Extract<Request, { args: unknown }>): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    const where = name.slice(name.indexOf(".") + 1);
    try {
      const object = on === undefined ? undefined : this.#object(where, on);
      const given = args.map((arg) =>
        unpack(arg, (kind, known) => this.#read(where, id, controller.signal, kind, known)),
      );
      const result = await this.#callable(where, name, object)(...(given as never[]));
      this.#post({ id, result: result === object && object !== undefined ? mark("self") : result }, where);
    } catch (error) {
      this.#port.postMessage({ id, error: errorMessage(error) });
    } finally {
      this.#running.delete(id);
    }
  }

  #post(message: object, where: string): void {
    const transfer = new Set<unknown>();
    const packed = pack(message, {
      where,
      give: !shares.includes(where),
      transfer,
      stand: (value, name) => this.#stand(where, value, name),
    });
    this.#port.postMessage(packed, [...transfer]);
  }

  /** A function by its name, or an object's method: the form of it that lets messages be heard meanwhile, if there is one. */
  #callable(where: string, name: string, object: object | undefined): Callable {
    if (object === undefined) {
      const own = name.startsWith("work.") ? "work" : name;
      if (Object.hasOwn(functions, own)) return functions[own];
    } else if ((kinds[kindOf(object) as Kind].calls as readonly string[]).includes(name)) {
      const methods = object as Readonly<Record<string, Callable | undefined>>;
      const method = methods[`${name}Async`] ?? methods[name];
      if (method !== undefined) return method.bind(object);
    }
    throw new LaplaceError(`${where}: the worker's library has no such call.`);
  }

  #object(where: string, id: number): object {
    const object = this.#objects.get(id);
    if (object === undefined) throw new LaplaceError(`${where}: the worker does not have the object any more.`);
    return object;
  }

  #stand(where: string, value: object, name: string): unknown {
    const of = kindOf(value);
    if (of === undefined) throw new LaplaceError(`${where}: the result's ${name} cannot leave the worker.`);
    const id = this.#next++;
    this.#objects.set(id, value);
    const facts = kinds[of].facts.map((fact) => [fact, (value as Record<string, unknown>)[fact]]);
    return mark("object", {
      of,
      id,
      facts: pack(Object.fromEntries(facts), { where, give: false, transfer: new Set(), stand: () => undefined }),
    });
  }

  #read(where: string, id: number, signal: AbortSignal, kind: string, known: Mark): unknown {
    if (kind === "object") return this.#object(where, known.id as number);
    if (kind === "signal") return signal;
    if (kind === "callback") {
      return (...args: unknown[]) => {
        signal.throwIfAborted();
        this.#post({ id, callback: known.at, args }, where);
      };
    }
    return byName(where, kind, known);
  }
}

function kindOf(value: object): Kind | undefined {
  const found = Object.entries(classes).find(([, Class]) => value instanceof Class);
  return found?.[0] as Kind | undefined;
}

/** Holds a lock for as long as this worker lives. */
function hold(lock: string, held: () => void): void {
  const forever = () => {
    held();
    return new Promise(() => {});
  };
  void locks()?.request(lock, {}, forever);
}

const served = new WeakSet<object>();

/** What `serve` answers on: a worker's own scope, Node's parentPort, or a MessagePort. */
export interface ServedPort {
  addEventListener(type: "message", listener: never): void;
  start?(): void;
}

/**
 * Answers the `connect` of whoever posts to this port; other messages are left to others. Importing laplace-ts/worker in a
 * worker does it with the worker's own port.
 */
export function serve(port: ServedPort): void {
  if (served.has(port)) return;
  served.add(port);
  const greeted = ({ data }: { readonly data: unknown }) => {
    if (isGreeting(data)) new Session(data);
  };
  port.addEventListener("message", greeted as never);
  port.start?.();
}
