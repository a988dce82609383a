// Products with the Hessian of the summed loss, of a part of the data (Pearlmutter 1994): a direction is pushed through the values
// and through the pullback of the loss's gradient. What a weight has of δ ⊗ a moves by δ̇ ⊗ a + δ ⊗ ȧ.

import type { NDArray } from "../array/ndarray.ts";
import { OptionError } from "../errors.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyTo,
  type FloatArray,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { roots } from "../likelihood/roots.ts";
import type { Graph } from "../network/graph.ts";
import type { Network } from "../network/network.ts";
import type { Site } from "../network/parameters.ts";
import { outputsOf } from "../network/part-outputs.ts";
import type { Backward } from "../network/passes.ts";
import { type Node, siteUseOf } from "../network/primitive.ts";
import type { Contraction, Part } from "../network/run.ts";
import { pushThrough } from "../network/second.ts";
import { contractSum } from "./contractions.ts";
import { weighted } from "./cotangents.ts";
import { addToTotals } from "./totals.ts";
import { sumProducts } from "./uses.ts";
import { vectorRows } from "./vectors.ts";

/** Columns of Λ^½ that are in memory at once. */
const COLUMNS_AT_ONCE = 64;

/** Writes Σ_k c_k (c_kᵀ v) of each example, or adds it: of columns [count, B, n], and v [B, n]. */
export function addAlong(
  { kernels, dtype, batch }: Pick<Backward, "kernels" | "dtype" | "batch">,
  size: number,
  columns: Pointer,
  count: number,
  v: Pointer,
  to: Pointer,
): void {
  const n = batch * size;
  scope(() => {
    const [dots, scaled] = [allocateFloats(dtype, batch), allocateFloats(dtype, n)];
    for (let k = 0; k < count; k++) {
      const column = columns + k * n * bytesPerElement(dtype);
      kernels.dotRows(batch, size, column, v, dots, false);
      kernels.scaleRows(batch, size, column, dots, 1, scaled);
      kernels.copyRows(1, n, scaled, n, to, n, true);
    }
  });
}

/** @throws OptionError for a likelihood whose second derivatives are not known */
export function checkCurve(where: string, { curve, name }: Likelihood): void {
  if (curve !== undefined) return;
  throw new OptionError(
    `${where}: the curvature "hessian" needs the second derivatives of the loss in the outputs, which the likelihood "${name}" does not have. Define it with a function hessian, or take curvature: "ggn".`,
  );
}

/** What writes ∂²ℓ/∂f² of a part times a tangent of its outputs, by the examples' weights. */
function curveOf(likelihood: Likelihood, part: Part): (tangent: Pointer, to: Pointer) => void {
  const f = outputsOf(part);
  const { kernels, dtype, batch, outputs } = f;
  const { curve } = likelihood;
  if (typeof curve === "function") {
    return (tangent, to) => {
      curve(f, part.targets, tangent, to);
      if (part.weights === undefined) return;
      scope(() => kernels.scaleRows(batch, outputs, to, copyIn(dtype, part.weights as Float64Array), 1, to));
    };
  }
  const columns = weighted(roots(likelihood), 0.5);
  const total = columns.count(part.shape);
  const most = Math.min(total, COLUMNS_AT_ONCE);
  const c = allocateFloats(dtype, most * batch * outputs);
  if (most === total) columns.write(part, { first: 0, count: total }, c);
  return (tangent, to) => {
    kernels.fill(batch * outputs, 0, to);
    for (let first = 0; first < total; first += most) {
      const count = Math.min(most, total - first);
      if (most < total) columns.write(part, { first, count }, c);
      addAlong(f, outputs, c, count, tangent, to);
    }
  };
}

/** The Hessian of the loss over a part. */
export interface PartHessian {
  /** Writes its product with a direction [P], [P]: at some sites; zeros are not written at others. */
  times(direction: Pointer, moving: ReadonlySet<Site>, sites: Iterable<Site>, to: Pointer): void;
}

/** @param backward the column ∂ℓ/∂f, pulled back, by the examples' weights */
export function hessianOfPart(likelihood: Likelihood, part: Part, backward: Backward): PartHessian {
  const curve = curveOf(likelihood, part);
  const { dtype, batch, graph } = backward;
  const values = placesOf(graph, (node) => backward.value(node));
  const cotangents = placesOf(graph, (node) => backward.cotangent(node));
  return {
    times(direction, moving, sites, to) {
      scope(() => {
        const { tangents, cotangents: moved } = pushThrough(backward, direction, moving, curve);
        contractSum(backward.as({ dtype, batch, values, cotangents: [...moved] }), to, false, sites);
        addMovedInputs(backward, tangents, cotangents, sites, to);
      });
    },
  };
}

/** The product of the Hessian with one direction [P] over all examples, [P]; sites that are left out have 0. */
export function hessianProduct(
  likelihood: Likelihood,
  { graph, dtype }: Network,
  direction: FloatArray,
  result: NDArray,
  sites: readonly Site[] = graph.sites,
): Contraction<NDArray> {
  const p = graph.parameterCount;
  const totals = new Float64Array(p);
  const moving = new Set(sites);
  let [part, v]: [Part | undefined, Pointer] = [undefined, 0];
  return {
    open(hold) {
      v = hold(dtype, p);
      copyTo(dtype, v, direction);
    },
    begin(next) {
      part = next;
    },
    add(backward) {
      const product = allocateFloats(dtype, p);
      backward.kernels.fill(p, 0, product);
      hessianOfPart(likelihood, part as Part, backward).times(v, moving, sites, product);
      addToTotals(dtype, product, totals);
    },
    finish() {
      result.data.set(totals);
      return result;
    },
  };
}

/** Pointers of nodes, by their numbers. */
function placesOf({ nodes }: Graph, of: (node: Node) => Pointer): Pointer[] {
  const places: Pointer[] = [];
  for (const node of nodes) places[node.id] = of(node);
  return places;
}

/** δ ⊗ ȧ of weights, and δ ⊙ ẋ of scales. */
function addMovedInputs(
  backward: Backward,
  tangents: readonly Pointer[],
  cotangents: Pointer[],
  sites: Iterable<Site>,
  to: Pointer,
): void {
  const { dtype, batch, graph, kernels } = backward;
  const bytes = bytesPerElement(dtype);
  const values = [...tangents];
  const moved = backward.as({ dtype, batch, values, cotangents });
  for (const site of sites) {
    // Tokens do not move.
    const nodes = (graph.uses.get(site) ?? []).filter((node) => siteUseOf(node).table !== true);
    if (nodes.every(({ inputs }) => tangents[inputs[0].id] === 0)) continue;
    scope(() => {
      for (const { inputs } of nodes) {
        const [x] = inputs;
        if (values[x.id] !== 0) continue;
        values[x.id] = allocateFloats(dtype, batch * x.size);
        kernels.fill(batch * x.size, 0, values[x.id]);
      }
      if (site.kind === "linear") {
        const at = to + site.weight.offset * bytes;
        sumProducts(moved, site, nodes, at, true);
      } else if (site.scale !== undefined) {
        const { offset, size } = site.scale;
        const rows = vectorRows(moved, nodes, size, true);
        kernels.sumAxis(1, batch, size, rows, to + offset * bytes, size, true);
      }
      for (const { inputs } of nodes) values[inputs[0].id] = tangents[inputs[0].id];
    });
  }
}
