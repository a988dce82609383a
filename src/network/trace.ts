// Turns a plain function over traced values into a graph.

import { shapeText, sizeOf } from "../array/ndarray.ts";
import type { Random } from "../array/random.ts";
import { LaplaceError, ShapeError } from "../errors.ts";
import type { Graph } from "./graph.ts";
import type { BufferArray, Parameter, Shape, Site } from "./parameters.ts";
import type { Node, Primitive } from "./primitive.ts";
import { input } from "./primitives/input.ts";
import type { BatchStatistics } from "./primitives/training.ts";
import { endOf, labelOf } from "./summary.ts";

/** How a parameter array begins. */
export interface ParameterDraft {
  /** Its role: "weight". */
  readonly role: string;
  readonly shape: Shape;
  readonly initialise: Initialiser;
  /** Whether it begins frozen (default false). */
  readonly frozen?: boolean;
}

/** Fills an array with its initial values. */
export type Initialiser = (values: Float64Array, random: Random) => void;

/** The value of one node for one example, as a model's function sees it: a shape without numbers. */
export class Traced {
  readonly trace: Trace;
  readonly node: Node;

  constructor(trace: Trace, node: Node) {
    this.trace = trace;
    this.node = node;
  }

  /** The shape for one example; the batch is implicit. */
  get shape(): Shape {
    return this.node.shape;
  }

  /** JavaScript's operators and comparisons would go on with NaN and lose the value's derivative. */
  [Symbol.toPrimitive](): never {
    throw new LaplaceError(
      "A traced value has a shape, but no number: JavaScript operators and comparisons have no derivative rule. Use this library's functions: add, multiply, relu, …",
    );
  }
}

/** Records the primitives a function applies, and the layers' parameters in order of first use. */
export class Trace {
  readonly nodes: Node[] = [];
  readonly parameters: Parameter[] = [];
  readonly sites: Site[] = [];
  readonly initialisers: Initialiser[] = [];
  /** The names of parameters that begin frozen. */
  readonly frozen: string[] = [];
  readonly #uses = new Map<Site, Node[]>();
  readonly #layers = new Map<object, { readonly name: string; readonly sites: Map<string, Site> }>();
  readonly #names = new Set<string>();
  readonly #buffers = new Map<string, BufferArray>();
  #parameterCount = 0;
  #bufferCount = 0;

  input(shape: Shape): Traced {
    return this.emit(input, [], { shape });
  }

  /** Applies a primitive. @throws LaplaceError for a value of another network, ShapeError for shapes that do not fit */
  emit<Attributes>(
    primitive: Primitive<Attributes>,
    inputs: readonly Traced[],
    attributes: Attributes,
    site?: Site,
  ): Traced {
    for (const x of inputs) {
      if (!(x instanceof Traced)) {
        throw new LaplaceError(
          `${primitive.name}: expected a traced value, got ${typeof x}. A model's function may use only this library's layers and functions on its argument; JavaScript operators have no derivative rule.`,
        );
      }
      if (x.trace !== this) throw new LaplaceError(`${primitive.name}: its inputs belong to different networks.`);
    }
    const nodes = inputs.map((x) => x.node);
    const shape = primitive.shape(
      nodes.map((node) => node.shape),
      attributes,
      site,
    );
    const node: Node<Attributes> = {
      id: this.nodes.length,
      primitive,
      inputs: nodes,
      attributes,
      site,
      shape: Object.freeze([...shape]),
      size: sizeOf(shape),
      dependsOnParameters: site !== undefined || nodes.some((x) => x.dependsOnParameters),
    };
    this.nodes.push(node as Node);
    if (site !== undefined) this.#uses.get(site)?.push(node as Node);
    return new Traced(this, node as Node);
  }

  /** A layer's name: its own, or its number among the layers that have one. @throws LaplaceError for one twice */
  nameOf(layer: object, name: string | undefined): string {
    return this.#known(layer, name).name;
  }

