// Turns a plain function over traced values into a graph.

import { shapeText, sizeOf } from "../array/ndarray.ts";
import type { Random } from "../array/random.ts";
import { LaplaceError, ShapeError } from "../errors.ts";
import type { Graph, Node, Parameter, Shape, Site } from "./graph.ts";
import type { Primitive } from "./primitive.ts";
import { input, reshape } from "./primitives/combine.ts";

/** How a parameter array begins. */
export interface ParameterDraft {
  /** Its role: "weight". */
  readonly role: string;
  readonly shape: Shape;
  readonly initialise: Initialiser;
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
  readonly #uses = new Map<Site, Node[]>();
  readonly #layers = new Map<object, Site>();
  readonly #names = new Set<string>();
  #parameterCount = 0;

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
          `${primitive.name}: a traced value is due, not ${typeof x}. A model's function may use only this library's layers and functions on its argument; JavaScript operators have no derivative rule.`,
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

  /**
   * The site of a layer: made by `create` when the layer is first applied, the same one afterwards, so that a layer
   * applied twice shares its parameters.
   */
  site(
    layer: object,
    name: string | undefined,
    create: (parameter: (draft: ParameterDraft) => Parameter) => Site,
  ): Site {
    const known = this.#layers.get(layer);
    if (known !== undefined) return known;
    const prefix = name ?? String(this.#layers.size);
    if (this.#names.has(prefix)) throw new LaplaceError(`Two layers are named "${prefix}".`);
    this.#names.add(prefix);
    const site = create(({ role, shape, initialise }) => {
      const parameter = { name: `${prefix}.${role}`, shape, size: sizeOf(shape), offset: this.#parameterCount };
      this.#parameterCount += parameter.size;
      this.parameters.push(parameter);
      this.initialisers.push(initialise);
      return parameter;
    });
    this.#layers.set(layer, site);
    this.sites.push(site);
    this.#uses.set(site, []);
    return site;
  }

  /** The finished graph, without the nodes that do not lead to `output`. @throws LaplaceError where it is none */
  finish(output: Traced): Graph {
    if (!(output instanceof Traced) || output.trace !== this) {
      throw new LaplaceError("A model's function must return a value it computed from its argument.");
    }
    let last = output.node;
    while (last.primitive === (reshape as Primitive<never>)) last = last.inputs[0];
    if (last.primitive.name === "softmax") {
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
      if (node.site === undefined || live.has(node)) continue;
      const [parameter] = this.parameters.filter((p) => Object.values(node.site as Site).includes(p));
      throw new LaplaceError(`The layer with "${parameter.name}" is applied, but its value does not reach the output.`);
    }
    return this.nodes.filter((node) => live.has(node));
  }
}
