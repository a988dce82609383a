// How a network's outputs are gone through, and how much of them passes at once: by dry runs of what is asked of each row.

import { sizeOf } from "../array/ndarray.ts";
import { type PositionView, positionView } from "../curvature/positions.ts";
import { unit } from "../derivatives/cotangents.ts";
import { type DryBytes, dryRun } from "../kernels/dry-run.ts";
import { allocateFloats, bytesPerElement, inMemory, type Pointer, scope } from "../kernels/memory.ts";
import { atOnce } from "../kernels/steps.ts";
import type { Likelihood, Needs, OutputBlock } from "../likelihood/likelihood.ts";
import { bytesOfOne, bytesOfPart, type Cut, cutOf, type Pulled, type Uncut } from "../network/cut.ts";
import type { Network } from "../network/network.ts";
import { type Backward, Forward, pushForward } from "../network/passes.ts";
import { type Columns, type Contraction, none, type Part } from "../network/run.ts";
import { float64Rows } from "../structures/jacobian-rows.ts";
import type { Precision } from "../structures/precision.ts";
import type { Selection } from "../structures/selection.ts";
import type { Own } from "../structures/structure.ts";
import { anySizes, dryPrecision } from "../structures/table.ts";
import type { Linearised } from "./linearised.ts";

/** Outputs that stand each for itself are pulled back that many at once, or fewer where these would not fill a part. */
const MOST_TOGETHER = 64;

/**
 * Parts of predictions are smaller by so many powers of 2, so that their values lie in a core's own cache, while they have so many rows: what
 * each part needs besides, a precision's factor, is brought for it.
 */
const [SMALLER, LEAST_LENGTH] = [1, 64];

/** How a network's outputs are gone through. */
export interface Route {
  /** Where positions take the place of examples. */
  readonly view: PositionView | undefined;
  /** The outputs of a row. */
  readonly width: number;
  /** The groups of a row's outputs. */
  readonly group: OutputBlock;
}

/** The way through a network's outputs: by positions, if a likelihood takes each alone and they do not mix. */
export function routeOf({ graph, outputShape }: Network, selection: Selection, likelihood: Likelihood): Route {
  const view = positionView(graph, selection, likelihood);
  const width = (view?.graph ?? graph).output.size;
  return { view, width, group: likelihood.group(view === undefined ? outputShape : [width]) };
}

/** All outputs of an example together. */
export function wholeRoute(width: number): Route {
  return { view: undefined, width, group: { size: width, step: 1 } };
}

/**
 * What is asked of each row: nothing but its values, variances, covariances of a group, or variances of two sums of it; or the
 * values of another network, the tangents of a draw, the rows of the Jacobian.
 */
export type Asked = Needs | "sums" | "network" | "tangent" | "rows";

/** What decides how much passes at once. */
type Sizes = Pick<Linearised, "net" | "selection" | "structure" | "curvature"> & Pick<Own, "solver">;

/**
 * What is cut: variances may come of fewer columns than a row has, the others come of all columns of a group.
 * @param copied is told of numbers that are copied out of the kernels' memory
 */
function uncutOf(
  { net, selection }: Sizes,
  { view, width, group }: Route,
  asked: Asked,
  precision: Precision,
  copied = (_: number): unknown => 0,
): Uncut & { readonly made: DryBytes } {
  const headed = asked === "variance" || asked === "covariance" ? asked : undefined;
  const head = headed && headVarianceOf(precision, net, view);
  // It comes before all parts.
  const made = dryRun(() => head && atOnce(precision.prepare(headed)));
  const variance = (to: Backward) => void copied(precision.functionVariance(to).length);
  const covariance = (to: Backward) => void copied(precision.functionCovariance(to).length);
  // Means, variances, and what becomes of them.
  const begin = ({ count }: Part) => void copied((asked === "mean" ? 3 : 2) * count * width);
  const theta = () => allocateFloats(net.dtype, net.parameterCount);
  const all: Record<Asked, [columns: number, least: number, which: Columns, contraction: Partial<Contraction<void>>]> =
    {
      mean: [0, 0, none, { begin }],
      variance:
        head === undefined
          ? [Math.min(width, MOST_TOGETHER), 1, unit(), { begin, add: variance }]
          : [0, 0, none, { begin, end: ({ forward }) => void copied(head(forward).length) }],
      covariance: [group.size, group.size, unitsOf(group), { begin, add: covariance }],
      sums: [2, 2, sumColumns(group), { add: variance }],
      network: [0, 0, none, { begin: (part) => void scope(() => moved(part, selection, theta())) }],
      tangent: [
        0,
        0,
        none,
        { begin: ({ forward }) => void scope(() => pushForward(forward, theta(), 0, new Set(selection.siteList))) },
      ],
      rows: [width, width, unit(), { add: (to) => void float64Rows(to, selection) }],
    };
  const [columns, least, which, contraction] = all[asked];
  const pulls = ({ columns: most, rows }: Pulled) => [
    {
      columns: which,
      contraction: { ...contraction, finish() {} },
      target: selection.reaches,
      most,
      rows: view && { ...view, most: rows },
    },
  ];
  return { model: net, columns, least, view, targeted: asked === "sums", pulls, made };
}

