// A network: a graph, an element type, and the flat vector of its parameters.

import { inType } from "../array/arguments.ts";
import { isPromise } from "../array/entries.ts";
import { type ArrayLike, asArray, inspect, NDArray, sameShape, shapeText, zeros } from "../array/ndarray.ts";
import { Random } from "../array/random.ts";
import {
  checkChoice,
  checkInteger,
  checkOptions,
  OptionError,
  refuseCopies,
  ShapeError,
  ValueError,
  valueText,
} from "../errors.ts";
import { bringOut, type DType } from "../kernels/memory.ts";
import { asynchronously, type BurstOptions, type ExamplesReport } from "../kernels/steps.ts";
import type { Graph } from "./graph.ts";
import { compose, isClass, type Layer } from "./layers.ts";
import type { BufferArray, Parameter, Shape } from "./parameters.ts";
import { type Contraction, none, type Run, run, runInSteps } from "./run.ts";
import { summaryOf } from "./summary.ts";
import { Trace } from "./trace.ts";

/** Options of `network` and `chain`. */
export interface NetworkOptions {
  /** The shape of one example's input; a number stands for a vector of that length. */
  inputs: number | Shape;
  /** Seed of the initial parameters (default 0). */
  seed?: number;
  /** Element type of parameters and computation (default "float32"). */
  dtype?: DType;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a network: net.named() has its weights, which loadWeights sets in a network of the same layers; savePosterior writes it with a posterior";

/** A differentiable function of parameters and inputs. Made by `network` or `chain`. */
export class Network {
  readonly graph: Graph;
  readonly dtype: DType;
  /** The flat parameters [P]. Writing to them changes the network. */
  readonly parameters: NDArray;

  /** Running statistics, flat [S]: `train` updates them, derivatives and predictions take them as constants. */
  readonly buffers: NDArray;

  constructor(graph: Graph, parameters: NDArray, frozen: Iterable<string> = [], buffers?: NDArray) {
    this.graph = graph;
    this.frozen = new Set(frozen);
    this.dtype = parameters.dtype;
    this.parameters = parameters;
    this.buffers = buffers ?? initialBuffers(graph, parameters.dtype);
    refuseCopies(this, copies);
  }

  /** The names of frozen parameters and running statistics: training leaves them as they are, and a posterior leaves them out. */
  readonly frozen: ReadonlySet<string>;

  /** P, the number of parameters. */
  get parameterCount(): number {
    return this.graph.parameterCount;
  }

  /** The parameter arrays: name, shape, size and place in the flat vector. */
  get parameterTable(): readonly Parameter[] {
    return this.graph.parameters;
  }

  /** The running statistics: name, shape, size and place in `buffers`. */
  get bufferTable(): readonly BufferArray[] {
    return this.graph.buffers;
  }

  /** The shape of one example's input. */
  get inputShape(): Shape {
    return this.graph.input.shape;
  }

  /** The shape of one example's output. */
  get outputShape(): Shape {
    return this.graph.output.shape;
  }

