// Sums of what is corrected in an eigenbasis: squares of the derivatives in it.

import { eachChunk, plainUse } from "../../derivatives/uses.ts";
import { vectorRows } from "../../derivatives/vectors.ts";
import { LaplaceError } from "../../errors.ts";
import { sized } from "../../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, copyIn, type Pointer, scope } from "../../kernels/memory.ts";
import type { Accumulator } from "../curvature.ts";
import { type EigenBlock, hasBasis, rotated, rotatedNumbers, rotatedUses, shapeOf } from "../eigenblocks.ts";
import { dryFactors } from "../kronecker/curvature.ts";
import type { Selection } from "../selection.ts";
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
    const factors = dryFactors(selection);
    // Of one factor a copy, over its count.
    allocateFloats("float64", Math.max(0, ...factors.blocks.map(({ a, b }) => (a ?? b).length)));
    factors.decompose();
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

function sumsIn(basis: readonly EigenBlock[], { selection, dtype: own }: SumOptions): Accumulator<EkfacCurvature> {
  const { graph } = selection;
  // The basis may be that of another network with the same parameters: its blocks, at the sites of this one.
  const blocks = basis.map((block, i) => ({ ...block, selected: selection.parameters[i] }));
  const starts: number[] = [];
  let length = 0;
  for (const { values } of blocks) {
    starts.push(length);
    length += values.length;
  }
  return {
    dtype: own,
    length,
    add(backward, to) {
      const { kernels, batch, columns: count, dtype } = backward;
      const addBlock = ({ qb, qa, ...shape }: EigenBlock, at: Pointer) => {
        const { site, role, parameter } = shape.selected;
        const nodes = graph.uses.get(site) ?? [];
        const b = copyIn(dtype, qb, true);
        const spread = backward.spreadAt(nodes);
        if (spread !== undefined) {
          const { rows } = spread;
          const squares = spread.rotated(b);
          if (qa === undefined) kernels.sumAxis(1, rows, parameter.size, squares, at, parameter.size, true);
          else if (site.kind === "linear") {
            const a = allocateFloats(dtype, rows * site.inputs);
            const [x, q] = [backward.value(nodes[0].inputs[0]), copyIn(dtype, qa, true)];
            kernels.gemm(
              1,
              rows,
              site.inputs,
              site.inputs,
              x,
              0,
              site.inputs,
              1,
              q,
              0,
              site.inputs,
              1,
              a,
              0,
              site.inputs,
              1,
              false,
            );
            addSquaredProducts(backward, site, rows, squares, a, at);
          }
          return;
        }
        if (qa !== undefined && site.kind === "linear") {
          const a = copyIn(dtype, qa, true);
          const plain = plainUse(backward, site, nodes);
          if (plain !== undefined) {
            addPlainSquares(backward, site, rotatedUses(backward, site, batch, [plain], b, a)[0], at);
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
        const rows = vectorRows(backward, nodes, n, role === "scale");
        const all = rotated(backward, count * batch, shape, rows, b);
        kernels.addSquares(count * batch, n, all, at);
      };
      const bytes = bytesPerElement(dtype);
      blocks.forEach((block, i) => {
        scope(() => addBlock(block, to + starts[i] * bytes));
      });
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
}
