// Posterior precisions that are diagonal in a basis: that of the weights themselves, or one made of Kronecker factors. At a linear layer a row of the Jacobian is δ ⊗ a, so
// that J P⁻¹ Jᵀ needs no row: Σ_i δ_i δ'_i Σ_j a_j² / p_ij in that basis.

import { sumOfLogs } from "../array/logs.ts";
import { eachTableRows, isTable, scaleTableRows } from "../derivatives/lookup-tables.ts";
import { eachChunk, plainUse, productNumbers, writeProducts } from "../derivatives/uses.ts";
import { vectorRows } from "../derivatives/vectors.ts";
import { keptNumbers } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  addToDiagonal,
  allocateFloats,
  bringOut,
  bytesPerElement,
  copyIn,
  inMemory,
  type Numbers,
  openScope,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { inPieces, type Steps } from "../kernels/steps.ts";
import { copyOutInSteps } from "../linalg/in-steps.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Backward } from "../network/passes.ts";
import type { Node } from "../network/primitive.ts";
import type { Curvature } from "./curvature.ts";
import { diagonalOf, type EigenBlock, rotate, rotated, rotatedNumbers, rotatedUses } from "./eigenblocks.ts";
import { headOfBlocks } from "./factored-head.ts";
import type { HeadVariance } from "./head.ts";
import type { Precision, Prepared } from "./precision.ts";
import { type Block, enter, inverseOf, rootsOf } from "./precision-blocks.ts";
import type { Prior } from "./prior.ts";

/** P = h Q diag(values) Qᵀ + δ for each block, or with damping (√h B + √δ) ⊗ (√h A + √δ). */
export function eigenPrecision<C extends Curvature>(
  curvature: C,
  eigen: readonly EigenBlock[],
  h: number,
  prior: Prior,
  damping: boolean,
  diagonals: (part: C) => readonly Float64Array[],
): Precision {
  const { precision } = prior;
  const deltaOf = (i: number) => precision[prior.structure === "scalar" ? 0 : i];
  const gradient = new Float64Array(precision.length);
  const blocks = eigen.map((block: EigenBlock, i): Block => {
    const { values, factors, inputs, outputs, selected } = block;
    const delta = deltaOf(i);
    let sum = 0;
    const p = keptNumbers(values.length);
    const damped = damping && selected.role === "weight" ? factors : undefined;
    for (let j = 0; j < values.length && damped === undefined; j++) {
      const one = h * values[j] + delta;
      p[j] = one;
      sum += delta / one;
    }
    for (let j = 0; j < values.length && damped !== undefined; j++) {
      const row = Math.floor(j / inputs);
      const left = Math.sqrt(h) * damped.b[row] + Math.sqrt(delta);
      const right = Math.sqrt(h) * damped.a[Math.floor(row / outputs) * inputs + (j % inputs)] + Math.sqrt(delta);
      sum += (0.5 * Math.sqrt(delta)) / left + (0.5 * Math.sqrt(delta)) / right;
      p[j] = left * right;
    }
    gradient[prior.structure === "scalar" ? 0 : i] += sum;
    return inBasisOf(block, p);
  });
  return new FactoredPrecision(curvature.size, blocks, () => gradient, diagonals, eigen);
}

/** Other values in a block's basis, whose vectors are taken when they are asked for. */
function inBasisOf(block: EigenBlock, values: Float64Array): Block {
  const { selected, groups, outputs, inputs } = block;
  return {
    selected,
    groups,
    outputs,
    inputs,
    values,
    get qb() {
      return block.qb;
    },
    get qa() {
      return block.qa;
    },
  };
}

/** A precision that is diagonal in a basis of blocks. */
export class FactoredPrecision<C extends Curvature> implements Precision {
  readonly #size: number;
  readonly blocks: readonly Block[];
  readonly #gradient: () => Float64Array;
  readonly #diagonals: (part: C) => readonly Float64Array[];
  /** The basis of the blocks; undefined for that of the weights. */
  readonly eigen: readonly EigenBlock[] | undefined;
  readonly #logs: (() => number) | undefined;
  #logDeterminant: number | undefined;

