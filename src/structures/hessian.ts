// Sums of the exact Hessian, by its products with each weight's direction: the whole matrix, or its diagonal.

import { checkCurve, hessianOfPart } from "../derivatives/second.ts";
import { IndefiniteHessianError, NotPositiveDefiniteError, OptionError } from "../errors.ts";
import { dryBytes } from "../kernels/dry-run.ts";
import { kernelsFor } from "../kernels/kernels.ts";
import { allocateFloats, bytesPerElement, type Pointer, scope } from "../kernels/memory.ts";
import { oneStep, type Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { eighInSteps } from "../linalg/in-steps.ts";
import type { Graph } from "../network/graph.ts";
import type { Backward } from "../network/passes.ts";
import type { Part } from "../network/run.ts";
import { checkSecondRules } from "../network/second.ts";
import { type Accumulator, type Curvature, type ReadSums, type Structure, sum, symmetric } from "./curvature.ts";
import { DiagonalCurvature } from "./diagonal/curvature.ts";
import { diagonalPrecision } from "./diagonal/precision.ts";
import { FullCurvature } from "./full/curvature.ts";
import { fullPrecision } from "./full/precision.ts";
import { asFloat64 } from "./jacobian-rows.ts";
import type { Precision, PrecisionOptions } from "./precision.ts";
import type { Prior } from "./prior.ts";
import { multiplied } from "./products.ts";
import type { Selection } from "./selection.ts";
import { type Pass, passOf, type SumOptions } from "./structure.ts";

/** What the sums of a structure take of the product with a weight's direction. */
interface Taking {
  readonly length: (size: number) => number;
  /** Whether only the direction's own weight is looked at. */
  readonly own: boolean;
  finish(selection: Selection, sums: ReadSums, examples: number): ReturnType<Accumulator["finish"]>;
}

const takings: Partial<Record<Structure, Taking>> = {
  full: {
    length: (size) => size * size,
    own: false,
    *finish(selection, sums, examples) {
      return new FullCurvature(selection, examples, yield* symmetric(sums, selection.size));
    },
  },
  diagonal: {
    length: (size) => size,
    own: true,
    finish: (selection, sums, examples) =>
      oneStep(() => {
        const values = new Float64Array(selection.size);
        sums(0, selection.size, values, 0);
        return new DiagonalCurvature(selection, examples, values);
      }),
  },
};

/** A matrix whose eigenvalues are what they are, below 0 too. */
class SignedCurvature extends FullCurvature {
  #signed: Float64Array | undefined;

  override *eigenvalues(): Steps<Float64Array> {
    this.#signed ??= (yield* eighInSteps(this.matrix, this.size, false)).values;
    return this.#signed;
  }
}

const signed = new WeakMap<Curvature, SignedCurvature>();

interface Clipped {
  readonly curvature: Curvature;
  readonly count: number;
}

const known = new WeakMap<Curvature, Clipped>();

function* clip(curvature: Curvature): Steps<Clipped> {
  const { selection, examples, size } = curvature;
  if (curvature instanceof DiagonalCurvature) {
    const values = curvature.values.map((x) => Math.max(x, 0));
    const count = curvature.values.filter((x) => x < 0).length;
    return { curvature: new DiagonalCurvature(selection, examples, values), count };
  }
  const { matrix } = curvature as FullCurvature;
  const { values, vectors } = yield* eighInSteps(matrix, size, true);
  // What rounding made negative is not counted.
  const rounding = size * 2 ** -52 * Math.max(Math.abs(values[0]), Math.abs(values[size - 1]));
  const count = values.filter((x) => x < -rounding).length;
  // H + Σ |λ| v vᵀ over the negative ones, whose vectors are columns.
  const negative = values.filter((x) => x < 0).length;
  const added = multiplied(
    Float64Array.from({ length: size * negative }, (_, i) => {
      const column = i % negative;
      return -values[column] * vectors[((i - column) / negative) * size + column];
    }),
    size,
    Float64Array.from({ length: size * negative }, (_, i) => {
      const column = i % negative;
      return vectors[((i - column) / negative) * size + column];
    }),
    size,
    negative,
  );
  return { curvature: new FullCurvature(selection, examples, sum(matrix, added)), count };
}

/** The exact Hessian, as fits take it. */
export const hessian = {
  /** @throws OptionError for a structure or a likelihood without one; LaplaceError for a layer without a second rule */
  check(where: string, structure: Structure, likelihood: Likelihood, graph: Graph): void {
    if (takings[structure] === undefined) {
      const fitting = Object.keys(takings).map((name) => `"${name}"`);
      throw new OptionError(
        `${where}: the curvature "hessian" has no structure "${structure}". Structures that fit: ${fitting.join(", ")}.`,
      );
    }
    checkCurve(where, likelihood);
    checkSecondRules(where, graph);
  },
  /** Its negative eigenvalues, of "diagonal" its negative entries, set to 0, and how many they were: found once. */
  *clipped(curvature: Curvature): Steps<Clipped> {
    const found = known.get(curvature) ?? (yield* clip(curvature));
    known.set(curvature, found);
    return found;
  },
  /** Factors P = h H + P₀, of the clipped H if asked for. @throws IndefiniteHessianError */
  *precision(curvature: Curvature, h: number, prior: Prior, { clip }: PrecisionOptions): Steps<Precision> {
    const used = clip ? (yield* hessian.clipped(curvature)).curvature : curvature;
    const delta = prior.spread();
    if (used instanceof DiagonalCurvature) {
      const least = used.values.reduce((low, x, i) => Math.min(low, h * x + delta[i]), Number.POSITIVE_INFINITY);
      if (!(least > 0)) throw new IndefiniteHessianError(least);
      return diagonalPrecision(used, h, prior);
    }
    const whole =
      signed.get(used) ?? new SignedCurvature(used.selection, used.examples, (used as FullCurvature).matrix);
    signed.set(used, whole);
    const precision = yield* fullPrecision(whole, h, prior, { damping: false });
    let least = prior.structure === "scalar" ? h * (yield* whole.eigenvalues())[0] + delta[0] : 1;
    try {
      if (least > 0) yield* precision.prepare("determinant");
    } catch (error) {
      if (!(error instanceof NotPositiveDefiniteError)) throw error;
      [least] = (yield* eighInSteps(yield* precision.dense(), used.size, false)).values;
    }
    if (!(least > 0)) throw new IndefiniteHessianError(least);
    return precision;
  },
  /** Whether a structure can keep one. */
  takes: (structure: Structure): boolean => takings[structure] !== undefined,
  /** The one pass of a fit. */
  pass: (structure: Structure, likelihood: Likelihood): Pass =>
    passOf((options) => hessianSums(takings[structure] as Taking, likelihood, options)),
};

function hessianSums({ length, own, finish }: Taking, likelihood: Likelihood, { selection }: SumOptions): Accumulator {
  const { size, graph, siteList } = selection;
  let part: Part;
  return {
    dtype: "float64",
    length: length(size),
    begin(next) {
      part = next;
    },
    add(backward, to) {
      const { dtype, kernels } = backward;
      const bytes = bytesPerElement(dtype);
      const p = graph.parameterCount;
      const hessian = hessianOfPart(likelihood, part, backward);
      const [direction, product] = [allocateFloats(dtype, p), allocateFloats(dtype, p)];
      kernels.fill(p, 0, direction);
      for (const { parameter, site, at, size: count, chosen } of selection.parameters) {
        const moving = new Set([site]);
        // In a dry run one says how much memory all take.
        for (let i = 0; i < (dryBytes() === undefined ? count : 1); i++) {
          const place = parameter.offset + (chosen?.[i] ?? i);
          kernels.fill(1, 1, direction + place * bytes);
          hessian.times(direction, moving, own ? moving : siteList, product);
          kernels.fill(1, 0, direction + place * bytes);
          if (own) addSome(backward, product + place * bytes, 1, to + 8 * (at + i));
          else addSelected(backward, selection, product, to + 8 * (at + i) * size);
        }
      }
    },
    finish: (sums, examples) => finish(selection, sums, examples),
  };
}

/** Adds numbers of the pass's type to sums of float64. */
function addSome({ dtype }: Backward, from: Pointer, count: number, to: Pointer): void {
  scope(() => kernelsFor("float64").copyRows(1, count, asFloat64(dtype, from, count), 0, to, 0, true));
}

/** Adds the selected weights' part of [P] to a row [S]. */
function addSelected(backward: Backward, { parameters }: Selection, from: Pointer, to: Pointer): void {
  const bytes = bytesPerElement(backward.dtype);
  for (const { parameter, at, size, chosen } of parameters) {
    if (chosen === undefined) addSome(backward, from + parameter.offset * bytes, size, to + 8 * at);
    else {
      chosen.forEach((place, i) => {
        addSome(backward, from + (parameter.offset + place) * bytes, 1, to + 8 * (at + i));
      });
    }
  }
}
