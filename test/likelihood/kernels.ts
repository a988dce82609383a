// Likelihoods on plain lists of numbers.

import { sizeOf } from "../../src/array/ndarray.ts";
import type { DType, Likelihood, Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocate, allocateFloats, copyIn, copyOut, type Pointer, scope } from "../../src/kernels/memory.ts";

import type { Outputs } from "../../src/network/part-outputs.ts";
import type { Which } from "../../src/network/run.ts";

/** A likelihood at outputs f, [B, C] row by row. */
export class At {
  readonly likelihood: Likelihood;
  readonly outputs: number;
  /** The shape of an example's outputs. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly f: readonly number[];

  constructor(
    likelihood: Likelihood,
    f: readonly number[],
    shape: number | readonly number[],
    dtype: DType = "float64",
  ) {
    this.likelihood = likelihood;
    this.f = f;
    this.shape = typeof shape === "number" ? [shape] : shape;
    this.outputs = sizeOf(this.shape);
    this.dtype = dtype;
  }

  #run(length: number, write: (outputs: Outputs, to: Pointer) => void): number[] {
    return scope(() => {
      const to = allocateFloats(this.dtype, length);
      write(this.#outputs(), to);
      return Array.from(copyOut(this.dtype, to, length));
    });
  }

  #outputs(): Outputs {
    const { dtype, f, outputs } = this;
    const shape = this.shape;
    return { kernels: kernelsFor(dtype), dtype, batch: f.length / outputs, outputs, shape, f: copyIn(dtype, f) };
  }

  /** Σ ℓ */
  loss(targets: readonly number[]): number {
    return scope(() => {
      const to = allocate(8 * this.f.length);
      const { likelihood } = this;
      likelihood.elements(this.#outputs(), copyIn(this.dtype, targets), to);
      const count = (this.f.length / this.outputs) * sizeOf(likelihood.elementShape(this.shape));
      return Array.from(copyOut("float64", to, count)).reduce((sum, x) => sum + x, 0);
    });
  }

  /** ∂ℓ/∂f, [B, C] */
  gradient(targets: readonly number[]): number[] {
    return this.#run(this.f.length, (f, to) => this.likelihood.gradient(f, copyIn(this.dtype, targets), 1, to));
  }

  /** The columns of Λ^½, [K, B, C]. */
  root(targets: readonly number[] = []): number[] {
    const count = this.likelihood.rootColumns(this.shape);
    return this.columns({ first: 0, count }, targets);
  }

  /** Some of them. */
  columns(columns: Which, targets: readonly number[] = []): number[] {
    return this.#run(columns.count * this.f.length, (f, to) => {
      this.likelihood.root(f, columns, to, copyIn(this.dtype, targets));
    });
  }

  /** Σ_k c_k c_kᵀ of every example, [B, C, C]. */
  curvature(targets: readonly number[] = []): number[] {
    const { outputs, f } = this;
    const root = this.root(targets);
    const rows = f.length / outputs;
    return Array.from({ length: rows * outputs * outputs }, (_, i) => {
      const [b, c, d] = [Math.floor(i / outputs ** 2), Math.floor(i / outputs) % outputs, i % outputs];
      let sum = 0;
      for (let k = 0; k < root.length / f.length; k++) {
        sum += root[(k * rows + b) * outputs + c] * root[(k * rows + b) * outputs + d];
      }
      return sum;
    });
  }

  /** A gradient at drawn targets, [B, C]. */
  draw(random: Random): number[] {
    return this.#run(this.f.length, (f, to) => this.likelihood.drawColumn(f, () => random, to));
  }
}
