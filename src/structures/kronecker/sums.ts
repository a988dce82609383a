// Sums of the factors that Kronecker blocks are made of.

import { blockOf, type Chunk, eachChunk, type Side } from "../../derivatives/uses.ts";
import { vectorRows } from "../../derivatives/vectors.ts";
import { OptionError } from "../../errors.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import {
  allocate,
  allocateFloats,
  bytesPerElement,
  copyIn,
  type DType,
  type FloatArray,
  type Pointer,
  scope,
} from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { LinearSite, Site } from "../../network/parameters.ts";
import type { Backward } from "../../network/passes.ts";
import { type Node, positionsOf, siteUseOf } from "../../network/primitive.ts";
import { type Accumulator, type ReadSums, type Sharing, symmetric } from "../curvature.ts";
import { shapeOf } from "../eigenblocks.ts";
import type { SelectedParameter, Selection } from "../selection.ts";
import type { PartSize } from "../squares.ts";
import type { SumOptions } from "../structure.ts";
import { type KroneckerBlock, KroneckerCurvature, ownFactor } from "./curvature.ts";
import { nextLayer, pulledBack } from "./next-layer.ts";
import { addBands, type Bands, bandsThatPay, fromBands, numbersOfBands, numbersOfFactor } from "./window-grams.ts";

/** Where the factors of one site begin in the accumulator. */
interface SiteFactors {
  readonly site: Site;
  readonly nodes: readonly Node[];
  /** The factor of a weight's inputs. */
  readonly a: number | undefined;
  /** What is there in the place of that factor. */
  readonly bands: Bands | undefined;
  /** That of its outputs, which a bias shares, unless the weight is transposed. */
  readonly b: number | undefined;
  readonly vectors: readonly VectorFactor[];
}

/** The factor of a vector: its own sum, or what comes of the next layer's. */
interface VectorFactor {
  readonly selected: SelectedParameter;
  readonly at: number;
  readonly next: LinearSite | undefined;
}

/** Sums the factors. */
export function factorSums(options: SumOptions): Accumulator<KroneckerCurvature> {
  const { selection, sumType, sharing, parameters: values } = options;
  const { graph } = selection;
  let length = 0;
  const take = (groups: number, n: number) => {
    length += groups * n * n;
    return length - groups * n * n;
  };
  const factors = [...selection.sites()].map(([site, parameters]): SiteFactors => {
    const nodes = graph.uses.get(site) ?? [];
    const tables = nodes.filter((node) => siteUseOf(node).table).length;
    if (site.kind === "linear" && tables > 0 && tables < nodes.length) {
      throw new OptionError(
        `"kronecker", "ekfac" and "kfoc" have no factors of "${site.weight.name}", a table in two roles.`,
      );
    }
    const vectors = parameters.filter(ownFactor).map((selected): VectorFactor => {
      const next = selected.role === "shift" ? nextLayer(selection, nodes) : undefined;
      return { selected, at: next === undefined ? take(1, selected.parameter.size) : -1, next };
    });
    if (site.kind === "elementwise") return { site, nodes, a: undefined, bands: undefined, b: undefined, vectors };
    const { groups, outputs, inputs } = blockOf(site);
    const weight = parameters.some(({ role }) => role === "weight");
    const bands =
      weight && groups === 1 && sharing === "expand" ? bandsAt(site, nodes, options.dtype, sumType) : undefined;
    const a = bands ? take(bands.bands.length, bands.n) : weight ? take(groups, inputs) : undefined;
    const b = parameters.some((selected) => !ownFactor(selected)) ? take(groups, outputs) : undefined;
    return { site, nodes, a, bands, b, vectors };
  });
  const banded = factors.flatMap(({ bands }) => bands ?? []);
  return {
    dtype: sumType,
    length,
    made: banded.reduce((sum, bands) => sum + numbersOfFactor(bands) - numbersOfBands(bands), length),
    finishing: Math.max(0, ...banded.map(({ n }) => 2 * n ** 2)),
    add(backward, to, again, weights) {
      const bytes = bytesPerElement(sumType);
      for (const { site, nodes, a, bands, b, vectors } of factors) {
        for (const { selected, at, next } of vectors) {
          if (next !== undefined) continue;
          const n = selected.parameter.size;
          scope(() => {
            const rows = vectorRows(backward, nodes, n, selected.role === "scale");
            const count = backward.columns * backward.batch;
            const side = { at: rows, column: 0, example: n, position: n, element: 1 };
            addGram(backward, sumType, { count, positions: 1, groups: 1, n }, side, to + at * bytes);
          });
        }
        if (site.kind !== "linear" || b === undefined) continue;
        addFactors(
          backward,
          site,
          nodes,
          sumType,
          sharing,
          a === undefined || bands !== undefined ? undefined : to + a * bytes,
          to + b * bytes,
          again,
          weights,
        );
        if (a === undefined || bands === undefined || again) continue;
        const images = backward.value(nodes[0].inputs[0]);
        const side = { at: images, column: 0, example: nodes[0].inputs[0].size, position: 0, element: 0 };
        scope(() => {
          const { at } = weighedSide(backward, side, weights);
          addBands(backward.kernels, sumType, bands, backward.batch, at, to + a * bytes);
        });
      }
    },
    *finish(sums, examples) {
      const blocks: KroneckerBlock[] = [];
      const squares = squaresIn(sums);
      const before = (site: LinearSite) => {
        const b = factors.find((one) => one.site === site)?.b as number;
        return pulledBackFrom(squares(1, site.outputs, b), site, values);
      };
      for (const one of factors) {
        for (const selected of selection.sites().get(one.site) ?? []) {
          blocks.push(yield* finishBlock(sums, squares, before, one, selected, sharing, examples));
        }
      }
      // In the order of the parameters.
      blocks.sort((x, y) => x.selected.at - y.selected.at);
      return new KroneckerCurvature(selection, examples, blocks);
    },
  };
}

