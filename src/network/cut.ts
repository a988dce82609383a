// How examples are cut into parts of about 8 MiB, or 32 where that is few: by dry runs of what passes through the network.

import { dryBytes, dryRun } from "../kernels/dry-run.ts";
import { allocateFloats } from "../kernels/memory.ts";
import { holdInScope, type Model, opened, PART_BYTES, type Parts, type Pull, type RowView } from "./run.ts";

/**
 * The bytes in the kernels' memory that a part of so many examples takes at its peak, those of them that are held from the
 * beginning to the end, and the rest of what a dry run counts.
 */
export function bytesOfPart(model: Model, count: number, pulls: () => readonly Pull<unknown>[], targeted = true) {
  const { graph, dtype } = model;
  let held = 0;
  const bytes = dryRun(() => {
    const take = opened(undefined, model, pulls(), holdInScope);
    held = dryBytes() as number;
    const place = (n: number) => allocateFloats(dtype, count * n);
    take({ count, inputs: () => place(graph.input.size), targets: () => (targeted ? place(graph.output.size) : 0) });
  });
  return { held, ...bytes };
}

/** How examples are cut: by sizes alone. */
export interface Cut extends Parts {
  /** How many columns are pulled back at once. */
  readonly columns: number;
  /** How many positions are pulled back at once, where they are examples of their own. */
  readonly rows: number;
}

/** How much is pulled back at once. */
export type Pulled = Pick<Cut, "columns" | "rows">;

/** Multiplications of a part that is `quick`. */
const QUICK = 2 ** 23;

/** What is cut. */
export interface Uncut {
  readonly model: Model;
  /** All columns of an example, or of a position; and as few of them as may be pulled back at once. */
  readonly columns: number;
  readonly least: number;
  /** Where positions take the place of examples. */
  readonly view: RowView | undefined;
  /** Whether targets go with the examples. */
  readonly targeted: boolean;
  /** What is pulled back at a cut; what is pulled back by positions comes last. */
  pulls(cut: Pulled): readonly Pull<unknown>[];
}

/** The number of examples, or rows, at which parts are measured: those of any size are whole blocks of memory then. */
const MEASURED = 64;

/**
 * How many examples make a quarter of the usual size worth it, which caches hold better, those of two threads as well: of few that are
 * large, kernels have too little to do at a time.
 */
export const ENOUGH = 16;

/** How many examples, or rows, are a part of the usual size, by the bytes of twice `MEASURED` of them and of `MEASURED`. */
function partLength(twice: number, once: number): number {
  return Math.max(1, Math.floor((PART_BYTES * MEASURED) / Math.max(1, twice - once)));
}

/** Bytes that so many examples need on their way, and their work. */
function onTheWay({ model, targeted, pulls }: Uncut, cut: Pulled, count: number) {
  const { held, peak, work } = bytesOfPart(model, count, () => pulls(cut), targeted);
  return { bytes: peak - held, work };
}

/** Bytes of some examples, so many rows of which are pulled back at once. */
function bytesOfRows({ model, targeted, pulls }: Uncut, { positions }: RowView, columns: number, rows: number): number {
  const some = () => pulls({ columns, rows }).slice(rows === 0 ? Number.POSITIVE_INFINITY : -1);
  return bytesOfPart(model, Math.ceil((2 * MEASURED) / positions), some, targeted).peak;
}

/** Bytes that one example, or one position, needs on its way, with so many columns at once. */
export function bytesOfOne(uncut: Uncut, columns: number): number {
  const { view } = uncut;
  if (view !== undefined) return bytesOfRows(uncut, view, columns, 1) - bytesOfRows(uncut, view, columns, 0);
  const cut = { columns, rows: Number.POSITIVE_INFINITY };
  return onTheWay(uncut, cut, 1).bytes - onTheWay(uncut, cut, 0).bytes;
}

/**
 * All columns at once, or half of them, or a quarter, if otherwise not even one example were a part of the usual size.
 * @param examples those that come at once; Infinity where that is not known
 */
export function cutOf(uncut: Uncut, examples: number): Cut {
  const { view, least } = uncut;
  const unbounded = Number.POSITIVE_INFINITY;
  const whole = { columns: uncut.columns, rows: unbounded };
  if (examples < unbounded) {
    const { bytes, work } = onTheWay(uncut, whole, examples);
    if (bytes <= PART_BYTES >> (examples > ENOUGH ? 2 : 0))
      return { ...whole, length: Math.max(1, examples), quick: work <= QUICK };
  }
  let { columns } = whole;
  while (columns > least && bytesOfOne(uncut, columns) > PART_BYTES) columns = Math.ceil(columns / 2);
  const some = (rows: number) => bytesOfRows(uncut, view as RowView, columns, rows);
  const cut = { columns, rows: view === undefined ? unbounded : partLength(some(2 * MEASURED), some(MEASURED)) };
  const most = partLength(onTheWay(uncut, cut, 2 * MEASURED).bytes, onTheWay(uncut, cut, MEASURED).bytes);
  return { ...cut, length: Math.min(most, Math.max(ENOUGH, most >>> 2)), quick: false };
}