  /** @param logs the logarithm of the determinant, where it comes without all values at once */
  constructor(
    size: number,
    blocks: readonly Block[],
    gradient: () => Float64Array,
    diagonals: (part: C) => readonly Float64Array[],
    eigen?: readonly EigenBlock[],
    logs?: () => number,
  ) {
    this.#logs = logs;
    this.#size = size;
    this.blocks = blocks;
    this.#gradient = gradient;
    this.#diagonals = diagonals;
    this.eigen = eigen;
  }

  get logDeterminant(): number {
    this.#logDeterminant ??= this.#logs?.() ?? this.blocks.reduce((sum, { values }) => sum + sumOfLogs(values), 0);
    return this.#logDeterminant;
  }

  /** The eigenvalues of all blocks to a power, [S]. */
  #powers(exponent: number): Float64Array {
    const result = new Float64Array(this.#size);
    for (const { selected, values } of this.blocks)
      result.set(
        values.map((p) => p ** exponent),
        selected.at,
      );
    return result;
  }

  logPriorGradient(): Float64Array {
    return this.#gradient();
  }

  /** Eigenvalues are there already; vectors wait until they are asked for. */
  *prepare(what: Prepared): Steps<void> {
    if (what !== "determinant" && what !== "gradient") yield* this.#complete();
  }

