// A match in words: as a table, or why there is none.

import type { Problem } from "../errors.ts";
import type { Leaf } from "./names.ts";
import type { Matching } from "./search.ts";
import type { Unit } from "./units.ts";

/** One parameter or running statistic, and what it is in the checkpoint. */
export interface MatchedWeights {
  /** The tensor; several where they are joined, as queries, keys and values are. */
  readonly from: readonly string[];
  readonly to: string;
  readonly shape: readonly number[];
  /** What is done to the numbers: "" for nothing, "turned", "3 joined", "axes of length 1 left out" and the like. */
  readonly change: string;
}

/** A module by its name; a parameter by its own. */
export function nameOf({ arrays }: Leaf): string {
  const all = [...arrays.values()];
  const names = all.flatMap(({ names }) => names);
  if (names.length === 1) return names[0];
  // What the names have in common, whole words alone.
  let common = names[0];
  for (const name of names) while (!name.startsWith(common)) common = common.slice(0, -1);
  const module = common.replace(/[./][^./]*$/, "");
  return module === "" ? names.join(", ") : module;
}

const shapesOf = (leaf: Leaf) =>
  [...leaf.arrays.values()]
    .map(({ names, shape }) => `${names[0].split(/[./]/).at(-1)} [${shape.join(", ")}]`)
    .join(", ");
const slotsOf = (unit: Unit) =>
  [...unit.slots.values()].map(({ name, shape }) => `${name.split(".").at(-1)} [${shape.join(", ")}]`).join(", ");

const problem = (node: string, why: string): Problem => ({ operator: "", node, why });

/** "a", "a or b", "a, b or c". */
const either = (names: readonly string[]) =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

/** Modules that may be several layers. */
function choices(leaves: readonly Leaf[], units: readonly Unit[], ways: readonly Matching[]): Problem[] {
  const may = leaves.map(() => new Set<number>());
  for (const way of ways) for (const [leaf, unit] of way) may[leaf].add(unit);
  const open = leaves.flatMap((leaf, i) => {
    if (may[i].size < 2) return [];
    const names = [...may[i]].sort((a, b) => a - b).map((unit) => `"${units[unit].name}"`);
    return [problem(nameOf(leaf), `"${nameOf(leaf)}" may be the layer ${either(names)}.`)];
  });
  const first = problem("", "Shapes and names leave a choice; rename says what is what.");
  return [first, ...open];
}

/** What has no partner. */
function nothing(
  leaves: readonly Leaf[],
  units: readonly Unit[],
  fits: (leaf: number, unit: number) => boolean,
): Problem[] {
  const groups = new Map<string, { leaves: number[]; units: number[] }>();
  const alone: number[] = [];
  const taken = new Set<number>();
  leaves.forEach((_, leaf) => {
    const fitting = [...units.keys()].filter((unit) => fits(leaf, unit));
    for (const unit of fitting) taken.add(unit);
    if (fitting.length === 0) alone.push(leaf);
    const group = groups.get(String(fitting)) ?? { leaves: [], units: fitting };
    group.leaves.push(leaf);
    if (fitting.length > 0) groups.set(String(fitting), group);
  });
  const problems = alone.map((leaf) => {
    const name = nameOf(leaves[leaf]);
    return problem(name, `"${name}" (${shapesOf(leaves[leaf])}) has the shapes of no layer.`);
  });
  units.forEach((unit, i) => {
    if (!taken.has(i))
      problems.push(problem(unit.name, `The layer "${unit.name}" (${slotsOf(unit)}) has the shapes of no module.`));
  });
  for (const group of groups.values()) {
    if (group.leaves.length === group.units.length) continue;
    const [theirs, ours] = [
      group.leaves.map((leaf) => `"${nameOf(leaves[leaf])}"`),
      group.units.map((unit) => `"${units[unit].name}"`),
    ];
    problems.push(
      problem(
        nameOf(leaves[group.leaves[0]]),
        `Of the shapes ${shapesOf(leaves[group.leaves[0]])} there are ${theirs.length} modules, ${theirs.join(", ")}, and ${ours.length} layers, ${ours.join(", ")}.`,
      ),
    );
  }
  const counts = `The checkpoint has ${leaves.length} modules with arrays, the network ${units.length} layers`;
  const what =
    problems.length > 0
      ? `${counts}. rename passes over a module, { "name": null }; keep leaves a layer as it is.`
      : `${counts}, of the same shapes; but no order of the modules, each in one piece and numbers counting up, is that of the layers. rename says what is what.`;
  return [problem("", what), ...problems];
}

export const explain = { choices, nothing };

/** The rows as text: from, to, shape, what is done. */
export function tableOf(
  rows: readonly MatchedWeights[],
  passedOver: readonly string[],
  kept: readonly string[],
): string {
  const cells = rows.map(({ from, to, shape, change }) => [from.join(" + "), to, `[${shape.join(", ")}]`, change]);
  const widths = [0, 1, 2].map((i) => Math.max(0, ...cells.map((row) => row[i].length)));
  const lines = cells.map(([from, to, shape, change]) =>
    `${from.padEnd(widths[0])}  →  ${to.padEnd(widths[1])}  ${shape.padEnd(widths[2])}  ${change}`.trimEnd(),
  );
  if (passedOver.length > 0) lines.push(`Passed over: ${passedOver.join(", ")}`);
  if (kept.length > 0) lines.push(`Kept: ${kept.join(", ")}`);
  return lines.join("\n");
}
