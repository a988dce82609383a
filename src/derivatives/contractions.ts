// What becomes of the columns that arrive at each parameter: summed, kept, or squared and summed for each example. The
// derivative of a weight is a sum of products (uses.ts), that of a vector a sum (vectors.ts).

import { gatherStrided } from "../array/einsum.ts";
import { allocateFloats, bytesPerElement, type Pointer, scope } from "../kernels/memory.ts";
import type { LinearSite, Parameter, Site } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, positionsOf } from "../network/primitive.ts";
import { addToTables, eachTableRows, isTable } from "./lookup-tables.ts";
import {
  blockOf,
  type Chunk,
  eachChunk,
  groupOf,
  plainUse,
  productNumbers,
  type Side,
  sumProducts,
  writeProducts,
} from "./uses.ts";
import { vectorRows } from "./vectors.ts";

/** The vectors of a site: whether each is a scale. */
function vectorsOf(site: Site): (readonly [parameter: Parameter, scaled: boolean])[] {
  if (site.kind === "linear") return site.bias === undefined ? [] : [[site.bias, false]];
  const vectors: (readonly [Parameter, boolean])[] = [];
  if (site.scale !== undefined) vectors.push([site.scale, true]);
  if (site.shift !== undefined) vectors.push([site.shift, false]);
  return vectors;
}

/** Sum over examples and columns: [P], written or added to `to`; only at some sites if they are given. */
export function contractSum(
  backward: Backward,
  to: Pointer,
  add: boolean,
  sites: Iterable<Site> = backward.graph.sites,
): void {
  const { kernels, graph, batch, columns } = backward;
  const bytes = bytesPerElement(backward.dtype);
  for (const site of sites) {
    const nodes = graph.uses.get(site) ?? [];
    if (site.kind === "linear" && isTable(nodes)) {
      const at = to + site.weight.offset * bytes;
      if (!add) kernels.fill(site.weight.size, 0, at);
      addToTables(backward, site, nodes, at, 0, 0);
    } else if (site.kind === "linear") {
      const at = to + site.weight.offset * bytes;
      sumProducts(backward, site, nodes, at, add);
    }
    for (const [{ offset, size }, scaled] of vectorsOf(site)) {
      scope(() => {
        const rows = vectorRows(backward, nodes, size, scaled);
        kernels.sumAxis(1, columns * batch, size, rows, to + offset * bytes, size, add);
      });
    }
  }
}

/** Where a parameter's derivatives lie within a row; undefined for one that is left out. */
export type Places = (parameter: Parameter) => number | undefined;

/**
 * Nothing summed over: [B, K, width], the derivative of every example and column; by default [B, K, P], all parameters
 * in order.
 */
