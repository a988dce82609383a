// Groups of weights that share a prior precision.

import { OptionError } from "../errors.ts";
import type { Network } from "../network/network.ts";
import type { LinearSite } from "../network/parameters.ts";
import { linear } from "../network/primitives/linear.ts";
import { Prior } from "../structures/prior.ts";
import type { Selection } from "../structures/selection.ts";
import type { WeightGroups } from "./evidence-options.ts";
import type { WeightGroup } from "./results.ts";

/** A partition of selected weights. */
export class Groups {
  readonly selection: Selection;
  readonly names: readonly string[];
  /** The group of each weight, [S]. */
  readonly of: Uint32Array;
  /** The number of weights of each group. */
  readonly counts: Float64Array;
  /** The input whose weights a group has; -1 for others. */
  readonly inputs: Int32Array;

  constructor(selection: Selection, names: readonly string[], of: Uint32Array, inputs?: Int32Array) {
    this.selection = selection;
    this.names = names;
    this.of = of;
    this.inputs = inputs ?? new Int32Array(names.length).fill(-1);
    this.counts = new Float64Array(names.length);
    for (const group of of) this.counts[group]++;
  }

  /** What is said of each group. @param effective weights that the data determine, of each */
  results(precision: Float64Array, effective: Float64Array): WeightGroup[] {
    const weights = this.counts;
    return this.names.map((name, g) => ({
      name,
      weights: weights[g],
      precision: precision[g],
      effective: effective[g],
    }));
  }

  /** A prior around 0 with a precision for each group, in as few numbers as say it. */
  prior(precision: Float64Array): Prior {
    const mean = new Float64Array(this.selection.size);
    return new Prior(this.selection, this.#shared ? precision.slice() : this.spread(precision), mean);
  }

  /** Whether the groups are what one number, or one for each parameter, says. */
  get #shared(): boolean {
    if (this.names.length === 1) return true;
    const { parameters } = this.selection;
    return (
      this.names.length === parameters.length &&
      parameters.every(
        ({ at, size }, i) => this.of[at] === i && this.of[at + size - 1] === i && this.counts[i] === size,
      )
    );
  }

  /** A number for each group as one for each weight. */
  spread(values: Float64Array): Float64Array {
    return Float64Array.from(this.of, (group) => values[group]);
  }

  /** Sums over the groups of numbers of weights, [S]. */
  sums(values: ArrayLike<number>): Float64Array {
    const result = new Float64Array(this.names.length);
    for (let i = 0; i < this.of.length; i++) result[this.of[i]] += values[i];
    return result;
  }

  /** Sums over the groups of what comes for each number of `prior`. */
  ofPrior(values: Float64Array): Float64Array {
    return values.length === this.names.length && this.#shared ? values : this.sums(values);
  }

  /** The prior variances of each input's groups, added up, [inputs]; undefined where there are no such groups. */
  relevance(precision: Float64Array, inputs: number): Float64Array | undefined {
    if (!this.inputs.some((input) => input >= 0)) return undefined;
    const result = new Float64Array(inputs);
    this.inputs.forEach((input, group) => {
      if (input >= 0) result[input] += 1 / precision[group];
    });
    return result;
  }
}

/** The groups that an option says. @throws OptionError */
export function readGroups(where: string, net: Network, selection: Selection, groups: WeightGroups): Groups {
  const { size, parameters } = selection;
  if (groups === "all") return new Groups(selection, ["all"], new Uint32Array(size));
  if (groups === "weights") {
    const named = parameters.flatMap(({ parameter, size }) =>
      Array.from({ length: size }, (_, i) => `${parameter.name}[${i}]`),
    );
    return new Groups(
      selection,
      named,
      Uint32Array.from({ length: size }, (_, i) => i),
    );
  }
  if (groups === "inputs") return byInputs(where, net, selection);
  const listOf = groups === "layers" ? () => -1 : listed(where, selection, groups);
  const names: string[] = [];
  const of = new Uint32Array(size);
  const places = new Map<number, number>();
  for (const { parameter, at, size } of parameters) {
    const list = listOf(parameter.name);
    const known = list < 0 ? undefined : places.get(list);
    const group = known ?? names.push(parameter.name) - 1;
    if (known !== undefined) names[known] += `, ${parameter.name}`;
    if (list >= 0) places.set(list, group);
    of.fill(group, at, at + size);
  }
  return new Groups(selection, names, of);
}

/** The number of the list that names a parameter or its layer; -1 for none. @throws OptionError */
function listed(where: string, { parameters }: Selection, lists: readonly (readonly string[])[]) {
  const known = parameters.map(({ parameter }) => parameter.name);
  const named = (parameter: string, name: string) => parameter === name || parameter.startsWith(`${name}.`);
  const all = lists.flat();
  for (const name of all) {
    if (typeof name === "string" && known.some((parameter) => named(parameter, name))) continue;
    throw new OptionError(
      `${where}: groups name "${String(name)}", which is not among the free parameters. There are ${known.join(", ")}.`,
    );
  }
  for (const parameter of known) {
    if (all.filter((name) => named(parameter, name)).length <= 1) continue;
    throw new OptionError(`${where}: groups name the parameter "${parameter}" twice.`);
  }
  return (parameter: string) => lists.findIndex((list) => list.some((name) => named(parameter, name)));
}

/** The weights of each input in each dense layer on the inputs; the others by their parameters. @throws OptionError where there is no such layer */
function byInputs(where: string, net: Network, selection: Selection): Groups {
  const sites = layersOnInputs(net);
  const names: string[] = [];
  const inputs: number[] = [];
  const of = new Uint32Array(selection.size);
  let any = false;
  for (const { parameter, site, role, at, size, chosen } of selection.parameters) {
    const wide = role === "weight" && chosen === undefined && sites.has(site as LinearSite);
    const columns = wide ? (site as LinearSite).inputs : 1;
    any ||= wide;
    for (let i = 0; i < size; i++) of[at + i] = names.length + (wide ? i % columns : 0);
    for (let input = 0; input < columns; input++) {
      names.push(wide ? `${parameter.name}[:, ${input}]` : parameter.name);
      inputs.push(wide ? input : -1);
    }
  }
  if (!any) {
    throw new OptionError(
      `${where}: groups "inputs" need a free dense layer on the network's inputs, which must be vectors; there is none. Networks of other kinds have groups: "layers".`,
    );
  }
  return new Groups(selection, names, of, Int32Array.from(inputs));
}

/** The dense layers that the network applies to its inputs. */
function layersOnInputs({ graph }: Network): ReadonlySet<LinearSite> {
  const sites = new Set<LinearSite>();
  if (graph.input.shape.length !== 1) return sites;
  for (const { primitive, inputs, site } of graph.nodes) {
    const dense = primitive === (linear as unknown) && site?.kind === "linear";
    // A layer that is used elsewhere too has columns of other inputs.
    if (dense && inputs[0] === graph.input && graph.uses.get(site)?.length === 1) sites.add(site);
  }
  return sites;
}
