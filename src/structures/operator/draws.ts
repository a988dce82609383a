// Variances and covariances of functions from draws of the weights, d of P⁻¹ and e of M⁻¹ from the same noise. Of M⁻¹ they are known, so
// that the draws have to say no more than how much P⁻¹ differs: V = V_M Σ (J d)² / Σ (J e)², a ratio estimator with the error of what
// the two do not share (Cochran 1977, Sampling Techniques, 6). Correlations are those of the draws d.

import { dryBytes } from "../../kernels/dry-run.ts";
import {
  allocateFloats,
  copyOut,
  copyOutWide,
  copyTo,
  type DType,
  type FloatArray,
  type Numbers,
  scope,
} from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { Backward } from "../../network/passes.ts";
import { pushForward } from "../../network/passes.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { multiplied } from "../products.ts";
import { type Selection, spread } from "../selection.ts";
import { alone } from "./alone.ts";

/** cᵀ J d of each column and example, [draws, K, B], and cᵀ J e. */
interface Moved {
  readonly own: readonly Float64Array[];
  readonly near: readonly Float64Array[];
}

export class Draws {
  readonly count: number;
  readonly #selection: Selection;
  readonly #dtype: DType;
  readonly #own: FloatArray[] = [];
  readonly #near: FloatArray[] = [];

  constructor(selection: Selection, dtype: DType, count: number) {
    this.#selection = selection;
    this.#dtype = dtype;
    this.count = count;
  }

  /** A draw of P⁻¹, and of M⁻¹. */
  push(own: Float64Array, near: Float64Array): void {
    const kept = (v: Float64Array) => (this.#dtype === "float32" ? new Float32Array(v) : v);
    this.#own.push(kept(own));
    this.#near.push(kept(near));
  }

  /** Σ d² / Σ e² of each weight, [S]. */
  ratios(): Float64Array {
    const result = new Float64Array(this.#selection.size);
    for (let i = 0; i < result.length; i++) result[i] = ratio(this.#own, this.#near, i);
    return result;
  }

  /** [B, K], of what is known of M⁻¹, which is changed. */
  variance(backward: Backward, known: Numbers): Numbers {
    const { batch, columns } = backward;
    return this.#changed(backward, known, (values, { own, near }) => {
      for (let b = 0; b < batch; b++) {
        for (let k = 0; k < columns; k++) values[b * columns + k] *= ratio(own, near, k * batch + b);
      }
    });
  }

  /** [B, K, K] */
  covariance(backward: Backward, known: Numbers): Numbers {
    const { batch, columns } = backward;
    return this.#changed(backward, known, (values, { own, near }) => {
      for (let b = 0; b < batch; b++) {
        const block = values.subarray(b * columns ** 2, (b + 1) * columns ** 2);
        const at = (k: number) => k * batch + b;
        const deviation = Array.from({ length: columns }, (_, k) =>
          Math.sqrt(Math.max(0, block[k * (columns + 1)]) * ratio(own, near, at(k))),
        );
        const sizes = Array.from({ length: columns }, (_, k) =>
          Math.sqrt(own.reduce((sum, one) => sum + one[at(k)] ** 2, 0)),
        );
        for (let k = 0; k < columns; k++) {
          for (let l = 0; l < columns; l++) {
            const product = own.reduce((sum, one) => sum + one[at(k)] * one[at(l)], 0);
            const correlation = k === l ? 1 : product === 0 ? 0 : product / (sizes[k] * sizes[l]);
            block[k * columns + l] = deviation[k] * correlation * deviation[l];
          }
        }
      }
    });
  }

  /** Numbers with others in their place, in float64. */
  #changed(backward: Backward, known: Numbers, change: (values: Float64Array, moved: Moved) => void): Numbers {
    const { length } = known;
    const at = known.dtype === "float64" ? known.at : allocateFloats("float64", length);
    // What the passes forward take.
    if (dryBytes() !== undefined && this.#has(backward)) scope(() => this.#pushed(backward, new Float64Array(0)));
    const draws = this;
    alone(function* () {
      const values = copyOutWide(known);
      change(values, yield* draws.#moved(backward));
      copyTo("float64", at, values);
    });
    return { dtype: "float64", at, length };
  }

  /** Whether the pass is of the whole network, and of examples. */
  #has({ graph, batch, forward, dtype }: Backward): boolean {
    return graph === this.#selection.graph && batch === forward.batch && dtype === forward.dtype;
  }

  /** J d of all outputs, [B, C], of a draw over all parameters, or of what a dry run has in its place. */
  #pushed({ forward, dtype, graph }: Backward, draw: FloatArray) {
    const theta = allocateFloats(dtype, graph.parameterCount);
    copyTo(dtype, theta, draw);
    return pushForward(forward, theta, 0);
  }

  *#moved(backward: Backward): Steps<Moved> {
    const { batch, columns, dtype, graph } = backward;
    const { size } = graph.output;
    const cotangents = backward.cotangent(graph.output);
    if (!this.#has(backward) || cotangents === 0) return this.#byRows(backward);
    const c = copyOut(dtype, cotangents, columns * batch * size);
    const selection = this.#selection;
    const whole = selection.size === graph.parameterCount;
    const along = function* (rows: readonly FloatArray[]): Steps<Float64Array[]> {
      const result: Float64Array[] = [];
      for (const row of rows) {
        const moved = scope(() => {
          return copyOut(dtype, pushed(whole ? row : spread(selection, row)), batch * size);
        });
        const sums = new Float64Array(columns * batch);
        for (let k = 0; k < columns; k++) {
          for (let b = 0; b < batch; b++) {
            let sum = 0;
            for (let o = 0; o < size; o++) sum += c[(k * batch + b) * size + o] * moved[b * size + o];
            sums[k * batch + b] = sum;
          }
        }
        result.push(sums);
        yield;
      }
      return result;
    };
    const pushed = (draw: FloatArray) => this.#pushed(backward, draw);
    return { own: yield* along(this.#own), near: yield* along(this.#near) };
  }

  /** By the rows of J: of positions, which have no pass of their own. */
  #byRows(backward: Backward): Moved {
    const { batch, columns } = backward;
    const { size } = this.#selection;
    const length = batch * columns;
    const rows = scope(() => copyOut("float64", float64Rows(backward, this.#selection), length * size)) as Float64Array;
    const along = (draws: readonly FloatArray[]) =>
      draws.map((draw) => {
        const found = multiplied(Float64Array.from(draw), 1, rows, length, size);
        const result = new Float64Array(length);
        for (let b = 0; b < batch; b++) {
          for (let k = 0; k < columns; k++) result[k * batch + b] = found[b * columns + k];
        }
        return result;
      });
    return { own: along(this.#own), near: along(this.#near) };
  }
}

/** Σ d² / Σ e² at a place; 1 where nothing moves. */
function ratio(own: readonly FloatArray[], near: readonly FloatArray[], at: number): number {
  let [above, below] = [0, 0];
  for (let s = 0; s < own.length; s++) {
    above += own[s][at] ** 2;
    below += near[s][at] ** 2;
  }
  return below > 0 ? above / below : 1;
}
