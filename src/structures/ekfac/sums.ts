// Sums of what is corrected in an eigenbasis: squares of the derivatives in it.

import { eachChunk, plainUse } from "../../derivatives/uses.ts";
import { vectorRows } from "../../derivatives/vectors.ts";
import { LaplaceError } from "../../errors.ts";
import { sized } from "../../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, copyIn, type Pointer, scope } from "../../kernels/memory.ts";
import type { Backward } from "../../network/passes.ts";
import { product } from "../../network/product.ts";
import type { Accumulator } from "../curvature.ts";
import { type EigenBlock, hasBasis, rotated, rotatedNumbers, rotatedUses, shapeOf } from "../eigenblocks.ts";
import { dryFactors, ownFactor } from "../kronecker/curvature.ts";
import { nextLayer } from "../kronecker/next-layer.ts";
import type { SelectedParameter, Selection } from "../selection.ts";
import { addPlainSquares, addSquaredProducts, addSquares, squareNumbers } from "../squares.ts";
import type { Pass, SumOptions } from "../structure.ts";
import { EkfacCurvature } from "./curvature.ts";

/** A basis of lengths alone, which are those of the factors. */
export function dryBasis(selection: Selection): readonly EigenBlock[] {
  return dryFactors(selection).blocks.map(({ selected, a, b }) => {
    return { selected, ...shapeOf(selected), qb: b, qa: a, values: sized(selected.size), factors: undefined };
  });
}

/** Sums squared derivatives in the eigenbasis of a curvature that was computed before. */
export const corrections: Pass = {
  dry: (options) => sumsIn(dryBasis(options.selection), options),
  dryBegin(selection) {
    dryFactors(selection).decompose();
  },
  *prepare(before, rounding) {
    if (!hasBasis(before)) throw new LaplaceError("corrections: the curvature of the pass before has no eigenbases.");
    const blocks = yield* before.basis(rounding);
    return new EkfacCurvature(before.selection, before.examples, blocks);
  },
  begin(prepared) {
    const { blocks } = prepared as EkfacCurvature;
    return (options) => sumsIn(blocks, options);
  },
};

function sumsIn(basis: readonly EigenBlock[], options: SumOptions): Accumulator<EkfacCurvature> {
  const { selection, dtype: own, parameters } = options;
  const { graph } = selection;
  // The basis may be that of another network with the same parameters: its blocks, at the sites of this one.
  const blocks = basis.map((block, i) => ({ ...block, selected: selection.parameters[i] }));
  const starts: number[] = [];
  let length = 0;
  for (const { values } of blocks) {
    starts.push(length);
    length += values.length;
  }
  // A bias has the basis of its weight's outputs: what is rotated for the one is for the other.
  const shared = blocks.map(({ selected, qb }) =>
    blocks.findIndex((other) => selected.role === "weight" && isBiasOf(other, selected) && equal(other.qb, qb)),
  );
  return {
    dtype: own,
    length,
    add(backward, to) {
      const { kernels, batch, columns: count, dtype } = backward;
      const place = (i: number) => to + starts[i] * bytesPerElement(dtype);
      const done = new Set<number>();
      const addBlock = (i: number) => {
        const { qb, qa, ...shape } = blocks[i];
        const [at, bias] = [place(i), shared[i]];
        const { site, role, parameter } = shape.selected;
        const nodes = graph.uses.get(site) ?? [];
        const b = copyIn(dtype, qb, true);
        const spread = backward.spreadAt(nodes);
        if (spread !== undefined) {
          const { rows } = spread;
          const squares = spread.rotated(b);
          const addRows = (n: number, sums: Pointer) => kernels.sumAxis(1, rows, n, squares, sums, n, true);
          if (qa === undefined) addRows(parameter.size, at);
          else if (site.kind === "linear") {
            if (bias >= 0) addRows(site.outputs, place(bias));
            done.add(bias);
            const a = allocateFloats(dtype, rows * site.inputs);
            const { inputs } = site;
            const x = { at: backward.value(nodes[0].inputs[0]), rows, columns: inputs };
            product(kernels, 1, x, { at: copyIn(dtype, qa, true), rows: inputs, columns: inputs }, a, false);
            addSquaredProducts(backward, site, rows, squares, a, at);
          }
          return;
        }
        if (qa !== undefined && site.kind === "linear") {
          const a = copyIn(dtype, qa, true);
          const plain = plainUse(backward, site, nodes);
          if (plain !== undefined) {
            const [use] = rotatedUses(backward, site, batch, [plain], b, a);
            if (bias >= 0) kernels.addSquares(count * batch, site.outputs, use.left.at, place(bias));
            done.add(bias);
            addPlainSquares(backward, site, use, at);
            return;
          }
          const numbers = rotatedNumbers(site, nodes, count) + squareNumbers(site, nodes, count);
          eachChunk(backward, site, nodes, numbers, (chunk) => {
            const uses = rotatedUses(backward, site, chunk.count, chunk.uses, b, a);
            addSquares(backward, site, nodes, { ...chunk, uses }, at);
          });
          return;
        }
        const n = parameter.size;
        const all =
          beforeNext(backward, shape.selected, n, b) ??
          rotated(backward, count * batch, shape, vectorRows(backward, nodes, n, role === "scale"), b);
        kernels.addSquares(count * batch, n, all, at);
      };
      for (let i = 0; i < blocks.length; i++) {
        if (!done.has(i)) scope(() => addBlock(i));
      }
    },
    *finish(sums, examples) {
      const corrected = blocks.map((block, i) => {
        const values = new Float64Array(block.values.length);
        sums(starts[i], starts[i] + values.length, values, 0);
        return { ...block, values, factors: undefined };
      });
      return new EkfacCurvature(selection, examples, corrected);
    },
  };

  /**
   * The derivatives Wᵀ δ of a shift before a layer of fewer outputs, in the shift's basis, [K, B, n]: the layer's δ times W Q.
   * @param q Q, [n, n]
   */
  function beforeNext(
    backward: Backward,
    { site, role }: SelectedParameter,
    n: number,
    q: Pointer,
  ): Pointer | undefined {
    const { kernels, batch, columns, dtype } = backward;
    const next = role === "shift" ? nextLayer(selection, graph.uses.get(site) ?? []) : undefined;
    if (next === undefined || next.outputs >= n) return undefined;
    const nodes = graph.uses.get(next) ?? [];
    if (backward.spreadAt(nodes) !== undefined) return undefined;
    const { weight, outputs } = next;
    const w = copyIn(dtype, parameters.subarray(weight.offset, weight.offset + weight.size), true);
    const rotation = { at: allocateFloats(dtype, outputs * n), rows: outputs, columns: n };
    product(kernels, 1, { at: w, rows: outputs, columns: n }, { at: q, rows: n, columns: n }, rotation.at, false);
    const result = allocateFloats(dtype, columns * batch * n);
    const arrived = { at: backward.cotangent(nodes[0]), rows: columns * batch, columns: outputs };
    product(kernels, 1, arrived, rotation, result, false);
    return result;
  }
}

/** Whether a block is of the bias of a weight whose outputs are its rows. */
function isBiasOf({ selected }: EigenBlock, { site }: SelectedParameter): boolean {
  return selected.site === site && selected.role === "bias" && !ownFactor(selected);
}

/** Whether two arrays have the same numbers; in a dry run, which has none, they are one where they would be. */
function equal(a: Float64Array, b: Float64Array): boolean {
  return a === b || (a.length === b.length && a.every((x, i) => x === b[i]));
}
