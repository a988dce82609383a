// Kronecker factors (Martens & Grosse 2015): the block of a layer's weight is B ⊗ A, that of its bias B, with A the mean
// of a aᵀ over examples and positions and B the sum of δ δᵀ. A layer that shares its weight over positions either counts
// each as an example ("expand") or reduces them first ("reduce"; Eschenhagen et al. 2023, arXiv:2311.00636). The blocks
// of elementwise scales and shifts are whole matrices.

import { type ArrayLike, NDArray } from "../array/ndarray.ts";
import type { MemoryOptions } from "../derivatives/budget.ts";
import { OptionError } from "../errors.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOut,
  type DType,
  type FloatArray,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import { eigh } from "../linalg/eigh.ts";
import { type LinearSite, positionsOf, type Site } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import { type Accumulator, type Curvature, checkSame, checkSquare, multiple, sum, symmetric } from "./curvature.ts";
import { readVectors } from "./full.ts";
import { asFloat64 } from "./rows.ts";
import type { SelectedParameter, Selection } from "./selection.ts";
import { vectorRows, vectorRowsPerExample } from "./squares.ts";

/** How positions that share a weight count. */
export type Sharing = "expand" | "reduce";

/** The block of a parameter: B, or B ⊗ A/count. */
export interface KroneckerBlock {
  readonly selected: SelectedParameter;
  /** [outputs, outputs], a sum over examples. */
  readonly b: Float64Array;
  /** [inputs, inputs], a sum over examples and positions; undefined for a vector. */
  readonly a: Float64Array | undefined;
  /** How many terms A sums. */
  readonly count: number;
}

/** A block in its eigenbasis: Q diag(values) Qᵀ, with Q = Q_B ⊗ Q_A for a weight. */
export interface EigenBlock {
  readonly selected: SelectedParameter;
  readonly outputs: number;
  readonly inputs: number;
  /** [outputs, outputs], eigenvectors in columns. */
  readonly qb: Float64Array;
  /** [inputs, inputs]; undefined for a vector. */
  readonly qa: Float64Array | undefined;
  /** [outputs, inputs] */
  readonly values: Float64Array;
  /** The factors' own eigenvalues, of which `values` are the products; undefined where they are corrected. */
  readonly factors: { readonly b: Float64Array; readonly a: Float64Array } | undefined;
}

/** The curvature as Kronecker products, a block for each parameter. */
export class KroneckerCurvature implements Curvature {
  readonly structure = "kronecker";
  readonly selection: Selection;
  readonly examples: number;
  readonly blocks: readonly KroneckerBlock[];
  #decomposed: readonly EigenBlock[] | undefined;

  constructor(selection: Selection, examples: number, blocks: readonly KroneckerBlock[]) {
    this.selection = selection;
    this.examples = examples;
    this.blocks = blocks;
  }

  get size(): number {
    return this.selection.size;
  }

  /** The blocks in their eigenbases, computed once. Eigenvalues that rounding made negative are 0. */
  decompose(): readonly EigenBlock[] {
    this.#decomposed ??= this.blocks.map(decomposeBlock);
    return this.#decomposed;
  }

  diagonal(): NDArray {
    const result = new Float64Array(this.size);
    for (const { selected, a, b, count } of this.blocks) {
      const [outputs, inputs] = sizes(selected);
      for (let i = 0; i < selected.size; i++) {
        const [o, j] = [Math.floor(i / inputs), i % inputs];
        result[selected.at + i] = b[o * outputs + o] * (a === undefined ? 1 : a[j * inputs + j] / count);
      }
    }
    return new NDArray(result, [this.size]);
  }

