// Posterior precisions that are diagonal in a basis made of Kronecker factors: the diagonal one, where the basis is that
// of the weights themselves, and those of "kronecker" and "ekfac". At a linear layer a row of the Jacobian is δ ⊗ a, so
// that J P⁻¹ Jᵀ needs no row: Σ_i δ_i δ'_i Σ_j a_j² / p_ij in that basis.

import type { Curvature } from "../curvature/curvature.ts";
import type { DiagonalCurvature } from "../curvature/diagonal.ts";
import type { EkfacCurvature } from "../curvature/ekfac.ts";
import {
  diagonalOf,
  type EigenBlock,
  type KroneckerCurvature,
  rotate,
  rotated,
  sizes,
} from "../curvature/kronecker.ts";
import type { SelectedParameter } from "../curvature/selection.ts";
import { usesOf, vectorRows } from "../curvature/squares.ts";
import { sumOfProducts } from "../derivatives/contractions.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  type DType,
  floats,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { type Graph, positionsOf } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import type { Precision, PrecisionOptions } from "./precision.ts";
import { type Prior, refusePerWeight } from "./prior.ts";

/** A parameter's part of the precision: eigenvalues p, and their basis where it is not that of the weights. */
interface Block {
  readonly selected: SelectedParameter;
  readonly outputs: number;
  readonly inputs: number;
  readonly qb: Float64Array | undefined;
  readonly qa: Float64Array | undefined;
  /** Of the selected weights. */
  readonly values: Float64Array;
  /** 1/p over the whole parameter; weights that are not selected have no variance. Computed at first use. */
  inverse?: Float64Array;
}

/** P = h diag(H) + P₀ */
export function diagonalPrecision(curvature: Curvature, h: number, prior: Prior): Precision {
  const { values } = curvature as DiagonalCurvature;
  const delta = prior.spread();
  const all = values.map((x, i) => h * x + delta[i]);
  const blocks = curvature.selection.parameters.map((selected): Block => {
    const [outputs, inputs] = sizes(selected);
    const part = all.subarray(selected.at, selected.at + selected.size);
    return { selected, outputs, inputs, qb: undefined, qa: undefined, values: part };
  });
  const gradient = () => prior.sums(all.map((p, i) => delta[i] / p));
  return new FactoredPrecision(curvature, blocks, gradient);
}

/** P = h B ⊗ A + δ, or with damping (√h B + √δ) ⊗ (√h A + √δ), for each block. */
export function kroneckerPrecision(
  curvature: Curvature,
  h: number,
  prior: Prior,
  { damping }: PrecisionOptions,
): Precision {
  refusePerWeight("laplace", prior, curvature.structure);
  const { precision } = prior;
  const deltaOf = (i: number) => precision[prior.structure === "scalar" ? 0 : i];
  const eigen = (curvature as KroneckerCurvature | EkfacCurvature).decompose();
  const gradient = new Float64Array(precision.length);
  const blocks = eigen.map(({ selected, outputs, inputs, qb, qa, values, factors }: EigenBlock, i): Block => {
    const delta = deltaOf(i);
    let sum = 0;
    const p = values.map((value, j) => {
      if (!damping || factors === undefined || qa === undefined) {
        const eigenvalue = h * value + delta;
        sum += delta / eigenvalue;
        return eigenvalue;
      }
      const left = Math.sqrt(h) * factors.b[Math.floor(j / inputs)] + Math.sqrt(delta);
      const right = Math.sqrt(h) * factors.a[j % inputs] + Math.sqrt(delta);
      sum += (0.5 * Math.sqrt(delta)) / left + (0.5 * Math.sqrt(delta)) / right;
      return left * right;
    });
    gradient[prior.structure === "scalar" ? 0 : i] += sum;
    return { selected, outputs, inputs, qb, qa, values: p };
  });
  return new FactoredPrecision(curvature, blocks, () => gradient, eigen);
}

class FactoredPrecision implements Precision {
  readonly #curvature: Curvature;
  readonly #blocks: readonly Block[];
  readonly #gradient: () => Float64Array;
  /** The basis of the blocks; undefined for that of the weights. */
  readonly #eigen: readonly EigenBlock[] | undefined;
  readonly logDeterminant: number;

