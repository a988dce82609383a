// Kronecker factors (Martens & Grosse 2015): the block of a layer's weight is B ⊗ A, that of its bias B, with A the mean
// of a aᵀ over examples and positions and B the sum of δ δᵀ. A layer that shares its weight over positions either counts
// each as an example ("expand") or reduces them first ("reduce"; Eschenhagen et al. 2023, arXiv:2311.00636). The blocks
// of elementwise scales and shifts, and of a transposed convolution's bias, are whole matrices. A grouped convolution has
// factors for each of its groups.

import { type ArrayLike, NDArray } from "../../array/ndarray.ts";
import type { MemoryOptions } from "../../derivatives/budget.ts";
import { keptNumbers, sized } from "../../kernels/dry-run.ts";
import { atOnce, type Steps } from "../../kernels/steps.ts";
import type { Site } from "../../network/parameters.ts";
import {
  type Curvature,
  checkSame,
  checkSquare,
  type Eigenbasis,
  type Factors,
  multiple,
  SelectedCurvature,
  type Structure,
  sameNumbers,
  sharedSums,
} from "../curvature.ts";
import { type BlockShape, type EigenBlock, eigenbasesOf, inGroups, shapeOf, timesBlocks } from "../eigenblocks.ts";
import type { SelectedParameter, Selection } from "../selection.ts";
import { type Basis, definedBasis, eigenbasis } from "./eigenbasis.ts";

/** The block of a parameter: B, or B ⊗ A/count. */
export interface KroneckerBlock {
  readonly selected: SelectedParameter;
  /** [groups, outputs, outputs], a sum over examples. */
  readonly b: Float64Array;
  /** [groups, inputs, inputs], a sum over examples and positions; undefined for a vector. */
  readonly a: Float64Array | undefined;
  /** How many terms A sums. */
  readonly count: number;
}

/** Whether the factor of a block that its columns give is A: that of a transposed weight. */
export function columnsInA({ selected: { site }, a }: KroneckerBlock): boolean {
  return a !== undefined && site.kind === "linear" && site.transposed === true;
}

/** The curvature as Kronecker products, a block for each parameter. */
export class KroneckerCurvature extends SelectedCurvature implements Curvature {
  readonly structure: Structure = "kronecker";
  readonly blocks: readonly KroneckerBlock[];
  /** The factors with each position as an example, where those of `blocks` were reduced and a basis is to come of them. */
  readonly expanded: KroneckerCurvature | undefined;
  #decomposed: readonly EigenBlock[] | undefined;

  constructor(
    selection: Selection,
    examples: number,
    blocks: readonly KroneckerBlock[],
    expanded: KroneckerCurvature | undefined = undefined,
  ) {
    super(selection, examples);
    this.blocks = blocks;
    this.expanded = expanded;
  }

  /** The blocks in their eigenbases, computed once. */
  decompose(): readonly EigenBlock[] {
    return atOnce(this.decomposing());
  }

  /** `decompose` in steps. */
  *decomposing(): Steps<readonly EigenBlock[]> {
    if (this.#decomposed === undefined) {
      const known: Known = new WeakMap();
      const blocks: EigenBlock[] = [];
      for (const block of this.blocks) {
        const [ofB, ofA] = [once(known, block.b, eigenbasis), once(bases, block.a, eigenbasis)];
        blocks.push(yield* decomposeBlock(block, ofB, ofA));
      }
      this.#decomposed = blocks;
    }
    return this.#decomposed;
  }

  /**
   * The blocks in eigenbases that are defined also where eigenvalues are equal, up to that rounding of the sums: what is
   * corrected in them must not depend on the order of the examples.
   */
  *basis(rounding: number): Steps<readonly EigenBlock[]> {
    const by = (finer: Float64Array | undefined) => (matrix: Float64Array, n: number, factor: number, group: number) =>
      definedBasis(matrix, n, factor, finer?.subarray(group * n * n, (group + 1) * n * n), rounding);
    const known: Known = new WeakMap();
    const blocks: EigenBlock[] = [];
    for (const [i, block] of this.blocks.entries()) {
      const finer = this.expanded?.blocks[i];
      blocks.push(yield* decomposeBlock(block, once(known, block.b, by(finer?.b)), by(finer?.a)));
    }
    return blocks;
  }

