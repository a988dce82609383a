// Rows of the Jacobian over selected weights, for a part of a batch.

import { contractKeep } from "../derivatives/contractions.ts";
import { blockOf, type Chunk, eachChunk } from "../derivatives/uses.ts";
import { vectorRows } from "../derivatives/vectors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  type DType,
  inMemory,
  type Numbers,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import { product } from "../network/product.ts";
import type { Precision } from "./precision.ts";
import type { SelectedParameter, Selection } from "./selection.ts";

/** The pulled-back columns at the selected weights, [B, K, S]. */
export function contractRows(backward: Backward, selection: Selection, to: Pointer): void {
  contractKeep(backward, to, selection.size, selection.placeOf);
  for (const selected of selection.parameters) {
    if (selected.chosen !== undefined) {
      scope(() => writeChosen(backward, selection.size, selected, selected.chosen as Uint32Array, to));
    }
  }
}

/** The derivatives at some weights of a parameter. */
function writeChosen(
  backward: Backward,
  width: number,
  { site, role, at, parameter }: SelectedParameter,
  chosen: Uint32Array,
  to: Pointer,
): void {
  const { batch, columns, dtype, graph } = backward;
  const size = bytesPerElement(dtype);
  const nodes = graph.uses.get(site) ?? [];
  const start = to / size + at;
  if (site.kind === "linear" && role === "weight") {
    eachChunk(backward, site, nodes, 0, (chunk) => {
      writeChosenWeights(backward, site, chunk, chosen, start + chunk.first * columns * width, width);
    });
    return;
  }
  const n = parameter.size;
  const rows = vectorRows(backward, nodes, n, role === "scale") / size;
  inMemory(dtype, (memory) => {
    for (let k = 0; k < columns; k++) {
      for (let b = 0; b < batch; b++) {
        const [from, row] = [rows + (k * batch + b) * n, start + (b * columns + k) * width];
        for (let i = 0; i < chosen.length; i++) memory[row + i] = memory[from + chosen[i]];
      }
    }
  });
}

/** One product for each weight and position, no row of the whole parameter; `to` is where the chunk's rows begin. */
function writeChosenWeights(
  { columns, dtype }: Backward,
  site: LinearSite,
  { count, uses }: Chunk,
  chosen: Uint32Array,
  to: number,
  width: number,
): void {
  const size = bytesPerElement(dtype);
  const { outputs, inputs } = blockOf(site);
  inMemory(dtype, (memory) => {
    for (let b = 0; b < count; b++) {
      for (let k = 0; k < columns; k++) {
        for (let i = 0; i < chosen.length; i++) {
          const [o, j] = [Math.floor(chosen[i] / inputs), chosen[i] % inputs];
          let sum = 0;
          for (const { left, right, positions } of uses) {
            let l = left.at / size + k * left.column + b * left.example + o * left.element;
            const group = Math.floor(o / outputs) * inputs;
            let r = right.at / size + k * right.column + b * right.example + (group + j) * right.element;
            for (let t = 0; t < positions; t++) {
              sum += memory[l] * memory[r];
              l += left.position;
              r += right.position;
            }
          }
          memory[to + (b * columns + k) * width + i] = sum;
        }
      }
    }
  });
}

/** Numbers in float64: where they are if they are, else a copy. */
export function asFloat64(dtype: DType, from: Pointer, length: number): Pointer {
  if (dtype === "float64") return from;
  const to = allocateFloats("float64", length);
  kernelsFor("float64").widen(length, from, to);
  return to;
}

/** Rows of the Jacobian, [B, K, S], in float64 whatever the network's type. */
export function float64Rows(backward: Backward, selection: Selection): Pointer {
  const length = backward.batch * backward.columns * selection.size;
  const rows = allocateFloats(backward.dtype, length);
  contractRows(backward, selection, rows);
  return asFloat64(backward.dtype, rows, length);
}

function whitened(backward: Backward, selection: Selection, precision: Precision): Pointer {
  const rows = float64Rows(backward, selection);
  precision.whiten(rows, backward.batch * backward.columns);
  return rows;
}

/** J P⁻¹ Jᵀ by the rows of J: what every structure can do, whatever its form. [B, C, C] */
export function rowsCovariance(backward: Backward, selection: Selection, precision: Precision): Numbers {
  const { batch, columns } = backward;
  const rows = whitened(backward, selection, precision);
  const length = batch * columns * columns;
  const at = allocateFloats("float64", length);
  const matrices = { at: rows, rows: columns, columns: selection.size };
  product(kernelsFor("float64"), batch, matrices, { ...matrices, transposed: true }, at, false);
  return { dtype: "float64", at, length };
}

/**
 * cᵀ J P⁻¹ Jᵀ c of every column c by the rows of J, [B, K].
 * @param forms writes them itself, and may change the rows
 */
export function rowsVariance(
  backward: Backward,
  selection: Selection,
  precision: Precision,
  forms?: (rows: Pointer, to: Pointer) => void,
): Numbers {
  const length = backward.batch * backward.columns;
  const rows = forms === undefined ? whitened(backward, selection, precision) : float64Rows(backward, selection);
  const at = allocateFloats("float64", length);
  if (forms !== undefined) {
    forms(rows, at);
    return { dtype: "float64", at, length };
  }
  kernelsFor("float64").dotRows(length, selection.size, rows, rows, at, false);
  return { dtype: "float64", at, length };
}