  constructor(
    curvature: Curvature,
    blocks: readonly Block[],
    gradient: () => Float64Array,
    eigen?: readonly EigenBlock[],
  ) {
    this.#curvature = curvature;
    this.#blocks = blocks;
    this.#gradient = gradient;
    this.#eigen = eigen;
    let sum = 0;
    for (const { values } of blocks) for (const p of values) sum += Math.log(p);
    this.logDeterminant = sum;
  }

  get #size(): number {
    return this.#curvature.size;
  }

  /** The eigenvalues of all blocks to a power, [S]. */
  #powers(exponent: number): Float64Array {
    const result = new Float64Array(this.#size);
    for (const { selected, values } of this.#blocks)
      result.set(
        values.map((p) => p ** exponent),
        selected.at,
      );
    return result;
  }

  logPriorGradient(): Float64Array {
    return this.#gradient();
  }

  variance(): Float64Array {
    const result = this.#powers(-1);
    if (this.#eigen === undefined) return result;
    for (const { selected, outputs, inputs, qb, qa, values } of this.#blocks) {
      const inverse = values.map((p) => 1 / p);
      result.set(diagonalOf(outputs, inputs, qb as Float64Array, qa, inverse), selected.at);
    }
    return result;
  }

  dense(): Float64Array {
    return this.#dense(1);
  }

  covariance(): Float64Array {
    return this.#dense(-1);
  }

  #dense(exponent: number): Float64Array {
    const n = this.#size;
    const powers = this.#powers(exponent);
    return scope(() => {
      const rows = allocateFloats("float64", n * n);
      kernelsFor("float64").fill(n * n, 0, rows);
      for (let i = 0; i < n; i++) floats("float64")[rows / 8 + i * (n + 1)] = 1;
      this.#transform(rows, n, powers);
      return copyOut("float64", rows, n * n) as Float64Array;
    });
  }

  /** Rows times Q diag(powers) Qᵀ. */
  #transform(rows: Pointer, n: number, powers: Float64Array): void {
    if (this.#eigen !== undefined) rotate(this.#eigen, n, this.#size, rows, false);
    this.#weigh(rows, n, powers);
    if (this.#eigen !== undefined) rotate(this.#eigen, n, this.#size, rows, true);
  }

  #weigh(rows: Pointer, n: number, powers: Float64Array): void {
    scope(() => kernelsFor("float64").multiply(n, this.#size, rows, copyIn("float64", powers), rows, false));
  }

  whiten(rows: Pointer, n: number): void {
    if (this.#eigen !== undefined) rotate(this.#eigen, n, this.#size, rows, false);
    this.#weigh(rows, n, this.#powers(-0.5));
  }

  /** By the symmetric root of the covariance. */
  colour(rows: Pointer, n: number): void {
    this.#transform(rows, n, this.#powers(-0.5));
  }

  quadraticForm(rows: Float64Array, n: number): Float64Array {
    return scope(() => {
      const x = copyIn("float64", rows);
      if (this.#eigen !== undefined) rotate(this.#eigen, n, this.#size, x, false);
      this.#weigh(x, n, this.#powers(0.5));
      const result = allocateFloats("float64", n);
      kernelsFor("float64").dotRows(n, this.#size, x, x, result, false);
      return copyOut("float64", result, n) as Float64Array;
    });
  }

  functionCovariance(backward: Backward): Float64Array {
    const { batch, columns, dtype, kernels } = backward;
    const length = batch * columns * columns;
    const total = allocateFloats(dtype, length);
    kernels.fill(length, 0, total);
    for (const block of this.#blocks) scope(() => addBlock(backward, block, total));
    return Float64Array.from(copyOut(dtype, total, length));
  }

  perExample(columns: number, graph: Graph = this.#curvature.selection.graph): number {
    let numbers = columns * columns;
    for (const { selected, outputs, inputs } of this.#blocks) {
      const nodes = graph.uses.get(selected.site) ?? [];
      const plain = nodes.length === 1 && positionsOf(nodes[0]) === 1;
      const own = plain || selected.role !== "weight" ? 2 * outputs + 2 * inputs : 2 * outputs * inputs;
      for (const node of nodes) numbers = Math.max(numbers, columns * (own + 2 * node.size) + 2 * node.inputs[0].size);
    }
    return numbers;
  }
}

/** What was converted to float32 before. */
const singles = new WeakMap<Float64Array, Float32Array>();

/** As `copyIn`, for what every prediction takes: it is converted once. */
function enter(dtype: DType, values: Float64Array): Pointer {
  if (dtype === "float64") return copyIn(dtype, values);
  const single = singles.get(values) ?? new Float32Array(values);
  singles.set(values, single);
  return copyIn(dtype, single);
}

/** Adds a block's part of J P⁻¹ Jᵀ to [B, C, C]. */
function addBlock(backward: Backward, block: Block, total: Pointer): void {
  const { kernels, batch, columns, dtype, graph } = backward;
  const { selected, outputs, inputs, qb, qa } = block;
  const nodes = graph.uses.get(selected.site) ?? [];
  const b = qb && enter(dtype, qb);
  const a = qa && enter(dtype, qa);
  const inverse = inverseOf(block);
  const roots = () => copyIn(dtype, inverse.map(Math.sqrt));
  if (selected.role !== "weight") {
    const rows = rotated(
      backward,
      columns * batch,
      outputs,
      vectorRows(backward, nodes, outputs, selected.role === "scale"),
      b,
    );
    kernels.multiply(columns * batch, outputs, rows, roots(), rows, false);
    addGrams(backward, outputs, rows, total);
    return;
  }
  const uses = usesOf(backward, nodes).map(({ delta, a: x, positions }) => ({
    positions,
    delta: rotated(backward, columns * batch * positions, outputs, delta, b),
    a: rotated(backward, batch * positions, inputs, x, a),
  }));
  if (uses.length === 1 && uses[0].positions === 1) {
    // s = √(Σ_j a_j² / p_ij), [B, outputs]
    const squares = allocateFloats(dtype, batch * inputs);
    kernels.multiply(1, batch * inputs, uses[0].a, uses[0].a, squares, false);
    const p = enter(dtype, inverse);
    const s = allocateFloats(dtype, batch * outputs);
    kernels.gemm(1, batch, outputs, inputs, squares, 0, inputs, 1, p, 0, 1, inputs, s, 0, outputs, 1, false);
    const [memory, start] = [floats(dtype), s / bytesPerElement(dtype)];
    for (let i = start; i < start + batch * outputs; i++) memory[i] = Math.sqrt(memory[i]);
    const rows = allocateFloats(dtype, columns * batch * outputs);
    kernels.multiply(columns, batch * outputs, uses[0].delta, s, rows, false);
    addGrams(backward, outputs, rows, total);
    return;
  }
  const n = outputs * inputs;
  const size = bytesPerElement(dtype);
  const rows = allocateFloats(dtype, columns * batch * n);
  uses.forEach(({ delta, a: x, positions }, use) => {
    for (let k = 0; k < columns; k++) {
      const d = delta + k * batch * positions * outputs * size;
      sumOfProducts(backward, batch, positions, outputs, inputs, d, x, rows + k * batch * n * size, n, use > 0);
    }
  });
  kernels.multiply(columns * batch, n, rows, roots(), rows, false);
  addGrams(backward, n, rows, total);
}

function inverseOf(block: Block): Float64Array {
  if (block.inverse !== undefined) return block.inverse;
  const { selected, outputs, inputs, values } = block;
  const result = new Float64Array(outputs * inputs);
  for (let i = 0; i < values.length; i++) result[selected.chosen?.[i] ?? i] = 1 / values[i];
  block.inverse = result;
  return result;
}

/** Products of the rows [C, B, n] of every example, added to [B, C, C]. */
function addGrams({ kernels, batch, columns }: Backward, n: number, rows: Pointer, total: Pointer): void {
  const step = batch * n;
  kernels.gemm(
    batch,
    columns,
    columns,
    n,
    rows,
    n,
    step,
    1,
    rows,
    n,
    1,
    step,
    total,
    columns * columns,
    columns,
    1,
    true,
  );
}
