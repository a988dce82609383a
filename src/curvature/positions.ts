// Positions as examples. Where every layer from the selected weights to the outputs works on each position alone, as dense
// layers do, a column of Λ^½ that is not zero at one position has no derivatives at any other. Then the positions are
// examples of their own: there are as many columns as one position has, and what is ignored is not there.

import { allocateFloats, bytesPerElement, copyIn, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Graph, Node, Shape, Site } from "../network/graph.ts";
import type { Outputs } from "../network/outputs.ts";
import { Backward, Forward } from "../network/passes.ts";
import { lastAxis } from "../network/primitive.ts";
import { Selection } from "../structures/selection.ts";
import { table } from "../structures/table.ts";
import type { Plan } from "./accumulate.ts";

/** The part of a network between its selected weights and its outputs, for one position. */
export interface PositionView {
  readonly graph: Graph;
  readonly selection: Selection;
  /** T, the positions of an example. */
  readonly positions: number;
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
  { group, ratios }: Likelihood,
): PositionView | undefined {
  const { output } = graph;
  const width = lastAxis(output);
  const positions = output.size / width;
  const { size, step } = group(output.shape);
  if (positions === 1 || step !== 1 || (size !== 1 && size !== width) || ratios !== undefined) return undefined;
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
export function viewOf({ net, selection, likelihood, kind, structure, sharing }: Plan): PositionView | undefined {
  const reduced = sharing === "reduce" && table[structure].options.includes("sharing");
  return kind !== "ggn" || reduced ? undefined : positionView(net.graph, selection, likelihood);
}

/** Positions of a part, by their number among all B T: `count` in a row, or those listed. */
export interface Rows {
  readonly first: number;
  readonly count: number;
  readonly listed?: Uint32Array | undefined;
}

/** Rows [B T, n] of some positions: where they are, or as a copy. */
function take({ dtype }: Pick<Forward, "dtype">, from: Pointer, n: number, { first, count, listed }: Rows): Pointer {
  const bytes = bytesPerElement(dtype);
  if (listed === undefined) return from + first * n * bytes;
  const to = allocateFloats(dtype, count * n);
  const [source, target] = [from / bytes, to / bytes];
  inMemory(dtype, (memory) => {
    for (let i = 0; i < count; i++) {
      const row = source + listed[first + i] * n;
      memory.copyWithin(target + i * n, row, row + n);
    }
  });
  return to;
}

/** The values of a view at some positions of a part that was evaluated. */
export function forwardAt(view: PositionView, forward: Forward, rows: Rows): Forward {
  const value = (node: Node) => take(forward, forward.value(node), node.size, rows);
  const kept = { forward: { value, buffers: forward.buffers }, changes: () => false };
  const x = value(view.graph.input);
  return new Forward(view.graph, forward.dtype, forward.theta, x, rows.count, { kept });
}

/** 1 where a target counts and 0 where it is ignored, [B, C]; undefined where all count. */
function countedOf(likelihood: Likelihood, f: Outputs, t: Pointer): Pointer | undefined {
  if (likelihood.dropIgnored === undefined) return undefined;
  const n = f.batch * f.outputs;
  const ones = copyIn(f.dtype, new Float64Array(n).fill(1));
  likelihood.dropIgnored(f, t, 1, ones);
  return ones;
}

/** The positions at which something counts; undefined for all. */
function listOf({ dtype, batch, outputs }: Outputs, counted: Pointer, width: number): Uint32Array | undefined {
  const start = counted / bytesPerElement(dtype);
  const list: number[] = [];
  const rows = (batch * outputs) / width;
  inMemory(dtype, (memory) => {
    for (let row = 0; row < rows; row++) {
      const at = start + row * width;
      if (memory.subarray(at, at + width).some((x) => x !== 0)) list.push(row);
    }
  });
  return list.length === rows ? undefined : Uint32Array.from(list);
}

/**
 * Pulls the columns of Λ^½ back from the positions of a part that count, so many positions and columns at once; `visit` hears
 * whether the positions were there before. Gives their number.
 */
export function eachPosition(
  likelihood: Likelihood,
  view: PositionView,
  forward: Forward,
  f: Outputs,
  t: Pointer,
  most: { readonly rows: number; readonly columns: number },
  visit: (backward: Backward, again: boolean) => void,
): number {
  const { kernels, dtype } = f;
  const width = view.graph.output.size;
  const shape = [width];
  const total = likelihood.rootColumns(shape);
  const counted = countedOf(likelihood, f, t);
  const listed = counted === undefined ? undefined : listOf(f, counted, width);
  const rows = listed?.length ?? f.batch * view.positions;
  for (let first = 0; first < rows; first += most.rows) {
    const some = { first, count: Math.min(most.rows, rows - first), listed };
    scope(() => {
      const at = forwardAt(view, forward, some);
      const mask = counted === undefined ? undefined : take(forward, counted, width, some);
      const outputs: Outputs = { kernels, dtype, batch: some.count, outputs: width, shape, f: at.outputs };
      for (let k = 0; k < total; k += most.columns) {
        const columns = { first: k, count: Math.min(most.columns, total - k) };
        scope(() => {
          const n = some.count * width;
          const to = allocateFloats(dtype, columns.count * n);
          likelihood.root(outputs, columns, to);
          if (mask !== undefined) kernels.multiply(columns.count, n, to, mask, to, false);
          visit(new Backward(at, to, columns.count, view.selection.reaches), k > 0);
        });
      }
    });
  }
  return rows;
}