/** What is summed of a weight's windows in the place of their products, where it takes less. */
function bandsAt(site: LinearSite, nodes: readonly Node[], dtype: DType, sumType: DType): Bands | undefined {
  if (site.transposed || nodes.length !== 1 || dtype !== sumType) return undefined;
  const { right, transposed = false } = siteUseOf(nodes[0]);
  return transposed ? undefined : bandsThatPay(right?.windows, dtype);
}

/** Whether positions share a weight somewhere. */
function sharesPositions({ graph, parameters }: Selection): boolean {
  return parameters.some(({ site, role }) => {
    const uses = role === "weight" ? (graph.uses.get(site) ?? []) : [];
    return uses.reduce((total, node) => total + positionsOf(node), 0) > 1;
  });
}

/** Sums the factors that a basis comes of: of reduced ones the expanded ones too, behind them, which come with the curvature. */
export function basisSums(options: SumOptions): Accumulator<KroneckerCurvature> {
  const reduced = factorSums(options);
  if (options.sharing !== "reduce" || !sharesPositions(options.selection)) return reduced;
  const expanded = factorSums({ ...options, sharing: "expand" });
  const shift = reduced.length * bytesPerElement(reduced.dtype);
  return {
    dtype: reduced.dtype,
    length: reduced.length + expanded.length,
    made: (reduced.made ?? reduced.length) + (expanded.made ?? expanded.length),
    finishing: expanded.finishing ?? 0,
    add(backward, to, again, weights) {
      reduced.add(backward, to, again, weights);
      expanded.add(backward, to + shift, again, weights);
    },
    *finish(sums, examples) {
      const { selection, blocks } = yield* reduced.finish(sums, examples);
      const behind: ReadSums = (start, end, to, at) => sums(reduced.length + start, reduced.length + end, to, at);
      const finer = yield* expanded.finish(behind, examples);
      return new KroneckerCurvature(selection, examples, blocks, finer);
    },
  };
}

type Squares = (groups: number, n: number, start: number) => Steps<Float64Array>;

/** Symmetric matrices [groups, n, n] of the sums, by where they begin: weight and bias share that of their outputs. */
export function squaresIn(sums: ReadSums): Squares {
  const known = new Map<number, Float64Array>();
  return (groups, n, start) => squareIn(known, sums, groups, n, start);
}

