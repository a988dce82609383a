// How a checkpoint's array becomes one of the network: as it is, or the same numbers in another order.

import type { Leaf, Role, Source } from "./names.ts";
import type { Slot, Unit } from "./units.ts";

/** What is done to an array. */
export type Change = "" | "turned" | "axes of length 1 left out" | "first rows";

const same = (a: readonly number[], b: readonly number[]) => String(a) === String(b);
const turned = (shape: readonly number[]) => {
  const [inputs, outputs] = shape.slice(-2);
  return [outputs, inputs, ...shape.slice(0, -2)];
};

/** Which weights are [inputs, outputs]: those that no name tells are so because the caller says it, or because nothing else fits. */
export interface Layouts {
  /** Whether other arrays than those below may be turned. */
  readonly turning: boolean;
  /** Whether the caller says that this one is. */
  says(name: string): boolean;
}

/** What must be done to an array for it to fit; undefined where it does not. */
export function changeOf(source: Source, slot: Slot, role: Role, unit: Unit, layouts: Layouts): Change | undefined {
  const { shape } = source;
  const matrix = role === "weight" && shape.length >= 2 && unit.positions === false;
  if (matrix && (source.kernel || (unit.dense && source.names.every((name) => layouts.says(name))))) {
    return same(turned(shape), slot.shape) ? "turned" : undefined;
  }
  if (same(shape, slot.shape)) return "";
  const [ours, theirs] = [slot.shape, shape].map((lengths) => lengths.filter((length) => length !== 1));
  if (slot.shape.length !== shape.length && same(ours, theirs)) return "axes of length 1 left out";
  if (unit.positions && same(theirs.slice(1), ours.slice(1)) && theirs[0] > ours[0]) return "first rows";
  if (layouts.turning && unit.dense && role === "weight" && same(turned(shape), slot.shape)) return "turned";
  return undefined;
}

/** An array of a module, and what it is in a layer. */
export interface Pair {
  readonly source: Source;
  readonly slot: Slot;
  readonly change: Change;
}

/** The arrays of a module in a layer's order; undefined where one has no partner. */
export function pairsOf(leaf: Leaf, unit: Unit, layouts: Layouts): Pair[] | undefined {
  if (leaf.arrays.size !== unit.slots.size) return undefined;
  const pairs: Pair[] = [];
  for (const [role, slot] of unit.slots) {
    // What is nothing but a parameter fits a layer that has one.
    const lone = unit.slots.size === 1 ? leaf.arrays.get("value") : undefined;
    const source = leaf.arrays.get(role) ?? lone;
    const change = source && changeOf(source, slot, source === lone ? "value" : role, unit, layouts);
    if (source === undefined || change === undefined) return undefined;
    pairs.push({ source, slot, change });
  }
  return pairs;
}

/** Whether a weight would fit the layer in either layout. */
export const eitherWay = (leaf: Leaf, unit: Unit): boolean => {
  const weight = leaf.arrays.get("weight");
  return (
    unit.dense && weight?.kernel === false && weight.shape.length === 2 && same(weight.shape, turned(weight.shape))
  );
};