/** A part in another network: values that no selected weight has a part in, such as the last layer's features, are kept. */
export function moved({ forward, count }: Part, { reaches }: Selection, theta: Pointer): Forward {
  const { graph, dtype } = forward;
  return new Forward(graph, dtype, theta, forward.value(graph.input), count, { kept: { forward, changes: reaches } });
}

interface KnownCut extends Cut {
  /** Bytes of the covariances of one row. */
  readonly one: number;
}

/** Cuts that were found, by the selection that they are of. */
const known = new WeakMap<Selection, Map<string, KnownCut>>();

/** How inputs are cut: by sizes only, so that results depend on no cut. */
export function cutFor(sizes: Sizes, route: Route, asked: Asked): KnownCut {
  const { net, selection, structure } = sizes;
  const draws = (sizes.curvature ?? sizes.solver)?.draws;
  const { view, width, group } = route;
  const cuts = known.get(selection) ?? new Map<string, KnownCut>();
  known.set(selection, cuts);
  const key = `${net.dtype} ${structure} ${asked} ${view === undefined} ${width} ${group.size} ${group.step} ${draws}`;
  let cut = cuts.get(key);
  if (cut === undefined) {
    const uncut = uncutOf(sizes, route, asked, dryPrecision(structure, selection, { ...anySizes, draws }).precision);
    const one = asked === "covariance" ? bytesOfOne(uncut, group.size) : 0;
    const { length, ...rest } = cutOf(uncut, Number.POSITIVE_INFINITY);
    cut = { ...rest, length: Math.min(length, LEAST_LENGTH + (length >> SMALLER)), one };
    cuts.set(key, cut);
  }
  return cut;
}

/** What a dry run counts of a part of so many inputs, and their number; `copies`: what is copied out of it besides. */
export function functionBytes(
  sizes: Sizes,
  route: Route,
  asked: Asked,
  inputs: number,
  precision: Precision,
  copies = false,
) {
  const copied = copies ? (length: number) => allocateFloats("float64", length) : undefined;
  const { model, columns, targeted, pulls, made } = uncutOf(sizes, route, asked, precision, copied);
  const cut = cutFor(sizes, route, asked);
  const count = Math.min(inputs, cut.length);
  let bytes = bytesOfPart(model, inputs, () => pulls({ columns, rows: Number.POSITIVE_INFINITY }), targeted);
  // What is no more than a part is not cut.
  if (count < inputs) {
    const some = bytesOfPart(model, count, () => pulls(cut), targeted);
    bytes = { ...some, kept: bytes.kept, all: some.all + bytes.kept };
  }
  return { count, ...bytes, kept: made.kept + bytes.kept, all: Math.max(made.all, made.kept + bytes.all) };
}

/** How variances come without columns; undefined where they do not. */
export const headVarianceOf = (precision: Precision, net: Network, view: PositionView | undefined) =>
  precision.head?.((view ?? net).graph);

/** A column for each output of a group after those of the group before. */
export const unitsOf = ({ size, step }: OutputBlock): Columns =>
  unit((k) => (step === 1 ? k : Math.floor(k / size) + (k % size) * step));

/** Two columns for each group: ones, and the weights that go with the inputs. */
export function sumColumns({ size, step }: OutputBlock): Columns {
  return {
    count: (shape) => (2 * sizeOf(shape)) / size,
    write({ forward, count: batch, targets }, { first }, to) {
      const { dtype, kernels, graph } = forward;
      const width = graph.output.size;
      const [n, bytes] = [batch * width, bytesPerElement(dtype)];
      kernels.fill(2 * n, 0, to);
      const offset = step === 1 ? (first / 2) * size : first / 2;
      inMemory(dtype, (memory) => {
        for (let b = 0; b < batch; b++) {
          for (let c = 0; c < size; c++) {
            const at = b * width + offset + c * step;
            memory[to / bytes + at] = 1;
            memory[to / bytes + n + at] = memory[targets / bytes + at];
          }
        }
      });
    },
  };
}
