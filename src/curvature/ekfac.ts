// Kronecker factors with corrected eigenvalues (George et al. 2018, arXiv:1806.03884): in the factors' eigenbasis the
// diagonal is the curvature's own, so that its trace is exact.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, copyIn, type DType, type Pointer, scope } from "../kernels/memory.ts";
import { positionsOf } from "../network/graph.ts";
import { type Accumulator, type Curvature, checkSame, checkSquare, multiple, sum } from "./curvature.ts";
import { diagonalOf, type EigenBlock, type KroneckerCurvature, rotated, sizes, timesBlocks } from "./kronecker.ts";
import type { Selection } from "./selection.ts";
import { addSquares, squaresPerExample, vectorRows, vectorRowsPerExample } from "./squares.ts";

/** The curvature as Q diag(values) Qᵀ in Kronecker eigenbases, a block for each parameter. */
export class EkfacCurvature implements Curvature {
  readonly structure = "ekfac";
  readonly selection: Selection;
  readonly examples: number;
  readonly blocks: readonly EigenBlock[];

  constructor(selection: Selection, examples: number, blocks: readonly EigenBlock[]) {
    this.selection = selection;
    this.examples = examples;
    this.blocks = blocks;
  }

  get size(): number {
    return this.selection.size;
  }

  /** The blocks in their eigenbases. */
  decompose(): readonly EigenBlock[] {
    return this.blocks;
  }

  diagonal(): NDArray {
    const result = new Float64Array(this.size);
    for (const { selected, outputs, inputs, qb, qa, values } of this.blocks) {
      result.set(diagonalOf(outputs, inputs, qb, qa, values), selected.at);
    }
    return new NDArray(result, [this.size]);
  }

  dense({ memoryBudget }: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, memoryBudget);
    const identity = new NDArray(new Float64Array(n * n), [n, n]);
    for (let i = 0; i < n; i++) identity.data[i * n + i] = 1;
    return this.times(identity);
  }

  times(v: ArrayLike): NDArray {
    return timesBlocks(v, this.size, this.blocks);
  }

  merge(other: Curvature): EkfacCurvature {
    checkSame(this, other);
    const blocks = this.blocks.map((block, i) => {
      const { qb, qa, values } = (other as EkfacCurvature).blocks[i];
      if (!sameNumbers(block.qb, qb) || !sameNumbers(block.qa, qa)) {
        throw new ValueError(
          "merge: these ekfac curvatures have different eigenbases, so they do not add. Fit the second with the first as its `basis`.",
        );
      }
      return { ...block, values: sum(block.values, values) };
    });
    return new EkfacCurvature(this.selection, this.examples + other.examples, blocks);
  }

  scale(factor: number): EkfacCurvature {
    const blocks = this.blocks.map((block) => ({ ...block, values: multiple(block.values, factor) }));
    return new EkfacCurvature(this.selection, this.examples, blocks);
  }
}

/** What the accumulator of corrected eigenvalues needs, whatever the basis. */
export function ekfacNumbers(
  selection: Selection,
  columns: number,
): Pick<Accumulator, "length" | "perExample" | "perPart"> {
  let [perExample, perPart] = [0, 0];
  for (const selected of selection.parameters) {
    const { site, role } = selected;
    const [outputs, inputs] = sizes(selected);
    const nodes = selection.graph.uses.get(site) ?? [];
    let block = columns * outputs + vectorRowsPerExample(nodes, outputs, role === "scale", columns);
    if (site.kind === "linear" && role === "weight") {
      block = squaresPerExample(site, nodes, columns);
      for (const node of nodes) block += columns * node.size + node.inputs[0].size;
    }
    // One block after the other.
    perExample = Math.max(perExample, block);
    perPart = Math.max(perPart, outputs ** 2 + (role === "weight" ? inputs ** 2 : 0));
  }
  return { length: selection.size, perExample, perPart };
}

/** Equal numbers will do: a basis that was read from a file is another array. */
function sameNumbers(a: Float64Array | undefined, b: Float64Array | undefined): boolean {
  return a === b || (a?.length === b?.length && a?.every((x, i) => x === b?.[i]) === true);
}

/** Sums squared derivatives in the eigenbasis of a curvature that was computed before. */
export function ekfacAccumulator(
  selection: Selection,
  columns: number,
  dtype: DType,
  basis: KroneckerCurvature | EkfacCurvature,
): Accumulator {
  const { graph } = selection;
  // The basis may be that of another network with the same parameters: its blocks, at the sites of this one.
  const blocks = basis.decompose().map((block, i) => ({ ...block, selected: selection.parameters[i] }));
  const starts: number[] = [];
  let length = 0;
  for (const { outputs, inputs } of blocks) {
    starts.push(length);
    length += outputs * inputs;
  }
  return {
    dtype,
    ...ekfacNumbers(selection, columns),
    add(backward, to) {
      const { kernels, batch, columns: count, dtype } = backward;
      const addBlock = ({ selected, outputs, inputs, qb, qa }: EigenBlock, at: Pointer) => {
        const nodes = graph.uses.get(selected.site) ?? [];
        const b = copyIn(dtype, qb);
        if (qa !== undefined) {
          const a = copyIn(dtype, qa);
          const uses = nodes.map((node) => {
            const t = positionsOf(node);
            return {
              positions: t,
              delta: rotated(backward, count * batch * t, outputs, backward.cotangent(node), b),
              a: rotated(backward, batch * t, inputs, backward.value(node.inputs[0]), a),
            };
          });
          addSquares(backward, outputs, inputs, uses, at);
          return;
        }
        const rows = vectorRows(backward, nodes, outputs, selected.role === "scale");
        const turned = rotated(backward, count * batch, outputs, rows, b);
        kernels.multiply(1, count * batch * outputs, turned, turned, turned, false);
        kernels.sumAxis(1, count * batch, outputs, turned, at, outputs, true);
      };
      const bytes = bytesPerElement(dtype);
      blocks.forEach((block, i) => {
        scope(() => addBlock(block, to + starts[i] * bytes));
      });
    },
    finish(values, examples) {
      const corrected = blocks.map((block, i) => ({
        ...block,
        values: Float64Array.from(values.subarray(starts[i], starts[i] + block.outputs * block.inputs)),
        factors: undefined,
      }));
      return new EkfacCurvature(selection, examples, corrected);
    },
  };
}
