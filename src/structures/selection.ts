// Which weights a posterior is over: all, the last layer's, some parameters, or some single weights.

import { checkOptions, OptionError, refuseJson, ShapeError, valueText } from "../errors.ts";
import type { FloatArray } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { Network } from "../network/network.ts";
import type { LinearSite, Parameter, Site } from "../network/parameters.ts";
import type { Node } from "../network/primitive.ts";
import { type CountedWeights, countedIndices, isCounted } from "./counted-weights.ts";

/**
 * All weights, those of the last linear layer, of layers ("0") or of parameters ("0.weight") by name; or single weights, which the
 * structures "full" and "diagonal" take: by their positions in `net.parameters`, or so many of them, the `largest` by size, the
 * `mostVariable` of a posterior (Daxberger et al. 2021), or drawn at `random`. None twice; frozen weights are left out, and
 * refused where they are named.
 *
 * Numbers that go with this option, those of the prior, count in the order in which it names parameters or positions, and a
 * posterior gives them back in that order. What is computed over weights (mean, variance, covariance, draws, curvatures) is in
 * the order of `net.parameters`, which `indices` of the posterior says.
 */
export type Weights =
  | "all"
  | "lastLayer"
  | { readonly layers: readonly string[] }
  | { readonly parameters: readonly string[] }
  | CountedWeights
  | { readonly indices: { readonly length: number; readonly [index: number]: number } };

/** A parameter of which some or all weights are selected. */
export interface SelectedParameter {
  readonly parameter: Parameter;
  readonly role: "weight" | "bias" | "scale" | "shift";
  readonly site: Site;
  /** Where its weights begin among the selected ones. */
  readonly at: number;
  /** How many of them there are. */
  readonly size: number;
  /** Their positions within the parameter, ascending; undefined for all. */
  readonly chosen: Uint32Array | undefined;
}

const copies = () =>
  "structuredClone, postMessage and JSON do not copy a curvature and its weights: dense() gives its matrix, and savePosterior writes it with a posterior";

/** The order in which the option `weights` named what it names: places among the selected parameters, and weights. */
export interface Named {
  readonly parameters: Uint32Array;
  readonly weights: Uint32Array;
  /** Whether it named single weights. */
  readonly single: boolean;
}

/** The weights of a network that something is computed for, in the order of the flat vector. */
export class Selection {
  readonly graph: Graph;
  readonly parameters: readonly SelectedParameter[];
  /** The sites with selected weights. */
  readonly siteList: readonly Site[];
  /** S, the number of weights. */
  readonly size: number;
  /** Where the option named other parameters first, or single weights: in which order it did. */
  readonly named: Named | undefined;
  readonly #reached: readonly boolean[];
  readonly #sites = new Map<Site, SelectedParameter[]>();