  *#complete(): Steps<void> {
    for (const block of this.eigen ?? []) yield* block.complete?.() ?? [];
  }

  *traces(parts: readonly C[]): Steps<Float64Array> {
    yield* this.#complete();
    const sums = new Float64Array(parts.length);
    for (const [c, part] of parts.entries()) {
      const diagonals = this.#diagonals(part);
      this.blocks.forEach(({ selected: { size }, values }, b) => {
        for (let i = 0; i < size; i++) sums[c] += diagonals[b][i] / values[i];
      });
      yield;
    }
    return sums;
  }

  *variance(): Steps<Float64Array> {
    const result = this.#powers(-1);
    if (this.eigen === undefined) return result;
    yield* this.#complete();
    for (const block of this.blocks) {
      const inverse = block.values.map((p) => 1 / p);
      result.set(yield* diagonalOf(block, block.qb as Float64Array, block.qa, inverse), block.selected.at);
    }
    return result;
  }

  dense(): Steps<Float64Array> {
    return this.#dense(1);
  }

  covariance(): Steps<Float64Array> {
    return this.#dense(-1);
  }

  *#dense(exponent: number): Steps<Float64Array> {
    yield* this.#complete();
    const n = this.#size;
    const powers = this.#powers(exponent);
    const end = openScope();
    try {
      const rows = allocateFloats("float64", n * n);
      yield* inPieces(() => {
        kernelsFor("float64").fill(n * n, 0, rows);
        addToDiagonal(n, 1, rows);
        this.#transform(rows, n, powers);
      });
      return yield* copyOutInSteps(rows, n * n);
    } finally {
      end();
    }
  }

  /** Rows times Q diag(powers) Qᵀ. */
  #transform(rows: Pointer, n: number, powers: Float64Array): void {
    if (this.eigen !== undefined) rotate(this.eigen, n, this.#size, rows, false);
    this.#weigh(rows, n, powers);
    if (this.eigen !== undefined) rotate(this.eigen, n, this.#size, rows, true);
  }

  #weigh(rows: Pointer, n: number, powers: Float64Array): void {
    scope(() => kernelsFor("float64").multiply(n, this.#size, rows, copyIn("float64", powers, true), rows, false));
  }

  whiten(rows: Pointer, n: number): void {
    if (this.eigen !== undefined) rotate(this.eigen, n, this.#size, rows, false);
    this.#weigh(rows, n, this.#powers(-0.5));
  }

  /** By the symmetric root of the covariance. */
  colour(rows: Pointer, n: number): void {
    this.#transform(rows, n, this.#powers(-0.5));
  }

  solve(rows: Pointer, n: number): void {
    this.#transform(rows, n, this.#powers(-1));
  }

  *quadraticForm(rows: Float64Array, n: number): Steps<Float64Array> {
    const result = new Float64Array(n);
    yield* this.#complete();
    yield* inPieces(() => {
      const x = copyIn("float64", rows, true);
      if (this.eigen !== undefined) rotate(this.eigen, n, this.#size, x, false);
      this.#weigh(x, n, this.#powers(0.5));
      const forms = allocateFloats("float64", n);
      kernelsFor("float64").dotRows(n, this.#size, x, x, forms, false);
      bringOut("float64", forms, n, result, 0);
    });
    return result;
  }

  functionCovariance(backward: Backward): Numbers {
    return this.#sum(backward, backward.columns ** 2, addGrams);
  }

  functionVariance(backward: Backward): Numbers {
    return this.#sum(backward, backward.columns, addSquares);
  }

  head(graph: Graph): HeadVariance | undefined {
    return headOfBlocks(this.#size, this.blocks, graph);
  }

  #sum(backward: Backward, each: number, add: AddProducts): Numbers {
    return sumsOf(backward, each, add, [this.blocks])[0];
  }
}

/** J P⁻¹ Jᵀ of each of several precisions, [B, C, C]: those of one curvature turn rows into its basis once; undefined where they have none in common. */
export function covariancesTogether(backward: Backward, precisions: readonly Precision[]): Numbers[] | undefined {
  const all = precisions.filter((one) => one instanceof FactoredPrecision);
  const [first] = all;
  if (all.length < precisions.length || all.some(({ eigen }) => !eigen || eigen !== first.eigen)) return undefined;
  const blocks = all.map((one) => one.blocks);
  return sumsOf(backward, backward.columns ** 2, addGrams, blocks);
}

/** The sums over blocks of what becomes of their rows, [B, each], of several in one basis. */
function sumsOf(backward: Backward, each: number, add: AddProducts, all: readonly (readonly Block[])[]): Numbers[] {
  const { batch, dtype, kernels } = backward;
  const length = batch * each;
  const sums = all.map(() => ({ dtype, at: allocateFloats(dtype, length), length }));
  for (const { at } of sums) kernels.fill(length, 0, at);
  for (const i of all[0].keys()) {
    const totals = sums.map(({ at }, k) => ({ at, block: all[k][i], each, add }));
    scope(() => addBlock(backward, totals));
  }
  return sums;
}

/** Numbers that the rows of a weight take for each example of a chunk. */
function rowNumbers(site: LinearSite, nodes: readonly Node[], columns: number): number {
  return columns * site.outputs * site.inputs + productNumbers(site, nodes, columns);
}

/** Where the part that a block has of J P⁻¹ Jᵀ is added, so many numbers for each example, and how. */
interface Total {
  readonly block: Block;
  readonly at: Pointer;
  readonly each: number;
  readonly add: AddProducts;
}

/** Adds parts of J P⁻¹ Jᵀ to [B, C, C], or of its diagonal to [B, C], of blocks in one basis. */
function addBlock(backward: Backward, totals: readonly Total[]): void {
  const { kernels, batch, columns, dtype, graph } = backward;
  const [{ block }] = totals;
  const { selected, qb, qa } = block;
  const { site, role, parameter } = selected;
  const nodes = graph.uses.get(site) ?? [];
  const b = qb && enter(dtype, qb);
  if (role === "weight" && site.kind === "linear") {
    addWeight(backward, totals, site, nodes, b, qa && enter(dtype, qa));
    return;
  }
  const n = parameter.size;
  const rows = rotated(backward, columns * batch, block, vectorRows(backward, nodes, n, role === "scale"), b);
  const weighed = b === undefined || totals.length > 1 ? allocateFloats(dtype, columns * batch * n) : rows;
  for (const { block, add, at } of totals) {
    scope(() => {
      kernels.multiply(columns * batch, n, rows, rootsOf(block, dtype), weighed, false);
      add(backward, batch, n, weighed, n, batch * n, at);
    });
  }
}

function addWeight(
  backward: Backward,
  totals: readonly Total[],
  site: LinearSite,
  nodes: readonly Node[],
  b: Pointer | undefined,
  a: Pointer | undefined,
): void {
  const { kernels, batch, columns, dtype } = backward;
  const { outputs, inputs } = site;
  const bytes = bytesPerElement(dtype);
  const plain = plainUse(backward, site, nodes);
  if (plain !== undefined) {
    const [{ left, right }] = rotatedUses(backward, site, batch, [plain], b, a);
    // s = √(Σ_j a_j² / p_ij), [B, outputs]
    const squares = allocateFloats(dtype, batch * inputs);
    kernels.multiply(1, batch * inputs, right.at, right.at, squares, false);
    for (const { block, add, at } of totals) {
      scope(() => {
        const p = enter(dtype, inverseOf(block));
        const s = allocateFloats(dtype, batch * outputs);
        kernels.gemm(1, batch, outputs, inputs, squares, 0, inputs, 1, p, 0, 1, inputs, s, 0, outputs, 1, false);
        inMemory(dtype, (memory) => {
          for (let i = s / bytes; i < s / bytes + batch * outputs; i++) memory[i] = Math.sqrt(memory[i]);
        });
        const rows = allocateFloats(dtype, columns * batch * outputs);
        kernels.multiply(columns, batch * outputs, left.at, s, rows, false);
        add(backward, batch, outputs, rows, outputs, batch * outputs, at);
      });
    }
    return;
  }
  if (b === undefined && isTable(nodes)) {
    // Without a basis there is one of them.
    const [{ block, add, at, each }] = totals;
    eachTableRows(backward, site, nodes, (rows) => {
      scaleTableRows(backward, site, rows, inverseOf(block));
      const n = rows.positions * inputs;
      add(backward, rows.count, n, rows.rows, columns * n, n, at + rows.first * each * bytes);
    });
    return;
  }
  const n = outputs * inputs;
  const roots = totals.map(({ block }) => rootsOf(block, dtype));
  const numbers = rowNumbers(site, nodes, columns) + (b === undefined ? 0 : rotatedNumbers(site, nodes, columns));
  eachChunk(backward, site, nodes, numbers, (chunk) => {
    const uses = rotatedUses(backward, site, chunk.count, chunk.uses, b, a);
    const rows = allocateFloats(dtype, chunk.count * columns * n);
    for (const [k, { add, at, each }] of totals.entries()) {
      writeProducts(backward, site, nodes, { ...chunk, uses }, { to: rows, example: columns * n });
      kernels.multiply(chunk.count * columns, n, rows, roots[k], rows, false);
      add(backward, chunk.count, n, rows, columns * n, n, at + chunk.first * each * bytes);
    }
  });
}

/** Adds what becomes of rows of n, which lie at strides from one example and column to the next. */
type AddProducts = (
  backward: Backward,
  batch: number,
  n: number,
  rows: Pointer,
  example: number,
  column: number,
  total: Pointer,
) => void;

/** Products of the rows of every example, [B, C, C]. */
const addGrams: AddProducts = ({ kernels, columns }, batch, n, rows, example, column, total) => {
  const c = columns;
  kernels.gemm(batch, c, c, n, rows, example, column, 1, rows, example, 1, column, total, c * c, c, 1, true);
};

/** Squares of the rows, [B, C]; one follows on the other, by columns or by examples. */
const addSquares: AddProducts = ({ kernels, columns, dtype }, batch, n, rows, example, column, total) => {
  const bytes = bytesPerElement(dtype);
  if (example > column) {
    kernels.dotRows(batch * columns, n, rows, rows, total, true);
    return;
  }
  const squares = allocateFloats(dtype, columns * batch);
  kernels.dotRows(columns * batch, n, rows, rows, squares, false);
  const [from, to] = [squares / bytes, total / bytes];
  inMemory(dtype, (memory) => {
    for (let k = 0; k < columns; k++) {
      for (let b = 0; b < batch; b++) memory[to + b * columns + k] += memory[from + k * batch + b];
    }
  });
};
