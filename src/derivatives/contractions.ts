// What becomes of the columns that arrive at each parameter. At a linear site the derivative of one example is
// Σ_t δ_t ⊗ a_t over the positions t (one for a plain dense layer, more where weights are shared), with the input a and
// the cotangent δ; at an elementwise site it is Σ_t δ_t ⊙ x_t. A site used by several nodes sums over them.

import { allocateFloats, bytesPerElement, type Pointer } from "../kernels/memory.ts";
import {
  type ElementwiseSite,
  type Graph,
  type LinearSite,
  type Node,
  type Parameter,
  positionsOf,
  type Site,
} from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";

/** Sum over examples and columns: [P], written or added to `to`; only at some sites if they are given. */
export function contractSum(
  backward: Backward,
  to: Pointer,
  add: boolean,
  sites: Iterable<Site> = backward.graph.sites,
): void {
  const { graph, batch, columns } = backward;
  const bytes = bytesPerElement(backward.dtype);
  for (const site of sites) {
    let adding = add;
    for (const node of graph.uses.get(site) ?? []) {
      const rows = batch * positionsOf(node);
      const delta = backward.cotangent(node);
      if (site.kind === "linear") {
        const { inputs, outputs, weight, bias } = site;
        const a = backward.value(node.inputs[0]);
        const at = to + weight.offset * bytes;
        for (let k = 0; k < columns; k++) {
          const d = delta + k * rows * outputs * bytes;
          sumOfProducts(backward, 1, rows, outputs, inputs, d, a, at, 0, adding || k > 0);
        }
        if (bias !== undefined) sumRows(backward, columns * rows, outputs, delta, to + bias.offset * bytes, adding);
      } else {
        const { size, scale, shift } = site;
        const all = columns * rows;
        if (scale !== undefined) {
          sumRows(backward, all, size, products(node, backward), to + scale.offset * bytes, adding);
        }
        if (shift !== undefined) sumRows(backward, all, size, delta, to + shift.offset * bytes, adding);
      }
      adding = true;
    }
  }
}

function sumRows({ kernels }: Backward, rows: number, n: number, x: Pointer, to: Pointer, add: boolean): void {
  kernels.sumAxis(1, rows, n, x, to, n, add);
}

/** δ ⊙ x of an elementwise site, [K, B, T, n]. */
function products(node: Node, backward: Backward): Pointer {
  const n = backward.batch * node.size;
  const result = allocateFloats(backward.dtype, backward.columns * n);
  const x = backward.value(node.inputs[0]);
  backward.kernels.multiply(backward.columns, n, backward.cotangent(node), x, result, false);
  return result;
}

/** Where a parameter's derivatives lie within a row; undefined for one that is left out. */
export type Places = (parameter: Parameter) => number | undefined;

/** Rows of derivatives, of which one is written: where it begins, and how far it is to the next example's. */
interface Rows {
  readonly to: Pointer;
  readonly step: number;
  readonly places: Places;
}

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
  const { graph, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  for (let k = 0; k < columns; k++) {
    const rows = { to: to + k * width * bytes, step: columns * width, places };
    for (const site of graph.sites) {
      (graph.uses.get(site) ?? []).forEach((node, use) => {
        const cotangent = backward.cotangent(node);
        if (cotangent === 0) return;
        const delta = cotangent + k * backward.batch * node.size * bytes;
        if (site.kind === "linear") keepLinear(site, node, backward, delta, rows, use > 0);
        else keepElementwise(site, node, backward, delta, rows, use > 0);
      });
    }
  }
}

/** Writes each example's derivatives of one column. */
function keepLinear(
  { inputs, outputs, weight, bias }: LinearSite,
  node: Node,
  backward: Backward,
  delta: Pointer,
  { to, step, places }: Rows,
  add: boolean,
): void {
  const { kernels, batch } = backward;
  const bytes = bytesPerElement(backward.dtype);
  const t = positionsOf(node);
  const at = places(weight);
  if (at !== undefined) {
    const a = backward.value(node.inputs[0]);
    sumOfProducts(backward, batch, t, outputs, inputs, delta, a, to + at * bytes, step, add);
  }
  const place = bias === undefined ? undefined : places(bias);
  if (place !== undefined) kernels.sumAxis(batch, t, outputs, delta, to + place * bytes, step, add);
}

/** Σ_t δ_t ⊗ a_t over t rows each, `batch` times: [outputs, inputs] each, `row` elements from one to the next. */
export function sumOfProducts(
  { kernels }: Backward,
  batch: number,
  t: number,
  outputs: number,
  inputs: number,
  delta: Pointer,
  a: Pointer,
  to: Pointer,
  row: number,
  add: boolean,
): void {
  const [d, x] = [t * outputs, t * inputs];
  kernels.gemm(batch, outputs, inputs, t, delta, d, 1, outputs, a, x, inputs, 1, to, row, inputs, 1, add);
}