function* squareIn(
  known: Map<number, Float64Array>,
  sums: ReadSums,
  groups: number,
  n: number,
  start: number,
): Steps<Float64Array> {
  const found = known.get(start);
  if (found !== undefined) return found;
  const all = groups === 1 ? yield* symmetric(sums, n, start) : new Float64Array(groups * n * n);
  for (let g = 0; groups > 1 && g < groups; g++) all.set(yield* symmetric(sums, n, start + g * n * n), g * n * n);
  known.set(start, all);
  return all;
}

function* pulledBackFrom(square: Steps<Float64Array>, site: LinearSite, values: FloatArray) {
  return yield* pulledBack(yield* square, site, values);
}

function* finishBlock(
  sums: ReadSums,
  squares: Squares,
  before: (site: LinearSite) => Steps<Float64Array>,
  { nodes, a, bands, b, vectors }: SiteFactors,
  selected: SelectedParameter,
  sharing: Sharing,
  examples: number,
): Steps<KroneckerBlock> {
  const { groups, outputs, inputs } = shapeOf(selected);
  const own = vectors.find((one) => one.selected === selected);
  const left = yield* own?.next ? before(own.next) : squares(groups, outputs, own?.at ?? (b as number));
  if (selected.role !== "weight") return { selected, b: left, a: undefined, count: examples };
  const perExample = sharing === "reduce" ? 1 : nodes.reduce((total, node) => total + positionsOf(node), 0);
  const right = bands ? fromBands(bands, sums, a as number) : squares(groups, inputs, a as number);
  return { selected, b: left, a: yield* right, count: examples * perExample };
}

/** A float64 copy of numbers, where one is made, is worth two. */
function wide(dtype: DType, sumType: DType, numbers: number): number {
  return sumType === dtype ? 0 : 2 * numbers;
}

/** Numbers that sums of a weight's factors take for each example of a chunk. */
function factorNumbers(
  site: LinearSite,
  nodes: readonly Node[],
  weighted: boolean,
  { columns, dtype }: PartSize,
  sumType: DType,
  sharing: Sharing,
): number {
  const { groups, outputs, inputs } = blockOf(site);
  const { transposed = false } = site;
  const [l, r] = [(transposed ? 1 : columns) * groups * outputs, (transposed ? columns : 1) * groups * inputs];
  const total = nodes.reduce((sum, node) => sum + positionsOf(node), 0);
  if (sharing === "reduce" && total > 1) return l + r + wide(dtype, sumType, Math.max(l, weighted ? r : 0));
  return wide(dtype, sumType, Math.max(0, ...nodes.map((node) => positionsOf(node) * Math.max(l, weighted ? r : 0))));
}

/** Rows of a side whose products with themselves are summed. */
interface Rows {
  readonly count: number;
  readonly positions: number;
  readonly groups: number;
  readonly n: number;
}

/** Adds Σ x xᵀ over the columns, examples and positions of a side, for each group. */
export function addGram(
  backward: Backward,
  sumType: DType,
  { count, positions, groups, n }: Rows,
  side: Side,
  to: Pointer,
): void {
  scope(() => {
    const { columns, dtype, spread } = backward;
    const many = side.column === 0 ? 1 : columns;
    const { at, column, example, position, element } = sumType === dtype ? side : side64(dtype, side, count, many);
    const kernels = kernelsFor(sumType);
    const bytes = bytesPerElement(sumType);
    const whole = example === positions * position;
    const [calls, terms] = whole ? [1, count * positions] : [count, positions];
    // Of many columns, those of an example come at once.
    if (spread !== undefined && many > 1 && positions === 1 && groups === 1) {
      const work = allocateFloats(sumType, n * (many + n));
      kernels.rowGrams(count, many, n, at, column, example, to, work, allocate(4 * n));
      return;
    }
    for (let g = 0; g < groups; g++) {
      const c = to + g * n * n * bytes;
      for (let k = 0; k < many; k++) {
        for (let b = 0; b < calls; b++) {
          const x = at + (k * column + b * example + g * n * element) * bytes;
          kernels.syrk(n, terms, x, element, position, c, n, 1, true, false);
        }
      }
    }
  });
}