export function contractKeep(
  backward: Backward,
  to: Pointer,
  width: number = backward.graph.parameterCount,
  places: Places = ({ offset }) => offset,
): void {
  const { kernels, graph, batch, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  for (const site of graph.sites) {
    const nodes = graph.uses.get(site) ?? [];
    // What no selected weight has a part in has no cotangents.
    if (nodes.some((node) => backward.cotangent(node) === 0)) continue;
    const weight = site.kind === "linear" ? places(site.weight) : undefined;
    if (site.kind === "linear" && weight !== undefined && isTable(nodes)) {
      const at = to + weight * bytes;
      for (let row = 0; row < batch * columns; row++) kernels.fill(site.weight.size, 0, at + row * width * bytes);
      addToTables(backward, site, nodes, at, columns * width, width);
    } else if (site.kind === "linear" && weight !== undefined) {
      eachChunk(backward, site, nodes, productNumbers(site, nodes, columns), (chunk) => {
        const at = to + (chunk.first * columns * width + weight) * bytes;
        writeProducts(backward, site, nodes, chunk, { to: at, example: columns * width, column: width });
      });
    }
    for (const [parameter, scaled] of vectorsOf(site)) {
      const place = places(parameter);
      if (place === undefined) continue;
      const n = parameter.size;
      scope(() => {
        // Plus 0, which leaves no −0, as nowhere else that is summed.
        const rows = allocateFloats(dtype, columns * batch * n);
        kernels.affine(columns * batch * n, 1, vectorRows(backward, nodes, n, scaled), 0, rows, false);
        for (let k = 0; k < columns; k++) {
          const [from, at] = [rows + k * batch * n * bytes, to + (k * width + place) * bytes];
          kernels.copyRows(batch, n, from, n, at, columns * width, false);
        }
      });
    }
  }
}

/**
 * Squared norm of every example's derivative, [B], for one column. With one position it is ‖a‖² ‖δ‖²; with several,
 * Σ_tu (a_t·a_u)(δ_t·δ_u), or the norm of the summed derivative where that is smaller than the products of positions.
 */
export function contractSquaredNorms(
  backward: Backward,
  to: Pointer,
  sites: Iterable<Site> = backward.graph.sites,
): void {
  const { kernels, graph, batch } = backward;
  kernels.fill(batch, 0, to);
  for (const site of sites) {
    const nodes = graph.uses.get(site) ?? [];
    for (const [{ size }, scaled] of vectorsOf(site)) {
      scope(() => {
        const rows = vectorRows(backward, nodes, size, scaled);
        kernels.dotRows(batch, size, rows, rows, to, true);
      });
    }
    if (site.kind !== "linear") continue;
    scope(() => addWeightNorms(backward, site, nodes, to));
  }
}

function addWeightNorms(backward: Backward, site: LinearSite, nodes: readonly Node[], to: Pointer): void {
  const { kernels, batch, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const { groups, outputs, inputs } = blockOf(site);
  const plain = plainUse(backward, site, nodes);
  if (plain !== undefined) {
    const norms = (side: Side, n: number) => {
      const result = allocateFloats(dtype, batch);
      kernels.dotRows(batch, n, side.at, side.at, result, false);
      return result;
    };
    kernels.multiply(1, batch, norms(plain.left, outputs), norms(plain.right, inputs), to, true);
    return;
  }
  if (isTable(nodes)) {
    eachTableRows(backward, site, nodes, ({ first, count, positions, rows }) => {
      kernels.dotRows(count, positions * inputs, rows, rows, to + first * bytes, true);
    });
    return;
  }
  const { t, grams } = normsBy(site, nodes);
  eachChunk(backward, site, nodes, normNumbers(site, nodes), (chunk) => {
    const { first, count } = chunk;
    const at = to + first * bytes;
    if (!grams) {
      const size = site.outputs * inputs;
      const products = allocateFloats(dtype, count * size);
      writeProducts(backward, site, nodes, chunk, { to: products, example: size });
      kernels.dotRows(count, size, products, products, at, true);
      return;
    }
    for (let g = 0; g < groups; g++) {
      scope(() => {
        const sides = chunk.uses.map((use) => groupOf(use, site, g, bytes));
        const of = (n: number, side: (use: Chunk["uses"][number]) => Side) =>
          gram(
            backward,
            count,
            t,
            n,
            sides.map((use) => ({ side: side(use), positions: use.positions })),
          );
        const right = of(inputs, (use) => use.right);
        kernels.dotRows(
          count,
          t * t,
          of(outputs, (use) => use.left),
          right,
          at,
          true,
        );
      });
    }
  });
}

/** All positions of a site, and whether products of positions are fewer numbers than products of the sides. */
function normsBy(site: LinearSite, nodes: readonly Node[]): { t: number; grams: boolean } {
  const t = nodes.reduce((sum, node) => sum + positionsOf(node), 0);
  const { outputs, inputs } = blockOf(site);
  return { t, grams: t * t <= outputs * inputs };
}

/** Numbers that squared norms of a weight take for each example. */
function normNumbers(site: LinearSite, nodes: readonly Node[]): number {
  const { t, grams } = normsBy(site, nodes);
  const { outputs, inputs } = blockOf(site);
  const gathered = nodes.length === 1 ? 0 : 2 * t * (outputs + inputs);
  return grams ? 2 * t * t + gathered : site.outputs * site.inputs;
}

/** The products x_t · x_u of all positions of every example, [count, T, T]. */
function gram(
  { kernels, dtype }: Backward,
  count: number,
  t: number,
  n: number,
  parts: readonly { side: Side; positions: number }[],
): Pointer {
  const result = allocateFloats(dtype, count * t * t);
  let { side } = parts[0];
  if (parts.length > 1) {
    // One after the other, [count, T, n].
    const bytes = bytesPerElement(dtype);
    const all = allocateFloats(dtype, count * t * n);
    let offset = 0;
    for (const { side: part, positions } of parts) {
      let { at: rows, example: step } = part;
      if (part.position !== n || part.element !== 1) {
        step = positions * n;
        rows = allocateFloats(dtype, count * step);
        const strides = [part.example, part.position, part.element];
        gatherStrided(kernels, [count, positions, n], strides, part.at, rows);
      }
      kernels.copyRows(count, positions * n, rows, step, all + offset * bytes, t * n, false);
      offset += positions * n;
    }
    side = { at: all, column: 0, example: t * n, position: n, element: 1 };
  }
  const { at, example, position, element } = side;
  kernels.gemm(
    count,
    t,
    t,
    n,
    at,
    example,
    position,
    element,
    at,
    example,
    element,
    position,
    result,
    t * t,
    t,
    1,
    false,
  );
  return result;
}
