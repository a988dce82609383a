// Rows of the Jacobian over selected weights, for a part of a batch.

import { contractKeep } from "../derivatives/contractions.ts";
import { bytesPerElement, copyIn, type DType, floats, type Pointer } from "../kernels/memory.ts";
import { positionsOf } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import type { SelectedParameter, Selection } from "./selection.ts";

/** The pulled-back columns at the selected weights, [B, K, S]. */
export function contractRows(backward: Backward, selection: Selection, to: Pointer): void {
  contractKeep(backward, to, selection.size, selection.placeOf);
  for (const selected of selection.parameters) {
    if (selected.chosen !== undefined) writeChosen(backward, selection.size, selected, selected.chosen, to);
  }
}

/** The derivatives at some weights of a parameter: one product for each, no row of the whole parameter. */
function writeChosen(
  backward: Backward,
  width: number,
  { site, role, at, parameter }: SelectedParameter,
  chosen: Uint32Array,
  to: Pointer,
): void {
  const { batch, columns, dtype, graph } = backward;
  const memory = floats(dtype);
  const size = bytesPerElement(dtype);
  const inputs = role === "weight" ? parameter.shape[1] : 1;
  const outputs = parameter.shape[0];
  const start = to / size + at;
  for (let row = 0; row < batch * columns; row++) {
    memory.fill(0, start + row * width, start + row * width + chosen.length);
  }
  for (const node of graph.uses.get(site) ?? []) {
    const t = positionsOf(node);
    const delta = backward.cotangent(node) / size;
    const x = backward.value(node.inputs[0]) / size;
    for (let k = 0; k < columns; k++) {
      for (let b = 0; b < batch; b++) {
        const out = start + (b * columns + k) * width;
        for (let p = 0; p < t; p++) {
          const d = delta + ((k * batch + b) * t + p) * outputs;
          const a = x + (b * t + p) * (role === "weight" ? inputs : outputs);
          for (let i = 0; i < chosen.length; i++) {
            const index = chosen[i];
            const o = role === "weight" ? Math.floor(index / inputs) : index;
            const factor = role === "weight" ? memory[a + (index % inputs)] : role === "scale" ? memory[a + index] : 1;
            memory[out + i] += memory[d + o] * factor;
          }
        }
      }
    }
  }
}

/** Numbers in float64: where they are if they are, else a copy. */
export function asFloat64(dtype: DType, from: Pointer, length: number): Pointer {
  if (dtype === "float64") return from;
  const start = from / bytesPerElement(dtype);
  return copyIn("float64", floats(dtype).subarray(start, start + length));
}