  /**
   * The network's outputs for a batch: [B, ...inputs] gives [B, ...outputs].
   * @throws ShapeError for inputs of another width, ValueError for values that are not finite
   */
  forward(x: ArrayLike): NDArray {
    return run(...this.#forward(x));
  }

  /** `forward` in bursts, with turns of the event loop between them. @throws as `forward`; the signal's reason */
  async forwardAsync(x: ArrayLike, options: BurstOptions<ExamplesReport> = {}): Promise<NDArray> {
    return asynchronously("forward", options, () => runInSteps(...this.#forward(x)));
  }

  #forward(x: ArrayLike): Run<NDArray> {
    const inputs = this.readInputs("forward", x);
    const batch = inputs.shape[0];
    const result = zeros([batch, ...this.outputShape], { dtype: this.dtype });
    const size = this.graph.output.size;
    const values: Contraction<NDArray> = {
      begin({ forward, start, count }) {
        bringOut(forward.dtype, forward.outputs, count * size, result.data, start * size);
      },
      finish: () => result,
    };
    return [undefined, this, [{ inputs }], none, values, "parameters"];
  }

  /** Checks a batch of inputs. @param known whether its values were checked @throws ShapeError, ValueError */
  readInputs(where: string, x: ArrayLike, known = false): NDArray {
    const inputs = asArray(x);
    const expected = this.inputShape;
    if (inputs.rank === 0 || !sameShape(inputs.shape.slice(1), expected)) {
      const batch = `[B${expected.map((length) => `, ${length}`).join("")}]`;
      const hint = sameShape(inputs.shape, expected) ? " One example is a batch of one: add an axis in front." : "";
      throw new ShapeError(
        `${where}: expected inputs of shape ${batch}, B examples, got ${shapeText(inputs.shape)}.${hint}`,
      );
    }
    if (inputs.shape[0] === 0) throw new ShapeError(`${where}: the batch is empty.`);
    return inType(where, "x", inputs, this.dtype, known);
  }

  /** Checks a vector of parameters, or of as many numbers. @throws ShapeError, ValueError */
  readVector(where: string, name: string, values: ArrayLike): NDArray {
    const vector = asArray(values);
    if (vector.rank !== 1 || vector.size !== this.parameterCount) {
      throw new ShapeError(
        `${where}: ${name} must be a vector of the network's ${this.parameterCount} parameters, not of shape ${shapeText(vector.shape)}.`,
      );
    }
    return inType(where, name, vector, this.dtype);
  }

  /** Replaces all parameters. @throws ShapeError for another length, ValueError for values that are not finite */
  setParameters(values: ArrayLike): void {
    this.parameters.data.set(this.readVector("setParameters", "the parameter vector", values).data);
  }

  /**
   * Splits arrays over the parameters by name: [..., P] gives { "0.weight": [..., 32, 1], … }. A single vector is
   * shared, not copied. Without an argument it is the network's own parameters, and its running statistics besides:
   * everything that `loadWeights` sets.
   * @throws ShapeError if the last axis is not P long
   */
  named(values?: ArrayLike): Record<string, NDArray> {
    const source = asArray(values ?? this.parameters);
    const count = this.parameterCount;
    if (source.rank === 0 || source.shape[source.rank - 1] !== count) {
      throw new ShapeError(
        `named: the last axis must run over the network's ${count} parameters; the shape is ${shapeText(source.shape)}.`,
      );
    }
    const front = source.shape.slice(0, -1);
    const rows = count === 0 ? 0 : source.size / count;
    const entries = this.parameterTable.map(({ name, shape, size, offset }): [string, NDArray] => {
      if (front.length === 0) return [name, new NDArray(source.data.subarray(offset, offset + size), shape)];
      const part = zeros([...front, ...shape], { dtype: source.dtype });
      for (let row = 0; row < rows; row++) {
        const start = row * count + offset;
        part.data.set(source.data.subarray(start, start + size), row * size);
      }
      return [name, part];
    });
    const own = values === undefined ? this.bufferTable : [];
    const statistics = own.map(({ name, shape, size, offset }): [string, NDArray] => [
      name,
      new NDArray(this.buffers.data.subarray(offset, offset + size), shape),
    ]);
    return Object.fromEntries([...entries, ...statistics]);
  }

  /**
   * An independent network with the same graph, a copy of the parameters or others, a copy of the running statistics, and
   * the same ones frozen.
   */
  clone(parameters?: ArrayLike): Network {
    const source = parameters === undefined ? this.parameters : this.readVector("clone", "parameters", parameters);
    return new Network(this.graph, source.clone(), this.frozen, this.buffers.clone());
  }

  /**
   * Freezes parameters by their names ("0.weight"), or those of whole layers ("0"): `train` leaves them as they are, and
   * `laplace` leaves them out. `unfreeze` undoes it. Derivatives do not look at it. Gives the network itself.
   * @throws OptionError for a name that the network does not have; then none is frozen
   */
  freeze(...names: string[]): this {
    for (const name of this.#matching("freeze", names)) (this.frozen as Set<string>).add(name);
    return this;
  }

  /** Undoes `freeze`, for all parameters if none is named. @throws OptionError */
  unfreeze(...names: string[]): this {
    const matching = names.length === 0 ? [...this.frozen] : this.#matching("unfreeze", names);
    for (const name of matching) (this.frozen as Set<string>).delete(name);
    return this;
  }

  #matching(where: string, names: readonly string[]): string[] {
    return names.flatMap((name) => {
      const found = [...this.parameterTable, ...this.bufferTable].map(({ name }) => name);
      const matching = found.filter(
        (candidate) => candidate === name || (typeof name === "string" && candidate.startsWith(`${name}.`)),
      );
      if (matching.length > 0) return matching;
      throw new OptionError(
        `${where}: the network has no parameter or layer "${valueText(name)}". It has ${found.join(", ")}.`,
      );
    });
  }

  /** A table of the layers: shapes, parameters, which are frozen, and their number, with the total and its bytes. */
  summary(): string {
    return summaryOf(this.graph, this.dtype, this.frozen);
  }

  toString(): string {
    return this.summary();
  }

  [inspect](): string {
    return this.summary();
  }
}

/** @throws OptionError for what is not a network */
export function checkIsNetwork(where: string, net: unknown): void {
  if (net instanceof Network) return;
  const seen = isPromise(net) ? "a promise: write await before it" : typeof net;
  throw new OptionError(`${where}: the network must be one that \`network\` or \`chain\` made, not ${seen}.`);
}

function initialBuffers({ buffers, bufferCount }: Graph, dtype: DType): NDArray {
  const result = zeros([bufferCount], { dtype });
  for (const { initial, size, offset } of buffers) result.data.fill(initial, offset, offset + size);
  return result;
}

/**
 * A network from a function over one example's value, written with this library's layers and functions:
 * `network({ inputs: 2 }, (x) => dense(1)(multiply(x, tanh(x))))`.
 * @throws OptionError, ShapeError, LaplaceError if the function cannot be differentiated
 */
export function network(options: NetworkOptions, model: Layer): Network {
  checkOptions("network", options, ["inputs", "seed", "dtype"]);
  const { inputs, seed = 0, dtype = "float32" } = options;
  checkChoice("network", "dtype", dtype, ["float32", "float64"]);
  const shape = typeof inputs === "number" ? [inputs] : inputs;
  if (!Array.isArray(shape)) {
    throw new OptionError("network: inputs must be the shape of one example, such as [2], or the length of a vector.");
  }
  for (const length of shape) checkInteger("network", "inputs", length, 1);
  if (typeof model !== "function" || isClass(model)) {
    const found = typeof model === "function" ? "a class" : typeof model;
    throw new ValueError(`network: the model must be a function, not ${found}.`);
  }

  const trace = new Trace();
  const graph = trace.finish(model(trace.input(shape)));
  const random = new Random(seed);
  const parameters = zeros([graph.parameterCount], { dtype });
  graph.parameters.forEach(({ size, offset }, i) => {
    const values = new Float64Array(size);
    trace.initialisers[i](values, random);
    parameters.data.set(values, offset);
  });
  return new Network(graph, parameters, trace.frozen);
}

/** Layers one after the other, as one layer. */
export function chain(...layers: Layer[]): Layer;
/** A network of layers one after the other: `chain({ inputs: 1 }, dense(32, sigmoid), dense(1))`. */
export function chain(options: NetworkOptions, ...layers: Layer[]): Network;
export function chain(first: NetworkOptions | Layer, ...rest: Layer[]): Network | Layer {
  return typeof first === "function" ? compose([first, ...rest]) : network(first, compose(rest));
}
