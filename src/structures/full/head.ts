// Variances at the last layer by blocks of the covariance: that of output c is φᵀ Σ_cc φ, φ the layer's inputs and a 1 for the bias.
// Covariances by the inverse's root (head-covariance.ts).

import { NotPositiveDefiniteError } from "../../errors.ts";
import { keptMatrix } from "../../kernels/dry-run.ts";
import { kernelsFor } from "../../kernels/kernels.ts";
import {
  addToDiagonal,
  allocateFloats,
  bringOut,
  copyIn,
  inMemory,
  type Numbers,
  openScope,
  type Pointer,
} from "../../kernels/memory.ts";
import { atOnce, inPieces, oneStep, type Steps } from "../../kernels/steps.ts";
import { choleskyInSteps } from "../../linalg/in-steps.ts";
import type { Graph } from "../../network/graph.ts";
import type { LinearSite } from "../../network/parameters.ts";
import type { Backward, Forward } from "../../network/passes.ts";
import { type Head, type HeadVariance, headOf } from "../head.ts";
import { asFloat64 } from "../jacobian-rows.ts";
import type { Prepared } from "../precision.ts";
import type { Prior } from "../prior.ts";
import type { Selection } from "../selection.ts";
import type { Row } from "../structure.ts";
import type { FullCurvature } from "./curvature.ts";
import { headCovariance, inversePanels, type Panel } from "./head-covariance.ts";
import { FullPrecision } from "./precision.ts";
import { full } from "./row.ts";

/** Outputs from which on the blocks, which an inverse is computed for, are worth it. */
const LEAST_OUTPUTS = 4;
/** Columns of triangular matrices that are taken at once. */
const PANEL = 64;

/** A head whose weight is selected as a whole, alone or with its bias. */
function wholeHead({ size, parameters }: Selection, graph: Graph): Head | undefined {
  const head = headOf(size, parameters, graph);
  if (head === undefined || head.site.outputs < LEAST_OUTPUTS) return undefined;
  const whole = parameters[0].role === "weight" && parameters.every(({ chosen }) => chosen === undefined);
  return whole ? head : undefined;
}

/** The sizes of a head: w weights of each output, with its bias. */
function sizesOf({ parameters }: Selection) {
  const { inputs, outputs } = parameters[0].site as LinearSite;
  return { inputs, outputs, w: inputs + parameters.length - 1 };
}

/**
 * T of every output, [C, w, w], lower triangular, with T Tᵀ = Σ_cc, for P = U Uᵀ: of the columns X of U⁻¹ that are the output's
 * weights, Σ_cc is Xᵀ X.
 * @param upper U, [n, n]
 */
function* headRoots(selection: Selection, upper: Float64Array): Steps<Float64Array> {
  const n = selection.size;
  const { inputs, outputs, w } = sizesOf(selection);
  const roots = keptMatrix(outputs * w * w);
  const end = openScope();
  try {
    const inverse = allocateFloats("float64", n * n);
    yield* inPieces(() => invertInPanels(n, upper, inverse));
    const [x, root] = [allocateFloats("float64", n * w), allocateFloats("float64", w * w)];
    for (let c = 0; c < outputs; c++) {
      const kernels = kernelsFor("float64");
      yield* inPieces(() => {
        kernels.copyRows(n, inputs, inverse + 8 * c * inputs, n, x, w, false);
        if (w > inputs) kernels.copyRows(n, 1, inverse + 8 * (outputs * inputs + c), n, x + 8 * inputs, w, false);
      });
      yield* gramRoot(n, w, x, root);
      const at = c * w * w;
      yield* inPieces(() => bringOut("float64", root, w * w, roots, at));
    }
    return roots;
  } finally {
    end();
  }
}

/** Writes U⁻¹, [n, n]: in panels of columns, below which there is nothing. */
function invertInPanels(n: number, upper: Float64Array, to: Pointer): void {
  const kernels = kernelsFor("float64");
  const u = copyIn("float64", upper, true);
  kernels.fill(n * n, 0, to);
  addToDiagonal(n, 1, to);
  for (let first = 0; first < n; first += PANEL) {
    const end = Math.min(n, first + PANEL);
    kernels.solveBackward(end, end - first, u, n, 1, to + 8 * first, n, 1);
  }
}

/**
 * Writes T, lower triangular, with T Tᵀ = XᵀX for X [n, w], which is changed. By Cholesky factors of XᵀX, and of what the first one
 * makes nearly orthogonal of X: so T has the digits that X has (Yamamoto et al. 2015); from a matrix that is shifted, and once
 * more, where XᵀX is too near a singular one (Fukaya et al. 2020).
 */
