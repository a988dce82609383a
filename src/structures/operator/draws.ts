// Variances and covariances of functions from draws of the weights, d of P⁻¹ and e of M⁻¹ from the same noise. Of M⁻¹ they are known, so
// that the draws have to say no more than how much P⁻¹ differs: V = V_M Σ (J d)² / Σ (J e)², a ratio estimator with the error of what
// the two do not share (Cochran 1977, Sampling Techniques, 6). Correlations are those of the draws d.

import { dryBytes } from "../../kernels/dry-run.ts";
import {
  allocateFloats,
  copyIn,
  copyOut,
  copyOutWide,
  copyTo,
  type DType,
  type FloatArray,
  later,
  type Numbers,
  onOwnStack,
  scope,
} from "../../kernels/memory.ts";
import type { Backward } from "../../network/passes.ts";
import { pushForward } from "../../network/passes.ts";
import { float64Rows } from "../jacobian-rows.ts";
import { multiplied } from "../products.ts";
import { type Selection, spread } from "../selection.ts";

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
    return this.#changed(known, (values) => {
      const { own, near } = this.#moved(backward);
      for (let b = 0; b < batch; b++) {
        for (let k = 0; k < columns; k++) values[b * columns + k] *= ratio(own, near, k * batch + b);
      }
    });
  }

  /** [B, K, K] */
  covariance(backward: Backward, known: Numbers): Numbers {
    const { batch, columns } = backward;
    return this.#changed(known, (values) => {
      const { own, near } = this.#moved(backward);
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
  #changed(known: Numbers, change: (values: Float64Array) => void): Numbers {
    const { length } = known;
    const at = known.dtype === "float64" ? known.at : allocateFloats("float64", length);
    if (dryBytes() === undefined) {
      later(() =>
        onOwnStack(() => {
          const values = copyOutWide(known);
          change(values);
          copyTo("float64", at, values);
        }),
      );
    }
    return { dtype: "float64", at, length };
  }

  #moved(backward: Backward): Moved {
    const { forward, batch, columns, dtype, graph } = backward;
    const { output } = graph;
    const cotangents = backward.cotangent(output);
    const whole = graph === this.#selection.graph && batch === forward.batch && dtype === forward.dtype;
    if (!whole || cotangents === 0) return this.#byRows(backward);
    const c = copyOut(dtype, cotangents, columns * batch * output.size);
    const along = (rows: readonly FloatArray[]) =>
      rows.map((row) =>
        scope(() => {
          const all = spread(this.#selection, row);
          const moved = copyOut(dtype, pushForward(forward, copyIn(dtype, all), 0), batch * output.size);
          const result = new Float64Array(columns * batch);
          for (let i = 0; i < c.length; i++) {
            result[Math.floor(i / output.size)] += c[i] * moved[i % moved.length];
          }
          return result;
        }),
      );
    return { own: along(this.#own), near: along(this.#near) };
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