function keepElementwise(
  { size, scale, shift }: ElementwiseSite,
  node: Node,
  backward: Backward,
  delta: Pointer,
  { to, step, places }: Rows,
  add: boolean,
): void {
  const { kernels, batch, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const t = positionsOf(node);
  const at = scale === undefined ? undefined : places(scale);
  if (at !== undefined) {
    const product = allocateFloats(dtype, batch * node.size);
    kernels.multiply(1, batch * node.size, delta, backward.value(node.inputs[0]), product, false);
    kernels.sumAxis(batch, t, size, product, to + at * bytes, step, add);
  }
  const place = shift === undefined ? undefined : places(shift);
  if (place !== undefined) kernels.sumAxis(batch, t, size, delta, to + place * bytes, step, add);
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
  const { kernels, graph, batch, dtype } = backward;
  kernels.fill(batch, 0, to);
  for (const site of sites) {
    const nodes = graph.uses.get(site) ?? [];
    const t = nodes.reduce((sum, node) => sum + positionsOf(node), 0);
    const width = site.kind === "linear" ? site.outputs : site.size;
    const delta = sideBySide(backward, nodes, t, width, (node) => backward.cotangent(node));
    const addNormOfSum = (rows: Pointer) => {
      const sum = allocateFloats(dtype, batch * width);
      kernels.sumAxis(batch, t, width, rows, sum, width, false);
      kernels.dotRows(batch, width, sum, sum, to, true);
    };
    if (site.kind === "elementwise") {
      if (site.scale !== undefined) {
        const x = sideBySide(backward, nodes, t, width, (node) => backward.value(node.inputs[0]));
        const product = allocateFloats(dtype, batch * t * width);
        kernels.multiply(1, batch * t * width, delta, x, product, false);
        addNormOfSum(product);
      }
      if (site.shift !== undefined) addNormOfSum(delta);
      continue;
    }
    const { inputs, outputs } = site;
    const a = sideBySide(backward, nodes, t, inputs, (node) => backward.value(node.inputs[0]));
    if (t * t <= inputs * outputs) {
      const gramA = gram(backward, a, t, inputs);
      kernels.dotRows(batch, t * t, gramA, gram(backward, delta, t, outputs), to, true);
    } else {
      const sum = allocateFloats(dtype, batch * inputs * outputs);
      sumOfProducts(backward, batch, t, outputs, inputs, delta, a, sum, inputs * outputs, false);
      kernels.dotRows(batch, inputs * outputs, sum, sum, to, true);
    }
    if (site.bias !== undefined) addNormOfSum(delta);
  }
}

/** Numbers that `contractSum` and `contractSquaredNorms` of one column allocate for each example. */
export function contractionNumbers(graph: Graph, sites: Iterable<Site>): number {
  let numbers = 0;
  for (const site of sites) {
    const nodes = graph.uses.get(site) ?? [];
    const t = nodes.reduce((sum, node) => sum + positionsOf(node), 0);
    const width = site.kind === "linear" ? site.outputs : site.size;
    const gathered = nodes.length === 1 ? 0 : t;
    numbers += gathered * width;
    if (site.kind === "elementwise") {
      if (site.scale !== undefined) numbers += (gathered + 2 * t + 1) * width;
      if (site.shift !== undefined) numbers += width;
      continue;
    }
    const product = site.inputs * site.outputs;
    numbers += gathered * site.inputs + (t * t <= product ? 2 * t * t : product);
    if (site.bias !== undefined) numbers += width;
  }
  return numbers;
}

/** The positions of all nodes of a site as one array [B, T, n]; what there is already for a single node. */
export function sideBySide(
  backward: Backward,
  nodes: readonly Node[],
  t: number,
  n: number,
  pointerOf: (node: Node) => Pointer,
): Pointer {
  if (nodes.length === 1) return pointerOf(nodes[0]);
  const bytes = bytesPerElement(backward.dtype);
  const result = allocateFloats(backward.dtype, backward.batch * t * n);
  let offset = 0;
  for (const node of nodes) {
    const length = positionsOf(node) * n;
    backward.kernels.copyRows(backward.batch, length, pointerOf(node), length, result + offset * bytes, t * n, false);
    offset += length;
  }
  return result;
}

/** The products x_t · x_u of every example's rows, [B, T, T]. */
function gram({ kernels, batch, dtype }: Backward, x: Pointer, t: number, n: number): Pointer {
  const result = allocateFloats(dtype, batch * t * t);
  if (t === 1) kernels.dotRows(batch, n, x, x, result, false);
  else kernels.gemm(batch, t, t, n, x, t * n, n, 1, x, t * n, 1, n, result, t * t, t, 1, false);
  return result;
}
