// Sums of the whole matrix: by rows of the Jacobian, or of one layer alone by its factors.

import { isPlain, plainUse, type Use } from "../../derivatives/uses.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, type DType, type Pointer } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { LinearSite } from "../../network/parameters.ts";
import { BLOCKS_AT_ONCE, ROWS_AT_ONCE, type Spread } from "../../network/passes.ts";
import { type Accumulator, type ReadSums, symmetric } from "../curvature.ts";
import { asFloat64, contractRows } from "../jacobian-rows.ts";
import type { Selection } from "../selection.ts";
import type { SumOptions } from "../structure.ts";
import { FullCurvature } from "./curvature.ts";

/** Rows of the Jacobian times themselves; the last layer alone by its factors. */
export function fullSums({ selection, columns, dtype, sumType }: SumOptions): Accumulator<FullCurvature> {
  const site = soleLinearSite(selection);
  // None where what they sum to is known.
  if (site !== undefined && columns !== 1) return layerAccumulator(selection, site, dtype, sumType);
  const n = selection.size;
  return {
    // In float32 the sums of a curvature of low rank have eigenvalues below 0.
    dtype: "float64",
    length: n * n,
    add(backward, to) {
      const count = backward.columns * backward.batch;
      const rows = allocateFloats(dtype, count * n);
      contractRows(backward, selection, rows);
      // H += Rᵀ R, of which the lower triangle is stored.
      const exact = asFloat64(dtype, rows, count * n);
      kernelsFor("float64").syrk(n, count, exact, 1, n, to, n, 1, true, false);
    },
    *finish(sums, examples) {
      return new FullCurvature(selection, examples, yield* symmetric(sums, n));
    },
  };
}

/** The one linear site of a selection of a whole layer that is used once, at one position. */
export function soleLinearSite(selection: Selection): LinearSite | undefined {
  const { graph, parameters } = selection;
  const { site } = parameters[0];
  const uses = graph.uses.get(site) ?? [];
  const plain = site.kind === "linear" && isPlain(site, uses);
  const all = parameters.every((one) => one.site === site && one.chosen === undefined && one.role !== "shift");
  return plain && all && parameters[0].role === "weight" ? site : undefined;
}

/** Examples whose products are added at once: the blocks are larger than caches, and are gone through each time. */
const WAITING = 512;
/**
 * A row of the Jacobian of one linear layer is δ ⊗ a, with a 1 after a for the bias: so the blocks of outputs o and p
 * are Σ_n (Σ_k δ_ko δ_kp) a aᵀ, K times less work than rows.
 */
function layerAccumulator(
  selection: Selection,
  site: LinearSite,
  dtype: DType,
  layerType: DType,
): Accumulator<FullCurvature> {
  const { inputs, outputs } = site;
  const biased = selection.parameters.length === 2;
  const width = inputs + (biased ? 1 : 0);
  const square = outputs * outputs;
  const pairs = (outputs * (outputs + 1)) / 2;
  // Behind the blocks, of o > p and then of o = p: rows a and weights Σ_k δ_ko δ_kp of examples that wait, and room to work in.
  const rows = pairs * width * width;
  const weights = rows + WAITING * width;
  const work = weights + WAITING * pairs;
  let waiting = 0;
  let spread: Spread | undefined;
  const bytes = bytesPerElement(layerType);
  const flush = (to: Pointer) => {
    const kernels = kernelsFor(layerType);
    const at = (place: number) => to + place * bytes;
    if (spread === undefined) {
      for (let q = 0; q < pairs; q++) {
        kernels.scaleRows(waiting, width, at(rows), at(weights + q), pairs, at(work));
        kernels.gemmt(width, waiting, at(rows), 1, width, at(work), width, 1, at(q * width * width), width, 1, true);
      }
    } else spread.addBlocks(layerType, waiting, width, at(rows), at(weights), to, at(work));
    waiting = 0;
  };
  return {
    dtype: layerType,
    length: work + ROWS_AT_ONCE * (WAITING * (width + Math.min(pairs, BLOCKS_AT_ONCE)) + 4),
    sums: rows,
    add(backward, to) {
      const kernels = kernelsFor(layerType);
      const { batch, columns: k } = backward;
      const [node] = selection.graph.uses.get(site) ?? [];
      const typed = (from: Pointer, length: number) => (layerType === dtype ? from : asFloat64(dtype, from, length));
      const { left, right } = plainUse(backward, site, [node]) as Use;
      const x = typed(right.at, batch * inputs);
      const w = allocateFloats(layerType, batch * square);
      const step = batch * outputs;
      spread = backward.spreadAt([node]);
      if (spread === undefined) {
        const d = typed(left.at, k * batch * outputs);
        kernels.gemm(
          batch,
          outputs,
          outputs,
          k,
          d,
          outputs,
          1,
          step,
          d,
          outputs,
          step,
          1,
          w,
          square,
          outputs,
          1,
          false,
        );
      } else spread.in(layerType).write(w);
      for (let first = 0; first < batch; ) {
        const count = Math.min(WAITING - waiting, batch - first);
        // A one after each input is the bias's.
        if (waiting === 0 && biased) kernels.fill(WAITING * width, 1, to + rows * bytes);
        const place = to + (rows + waiting * width) * bytes;
        kernels.copyRows(count, inputs, x + first * inputs * bytes, inputs, place, width, false);
        for (let o = 0, beside = 0; o < outputs; o++, beside += o - 1) {
          const from = w + (first * square + o * outputs) * bytes;
          const held = to + (weights + waiting * pairs) * bytes;
          const own = (outputs * (outputs - 1)) / 2 + o;
          kernels.copyRows(count, o, from, square, held + beside * bytes, pairs, false);
          kernels.copyRows(count, 1, from + o * bytes, square, held + own * bytes, pairs, false);
        }
        first += count;
        waiting += count;
        if (waiting === WAITING) flush(to);
      }
    },
    flush,
    *finish(sums, examples) {
      return new FullCurvature(selection, examples, yield* arrange(sums, inputs, outputs, biased));
    },
  };
}

/** Blocks of output pairs as the matrix over weights, row-major, and biases after them. */
function* arrange(sums: ReadSums, inputs: number, outputs: number, biased: boolean): Steps<Float64Array> {
  const width = inputs + (biased ? 1 : 0);
  const n = outputs * width;
  const weights = outputs * inputs;
  const matrix = new Float64Array(n * n);
  const block = new Float64Array(width * width);
  for (let o = 0, beside = 0; o < outputs; o++) {
    for (let p = 0; p <= o; p++) {
      // Every block is symmetric of itself, so that both places of the pair have the same rows.
      const pair = p < o ? beside++ : (outputs * (outputs - 1)) / 2 + o;
      yield* symmetric(sums, width, pair * width * width, block);
      for (const [r, c] of p < o
        ? [
            [o, p],
            [p, o],
          ]
        : [[o, o]]) {
        for (let i = 0; i < width; i++) {
          const row = (i < inputs ? r * inputs + i : weights + r) * n;
          matrix.set(block.subarray(i * width, i * width + inputs), row + c * inputs);
          if (biased) matrix[row + weights + c] = block[i * width + inputs];
        }
      }
    }
  }
  return matrix;
}