  constructor(graph: Graph, parameters: readonly SelectedParameter[], named?: Named) {
    this.graph = graph;
    this.parameters = parameters;
    this.named = named;
    this.size = parameters.reduce((sum, { size }) => sum + size, 0);
    for (const selected of parameters) {
      const others = this.#sites.get(selected.site);
      if (others === undefined) this.#sites.set(selected.site, [selected]);
      else others.push(selected);
    }
    this.siteList = [...this.#sites.keys()];
    const reached: boolean[] = [];
    for (const { id, inputs, site } of graph.nodes) {
      reached[id] = inputs.some((x) => reached[x.id]) || (site !== undefined && this.#sites.has(site));
    }
    this.#reached = reached;
    refuseJson(this, copies);
  }

  /** Whether a selected weight has a part in the node's value. */
  reaches = (node: Node): boolean => this.#reached[node.id];

  /** Where a whole parameter's weights begin among the selected ones; undefined for others. */
  placeOf = (parameter: Parameter): number | undefined =>
    this.parameters.find((selected) => selected.parameter === parameter && selected.chosen === undefined)?.at;

  /** The sites with selected weights, and those weights' parameters. */
  sites(): ReadonlyMap<Site, readonly SelectedParameter[]> {
    return this.#sites;
  }

  /** The positions of the weights in the flat vector, ascending. */
  indices(): Uint32Array {
    const result = new Uint32Array(this.size);
    for (const { parameter, at, size, chosen } of this.parameters) {
      for (let i = 0; i < size; i++) result[at + i] = parameter.offset + (chosen?.[i] ?? i);
    }
    return result;
  }

  /** The selected weights of a flat vector of the network's parameters, in float64. */
  take(values: FloatArray): Float64Array {
    // All of them, as parameters are in their order.
    if (this.size === this.graph.parameterCount) return new Float64Array(values);
    const result = new Float64Array(this.size);
    for (const { parameter, at, size, chosen } of this.parameters) {
      const { offset } = parameter;
      if (chosen === undefined) result.set(values.subarray(offset, offset + size), at);
      else for (let i = 0; i < size; i++) result[at + i] = values[offset + chosen[i]];
    }
    return result;
  }

  /**
   * Numbers in the order of the option, one for each parameter or for each weight, in that of the network (`undo`: the other
   * way round). One number for all stays.
   */
  arrange(values: Float64Array, undo = false): Float64Array {
    if (this.named === undefined || values.length === 1) return values;
    const order = values.length === this.parameters.length ? this.named.parameters : this.named.weights;
    const result = new Float64Array(values.length);
    order.forEach((at, i) => {
      if (undo) result[i] = values[at];
      else result[at] = values[i];
    });
    return result;
  }

  /** Whether every selected parameter is whole. */
  get whole(): boolean {
    return this.parameters.every(({ chosen }) => chosen === undefined);
  }

  /** Whether another selection, of this network or one with the same parameters, holds the same weights. */
  equals(other: Selection): boolean {
    if (this === other) return true;
    if (this.graph.parameterCount !== other.graph.parameterCount || this.size !== other.size) return false;
    const described = ({ parameters }: Selection) =>
      parameters.map(({ parameter, role }) => `${role} [${parameter.shape}] @${parameter.offset}`).join();
    if (described(this) !== described(other)) return false;
    const theirs = other.indices();
    return this.indices().every((index, i) => index === theirs[i]);
  }
}

type Role = SelectedParameter["role"];

type Roles = Map<Parameter, { readonly site: Site; readonly role: Role }>;

const rolesKnown = new WeakMap<Graph, Roles>();

function roles(graph: Graph): Roles {
  const known = rolesKnown.get(graph);
  if (known !== undefined) return known;
  const found: Roles = new Map();
  rolesKnown.set(graph, found);
  for (const site of graph.sites) {
    const entries: [Role, Parameter | undefined][] =
      site.kind === "linear"
        ? [
            ["weight", site.weight],
            ["bias", site.bias],
          ]
        : [
            ["scale", site.scale],
            ["shift", site.shift],
          ];
    for (const [role, parameter] of entries) if (parameter !== undefined) found.set(parameter, { site, role });
  }
  return found;
}

/** The selected weights in a flat vector of the network's parameters, where the others are 0. */
export function spread(selection: Selection, values: ArrayLike<number>): Float64Array {
  const { parameterCount } = selection.graph;
  // All of them, as parameters are in their order.
  if (selection.size === parameterCount) return Float64Array.from(values);
  const result = new Float64Array(parameterCount);
  const places = selection.indices();
  for (let i = 0; i < places.length; i++) result[places[i]] = values[i];
  return result;
}

/** The last linear site in order of evaluation. */
function lastLinearSite(graph: Graph): LinearSite | undefined {
  const node = graph.nodes.findLast(({ site }) => site?.kind === "linear");
  return node?.site as LinearSite | undefined;
}

/** Those of "all" and "lastLayer", by what is frozen: what is found out about a selection is kept with it. */
const selectionsKnown = new WeakMap<Graph, Map<string, Selection>>();

/** Reads the option `weights`; frozen parameters stay out. @throws OptionError, ShapeError */
export function select(where: string, net: Network, weights: Weights = "all"): Selection {
  if (weights !== "all" && weights !== "lastLayer") return selected(where, net, weights);
  const known = selectionsKnown.get(net.graph) ?? new Map<string, Selection>();
  selectionsKnown.set(net.graph, known);
  const name = net.frozen.size === 0 ? weights : JSON.stringify([weights, ...net.frozen]);
  const selection = known.get(name) ?? selected(where, net, weights);
  known.set(name, selection);
  return selection;
}

function selected(where: string, net: Network, weights: Weights): Selection {
  const { graph } = net;
  const frozen = (parameter: Parameter) => net.frozen.has(parameter.name);
  const free = graph.parameters.filter((parameter) => !frozen(parameter));
  const whole = (wanted: readonly Parameter[]) =>
    build(
      where,
      graph,
      wanted.map((one) => [one]),
    );
  if (weights === "all") return whole(free);
  if (weights === "lastLayer") {
    const site = lastLinearSite(graph);
    if (site === undefined) throw new OptionError(`${where}: the network has no linear layer; choose other weights.`);
    return whole(free.filter((parameter) => parameter === site.weight || parameter === site.bias));
  }
  if (weights === null || typeof weights !== "object") {
    throw new OptionError(
      `${where}: weights must be "all", "lastLayer", or an object such as { layers: names }, { parameters: names }, { indices: positions } or { largest: count }, not ${String(weights)}.`,
    );
  }
  if (isCounted(weights)) {
    return build(where, graph, chooseIndices(where, graph, countedIndices(where, net, weights), frozen));
  }
  checkOptions(`${where}, weights`, weights, ["layers", "parameters", "indices", "largest", "mostVariable", "random"]);
  const [given] = Object.values(weights) as unknown[];
  const isList = Array.isArray(given) || (ArrayBuffer.isView(given) && "length" in given);
  if (Object.keys(weights).length !== 1 || !isList) {
    throw new OptionError(
      `${where}: weights must have one list: of layers or parameters (names), or of indices (positions).`,
    );
  }
  if ("layers" in weights) {
    return select(where, net, { parameters: namesOfLayers(where, net, weights.layers) });
  }
  if ("parameters" in weights) {
    const names = Array.from(weights.parameters);
    names.forEach((name, i) => {
      if (names.indexOf(name) < i) throw new OptionError(`${where}: the parameter "${name}" is named twice.`);
      const parameter = graph.parameters.find((candidate) => candidate.name === name);
      if (parameter === undefined) {
        const known = graph.parameters.map((candidate) => candidate.name).join(", ");
        throw new OptionError(`${where}: the network has no parameter "${name}". It has ${known}.`);
      }
      if (frozen(parameter)) throw new OptionError(`${where}: the parameter "${name}" is frozen.`);
    });
    const selection = whole(free.filter(({ name }) => names.includes(name)));
    return new Selection(graph, selection.parameters, namesGiven(selection, names));
  }
  const selection = build(where, graph, chooseIndices(where, graph, weights.indices, frozen));
  return new Selection(graph, selection.parameters, indicesGiven(selection, weights.indices));
}

/** The names of the parameters of layers that are not frozen. @throws OptionError */
function namesOfLayers(where: string, { graph, frozen }: Network, layers: readonly string[]): string[] {
  return Array.from(layers).flatMap((layer, i) => {
    if (layers.indexOf(layer) < i) throw new OptionError(`${where}: the layer "${layer}" is named twice.`);
    const names = graph.parameters.map(({ name }) => name).filter((name) => name.startsWith(`${layer}.`));
    if (names.length === 0) {
      const known = new Set(graph.parameters.map(({ name }) => name.slice(0, Math.max(0, name.lastIndexOf(".")))));
      throw new OptionError(
        `${where}: the network has no layer "${valueText(layer)}" with parameters. It has ${[...known].join(", ")}.`,
      );
    }
    const free = names.filter((name) => !frozen.has(name));
    if (free.length === 0) throw new OptionError(`${where}: the layer "${layer}" is frozen.`);
    return free;
  });
}

/** In which order names came; undefined for that of the network. */
function namesGiven({ parameters, size }: Selection, names: readonly string[]): Named | undefined {
  const places = Uint32Array.from(names, (name) => parameters.findIndex(({ parameter }) => parameter.name === name));
  if (places.every((place, i) => place === i)) return undefined;
  const weights = new Uint32Array(size);
  let next = 0;
  for (const place of places) {
    const { at, size: count } = parameters[place];
    for (let k = 0; k < count; k++) weights[next++] = at + k;
  }
  return { parameters: places, weights, single: false };
}

/** Parameters are in the order of their first weights. */
function indicesGiven(selection: Selection, indices: ArrayLike<number>): Named {
  const places = new Map(Array.from(selection.indices(), (index, i) => [index, i]));
  const weights = Uint32Array.from(indices, (index) => places.get(index) as number);
  const { parameters } = selection;
  const ofWeight = (i: number) => parameters.findLastIndex(({ at }) => at <= i);
  return { parameters: Uint32Array.from(new Set(Array.from(weights, ofWeight))), weights, single: true };
}

function chooseIndices(
  where: string,
  graph: Graph,
  indices: ArrayLike<number>,
  frozen: (parameter: Parameter) => boolean,
): [Parameter, Uint32Array | undefined][] {
  const sorted = Array.from(indices).sort((a, b) => a - b);
  sorted.forEach((index, i) => {
    if (!Number.isInteger(index) || index < 0 || index >= graph.parameterCount) {
      throw new OptionError(
        `${where}: the index ${index} is not a position among the network's ${graph.parameterCount} parameters.`,
      );
    }
    if (index === sorted[i - 1]) throw new OptionError(`${where}: the index ${index} is given twice.`);
  });
  let next = 0;
  return graph.parameters.flatMap((parameter): [Parameter, Uint32Array | undefined][] => {
    const { offset, size, name } = parameter;
    const begin = next;
    while (sorted[next] < offset + size) next++;
    const chosen = Uint32Array.from(sorted.slice(begin, next), (index) => index - offset);
    if (chosen.length === 0) return [];
    if (frozen(parameter))
      throw new OptionError(`${where}: indices of the parameter "${name}" are given, but it is frozen.`);
    return [[parameter, chosen.length === size ? undefined : chosen]];
  });
}

function build(where: string, graph: Graph, wanted: readonly (readonly [Parameter, Uint32Array?])[]): Selection {
  if (wanted.length === 0) throw new ShapeError(`${where}: no weights are selected.`);
  const known = roles(graph);
  let at = 0;
  const parameters = wanted.map(([parameter, chosen]): SelectedParameter => {
    const { site, role } = known.get(parameter) as { site: Site; role: Role };
    const selected = { parameter, site, role, at, size: chosen?.length ?? parameter.size, chosen };
    at += selected.size;
    return selected;
  });
  return new Selection(graph, parameters);
}
