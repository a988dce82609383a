// The blocks of a precision that is diagonal in a basis, and their numbers in the kernels' memory.

import { keptNumbers, keptSingles } from "../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, copyIn, type DType, inMemory, type Pointer } from "../kernels/memory.ts";
import type { BlockShape } from "./eigenblocks.ts";
import type { SelectedParameter } from "./selection.ts";

/** A parameter's part of the precision: eigenvalues p, and their basis where it is not that of the weights. */
export interface Block extends BlockShape {
  readonly selected: SelectedParameter;
  readonly qb: Float64Array | undefined;
  readonly qa: Float64Array | undefined;
  /** Of the selected weights. */
  readonly values: Float64Array;
  /** 1/p over the whole parameter; weights that are not selected have no variance. Computed at first use. */
  inverse?: Float64Array;
}

/** What was converted to float32 before. */
const singles = new WeakMap<Float64Array, Float32Array>();

/** As `copyIn`, for what every prediction takes: it is converted once. */
export function enter(dtype: DType, values: Float64Array): Pointer {
  if (dtype === "float64") return copyIn(dtype, values, true);
  const single = singles.get(values) ?? keptSingles(values);
  singles.set(values, single);
  return copyIn(dtype, single, true);
}

/** 1/p over the whole parameter. */
export function inverseOf(block: Block): Float64Array {
  if (block.inverse !== undefined) return block.inverse;
  const { selected, values } = block;
  const result = keptNumbers(selected.parameter.size);
  for (let i = 0; i < values.length; i++) result[selected.chosen?.[i] ?? i] = 1 / values[i];
  block.inverse = result;
  return result;
}

/** Their roots, in the kernels' memory. */
export function rootsOf(block: Block, dtype: DType): Pointer {
  const inverse = inverseOf(block);
  const to = allocateFloats(dtype, inverse.length);
  inMemory(dtype, (memory) => {
    const start = to / bytesPerElement(dtype);
    for (let i = 0; i < inverse.length; i++) memory[start + i] = Math.sqrt(inverse[i]);
  });
  return to;
}
