// What of a curvature sums over columns, so that curvatures of outputs kept apart share the rest.

import type { Curvature } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { EkfacCurvature } from "./ekfac/curvature.ts";
import { FullCurvature } from "./full/curvature.ts";
import { type KroneckerBlock, KroneckerCurvature } from "./kronecker/curvature.ts";

/** Whether the factor of a block that its columns give is A: that of a transposed weight. */
export function columnsInA({ selected: { site }, a }: KroneckerBlock): boolean {
  return a !== undefined && site.kind === "linear" && site.transposed === true;
}

/** The arrays that sum over columns; what sums over examples alone is not among them. */
export function columnSums(curvature: Curvature): readonly Float64Array[] {
  if (curvature instanceof FullCurvature) return [curvature.matrix];
  if (curvature instanceof DiagonalCurvature) return [curvature.values];
  if (curvature instanceof KroneckerCurvature) {
    return curvature.blocks.map((block) => (columnsInA(block) ? (block.a as Float64Array) : block.b));
  }
  return (curvature as EkfacCurvature).blocks.map(({ values }) => values);
}

/** A curvature with these arrays in their place. */
export function withColumnSums(curvature: Curvature, arrays: readonly Float64Array[]): Curvature {
  const { selection, examples } = curvature;
  if (curvature instanceof FullCurvature) return new FullCurvature(selection, examples, arrays[0]);
  if (curvature instanceof DiagonalCurvature) return new DiagonalCurvature(selection, examples, arrays[0]);
  if (curvature instanceof KroneckerCurvature) {
    const blocks = curvature.blocks.map((block, i) =>
      columnsInA(block) ? { ...block, a: arrays[i] } : { ...block, b: arrays[i] },
    );
    return new KroneckerCurvature(selection, examples, blocks);
  }
  const blocks = (curvature as EkfacCurvature).blocks.map((block, i) => ({ ...block, values: arrays[i] }));
  return new EkfacCurvature(selection, examples, blocks);
}
