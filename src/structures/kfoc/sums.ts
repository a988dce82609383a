// Van Loan's rearrangement of a weight's block Σ vec(P) vec(P)ᵀ, over examples and columns with their derivatives P [outputs, inputs],
// multiplies A to Σ P A Pᵀ, and B to Σ Pᵀ B P (Van Loan & Pitsianis 1993): B ⊗ A is nearest to the block where they are its largest singular
// pair. Passes through the data take turns as a power iteration does; what is positive semidefinite stays so.

import { eachChunk, plainUse, productNumbers, type Side, type Use, writeProducts } from "../../derivatives/uses.ts";
import { vectorRows } from "../../derivatives/vectors.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, copyIn, type DType, type Pointer, scope } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { LinearSite } from "../../network/parameters.ts";
import type { Backward } from "../../network/passes.ts";
import type { Node } from "../../network/primitive.ts";
import type { Accumulator, Curvature, ReadSums } from "../curvature.ts";
import { rotatedNumbers, rotatedUses, shapeOf } from "../eigenblocks.ts";
import { dryFactors, type KroneckerBlock, KroneckerCurvature } from "../kronecker/curvature.ts";
import { addGram, squaresIn } from "../kronecker/sums.ts";
import type { Selection } from "../selection.ts";
import type { Pass, SumOptions } from "../structure.ts";
import { KfocCurvature } from "./curvature.ts";

/** Turns at most, and how far entries of A may go in the last: the squared distance to the block is then off by about its square. */
const MOST_TURNS = 12;
const CLOSE = 1e-5;

/** A pass that sums A with B, or B with A. */
const half = (side: "a" | "b"): Pass => ({
  dry: (options) => halfSums(dryKfoc(options.selection).blocks, side, options),
  dryBegin(selection) {
    // The other side, normalised.
    for (const { a, b } of dryKfoc(selection).blocks) allocateFloats("float64", (side === "a" ? b : (a ?? b)).length);
  },
  *prepare(before) {
    // A basis that is one already stays to the bit.
    if (before instanceof KfocCurvature && side === "b") return before;
    const { selection, examples, blocks } = before as KroneckerCurvature;
    const other = side === "a" ? "b" : "a";
    const unit = blocks.map((block) => ({
      ...block,
      ...(block.a && { [other]: normalised(block[other] as Float64Array, shapeOf(block.selected).groups) }),
    }));
    return new KfocCurvature(selection, examples, unit);
  },
  begin: (prepared) => (options) => halfSums((prepared as KfocCurvature).blocks, side, options),
  done: settled,
});

/** Whether A stays where it is. */
function settled(now: Curvature | undefined, before: Curvature | undefined): boolean {
  // Both of which are with the same side fixed.
  if (!(now instanceof KfocCurvature && before instanceof KfocCurvature)) return false;
  return now.blocks.every(({ a = [] }, i) =>
    a.every((x, j) => Math.abs(x - (before.blocks[i].a as Float64Array)[j]) <= CLOSE),
  );
}

const [sumA, sumB] = [half("a"), half("b")];

/** What follows on Kronecker factors; with a basis, whose A stays, its last alone. */
export const turns: readonly Pass[] = Array.from({ length: 2 * MOST_TURNS }, (_, i) => (i % 2 === 0 ? sumA : sumB));
export const lastTurn: Pass = sumB;

/** A curvature of lengths alone. */
export const dryKfoc = (selection: Selection): KfocCurvature =>
  new KfocCurvature(selection, 0, dryFactors(selection).blocks);

/** Matrices [groups, n, n] over their Frobenius norms; zeros stay. */
function normalised(matrices: Float64Array, groups: number): Float64Array {
  const result = matrices.slice();
  const size = result.length / groups;
  for (let g = 0; g < groups; g++) {
    const one = result.subarray(g * size, (g + 1) * size);
    const norm = Math.sqrt(one.reduce((sum, x) => sum + x * x, 0)) || 1;
    for (let i = 0; i < size; i++) one[i] /= norm;
  }
  return result;
}

/** A block of which the one factor is summed, of order n, from `at` on; none below 0. */
type HalfBlock = KroneckerBlock & { readonly at: number; readonly n: number; readonly groups: number };

function halfSums(given: readonly KroneckerBlock[], side: "a" | "b", options: SumOptions): Accumulator {
  const { selection, dtype: own, sumType } = options;
  const { graph } = selection;
  let length = 0;
  const blocks = given.map((block, i): HalfBlock => {
    const selected = selection.parameters[i];
    const { groups, outputs, inputs } = shapeOf(selected);
    const n = side === "b" ? outputs : inputs;
    // Of vectors B is all.
    const at = side === "b" || block.a !== undefined ? length : -1;
    if (at >= 0) length += groups * n * n;
    return { ...block, selected, at, n, groups };
  });
  return {
    dtype: sumType,
    // Vectors alone have no A.
    length: Math.max(1, length),
    add(backward, to) {
      for (const { selected, a, b, at, n } of blocks) {
        if (at < 0) continue;
        const { site, role } = selected;
        const nodes = graph.uses.get(site) ?? [];
        const place = to + at * bytesPerElement(sumType);
        scope(() => {
          if (a !== undefined && site.kind === "linear") {
            const fixed = copyIn(own, side === "b" ? a : b, true);
            addWeight(backward, site, nodes, side, fixed, sumType, place);
            return;
          }
          const rows = vectorRows(backward, nodes, n, role === "scale");
          const { columns, batch } = backward;
          const all = { at: rows, column: 0, example: n, position: n, element: 1 };
          addGram(backward, sumType, { count: columns * batch, positions: 1, groups: 1, n }, all, place);
        });
      }
    },
    finish: (sums, examples) => finish(sums, examples, selection, blocks, side),
  };
}