  dense({ memoryBudget }: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, memoryBudget);
    const result = new Float64Array(n * n);
    for (const { selected, a, b, count } of this.blocks) {
      const [outputs, inputs] = sizes(selected);
      const { at, size } = selected;
      for (let r = 0; r < size; r++) {
        for (let c = 0; c < size; c++) {
          const x = b[Math.floor(r / inputs) * outputs + Math.floor(c / inputs)];
          const y = a === undefined ? 1 : a[(r % inputs) * inputs + (c % inputs)] / count;
          result[(at + r) * n + at + c] = x * y;
        }
      }
    }
    return new NDArray(result, [n, n]);
  }

  times(v: ArrayLike): NDArray {
    return timesBlocks(v, this.size, this.decompose());
  }

  merge(other: Curvature): KroneckerCurvature {
    checkSame(this, other);
    const blocks = this.blocks.map((block, i) => {
      const { a, b, count } = (other as KroneckerCurvature).blocks[i];
      const factor = block.a === undefined || a === undefined ? undefined : sum(block.a, a);
      return { ...block, b: sum(block.b, b), a: factor, count: block.count + count };
    });
    return new KroneckerCurvature(this.selection, this.examples + other.examples, blocks);
  }

  scale(factor: number): KroneckerCurvature {
    const blocks = this.blocks.map((block) => ({ ...block, b: multiple(block.b, factor) }));
    return new KroneckerCurvature(this.selection, this.examples, blocks);
  }
}

/** Outputs and inputs of a parameter; a vector has one input. */
export function sizes({ parameter, role }: SelectedParameter): [outputs: number, inputs: number] {
  return [parameter.shape[0], role === "weight" ? parameter.shape[1] : 1];
}

function decomposeBlock({ selected, a, b, count }: KroneckerBlock): EigenBlock {
  const [outputs, inputs] = sizes(selected);
  const clamp = (x: number) => Math.max(x, 0);
  const left = eigh(new NDArray(b, [outputs, outputs]));
  const lb = (left.values.data as Float64Array).map(clamp);
  const qb = left.vectors.data as Float64Array;
  if (a === undefined) {
    const factors = { b: lb, a: Float64Array.of(1) };
    return { selected, outputs, inputs, qb, qa: undefined, values: lb, factors };
  }
  const right = eigh(new NDArray(multiple(a, 1 / count), [inputs, inputs]));
  const la = (right.values.data as Float64Array).map(clamp);
  const values = new Float64Array(outputs * inputs);
  for (let i = 0; i < values.length; i++) values[i] = lb[Math.floor(i / inputs)] * la[i % inputs];
  return { selected, outputs, inputs, qb, qa: right.vectors.data as Float64Array, values, factors: { b: lb, a: la } };
}

/** Rows [n, S] in the blocks' eigenbases, or back out of them, in place in the kernels' float64 memory. */
export function rotate(blocks: readonly EigenBlock[], n: number, width: number, rows: Pointer, back: boolean): void {
  const kernels = kernelsFor("float64");
  for (const { selected, outputs, inputs, qb, qa } of blocks) {
    scope(() => {
      const size = outputs * inputs;
      const x = allocateFloats("float64", n * size);
      const y = allocateFloats("float64", n * size);
      kernels.copyRows(n, size, rows + 8 * selected.at, width, x, size, false);
      const b = copyIn("float64", qb);
      // Qᵀ X or Q X, for each row's X [outputs, inputs].
      const [rb, cb] = back ? [outputs, 1] : [1, outputs];
      kernels.gemm(n, outputs, inputs, outputs, b, 0, rb, cb, x, size, inputs, 1, y, size, inputs, 1, false);
      let result = y;
      if (qa !== undefined) {
        const a = copyIn("float64", qa);
        const [ra, ca] = back ? [1, inputs] : [inputs, 1];
        kernels.gemm(1, n * outputs, inputs, inputs, y, 0, inputs, 1, a, 0, ra, ca, x, 0, inputs, 1, false);
        result = x;
      }
      kernels.copyRows(n, size, result, size, rows + 8 * selected.at, width, false);
    });
  }
}

