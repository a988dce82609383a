// Kronecker factors with corrected eigenvalues (George et al. 2018, arXiv:1806.03884): in the factors' eigenbasis the
// diagonal is the curvature's own, so that its trace is exact.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { blockOf, chunkNumbers, eachChunk, isPlain, plainUse, type Use } from "../derivatives/uses.ts";
import { vectorNumbers, vectorRows } from "../derivatives/vectors.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, copyIn, type DType, type Pointer, scope } from "../kernels/memory.ts";
import type { LinearSite, Node } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import { positionsOf } from "../network/primitive.ts";
import {
  type Accumulator,
  type Curvature,
  checkSame,
  checkSquare,
  type Eigenbasis,
  multiple,
  notMadeOf,
  sum,
} from "./curvature.ts";
import {
  diagonalOf,
  type EigenBlock,
  eigenbasesOf,
  rotated,
  rotatedSide,
  shapeOf,
  timesBlocks,
} from "./eigenblocks.ts";
import type { Selection } from "./selection.ts";
import { addPlainSquares, addSquares, squareNumbers } from "./squares.ts";

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
    for (const block of this.blocks) {
      result.set(diagonalOf(block, block.qb, block.qa, block.values), block.selected.at);
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

  factors(): never {
    throw notMadeOf("factors", this);
  }

  eigenbases(): readonly Eigenbasis[] {
    return eigenbasesOf(this.blocks);
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

/** Numbers that turning the sides of a weight takes for each example. */
export function turnedNumbers(site: LinearSite, nodes: readonly Node[], columns: number): number {
  const { groups, outputs, inputs } = blockOf(site);
  const [left, right] = [groups * outputs, groups * inputs];
  const both = site.transposed ? left + columns * right : columns * left + right;
  return nodes.reduce((sum, node) => sum + positionsOf(node) * both, 0);
}

/** The uses of a site in an eigenbasis. */
export function turned(
  backward: Backward,
  site: LinearSite,
  count: number,
  uses: readonly Use[],
  qb: Pointer | undefined,
  qa: Pointer | undefined,
): Use[] {
  const { groups, outputs, inputs } = blockOf(site);
  return uses.map(({ left, right, positions }) => ({
    positions,
    left: rotatedSide(backward, count, positions, groups, outputs, left, qb),
    right: rotatedSide(backward, count, positions, groups, inputs, right, qa),
  }));
}

/** What the accumulator of corrected eigenvalues needs, whatever the basis. */
export function ekfacNumbers(
  selection: Selection,
  columns: number,
  dtype: DType,
): Pick<Accumulator, "length" | "scratch" | "perPart"> {
  // One block after the other.
  const most = (of: (selected: Selection["parameters"][number]) => number) => Math.max(...selection.parameters.map(of));
  const scratch = (batch: number) =>
    most((selected) => {
      const { site, role } = selected;
      const nodes = selection.graph.uses.get(site) ?? [];
      if (site.kind === "linear" && role === "weight") {
        const sides = turnedNumbers(site, nodes, columns);
        if (isPlain(site, nodes)) return batch * (sides + site.outputs + site.inputs);
        return chunkNumbers(site, nodes, { columns, dtype, batch }, sides + squareNumbers(site, nodes, columns));
      }
      const n = selected.parameter.size;
      return columns * batch * (n + vectorNumbers(nodes, n, role === "scale"));
    });
  const perPart = most((selected) => {
    const { groups, outputs, inputs } = shapeOf(selected);
    return groups * (outputs ** 2 + (selected.role === "weight" ? inputs ** 2 : 0));
  });
  return { length: selection.size, scratch, perPart };
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
  basis: readonly EigenBlock[],
): Accumulator {
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
    dtype,
    ...ekfacNumbers(selection, columns, dtype),
    add(backward, to) {
      const { kernels, batch, columns: count, dtype } = backward;
      const addBlock = ({ qb, qa, ...shape }: EigenBlock, at: Pointer) => {
        const { site, role, parameter } = shape.selected;
        const nodes = graph.uses.get(site) ?? [];
        const b = copyIn(dtype, qb);
        if (qa !== undefined && site.kind === "linear") {
          const a = copyIn(dtype, qa);
          const plain = plainUse(backward, site, nodes);
          if (plain !== undefined) {
            addPlainSquares(backward, site, turned(backward, site, batch, [plain], b, a)[0], at);
            return;
          }
          const numbers = turnedNumbers(site, nodes, count) + squareNumbers(site, nodes, count);
          eachChunk(backward, site, nodes, numbers, (chunk) => {
            const uses = turned(backward, site, chunk.count, chunk.uses, b, a);
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
    finish(values, examples) {
      const corrected = blocks.map((block, i) => ({
        ...block,
        values: Float64Array.from(values.subarray(starts[i], starts[i] + block.values.length)),
        factors: undefined,
      }));
      return new EkfacCurvature(selection, examples, corrected);
    },
  };
}
