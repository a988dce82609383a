// The one way in which a checkpoint's modules can be a network's layers; an error where there is none, or a choice.

import type { Network } from "laplace-ts";
import { OptionError } from "laplace-ts";
import { ModelError } from "../errors.ts";
import { eitherWay, type Layouts, type Pair, pairsOf } from "./layouts.ts";
import { joinedAttention, type Leaf, splitAttention, within } from "./names.ts";
import { explain, nameOf } from "./report.ts";
import { byShapes, type Matching, matchings } from "./search.ts";
import { crossings, type Unit } from "./units.ts";

/** What the caller knows. */
export interface Corrections {
  readonly rename: Readonly<Record<string, string | null>>;
  readonly transposed: readonly string[] | undefined;
}

/** As many ways as an error lists. */
const MOST_WAYS = 64;

/** The units that corrections name, by leaf. @throws OptionError */
function pinned(where: string, rename: Corrections["rename"], leaves: readonly Leaf[], units: readonly Unit[]) {
  const pins = new Map<number, number>();
  for (const [theirs, ours] of Object.entries(rename)) {
    if (ours === null) continue;
    const named = [...leaves.keys()].filter((i) =>
      [...leaves[i].arrays.values()].some(({ names }) => names.some((name) => within(name, theirs))),
    );
    const unit = units.findIndex(
      ({ name, slots }) => name === ours || [...slots.values()].some((s) => s.name === ours),
    );
    if (unit === -1) throw new OptionError(`${where}: rename: the network has no layer or parameter "${ours}".`);
    if (named.length !== 1) {
      throw new OptionError(
        `${where}: rename: "${theirs}" must be one module or tensor of the checkpoint, not ${named.length}.`,
      );
    }
    pins.set(named[0], unit);
  }
  return pins;
}

/** Layers that have the name of a module with a letter in it: numbers count differently here and there. */
function samelyNamed(leaves: readonly Leaf[], units: readonly Unit[]): Map<number, number> {
  const places = new Map(units.map(({ name }, i) => [name, i]));
  const pins = new Map<number, number>();
  leaves.forEach(({ path }, i) => {
    const unit = /[a-z]/i.test(path.join("")) ? places.get(path.join(".")) : undefined;
    if (unit !== undefined) pins.set(i, unit);
  });
  return pins;
}

interface Found {
  readonly leaves: readonly Leaf[];
  readonly matching: Matching;
  readonly layouts: Layouts;
}

/**
 * A module and its layer, array by array, in the network's order.
 * @throws ModelError where there is no way, or more than one
 */
export function decide(
  where: string,
  net: Network,
  leaves: readonly Leaf[],
  units: readonly Unit[],
  options: Corrections,
): Pair[] {
  const found = search(where, leaves, units, crossings(net, units), options);
  refuseGuesses(where, found, units);
  const { matching, layouts } = found;
  return [...matching]
    .sort((a, b) => a[1] - b[1])
    .flatMap(([leaf, unit]) => pairsOf(found.leaves[leaf], units[unit], layouts) as Pair[]);
}

function search(
  where: string,
  leavesAsNamed: readonly Leaf[],
  units: readonly Unit[],
  between: readonly number[],
  options: Corrections,
): Found {
  const { rename, transposed } = options;
  const says = (name: string) => transposed?.some((end) => name.endsWith(end)) ?? false;
  const joins = units.some(({ name }) => /(^|\.)qkv$/.test(name));
  const other = (joins ? joinedAttention : splitAttention)(leavesAsNamed);
  const variants = other.length === leavesAsNamed.length ? [leavesAsNamed] : [other, leavesAsNamed];
  const attempts = [false, true]
    .filter((turning) => !turning || transposed === undefined)
    .flatMap((turning) => variants.map((leaves) => ({ leaves, layouts: { turning, says } })));
  const fitting = ({ leaves, layouts }: (typeof attempts)[number], pins: ReadonlyMap<number, number>) => {
    const taken = new Set(pins.values());
    const kept = new Map<number, boolean>();
    return (leaf: number, unit: number) => {
      const pin = pins.get(leaf);
      if (pin === undefined ? taken.has(unit) : pin !== unit) return false;
      const key = leaf * units.length + unit;
      const fits = kept.get(key) ?? pairsOf(leaves[leaf], units[unit], layouts) !== undefined;
      kept.set(key, fits);
      return fits;
    };
  };
  for (const attempt of attempts) {
    const { leaves } = attempt;
    const pins = pinned(where, rename, leaves, units);
    const { ways, more } = matchings(leaves, between, fitting(attempt, pins), MOST_WAYS);
    if (ways.length === 1 && !more) return { ...attempt, matching: ways[0] };
    if (ways.length === 0 && !more) continue;
    const alike = fitting(attempt, new Map([...samelyNamed(leaves, units), ...pins]));
    const second = matchings(leaves, between, alike, MOST_WAYS);
    if (second.ways.length === 1 && !second.more) return { ...attempt, matching: second.ways[0] };
    throw new ModelError(where, explain.choices(leaves, units, ways));
  }
  for (const attempt of attempts) {
    const { leaves } = attempt;
    const matching = byShapes(leaves, units.length, fitting(attempt, pinned(where, rename, leaves, units)));
    if (matching !== undefined) return { ...attempt, matching };
  }
  const { leaves, layouts } = attempts[0];
  const fits = (leaf: number, unit: number) =>
    pairsOf(leaves[leaf], units[unit], { ...layouts, turning: true }) !== undefined;
  throw new ModelError(where, explain.nothing(leaves, units, fits));
}

/** What fits and may still be something else. @throws ModelError */
function refuseGuesses(where: string, { leaves, matching, layouts }: Found, units: readonly Unit[]): void {
  // Turned because nothing else fits, and not by its name.
  const turned = matching
    .flatMap(([leaf, unit]) => pairsOf(leaves[leaf], units[unit], layouts) ?? [])
    .find(({ source, change }) => layouts.turning && change === "turned" && !source.kernel);
  const problems = matching.flatMap(([leaf, unit]) => {
    const node = nameOf(leaves[leaf]);
    const problem = (why: string) => [{ operator: "", node, why: `"${node}" ${why}` }];
    // transformers' GPT-NeoX and BLOOM.
    if (/(^|\.)qkv$/.test(units[unit].name) && leaves[leaf].path.at(-1) === "query_key_value") {
      return problem(
        "has the rows of query, key and value head by head, and multiHeadAttention those of all queries first: give arrays with rows in that order.",
      );
    }
    if (turned === undefined || !eitherWay(leaves[leaf], units[unit])) return [];
    return problem(
      `is square, and ${turned.source.names[0]} is [inputs, outputs]: say by transposed which weights are.`,
    );
  });
  if (problems.length > 0) throw new ModelError(where, problems);
}