  #known(layer: object, name: string | undefined) {
    const known = this.#layers.get(layer);
    if (known !== undefined) return known;
    const fresh = { name: name ?? String(this.#layers.size), sites: new Map<string, Site>() };
    if (this.#names.has(fresh.name)) throw new LaplaceError(`Two layers are named "${fresh.name}".`);
    this.#names.add(fresh.name);
    this.#layers.set(layer, fresh);
    return fresh;
  }

  /**
   * The site of a layer: made by `create` when the layer is first applied, the same one afterwards, so that a layer
   * applied twice shares its parameters. A layer with several sites has a part's name for each.
   */
  site(
    layer: object,
    name: string | undefined,
    create: (parameter: (draft: ParameterDraft) => Parameter) => Site,
    part?: string,
  ): Site {
    const { name: own, sites } = this.#known(layer, name);
    const prefix = part === undefined ? own : `${own}.${part}`;
    const known = sites.get(prefix);
    if (known !== undefined) return known;
    const site = create(({ role, shape, initialise, frozen }) => {
      const parameter = { name: `${prefix}.${role}`, shape, size: sizeOf(shape), offset: this.#parameterCount };
      this.#parameterCount += parameter.size;
      this.parameters.push(parameter);
      this.initialisers.push(initialise);
      if (frozen) this.frozen.push(parameter.name);
      return parameter;
    });
    sites.set(prefix, site);
    this.sites.push(site);
    this.#uses.set(site, []);
    return site;
  }

  /** The running statistics of a layer's channels, by the layer's name: the same ones when asked for again. */
  statistics(layer: string, channels: number): BatchStatistics {
    const buffer = (role: string, initial: number): BufferArray => {
      const name = `${layer}.${role}`;
      const known = this.#buffers.get(name);
      if (known !== undefined) return known;
      const made = { name, shape: [channels], size: channels, offset: this.#bufferCount, initial };
      this.#bufferCount += channels;
      this.#buffers.set(name, made);
      return made;
    };
    return { mean: buffer("running_mean", 0), variance: buffer("running_var", 1) };
  }

  /** The finished graph, without the nodes that do not lead to `output`. @throws LaplaceError for what is not a graph */
  finish(output: Traced): Graph {
    if (!(output instanceof Traced) || output.trace !== this) {
      throw new LaplaceError("A model's function must return a value it computed from its argument.");
    }
    if (labelOf(endOf(output.node)) === "softmax") {
      throw new LaplaceError(
        "network: the network ends in softmax, but losses and likelihoods take logits: they apply softmax themselves, which is exact where probabilities round to 0 or 1. Leave the softmax out.",
      );
    }
    if (output.node.size === 0) throw new ShapeError(`The network's output has the shape ${shapeText(output.shape)}.`);
    const nodes = this.#reaching(output.node);
    return {
      nodes,
      input: this.nodes[0],
      output: output.node,
      sites: this.sites,
      parameters: this.parameters,
      parameterCount: this.#parameterCount,
      buffers: [...this.#buffers.values()],
      bufferCount: this.#bufferCount,
      uses: this.#uses,
    };
  }

  /** The nodes on a way to `output`, and the input. @throws LaplaceError where a layer is on none */
  #reaching(output: Node): Node[] {
    const live = new Set<Node>([this.nodes[0], output]);
    for (let id = output.id; id > 0; id--) {
      if (live.has(this.nodes[id])) for (const x of this.nodes[id].inputs) live.add(x);
    }
    for (const node of this.nodes) {
      if (live.has(node)) continue;
      const owner = node.site ?? (node.primitive.statistics ? (node.attributes as object) : undefined);
      if (owner === undefined) continue;
      const owned: unknown[] = Object.values(owner);
      const [parameter] = [...this.parameters, ...this.#buffers.values()].filter((p) => owned.includes(p));
      throw new LaplaceError(`The layer with "${parameter.name}" is applied, but its value does not reach the output.`);
    }
    return this.nodes.filter((node) => live.has(node));
  }
}
