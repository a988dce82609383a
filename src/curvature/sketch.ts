// The summed gradient of a loss, as small as the check for a stationary point needs it. Of a large weight it is multiplied
// by random signs, [outputs, inputs] · [inputs, 32]: that keeps lengths and angles on average (Johnson & Lindenstrauss
// 1984; Achlioptas 2003), keeps zero and proportional vectors exactly, adds over examples, and costs a tenth.

import { Random } from "../array/random.ts";
import { contractSum } from "../derivatives/contractions.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, copyOut, type Pointer, scope } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite, Site } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { positionsOf, siteUseOf } from "../network/primitive.ts";
import type { SelectedParameter, Selection } from "../structures/selection.ts";

const WIDTH = 32;
/** Inputs from which on a weight counts as large. */
const LARGE = 4 * WIDTH;

/** Whether a weight's gradient is mapped to fewer numbers: one whose inputs lie there as rows. */
function large(graph: Graph, { site, role, chosen }: SelectedParameter): LinearSite | undefined {
  if (site.kind !== "linear" || role !== "weight" || chosen !== undefined || site.inputs < LARGE) return undefined;
  const rows = (graph.uses.get(site) ?? []).every((node) => {
    const { left, right } = siteUseOf(node);
    return [left, right].every((side) => side?.channelsFirst === false && side.unfold === undefined);
  });
  return rows && !site.transposed ? site : undefined;
}

const known = new WeakMap<Selection, Sketch>();

/** The sketch of a selection, made once. */
export function sketchOf(selection: Selection): Sketch {
  const sketch = known.get(selection) ?? new Sketch(selection);
  known.set(selection, sketch);
  return sketch;
}

/** Linear maps of the selected weights' gradient: that of a large weight to its first columns, the others as they are. */
class Sketch {
  /** The large weights' layers, with their signs [inputs, 32]. */
  readonly #signs = new Map<LinearSite, { readonly selected: SelectedParameter; readonly signs: Float32Array }>();

  /** The others. */
  readonly #others: readonly Site[];

  constructor(selection: Selection) {
    const random = new Random(0);
    for (const selected of selection.parameters) {
      const site = large(selection.graph, selected);
      if (site === undefined) continue;
      const signs = new Float32Array(site.inputs * WIDTH);
      for (let i = 0; i < site.inputs; i++) {
        const bits = random.uint32();
        for (let j = 0; j < WIDTH; j++) signs[i * WIDTH + j] = ((bits >>> j) & 1 ? 1 : -1) / Math.sqrt(WIDTH);
      }
      this.#signs.set(site, { selected, signs });
    }
    this.#others = selection.siteList.filter((site) => !this.#signs.has(site as LinearSite));
  }

  /** The numbers that each output of a layer has of its weight's gradient. */
  width(site: LinearSite): number {
    return this.#signs.has(site) ? WIDTH : site.inputs;
  }

  /** Adds the gradient of a part to `to`, laid out as the network's parameters. */
  add(backward: Backward, to: Pointer): void {
    const { kernels, batch, dtype, graph } = backward;
    contractSum(backward, to, true, this.#others);
    const bytes = bytesPerElement(dtype);
    for (const [site, { signs }] of this.#signs) {
      const { inputs, outputs, weight, bias } = site;
      const r = copyIn(dtype, signs, true);
      for (const node of graph.uses.get(site) ?? []) {
        const rows = batch * positionsOf(node);
        const delta = backward.cotangent(node);
        const a = allocateFloats(dtype, rows * WIDTH);
        const x = backward.value(node.inputs[0]);
        kernels.gemm(1, rows, WIDTH, inputs, x, 0, inputs, 1, r, 0, WIDTH, 1, a, 0, WIDTH, 1, false);
        const at = to + weight.offset * bytes;
        kernels.gemm(1, outputs, WIDTH, rows, delta, 0, 1, outputs, a, 0, WIDTH, 1, at, 0, WIDTH, 1, true);
        if (bias !== undefined) kernels.sumAxis(1, rows, outputs, delta, to + bias.offset * bytes, outputs, true);
      }
    }
  }

  /** The same map of weights [S]: zeros where the large ones' other columns were. To be read: where none is large, they are the weights. */
  of(weights: Float64Array): Float64Array {
    if (this.#signs.size === 0) return weights;
    const result = weights.slice();
    const kernels = kernelsFor("float64");
    for (const [{ inputs, outputs }, { selected, signs }] of this.#signs) {
      scope(() => {
        const to = allocateFloats("float64", outputs * WIDTH);
        const x = copyIn("float64", weights.subarray(selected.at, selected.at + selected.size));
        const y = copyIn("float64", signs);
        kernels.gemm(1, outputs, WIDTH, inputs, x, 0, inputs, 1, y, 0, WIDTH, 1, to, 0, WIDTH, 1, false);
        result.fill(0, selected.at, selected.at + selected.size);
        result.set(copyOut("float64", to, outputs * WIDTH), selected.at);
      });
    }
    return result;
  }
}
