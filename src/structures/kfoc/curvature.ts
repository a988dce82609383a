// Frobenius-optimal Kronecker factors (Koroko et al. 2022, arXiv:2201.10285; Schnaus, Lee & Triebel 2021): of all products B ⊗ A the
// one nearest to the block of a weight, summed over examples with all their positions.

import { ValueError } from "../../errors.ts";
import { type Curvature, checkSame, sameNumbers, sharedSums } from "../curvature.ts";
import { KroneckerCurvature } from "../kronecker/curvature.ts";

/** The curvature as the nearest Kronecker products: A has the Frobenius norm 1 in each group, and B is the best with it. */
export class KfocCurvature extends KroneckerCurvature {
  override readonly structure = "kfoc";

  override merge(other: Curvature): this {
    checkSame<KfocCurvature>(this, other);
    const sum = sharedSums();
    const blocks = this.blocks.map((block, i) => {
      const { a, b } = other.blocks[i];
      if (!sameNumbers(block.a, a)) {
        throw new ValueError(
          "merge: kfoc curvatures with different factors do not add. Fit the second with the first as its `basis`.",
        );
      }
      return { ...block, b: sum(block.b, b) };
    });
    return this.remade(this.selection, this.examples + other.examples, blocks);
  }
}