/** A side without columns, times the roots of its examples' weights; columns have them already. */
function weighedSide({ kernels, dtype }: Backward, side: Side, weights: Float64Array | undefined): Side {
  if (weights === undefined || side.column !== 0) return side;
  const to = allocateFloats(dtype, weights.length * side.example);
  const factors = copyIn(dtype, weights.map(Math.sqrt));
  kernels.scaleRows(weights.length, side.example, side.at, factors, 1, to);
  return { ...side, at: to };
}

/** A side's numbers in float64. */
function side64(dtype: DType, side: Side, count: number, columns: number): Side {
  const { at, column, example } = side;
  const length = count * example;
  const to = allocateFloats("float64", columns * length);
  for (let k = 0; k < columns; k++) {
    kernelsFor("float64").widen(length, at + k * column * bytesPerElement(dtype), to + 8 * k * length);
  }
  return { ...side, at: to, column: column === 0 ? 0 : length };
}

/** The sum over positions of all uses, [columns, count, n], or their mean: a side with one position. */
function reduced(
  { kernels, dtype, columns }: Backward,
  count: number,
  n: number,
  parts: readonly { readonly side: Side; readonly positions: number }[],
): Side {
  const bytes = bytesPerElement(dtype);
  const arrives = parts[0].side.column !== 0;
  const many = arrives ? columns : 1;
  const to = allocateFloats(dtype, many * count * n);
  parts.forEach(({ side, positions }, use) => {
    for (let k = 0; k < many; k++) {
      const [from, at] = [side.at + k * side.column * bytes, to + k * count * n * bytes];
      if (side.element === 1) kernels.sumAxis(count, positions, n, from, at, n, use > 0);
      else kernels.sumAxis(count * n, positions, 1, from, at, 1, use > 0);
    }
  });
  const total = parts.reduce((sum, { positions }) => sum + positions, 0);
  if (!arrives) kernels.affine(count * n, 1 / total, to, 0, to, false);
  return { at: to, column: arrives ? count * n : 0, example: n, position: n, element: 1 };
}

/** Adds the factors of a weight; a bias has those of its outputs alone. What has no columns is added the first time. */
function addFactors(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  sumType: DType,
  sharing: Sharing,
  a: Pointer | undefined,
  b: Pointer,
  again: boolean,
  weights: Float64Array | undefined,
): void {
  const { groups, outputs, inputs } = blockOf(site);
  const part = { columns: backward.columns, dtype: backward.dtype, batch: backward.batch };
  const total = nodes.reduce((count, node) => count + positionsOf(node), 0);
  const known = backward.spreadAt(nodes);
  if (known !== undefined && !again) scope(() => known.in(sumType).add(b));
  const numbers = factorNumbers(site, nodes, a !== undefined, part, sumType, sharing);
  const visit = ({ first, count, uses }: Chunk) => {
    const sides = [
      ...(known ? [] : [{ n: outputs, to: b, of: uses.map(({ left, positions }) => ({ side: left, positions })) }]),
      ...(a === undefined
        ? []
        : [{ n: inputs, to: a, of: uses.map(({ right, positions }) => ({ side: right, positions })) }]),
    ];
    for (const { n, to, of } of sides) {
      if (again && of[0].side.column === 0) continue;
      const own = (side: Side) => weighedSide(backward, side, weights?.subarray(first, first + count));
      if (sharing === "reduce" && total > 1) {
        const side = own(reduced(backward, count, groups * n, of));
        addGram(backward, sumType, { count, positions: 1, groups, n }, side, to);
      } else {
        for (const { side, positions } of of) {
          scope(() => addGram(backward, sumType, { count, positions, groups, n }, own(side), to));
        }
      }
    }
  };
  const arrives = nodes.some((node) => siteUseOf(node).transposed ?? site.transposed);
  eachChunk(backward, site, nodes, numbers, visit, a !== undefined && (!again || arrives));
}