/** Rows [n, size] times Q, or as they are. */
export function rotated(
  { kernels, dtype }: Backward,
  n: number,
  size: number,
  x: Pointer,
  q: Pointer | undefined,
): Pointer {
  if (q === undefined) return x;
  const result = allocateFloats(dtype, n * size);
  kernels.gemm(1, n, size, size, x, 0, size, 1, q, 0, size, 1, result, 0, size, 1, false);
  return result;
}

/** diag(Q diag(values) Qᵀ): Σ_op Q_B[i, o]² Q_A[j, p]² values[o, p]. */
export function diagonalOf(
  outputs: number,
  inputs: number,
  qb: Float64Array,
  qa: Float64Array | undefined,
  values: Float64Array,
): Float64Array {
  return scope(() => {
    const kernels = kernelsFor("float64");
    const square = (q: Float64Array) =>
      copyIn(
        "float64",
        q.map((x) => x * x),
      );
    const half = allocateFloats("float64", outputs * inputs);
    const v = copyIn("float64", values);
    kernels.gemm(1, outputs, inputs, outputs, square(qb), 0, outputs, 1, v, 0, inputs, 1, half, 0, inputs, 1, false);
    if (qa === undefined) return copyOut("float64", half, outputs * inputs) as Float64Array;
    const whole = allocateFloats("float64", outputs * inputs);
    kernels.gemm(1, outputs, inputs, inputs, half, 0, inputs, 1, square(qa), 0, 1, inputs, whole, 0, inputs, 1, false);
    return copyOut("float64", whole, outputs * inputs) as Float64Array;
  });
}

/** Q diag(values) Qᵀ v of all blocks, for a vector or rows. */
export function timesBlocks(v: ArrayLike, size: number, blocks: readonly EigenBlock[]): NDArray {
  const x = readVectors("times", v, size);
  const n = x.size / size;
  return scope(() => {
    const rows = copyIn("float64", x.data);
    rotate(blocks, n, size, rows, false);
    for (const { selected, values } of blocks) {
      const scale = copyIn("float64", values);
      const part = allocateFloats("float64", n * values.length);
      kernelsFor("float64").copyRows(n, values.length, rows + 8 * selected.at, size, part, values.length, false);
      kernelsFor("float64").multiply(n, values.length, part, scale, part, false);
      kernelsFor("float64").copyRows(n, values.length, part, values.length, rows + 8 * selected.at, size, false);
    }
    rotate(blocks, n, size, rows, true);
    return new NDArray(copyOut("float64", rows, x.size), x.shape);
  });
}

/** @throws OptionError unless every selected parameter is whole */
export function checkWhole(where: string, selection: Selection, structure: string): void {
  if (selection.whole) return;
  throw new OptionError(
    `${where}: the structure "${structure}" takes whole parameters, not single weights of one. Structures that fit: "full", "diagonal".`,
  );
}

/** The factors of one site: where they begin in the accumulator. */
interface SiteFactors {
  readonly site: Site;
  readonly parameters: readonly SelectedParameter[];
  readonly a: number;
  readonly starts: readonly number[];
}

