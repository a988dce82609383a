// What a weight's derivative is made of: of one example Σ_t l_t ⊗ r_t over the positions t of each use of its site (one
// for a plain dense layer, more where weights are shared). In a dense layer l = δ is what arrives at the output, for each
// column, and r = a the input. Windows of images are unfolded here and nowhere else, a chunk of examples at a time.

import { allocateFloats, bytesPerElement, type Pointer, scope } from "../kernels/memory.ts";
import { chunkLength } from "../network/chunks.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, type SiteSide, siteUseOf } from "../network/primitive.ts";

/** Rows of numbers at strides, which are in elements. */
export interface Side {
  readonly at: Pointer;
  /** From one column to the next; 0 where all have the same. */
  readonly column: number;
  readonly example: number;
  readonly position: number;
  readonly element: number;
}

/** The sides of a use for some examples. */
export interface Use {
  readonly left: Side;
  readonly right: Side;
  readonly positions: number;
}

/** Some examples with the uses of a site. */
export interface Chunk {
  /** The first example. */
  readonly first: number;
  readonly count: number;
  readonly uses: readonly Use[];
}

/** Where products go: strides in elements from one example, and one column, to the next. */
interface Target {
  readonly to: Pointer;
  readonly example: number;
  readonly column?: number;
}

/** Rows and columns of the blocks that a site's weight falls into. */
export function blockOf({ inputs, outputs, groups = 1 }: LinearSite): {
  groups: number;
  outputs: number;
  inputs: number;
} {
  return { groups, outputs: outputs / groups, inputs };
}

/** Whether a site has one use at one position, δ ⊗ a as in a plain dense layer: that use, for the whole batch. */
export function plainUse(backward: Backward, site: LinearSite, nodes: readonly Node[]): Use | undefined {
  return isPlain(site, nodes) ? useOf(backward, site, nodes[0], 0, backward.batch, true) : undefined;
}

export function isPlain({ groups = 1, transposed = false }: LinearSite, nodes: readonly Node[]): boolean {
  if (nodes.length !== 1 || groups !== 1 || transposed) return false;
  const { positions, left, right } = siteUseOf(nodes[0]);
  return positions === 1 && left?.unfold === undefined && right?.unfold === undefined;
}

/** The numbers that a use's sides have for each example and column. */
function sizes(site: LinearSite, node: Node): { left: number; right: number } {
  const { positions } = siteUseOf(node);
  return { left: site.outputs * positions, right: (site.groups ?? 1) * site.inputs * positions };
}

/** Numbers that unfolding takes for each example. */
function unfoldedNumbers(site: LinearSite, nodes: readonly Node[], columns: number, rights: boolean): number {
  let numbers = 0;
  for (const node of nodes) {
    const { left, right, transposed = site.transposed } = siteUseOf(node);
    const size = sizes(site, node);
    if (left?.unfold !== undefined) numbers += (transposed ? 1 : columns) * size.left;
    if (rights && right?.unfold !== undefined) numbers += (transposed ? columns : 1) * size.right;
  }
  return numbers;
}

/**
 * Calls `visit` with one chunk of examples after the other, within a scope each.
 * @param perExample numbers that `visit` will allocate for each example
 * @param rights whether it looks at right sides, which are not unfolded otherwise
 */
export function eachChunk(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  perExample: number,
  visit: (chunk: Chunk) => void,
  rights = true,
): void {
  const { batch, columns, dtype } = backward;
  const each = unfoldedNumbers(site, nodes, columns, rights) + perExample;
  const length = each === 0 ? batch : chunkLength(dtype, batch, each);
  for (let first = 0; first < batch; first += length) {
    const count = Math.min(length, batch - first);
    scope(() => visit({ first, count, uses: nodes.map((node) => useOf(backward, site, node, first, count, rights)) }));
  }
}

/** A side that nobody looks at. */
const NOTHING: Side = { at: 0, column: 0, example: 0, position: 0, element: 0 };

function useOf(backward: Backward, site: LinearSite, node: Node, first: number, count: number, rights: boolean): Use {
  const { positions, left, right, transposed = site.transposed } = siteUseOf(node);
  const size = sizes(site, node);
  const side = (rule: SiteSide, arrives: boolean, numbers: number) =>
    sideOf(backward, node, rule, arrives, numbers, positions, first, count);
  return {
    positions,
    left: side(left as SiteSide, !transposed, size.left),
    right: rights ? side(right as SiteSide, transposed as boolean, size.right) : NOTHING,
  };
}

function sideOf(
  backward: Backward,
  node: Node,
  { channelsFirst, unfold }: SiteSide,
  arrives: boolean,
  numbers: number,
  positions: number,
  first: number,
  count: number,
): Side {
  const { dtype, batch, kernels } = backward;
  const bytes = bytesPerElement(dtype);
  const source = arrives ? node : node.inputs[0];
  const from = (arrives ? backward.cotangent(node) : backward.value(source)) + first * source.size * bytes;
  const strides =
    channelsFirst && positions > 1
      ? { position: 1, element: positions, example: numbers }
      : { position: numbers / positions, element: 1, example: numbers };
  if (unfold === undefined) return { at: from, column: arrives ? batch * source.size : 0, ...strides };
  const columns = arrives ? backward.columns : 1;
  const at = allocateFloats(dtype, columns * count * numbers);
  for (let k = 0; k < columns; k++) {
    unfold(kernels, from + k * batch * source.size * bytes, count, at + k * count * numbers * bytes, dtype);
  }
  return { at, column: arrives ? count * numbers : 0, ...strides };
}

