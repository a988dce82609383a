// Positions as examples. Where every layer from the selected weights to the outputs works on each position alone, as dense
// layers do, a column of Λ^½ that is not zero at one position has no derivatives at any other. Then the positions are
// examples of their own: there are as many columns as one position has, and what is ignored is not there.

import { dryBytes } from "../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, type FloatArray, inMemory } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Graph } from "../network/graph.ts";
import type { Shape, Site } from "../network/parameters.ts";
import { outputsOf } from "../network/part-outputs.ts";
import { lastAxis, type Node } from "../network/primitive.ts";
import type { Part, RowView } from "../network/run.ts";
import { Selection } from "../structures/selection.ts";
import { rowOf } from "../structures/table.ts";
import { once, type Plan } from "./plan.ts";

/** The part of a network between its selected weights and its outputs, for one position. */
export interface PositionView extends RowView {
  readonly selection: Selection;
}

/** The shape of a run of `size` elements of a value, which axes before the run are in with one entry. */
function runShape(shape: Shape, size: number): Shape {
  let rest = size;
  return shape
    .toReversed()
    .map((length) => {
      const part = rest % length === 0 ? length : rest;
      rest /= part;
      return part;
    })
    .toReversed();
}

/** The view of a network, if its positions do not mix and a likelihood takes each alone; undefined otherwise. */
export function positionView(
  graph: Graph,
  selection: Selection,
  { group, hyper }: Likelihood,
): PositionView | undefined {
  const { output } = graph;
  const width = lastAxis(output);
  const positions = output.size / width;
  const { size, step } = group(output.shape);
  if (positions === 1 || step !== 1 || (size !== 1 && size !== width) || hyper.ratios !== undefined) return undefined;
  const wanted = new Set<Node>();
  const alone = (node: Node): boolean => {
    if (wanted.has(node)) return true;
    wanted.add(node);
    const run = node.size / positions;
    if (!Number.isInteger(run)) return false;
    if (!selection.reaches(node)) return true;
    const { rowwise } = node.primitive;
    return rowwise !== undefined && run % rowwise(node) === 0 && node.inputs.every(alone);
  };
  if (!selection.reaches(output) || !alone(output)) return undefined;
  const found = new Map<Node, Node>();
  for (const node of graph.nodes) {
    // A graph begins with its input, though it may have no part here.
    if (!wanted.has(node) && node !== graph.input) continue;
    const size = wanted.has(node) ? node.size / positions : 0;
    const row = { ...node, shape: runShape(node.shape, size), size };
    const inner = selection.reaches(node);
    found.set(
      node,
      inner
        ? { ...row, inputs: node.inputs.map((x) => found.get(x) as Node) }
        : { ...row, inputs: [], site: undefined },
    );
  }
  const uses = new Map<Site, readonly Node[]>();
  for (const [site, nodes] of graph.uses) {
    const rows = nodes.flatMap((node) =>
      wanted.has(node) && selection.reaches(node) ? [found.get(node) as Node] : [],
    );
    if (rows.length > 0) uses.set(site, rows);
  }
  const nodes = [...found.values()];
  const view: Graph = { ...graph, nodes, input: nodes[0], output: found.get(output) as Node, uses };
  return { graph: view, selection: new Selection(view, selection.parameters), positions };
}

/**
 * The view in which a curvature is summed: of the generalised Gauss-Newton matrix, whose columns are apart, unless the
 * positions of a weight are to be reduced first.
 */
export function viewOf(plan: Plan): PositionView | undefined {
  const { net, selection, likelihood, kind, sharing } = plan;
  const reduced = sharing === "reduce" && rowOf(plan).options.includes("sharing");
  return once(plan, "view", () =>
    kind !== "ggn" || reduced ? undefined : positionView(net.graph, selection, likelihood),
  );
}

/** The positions of a part at which something counts, by their number; undefined for all. */
export function countedPositions(
  likelihood: Likelihood,
  view: PositionView,
  part: Part,
): ArrayLike<number> | undefined {
  if (likelihood.dropIgnored === undefined) return undefined;
  const f = outputsOf(part);
  const n = f.batch * f.outputs;
  const ones = allocateFloats(f.dtype, n);
  f.kernels.fill(n, 1, ones);
  likelihood.dropIgnored(f, part.targets, 1, ones);
  const width = view.graph.output.size;
  const find = (memory: FloatArray): ArrayLike<number> => {
    const counted = memory.subarray(ones / bytesPerElement(f.dtype));
    const list: number[] = [];
    for (let row = 0; row < n / width; row++) {
      if (counted.subarray(row * width, (row + 1) * width).some((x) => x !== 0)) list.push(row);
    }
    return list;
  };
  // A dry run has no labels: there all of them may be copied, of which one may be missing.
  const list = inMemory<ArrayLike<number>>(f.dtype, find, { length: Math.max(1, n / width) });
  return list.length === n / width && dryBytes() === undefined ? undefined : list;
}