  diagonal(): NDArray {
    const result = new Float64Array(this.size);
    for (const { selected, a, b, count } of this.blocks) {
      const shape = shapeOf(selected);
      const { outputs, inputs } = shape;
      for (let i = 0; i < selected.size; i++) {
        const [g, o, j] = placeIn(shape, i);
        const y = a === undefined ? 1 : a[(g * inputs + j) * inputs + j] / count;
        result[selected.at + i] = b[(g * outputs + o) * outputs + o] * y;
      }
    }
    return new NDArray(result, [this.size]);
  }

  dense(options: MemoryOptions = {}): NDArray {
    const n = this.size;
    checkSquare("dense", n, options);
    const result = new Float64Array(n * n);
    for (const { selected, a, b, count } of this.blocks) {
      const shape = shapeOf(selected);
      const { outputs, inputs } = shape;
      const { at, size } = selected;
      for (let r = 0; r < size; r++) {
        const [g, o, i] = placeIn(shape, r);
        for (let c = g * outputs * inputs; c < (g + 1) * outputs * inputs; c++) {
          const [, p, j] = placeIn(shape, c);
          const x = b[(g * outputs + o) * outputs + p];
          const y = a === undefined ? 1 : a[(g * inputs + i) * inputs + j] / count;
          result[(at + r) * n + at + c] = x * y;
        }
      }
    }
    return new NDArray(result, [n, n]);
  }

  times(v: ArrayLike): NDArray {
    return timesBlocks(v, this.size, this.decompose());
  }

  override factors(): readonly Factors[] {
    return this.blocks.map(({ selected, a, b, count }) => {
      const { groups, outputs, inputs } = shapeOf(selected);
      return {
        parameter: selected.parameter.name,
        b: inGroups(b, groups, outputs, outputs),
        a: a && inGroups(multiple(a, 1 / count), groups, inputs, inputs),
      };
    });
  }

  override eigenbases(): readonly Eigenbasis[] {
    return eigenbasesOf(this.decompose());
  }

  merge(other: Curvature): KroneckerCurvature {
    checkSame(this, other);
    const sum = sharedSums();
    const blocks = this.blocks.map((block, i) => {
      const { a, b, count } = other.blocks[i];
      const factor = block.a === undefined || a === undefined ? undefined : sum(block.a, a);
      return { ...block, b: sum(block.b, b), a: factor, count: block.count + count };
    });
    const expanded = other.expanded && this.expanded?.merge(other.expanded);
    return new KroneckerCurvature(this.selection, this.examples + other.examples, blocks, expanded);
  }

  scale(factor: number): KroneckerCurvature {
    return this.remade(
      this.selection,
      this.examples,
      this.blocks.map((block) => ({ ...block, b: multiple(block.b, factor) })),
    );
  }

  withFactorsOf(other: Curvature): this {
    if (!(other instanceof KroneckerCurvature) || this.expanded !== undefined) return this;
    const known = other.blocks.filter(({ a }) => a !== undefined);
    const blocks = this.blocks.map((block) => {
      const { selected, a, count } = block;
      const same = known.find(
        (one) =>
          one.selected.parameter.name === selected.parameter.name && one.count === count && sameNumbers(one.a, a),
      );
      return same === undefined ? block : { ...block, a: same.a };
    });
    return this.remade(this.selection, this.examples, blocks);
  }

  /** Other blocks, of the same structure. */
  remade(selection: Selection, examples: number, blocks: readonly KroneckerBlock[]): this {
    const Own = this.constructor as new (...parts: [Selection, number, readonly KroneckerBlock[]]) => this;
    return new Own(selection, examples, blocks);
  }
}

/** A curvature of lengths alone, for dry runs. */
export function dryFactors(selection: Selection): KroneckerCurvature {
  // Those that weight and bias share are one.
  const known = new Map<Site, Float64Array>();
  const blocks = selection.parameters.map((selected): KroneckerBlock => {
    const { groups, outputs, inputs } = shapeOf(selected);
    const own = sized(groups * outputs ** 2);
    const b = ownFactor(selected) ? own : (known.get(selected.site) ?? own);
    if (b === own && !ownFactor(selected)) known.set(selected.site, b);
    const a = selected.role === "weight" ? sized(groups * inputs ** 2) : undefined;
    return { selected, b, a, count: 1 };
  });
  return new KroneckerCurvature(selection, 0, blocks);
}