/** The block of a use that belongs to a group of outputs and inputs. */
export function groupOf({ left, right, positions }: Use, site: LinearSite, group: number, bytes: number): Use {
  if (group === 0) return { left, right, positions };
  const { outputs, inputs } = blockOf(site);
  const shift = (side: Side, n: number) => ({ ...side, at: side.at + group * n * side.element * bytes });
  return { left: shift(left, outputs), right: shift(right, inputs), positions };
}

/**
 * Whether the columns of an example are gathered, so that they are one left side of that many more rows and the
 * right side is packed once for all.
 */
function gathersColumns(site: LinearSite, node: Node, columns: number): boolean {
  const { positions, left } = siteUseOf(node);
  const { groups = 1, transposed = false } = site;
  return columns > 1 && groups === 1 && !transposed && left?.channelsFirst === true && positions >= 8;
}

/** Numbers that `writeProducts` allocates for each example. */
export function productNumbers(site: LinearSite, nodes: readonly Node[], columns: number): number {
  const gathered = nodes.filter((node) => gathersColumns(site, node, columns));
  return columns * Math.max(0, ...gathered.map((node) => sizes(site, node).left));
}

/**
 * Writes Σ_t l_t ⊗ r_t over all uses of a chunk, [outputs, inputs] for each example and column; columns are next to each
 * other unless `column` says how far apart they are.
 */
export function writeProducts(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  { count, uses }: Chunk,
  { to, example, column = site.outputs * site.inputs }: Target,
): void {
  const { kernels, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const { groups, outputs: m, inputs: n } = blockOf(site);
  uses.forEach((use, i) => {
    const add = i > 0;
    const { positions: t } = use;
    if (column === m * n && gathersColumns(site, nodes[i], columns)) {
      const { left, right: r } = use;
      const [size, rows] = [m * t, columns * m];
      scope(() => {
        const all = allocateFloats(dtype, count * columns * size);
        for (let k = 0; k < columns; k++) {
          const from = left.at + k * left.column * bytes;
          kernels.copyRows(count, size, from, left.example, all + k * size * bytes, columns * size, false);
        }
        const step = columns * size;
        kernels.gemm(
          count,
          rows,
          n,
          t,
          all,
          step,
          t,
          1,
          r.at,
          r.example,
          r.position,
          r.element,
          to,
          example,
          n,
          1,
          add,
        );
      });
      return;
    }
    for (let g = 0; g < groups; g++) {
      const { left: l, right: r } = groupOf(use, site, g, bytes);
      for (let k = 0; k < columns; k++) {
        const [a, b] = [l.at + k * l.column * bytes, r.at + k * r.column * bytes];
        const c = to + (k * column + g * m * n) * bytes;
        kernels.gemm(
          count,
          m,
          n,
          t,
          a,
          l.example,
          l.element,
          l.position,
          b,
          r.example,
          r.position,
          r.element,
          c,
          example,
          n,
          1,
          add,
        );
      }
    }
  });
}

/** Writes Σ_t l_t ⊗ r_t over all examples, columns and uses, [outputs, inputs], or adds it. */
export function sumProducts(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  to: Pointer,
  add: boolean,
): void {
  const { kernels, batch, columns, dtype } = backward;
  const sums = nodes.map((node) => siteUseOf(node).sumFor?.(dtype));
  if (sums.includes(undefined)) {
    eachChunk(backward, site, nodes, 0, (chunk) => sumChunk(backward, site, chunk, to, add || chunk.first > 0));
    return;
  }
  nodes.forEach((node, i) => {
    for (let k = 0; k < columns; k++) {
      const d = backward.cotangent(node) + k * batch * node.size * bytesPerElement(dtype);
      sums[i]?.(kernels, batch, backward.value(node.inputs[0]), d, to, add || i + k > 0);
    }
  });
}

/** Adds Σ_t l_t ⊗ r_t over all examples and columns of a chunk to `to`, [outputs, inputs], or writes it. */
function sumChunk(backward: Backward, site: LinearSite, { count, uses }: Chunk, to: Pointer, add: boolean): void {
  const { kernels, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const { groups, outputs: m, inputs: n } = blockOf(site);
  uses.forEach((use, i) => {
    const whole = adjacent(use.left, use.positions) && adjacent(use.right, use.positions);
    // Examples one after the other are as many more positions.
    const [calls, t] = whole ? [1, count * use.positions] : [count, use.positions];
    for (let g = 0; g < groups; g++) {
      const { left: l, right: r } = groupOf(use, site, g, bytes);
      const c = to + g * m * n * bytes;
      for (let k = 0; k < columns; k++) {
        for (let b = 0; b < calls; b++) {
          const x = l.at + (k * l.column + b * l.example) * bytes;
          const y = r.at + (k * r.column + b * r.example) * bytes;
          const adding = add || i + k + b > 0;
          kernels.gemm(1, m, n, t, x, 0, l.element, l.position, y, 0, r.position, r.element, c, 0, n, 1, adding);
        }
      }
    }
  });
}

/** Whether the positions of the next example follow on those of one. */
export function adjacent({ example, position }: Side, positions: number): boolean {
  return example === positions * position;
}
