// A parameter's numbers, of the tensors that it is made of.

import { array, type NDArray } from "laplace-ts";
import { sizeOf } from "../tensor.ts";
import type { Change } from "./layouts.ts";
import type { Source } from "./names.ts";
import type { Slot } from "./units.ts";

/** The array for a slot, of the tensors that it is made of. */
export function weightsOf({ rows, shape }: Source, slot: Slot, change: Change, tensors: readonly NDArray[]): NDArray {
  const Floats = tensors.every((one) => one.dtype === "float32") ? Float32Array : Float64Array;
  const data = new Floats(sizeOf(slot.shape));
  if (change === "turned") {
    // [...window, inputs, outputs] to [outputs, inputs, ...window].
    const [inputs, outputs] = shape.slice(-2);
    const windows = sizeOf(shape) / (inputs * outputs);
    const from = tensors[0].data;
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < inputs; i++)
        for (let w = 0; w < windows; w++) {
          data[(o * inputs + i) * windows + w] = from[(w * inputs + i) * outputs + o];
        }
    return array(data, { shape: slot.shape });
  }
  let at = 0;
  for (const tensor of tensors) {
    const row = tensor.size / Math.max(1, tensor.shape[0] ?? 1);
    const from = rows === undefined ? 0 : rows[0] * row;
    const end = rows === undefined ? tensor.size : rows[1] * row;
    const part = tensor.data.subarray(from, Math.min(end, from + data.length - at));
    data.set(part, at);
    at += part.length;
  }
  return array(data, { shape: slot.shape });
}
