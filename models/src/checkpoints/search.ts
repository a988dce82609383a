// The ways in which the modules of a checkpoint can be the layers of a network: what belongs to one module stays together, what is
// numbered comes in order, and each has the shapes of its partner. Of these ways the best: modules take a value and give one, so
// those whose modules begin and end where few values go over; a block with a way around it is not cut in two.

import { compareNumbers, type Leaf, numbered } from "./names.ts";

/** The units of leaves: [leaf, unit] for each. */
export type Matching = readonly (readonly [leaf: number, unit: number])[];

/** The ways that were found, at most as many as were asked for. */
export interface Found {
  readonly ways: readonly Matching[];
  /** Whether there may be more. */
  readonly more: boolean;
  /** Values that go over where modules begin and end. */
  readonly cost: number;
}

interface Tree {
  /** The leaf that stands here, if one does. */
  leaf: number | undefined;
  size: number;
  readonly children: Map<string, Tree>;
}

const empty = (): Tree => ({ leaf: undefined, size: 0, children: new Map() });

function treeOf(leaves: readonly Leaf[]): Tree {
  const root = empty();
  leaves.forEach(({ path }, leaf) => {
    let at = root;
    at.size++;
    for (const name of path) {
      const next = at.children.get(name) ?? empty();
      at.children.set(name, next);
      at = next;
      at.size++;
    }
    at.leaf = leaf;
  });
  return root;
}

/** A node's parts: lists of which each is in order. A node's own arrays are a part beside its children. */
function chainsOf({ leaf, children }: Tree): Tree[][] {
  const chains = new Map<string, { numbers: number[]; tree: Tree }[]>();
  for (const [name, tree] of children) {
    const { stem, numbers } = numbered(name);
    chains.set(stem, [...(chains.get(stem) ?? []), { numbers, tree }]);
  }
  const sorted = [...chains.values()].map((chain) =>
    chain.sort((a, b) => compareNumbers(a.numbers, b.numbers)).map(({ tree }) => tree),
  );
  return leaf === undefined ? sorted : [[{ leaf, size: 1, children: new Map() }], ...sorted];
}

/** Steps beyond which nothing is decided: names that say nothing, and shapes that are all the same. */
const MOST_STEPS = 300_000;

/**
 * The best ways, up to `most` of them.
 * @param fits whether a leaf can be a unit
 * @param crossings what goes over before each unit and behind the last
 */
export function matchings(
  leaves: readonly Leaf[],
  crossings: readonly number[],
  fits: (leaf: number, unit: number) => boolean,
  most: number,
): Found {
  if (leaves.length !== crossings.length - 1) return { ways: [], more: false, cost: 0 };
  let steps = 0;
  const kept = new Map<Tree, Map<number, Found>>();
  const chains = new Map<Tree, Tree[][]>();

  /** The ways of a subtree whose first unit is this one. */
  const at = (tree: Tree, first: number): Found => {
    if (tree.leaf !== undefined && tree.children.size === 0) {
      return { ways: fits(tree.leaf, first) ? [[[tree.leaf, first]]] : [], more: false, cost: 0 };
    }
    const known = kept.get(tree)?.get(first);
    if (known !== undefined) return known;
    const own = chains.get(tree) ?? chainsOf(tree);
    chains.set(tree, own);
    let ways: Matching[] = [];
    let least = Number.POSITIVE_INFINITY;
    const hopeless = new Set<string>();
    let more = false;
    const place = (done: readonly number[], unit: number, so: Matching, cost: number): boolean => {
      const key = String(done);
      if (cost > least) return true;
      if (ways.length >= most || steps++ > MOST_STEPS) {
        more = true;
        return true;
      }
      if (hopeless.has(key)) return false;
      if (unit === first + tree.size) {
        if (cost < least) ways = [];
        least = cost;
        ways.push(so);
        return true;
      }
      let some = false;
      own.forEach((chain, c) => {
        const next = chain[done[c]];
        if (next === undefined) return;
        const found = at(next, unit);
        more ||= found.more;
        for (const way of found.ways) {
          const leads = place(done.with(c, done[c] + 1), unit + next.size, [...so, ...way], cost + found.cost);
          some ||= leads;
        }
      });
      if (!some) hopeless.add(key);
      return some;
    };
    place(new Array<number>(own.length).fill(0), first, [], crossings[first] + crossings[first + tree.size]);
    const found = { ways, more, cost: least };
    kept.set(tree, (kept.get(tree) ?? new Map<number, Found>()).set(first, found));
    return found;
  };
  return at(treeOf(leaves), 0);
}

/** Which of two comes first by numbers, where their names tell. */
function order(a: Leaf, b: Leaf): number | undefined {
  const at = a.path.findIndex((name, i) => name !== b.path[i]);
  if (at === -1 || b.path[at] === undefined) return undefined;
  const [one, other] = [numbered(a.path[at]), numbered(b.path[at])];
  return one.stem === other.stem ? compareNumbers(one.numbers, other.numbers) : undefined;
}

/**
 * The one way by shapes and numbers alone, for networks that take the parts of a module apart; undefined where these leave a choice.
 */
export function byShapes(
  leaves: readonly Leaf[],
  units: number,
  fits: (leaf: number, unit: number) => boolean,
): Matching | undefined {
  const groups = new Map<string, { units: number[]; leaves: number[] }>();
  leaves.forEach((_, leaf) => {
    const fitting = Array.from({ length: units }, (_unused, unit) => unit).filter((unit) => fits(leaf, unit));
    const group = groups.get(String(fitting)) ?? { units: fitting, leaves: [] };
    group.leaves.push(leaf);
    groups.set(String(fitting), group);
  });
  const matching: [number, number][] = [];
  for (const group of groups.values()) {
    if (group.units.length !== group.leaves.length) return undefined;
    const ranks = group.leaves.map((a) => {
      const orders = group.leaves.map((b) => (a === b ? 0 : order(leaves[a], leaves[b])));
      return orders.includes(undefined) ? undefined : orders.filter((one) => (one as number) > 0).length;
    });
    if (new Set(ranks).size !== ranks.length || ranks.includes(undefined)) return undefined;
    group.leaves.forEach((leaf, i) => {
      matching.push([leaf, group.units[ranks[i] as number]]);
    });
  }
  const taken = new Set(matching.map(([, unit]) => unit));
  return taken.size === units ? matching : undefined;
}
