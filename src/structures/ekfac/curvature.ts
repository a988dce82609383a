// Kronecker factors with corrected eigenvalues (George et al. 2018, arXiv:1806.03884): in the factors' eigenbasis the
// diagonal is the curvature's own, so that its trace is exact.

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { ValueError } from "../../errors.ts";
import { atOnce, oneStep, type Steps } from "../../kernels/steps.ts";
import {
  type Curvature,
  checkSame,
  checkSquare,
  type Eigenbasis,
  multiple,
  SelectedCurvature,
  sameNumbers,
  sum,
} from "../curvature.ts";
import { diagonalOf, type EigenBlock, eigenbasesOf, timesBlocks } from "../eigenblocks.ts";
import type { Selection } from "../selection.ts";

/** The curvature as Q diag(values) Qᵀ in Kronecker eigenbases, a block for each parameter. */
export class EkfacCurvature extends SelectedCurvature implements Curvature {
  readonly structure = "ekfac";
  readonly blocks: readonly EigenBlock[];

  constructor(selection: Selection, examples: number, blocks: readonly EigenBlock[]) {
    super(selection, examples);
    this.blocks = blocks;
  }

  /** The blocks in their eigenbases. */
  basis(): Steps<readonly EigenBlock[]> {
    return oneStep(() => this.blocks);
  }

  diagonal(): NDArray {
    const result = new Float64Array(this.size);
    for (const block of this.blocks) {
      result.set(atOnce(diagonalOf(block, block.qb, block.qa, block.values)), block.selected.at);
    }
    return new NDArray(result, [this.size]);
  }

  dense(options: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, options);
    const identity = new NDArray(new Float64Array(n * n), [n, n]);
    for (let i = 0; i < n; i++) identity.data[i * n + i] = 1;
    return this.times(identity);
  }

  times(v: ArrayLike): NDArray {
    return timesBlocks(v, this.size, this.blocks);
  }

  override factors(): never {
    throw this.notMadeOf("factors", '"kronecker"', "eigenbases() has what it is made of.");
  }

  override eigenbases(): readonly Eigenbasis[] {
    return eigenbasesOf(this.blocks);
  }

  merge(other: Curvature): EkfacCurvature {
    checkSame(this, other);
    const blocks = this.blocks.map((block, i) => {
      const { qb, qa, values } = other.blocks[i];
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