function* finish(
  sums: ReadSums,
  examples: number,
  selection: Selection,
  blocks: readonly HalfBlock[],
  side: "a" | "b",
): Steps<KroneckerCurvature> {
  const found: KroneckerBlock[] = [];
  const squares = squaresIn(sums);
  for (const { selected, a, b, at, n, groups } of blocks) {
    const all = at < 0 ? b : yield* squares(groups, n, at);
    const kept = a === undefined || side === "b";
    found.push({ selected, b: kept ? all : b, a: kept ? a : all, count: 1 });
  }
  // Sums of A add as Kronecker factors do; their B is not looked at.
  const Own = side === "b" ? KfocCurvature : KroneckerCurvature;
  return new Own(selection, examples, found);
}

/** Adds Σ P A Pᵀ to `to`, [groups, outputs, outputs], or Σ Pᵀ B P, [groups, inputs, inputs]. @param fixed A or B */
function addWeight(
  backward: Backward,
  site: LinearSite,
  nodes: readonly Node[],
  side: "a" | "b",
  fixed: Pointer,
  sumType: DType,
  to: Pointer,
): void {
  const { batch, columns, dtype } = backward;
  const { groups = 1, inputs } = site;
  const outputs = site.outputs / groups;
  const [qb, qa] = side === "b" ? [undefined, fixed] : [fixed, undefined];
  const plain = plainUse(backward, site, nodes);
  if (plain !== undefined) {
    const [turned] = rotatedUses(backward, site, batch, [plain], qb, qa);
    addPlain(backward, plain, turned, side, outputs, inputs, sumType, to);
    return;
  }
  const size = groups * outputs * inputs;
  // The derivatives, those with a side turned, and both in float64.
  const wide = sumType === dtype ? 0 : 4;
  const numbers =
    (2 + wide) * columns * size + 2 * productNumbers(site, nodes, columns) + rotatedNumbers(site, nodes, columns);
  eachChunk(backward, site, nodes, numbers, (chunk) => {
    const rows = chunk.count * columns;
    const uses = rotatedUses(backward, site, chunk.count, chunk.uses, qb, qa);
    const write = (one: typeof chunk) => {
      const at = allocateFloats(dtype, rows * size);
      writeProducts(backward, site, nodes, one, { to: at, example: columns * size });
      return widened(dtype, sumType, at, rows * size);
    };
    const [p, q] = [write(chunk), write({ ...chunk, uses })];
    const bytes = bytesPerElement(sumType);
    const { gemm } = kernelsFor(sumType);
    const [n, terms, row, step] = side === "b" ? [outputs, inputs, inputs, 1] : [inputs, outputs, 1, inputs];
    for (let i = 0; i < rows * groups; i++) {
      const [shift, target] = [i * outputs * inputs * bytes, to + (i % groups) * n * n * bytes];
      gemm(1, n, n, terms, q + shift, 0, row, step, p + shift, 0, step, row, target, 0, n, 1, true);
    }
  });
}

/** The same at one use at one position, where P = δ aᵀ: Σ (aᵀ A a) δ δᵀ, or Σ (δᵀ B δ) a aᵀ. */
function addPlain(
  backward: Backward,
  plain: Use,
  turned: Use,
  side: "a" | "b",
  outputs: number,
  inputs: number,
  sumType: DType,
  to: Pointer,
): void {
  const { kernels, batch, columns, dtype } = backward;
  const bytes = bytesPerElement(dtype);
  const forms = allocateFloats(dtype, batch);
  const place = ({ at, column }: Side, k: number) => at + k * column * bytes;
  const left = side === "b";
  const [own, other, of, n, width] = left
    ? [plain.right, turned.right, plain.left, outputs, inputs]
    : [plain.left, turned.left, plain.right, inputs, outputs];
  for (let k = 0; k < (left ? 1 : columns); k++) {
    kernels.dotRows(batch, width, place(own, k), place(other, k), forms, k > 0);
  }
  const at = allocateFloats(dtype, batch * n);
  for (let k = 0; k < (left ? columns : 1); k++) {
    scope(() => {
      const from = place(of, k);
      kernels.scaleRows(batch, n, from, forms, 1, at);
      const [x, y] = [at, from].map((rows) => widened(dtype, sumType, rows, batch * n));
      kernelsFor(sumType).gemm(1, n, n, batch, x, 0, 1, n, y, 0, n, 1, to, 0, n, 1, true);
    });
  }
}

/** Numbers in the sums' type. */
function widened(dtype: DType, sumType: DType, at: Pointer, length: number): Pointer {
  if (dtype === sumType) return at;
  const to = allocateFloats(sumType, length);
  kernelsFor("float64").widen(length, at, to);
  return to;
}