/** Rows and columns of the layer's weight are not its outputs and inputs, or there are none: a vector has a factor alone. */
export function ownFactor({ site, role }: SelectedParameter): boolean {
  return role !== "weight" && (site.kind === "elementwise" || site.transposed === true);
}

/** Where the i-th weight of a block stands: its group, and its row and column there. */
function placeIn({ outputs, inputs }: BlockShape, i: number): [group: number, row: number, column: number] {
  const row = Math.floor(i / inputs);
  return [Math.floor(row / outputs), row % outputs, i % inputs];
}

/** The eigenbasis of a multiple of a matrix [n, n], the factor of a group. */
type Decompose = (matrix: Float64Array, n: number, factor: number, group: number) => Steps<Basis>;

/** Eigenbases of the groups of a factor, by its array. */
type Known = WeakMap<Float64Array, Basis[]>;

/** Those of an A: curvatures at other noises have it too. */
const bases: Known = new WeakMap();

/** Decomposes the groups of a factor that others share only once: weight and bias have the same B, where it was not transposed. */
function once(known: Known, shared: Float64Array | undefined, decompose: Decompose): Decompose {
  if (shared === undefined) return decompose;
  const found = known.get(shared) ?? [];
  known.set(shared, found);
  return (matrix, n, factor, group) => decomposedOnce(found, group, () => decompose(matrix, n, factor, group));
}

function* decomposedOnce(found: Basis[], group: number, decompose: () => Steps<Basis>): Steps<Basis> {
  found[group] ??= yield* decompose();
  return found[group];
}

function* decomposeBlock({ selected, a, b, count }: KroneckerBlock, ofB: Decompose, ofA: Decompose): Steps<EigenBlock> {
  const shape = shapeOf(selected);
  const { groups, outputs, inputs } = shape;
  // The factor that is a mean is the inputs', the rows of a transposed weight.
  const { site } = selected;
  const transposed = site.kind === "linear" && site.transposed === true && a !== undefined;
  const left = yield* decomposeGroups(b, transposed ? 1 / count : 1, groups, outputs, ofB);
  if (a === undefined) {
    const factors = { b: left.values, a: new Float64Array(groups).fill(1) };
    return blockOf(selected, shape, left, undefined, left.values, factors);
  }
  const right = yield* decomposeGroups(a, transposed ? 1 : 1 / count, groups, inputs, ofA);
  const values = keptNumbers(selected.size);
  for (let row = 0, at = 0; row < groups * outputs; row++) {
    const group = Math.floor(row / outputs) * inputs;
    for (let j = 0; j < inputs; j++) values[at++] = left.values[row] * right.values[group + j];
  }
  const factors = { b: left.values, a: right.values };
  return blockOf(selected, shape, left, right, values, factors);
}

/** A block whose vectors are those of its bases, when they are asked for. */
function blockOf(
  selected: SelectedParameter,
  { groups, outputs, inputs }: BlockShape,
  left: Basis,
  right: Basis | undefined,
  values: Float64Array,
  factors: EigenBlock["factors"],
): EigenBlock {
  // Accessors are slow to make, and not needed where vectors are there.
  if (!left.complete && !right?.complete) {
    const [qb, qa] = [left.vectors, right?.vectors];
    return { selected, groups, outputs, inputs, values, factors, qb, qa };
  }
  return {
    selected,
    groups,
    outputs,
    inputs,
    values,
    factors,
    get qb() {
      return left.vectors;
    },
    get qa() {
      return right?.vectors;
    },
    *complete() {
      yield* left.complete?.() ?? [];
      yield* right?.complete?.() ?? [];
    },
  };
}

/** The eigenbases of matrices [groups, n, n], times a factor. */
function* decomposeGroups(
  matrices: Float64Array,
  factor: number,
  groups: number,
  n: number,
  decompose: Decompose,
): Steps<Basis> {
  if (groups === 1) return yield* decompose(matrices, n, factor, 0);
  const [values, vectors] = [new Float64Array(groups * n), new Float64Array(groups * n * n)];
  for (let g = 0; g < groups; g++) {
    const one = yield* decompose(matrices.slice(g * n * n, (g + 1) * n * n), n, factor, g);
    yield* one.complete?.() ?? [];
    values.set(one.values, g * n);
    vectors.set(one.vectors, g * n * n);
  }
  return { values, vectors };
}