/** Sums the factors. */
export function kroneckerAccumulator(
  selection: Selection,
  columns: number,
  dtype: DType,
  sumType: DType,
  sharing: Sharing,
): Accumulator {
  const { graph } = selection;
  const factors: SiteFactors[] = [];
  let length = 0;
  let perExample = 0;
  for (const [site, parameters] of selection.sites()) {
    const a = length;
    if (site.kind === "linear" && parameters.some(({ role }) => role === "weight")) length += site.inputs ** 2;
    // Weight and bias of a linear site share B; a scale and a shift have a block each.
    const outputs = site.kind === "linear" ? site.outputs : site.size;
    const starts = parameters.map((_, i) => (site.kind === "linear" ? length : length + i * outputs ** 2));
    length += site.kind === "linear" ? outputs ** 2 : parameters.length * outputs ** 2;
    const nodes = graph.uses.get(site) ?? [];
    const positions = nodes.reduce((total, node) => total + positionsOf(node), 0);
    if (site.kind === "elementwise") {
      for (const { role } of parameters) perExample += vectorRowsPerExample(nodes, outputs, role === "scale", columns);
    } else if (sharing === "reduce" && positions > 1) perExample += site.inputs + columns * outputs;
    // A float64 copy of what is multiplied is worth two numbers.
    if (sumType !== dtype)
      perExample += 2 * positions * (columns * outputs + (site.kind === "linear" ? site.inputs : 0));
    factors.push({ site, parameters, a, starts });
  }
  return {
    dtype: sumType,
    length,
    perExample,
    perPart: 0,
    add(backward, to, again) {
      const bytes = bytesPerElement(sumType);
      for (const { site, parameters, a, starts } of factors) {
        if (site.kind === "linear") {
          const weighted = !again && parameters.some(({ role }) => role === "weight");
          addLinear(backward, site, sumType, sharing, weighted ? to + a * bytes : undefined, to + starts[0] * bytes);
          continue;
        }
        parameters.forEach(({ role }, i) => {
          const rows = vectorRows(backward, graph.uses.get(site) ?? [], site.size, role === "scale");
          addGram(backward, sumType, backward.columns * backward.batch, site.size, rows, to + starts[i] * bytes);
        });
      }
    },
    finish(values, examples) {
      const blocks = factors.flatMap(({ site, parameters, a, starts }) =>
        parameters.map((selected, i) =>
          finishBlock(
            values,
            graph.uses.get(site)?.map(positionsOf) ?? [],
            site,
            selected,
            sharing,
            examples,
            a,
            starts[i],
          ),
        ),
      );
      return new KroneckerCurvature(selection, examples, blocks);
    },
  };
}

function finishBlock(
  values: FloatArray,
  positions: readonly number[],
  site: Site,
  selected: SelectedParameter,
  sharing: Sharing,
  examples: number,
  aStart: number,
  bStart: number,
): KroneckerBlock {
  const outputs = selected.parameter.shape[0];
  const b = symmetric(values, outputs, bStart);
  if (selected.role !== "weight" || site.kind !== "linear") return { selected, b, a: undefined, count: examples };
  const perExample = sharing === "reduce" ? 1 : positions.reduce((total, t) => total + t, 0);
  return { selected, b, a: symmetric(values, site.inputs, aStart), count: examples * perExample };
}

function addGram({ dtype }: Backward, sumType: DType, rows: number, n: number, x: Pointer, to: Pointer): void {
  const terms = sumType === dtype ? x : asFloat64(dtype, x, rows * n);
  kernelsFor(sumType).syrk(n, rows, terms, 1, n, to, n, 1, true, false);
}

function addLinear(
  backward: Backward,
  site: LinearSite,
  sumType: DType,
  sharing: Sharing,
  a: Pointer | undefined,
  b: Pointer,
): void {
  const { kernels, batch, columns, graph, dtype } = backward;
  const { inputs, outputs } = site;
  const nodes = graph.uses.get(site) ?? [];
  const total = nodes.reduce((count, node) => count + positionsOf(node), 0);
  if (sharing === "expand" || total === 1) {
    for (const node of nodes) {
      const rows = batch * positionsOf(node);
      if (a !== undefined) addGram(backward, sumType, rows, inputs, backward.value(node.inputs[0]), a);
      addGram(backward, sumType, columns * rows, outputs, backward.cotangent(node), b);
    }
    return;
  }
  if (a !== undefined) {
    const mean = allocateFloats(dtype, batch * inputs);
    nodes.forEach((node, use) => {
      kernels.sumAxis(batch, positionsOf(node), inputs, backward.value(node.inputs[0]), mean, inputs, use > 0);
    });
    kernels.affine(batch * inputs, 1 / total, mean, 0, mean, false);
    addGram(backward, sumType, batch, inputs, mean, a);
  }
  addGram(backward, sumType, columns * batch, outputs, vectorRows(backward, nodes, outputs, false), b);
}
