// The network's side: its sites with their arrays, in the order in which the model's function made them.

import type { Network } from "laplace-ts";
import type { Role } from "./names.ts";

/** A parameter or running statistic. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What a module of a checkpoint can be: a site, with the running statistics beside it. */
export interface Unit {
  /** The layer's name, and its part's: "3.qkv". */
  readonly name: string;
  readonly slots: ReadonlyMap<Role, Slot>;
  /** Whether it is a dense layer, which other formats have as [inputs, outputs]. */
  readonly dense: boolean;
  /** Whether it is a table of positions, which begins with the first one. */
  readonly positions: boolean;
  /** The places in the graph of the first and the last node by which it comes in. */
  readonly first: number;
  readonly last: number;
}

const roles: Readonly<Record<string, Role>> = {
  weight: "weight",
  scale: "weight",
  bias: "bias",
  shift: "bias",
  running_mean: "running_mean",
  running_var: "running_var",
};

/** A network's units. */
export function unitsOf(net: Network): Unit[] {
  const units = new Map<string, Omit<Unit, "name"> & { slots: Map<Role, Slot>; last: number }>();
  const seen = new Set<string>();
  const known = new Map([...net.parameterTable, ...net.bufferTable].map((array) => [array.name, array]));
  const add = (place: number, name: string, dense = false, positions = false) => {
    const array = known.get(name);
    if (array === undefined || seen.has(name)) return;
    seen.add(name);
    const at = name.lastIndexOf(".");
    const layer = name.slice(0, at);
    const unit = units.get(layer) ?? { slots: new Map<Role, Slot>(), dense, positions, first: place, last: place };
    unit.last = place;
    unit.slots.set(roles[name.slice(at + 1)] ?? "value", { name, shape: array.shape });
    units.set(layer, unit);
  };
  for (const [place, { primitive, attributes, site, inputs }] of net.graph.nodes.entries()) {
    if (site?.kind === "linear") {
      const dense = site.transposed !== true && site.weight.shape.length === 2;
      const positions = site.transposed === true && inputs[0]?.primitive.name === "positions";
      for (const array of [site.weight, site.bias]) if (array !== undefined) add(place, array.name, dense, positions);
    } else if (site !== undefined) {
      for (const array of [site.scale, site.shift]) if (array !== undefined) add(place, array.name);
    }
    if (primitive.statistics !== true) continue;
    for (const { name } of Object.values(attributes as Record<string, { name?: string }>)) {
      if (name !== undefined) add(place, name);
    }
  }
  return [...units].map(([name, unit]) => ({ name, ...unit }));
}

/**
 * How many values go over from what is before a unit to it and what is behind, at the narrowest place; for each unit, and behind the
 * last. Where it is one value, a module may begin or end.
 */
export function crossings({ graph: { nodes, output } }: Network, units: readonly Unit[]): number[] {
  const places = new Map(nodes.map((node, place) => [node, place]));
  const needed = nodes.map(() => -1);
  nodes.forEach(({ inputs }, place) => {
    for (const input of inputs) needed[places.get(input) as number] = place;
  });
  needed[places.get(output) as number] = nodes.length;
  // Before each place: values that are computed by then and needed there or later.
  const open = new Array<number>(nodes.length + 2).fill(0);
  needed.forEach((last, place) => {
    if (last <= place) return;
    open[place + 1]++;
    open[last + 1]--;
  });
  for (let place = 1; place < open.length; place++) open[place] += open[place - 1];
  return Array.from({ length: units.length + 1 }, (_, i) => {
    const from = i === 0 ? 1 : units[i - 1].last + 1;
    const to = i === units.length ? nodes.length : units[i].first;
    return Math.min(...open.slice(from, Math.max(from, to) + 1));
  });
}