function* gramRoot(n: number, w: number, x: Pointer, to: Pointer): Steps<void> {
  const kernels = kernelsFor("float64");
  const gram = (l: Pointer, shift: number) => {
    kernels.syrk(w, n, x, 1, w, l, w, 1, false, false);
    if (shift > 0) addToDiagonal(w, shift, l);
  };
  for (let round = 0, rounds = 2; round < rounds; round++) {
    const end = openScope();
    try {
      const l = allocateFloats("float64", w * w);
      yield* inPieces(() => gram(l, 0));
      const trace = inMemory("float64", (memory) => {
        let sum = 0;
        for (let i = 0; i < w; i++) sum += memory[l / 8 + i * (w + 1)];
        return sum;
      });
      let failed = yield* choleskyInSteps(w, l, w);
      if (failed !== 0) {
        rounds = 3;
        yield* inPieces(() => gram(l, 11 * (n + w + 1) * w * 2 ** -52 * trace));
        failed = yield* choleskyInSteps(w, l, w);
      }
      if (failed !== 0) throw new NotPositiveDefiniteError(failed - 1, 0);
      yield* inPieces(() => {
        clearUpper(w, l);
        if (round + 1 < rounds) kernels.solveForward(w, n, l, w, 1, x, 1, w);
        if (round === 0) {
          kernels.copyRows(w, w, l, w, to, w, false);
          return;
        }
        const before = allocateFloats("float64", w * w);
        kernels.copyRows(w, w, to, w, before, w, false);
        kernels.gemm(1, w, w, w, before, 0, w, 1, l, 0, w, 1, to, 0, w, 1, false);
      });
    } finally {
      end();
    }
  }
}

function clearUpper(n: number, l: Pointer): void {
  inMemory("float64", (memory) => {
    for (let i = 0; i < n; i++) memory.fill(0, l / 8 + i * n + i + 1, l / 8 + (i + 1) * n);
  });
}

/** Writes φᵀ T Tᵀ φ of every example and output, [B, C]. */
function headVariance(selection: Selection, { input }: Head, roots: Float64Array, forward: Forward): Numbers {
  const { batch, dtype } = forward;
  const { inputs, outputs, w } = sizesOf(selection);
  const kernels = kernelsFor("float64");
  const at = allocateFloats("float64", batch * outputs);
  const t = copyIn("float64", roots, true);
  const [x, y] = [allocateFloats("float64", batch * w), allocateFloats("float64", batch * w)];
  const one = allocateFloats("float64", batch);
  kernels.fill(batch * w, 1, x);
  const a = asFloat64(dtype, forward.value(input), batch * inputs);
  kernels.copyRows(batch, inputs, a, inputs, x, w, false);
  for (let c = 0; c < outputs; c++) {
    for (let first = 0; first < w; first += PANEL) {
      const [some, rest] = [Math.min(PANEL, w - first), w - first];
      const block = t + 8 * (c * w * w + first * (w + 1));
      kernels.gemm(1, batch, some, rest, x + 8 * first, 0, w, 1, block, 0, w, 1, y + 8 * first, 0, w, 1, false);
    }
    kernels.dotRows(batch, w, y, y, one, false);
    kernels.copyRows(batch, 1, one, 1, at + 8 * c, outputs, false);
  }
  return { dtype: "float64", at, length: batch * outputs };
}

/** The whole matrix, and roots of the blocks of its inverse. */
class HeadedPrecision extends FullPrecision {
  readonly #selection: Selection;
  #roots: Float64Array | undefined;
  #panels: readonly Panel[] | undefined;

  constructor(curvature: FullCurvature, h: number, prior: Prior, inverse: boolean) {
    super(curvature, h, prior, inverse);
    this.#selection = curvature.selection;
  }

  override *prepare(what: Prepared): Steps<void> {
    if (what === "variance") yield* this.#rooted();
    else if (what === "covariance") yield* this.#inPanels();
    else yield* super.prepare(what);
  }

  head(graph: Graph): HeadVariance | undefined {
    const head = wholeHead(this.#selection, graph);
    return head && ((forward) => headVariance(this.#selection, head, atOnce(this.#rooted()), forward));
  }

  /** By the rows of the inverse's root where all columns of a head are there, which are units; the others as of any weights. */
  override functionCovariance(backward: Backward): Numbers {
    const head = wholeHead(this.#selection, backward.graph);
    if (head === undefined || backward.columns !== head.site.outputs) return super.functionCovariance(backward);
    return headCovariance(this.#selection.size, head, atOnce(this.#inPanels()), backward.forward);
  }

  *#inPanels(): Steps<readonly Panel[]> {
    this.#panels ??= yield* inversePanels(this.#selection.size, yield* this.factor());
    return this.#panels;
  }

  *#rooted(): Steps<Float64Array> {
    this.#roots ??= yield* headRoots(this.#selection, yield* this.factor());
    return this.#roots;
  }
}

/** The structure "full" with this way of its own, which small programs that name `full` itself do without. */
export const fullWithHead: Row<FullCurvature> = {
  ...full,
  precision: (curvature, h, prior, { inverse = false }) =>
    oneStep(() => new HeadedPrecision(curvature, h, prior, inverse)),
};
