// A fit as rounds of shards: a pass through the data each, whose sums are added over a tree.

import type { arriving } from "../data/arriving.ts";
import { checkData, type Data, refuseIterator } from "../data/batches.ts";
import type { FarData } from "../data/far-data.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { type Executor, type Shards, type ShardTask, shared } from "../shards/executor.ts";
import { Tree } from "../shards/tree.ts";
import type { Curvature } from "../structures/curvature.ts";
import type { Pass } from "../structures/structure.ts";
import { type DataShard, type Summary, sumsOver, targetedBatches } from "./accumulate.ts";
import { accumulatorsOf, passesOf, prepare } from "./accumulators.ts";
import { addSums } from "./add.ts";
import { outputsApart } from "./outputs-apart.ts";
import type { Plan } from "./plan.ts";
import { lengthOfShard, shardsOf } from "./shards.ts";

/** What the shards of a pass have in common. */
export interface PassOfFit {
  readonly where: string;
  readonly plan: Plan;
  /** Which pass of the plan it is. */
  readonly number: number;
  /** What it goes by. */
  readonly prepared: Curvature | undefined;
  /** The place of the data's first example in all the data. */
  readonly first: number;
}

/** Sums over a shard. */
export const sumTask: ShardTask<PassOfFit, DataShard, Summary> = {
  name: "sum",
  *begin({ where, plan, number, prepared, first }) {
    const passes = passesOf(plan);
    const accumulatorFor = accumulatorsOf(plan, passes[number], prepared);
    const apart = number === passes.length - 1 ? outputsApart(plan, () => accumulatorFor(1).length) : 1;
    return (shard) => sumsOver(where, { plan, accumulatorFor, apart, number }, shard, first);
  },
  add: ({ plan }, left, right) => addSums(left, right, plan.likelihood),
};

/** Shards that come at once, where data come in time: a power of 2. */
const AT_ONCE = 8;

/** A pass, prepared. */
function* passOfFit(
  { where, plan, number, first }: Omit<PassOfFit, "prepared">,
  pass: Pass,
  basis: Curvature | undefined,
): Steps<PassOfFit> {
  const prepared = yield* prepare(plan, pass, basis);
  return { where, plan, number, prepared, first };
}

/** Where a fit's shards are done, and what they are. */
export interface SummaryOptions {
  /** The place of the first example in all the data (default 0). */
  readonly first?: number | undefined;
  /** Who does the shards (default: this thread). */
  readonly on?: Executor | undefined;
  /** Whether the sums are to be added to those of other data, exactly. */
  readonly adds?: boolean;
  /** Examples of a shard; tests have a number of their own. */
  readonly length?: number | undefined;
  /** Takes data that come in time. */
  readonly arriving?: typeof arriving | undefined;
}

/**
 * The sums of a fit, in steps, which report the number of examples done after each part of the data.
 * @throws ShapeError, ValueError for bad data
 */
export function* summarise(
  where: string,
  planned: Plan,
  data: Data | FarData,
  { first = 0, on, length: given, adds = false, arriving }: SummaryOptions = {},
): Steps<Summary, number> {
  (arriving?.check ?? checkData)(where, data);
  const plan = planned.draw === undefined ? planned : yield* planned.draw(where, planned, data, adds);
  const passes = passesOf(plan);
  if (passes.length > 1) {
    const why = `"${plan.structure}" goes through the data more than once`;
    refuseIterator(where, data, why, "; or, where it takes one, a basis");
  }
  const kept = plan.keep?.(where, plan as never, data, first);
  const inputs = plan.inputs?.of(plan.net.graph);
  let before: Summary | undefined;
  let results: Curvature[] = [];
  for (const [number, pass] of passes.entries()) {
    if (pass.done?.(results.at(-1), results.at(-3))) break;
    // The last two: the next pass goes by one, and what comes of it may be compared with the other.
    results = results.slice(-2);
    const again = before !== undefined;
    const basis = before?.curvature ?? plan.basis;
    const tree = new Tree<Summary>((left, right) => addSums(left, right, plan.likelihood));
    const length = given ?? lengthOfShard(plan, number);
    /** @param start examples that were before, of whole shards */
    const through = (some: Data, start: number): Steps<void, number> => {
      const batches = targetedBatches(where, plan, some, again, (x) => again || inputs?.add(x));
      const shards: Shards<PassOfFit, DataShard, Summary> = {
        where,
        task: sumTask,
        prepare: () => passOfFit({ where, plan, number, first }, pass, basis),
        jobs: shardsOf(batches, length, start),
        take: (place, sums, level = 0) => tree.take(start / length / 2 ** level + place, sums, level),
        // Of data that lie elsewhere.
        ...((some as Partial<FarData>).far?.(where, plan, number, given) as object),
      };
      return shared(shards, on);
    };
    yield* arriving === undefined
      ? through(data, 0)
      : arriving.each(where, data, AT_ONCE * length, again, kept && plan.structure, through);
    const summary = tree.total();
    if (before !== undefined && !sameData(plan, before, summary)) {
      throw new ValueError(
        `${where}: the data changed between two passes: ${before.examples} examples with the loss ${before.loss} first, ${summary?.examples ?? 0} with ${summary?.loss ?? 0} then. Likely causes: random augmentation, or an iterator that can be gone through only once.`,
      );
    }
    before = summary;
    if (summary === undefined) continue;
    if (pass.after !== undefined) summary.curvature = yield* pass.after(summary.curvature);
    results.push(summary.curvature);
  }
  const summary = before as Summary;
  summary.inputs = inputs;
  return kept === undefined ? summary : yield* kept(summary);
}

/**
 * Whether two passes saw the same losses within rounding, of each output of a Gaussian in its own unit: a function's rounding, ε f,
 * changes ½ r² by no more than about ε |r f|.
 */
function sameData({ net }: Plan, first: Summary, second: Summary | undefined): boolean {
  // Sums of weights are rounded as they are added.
  if (!(Math.abs(first.examples - (second?.examples ?? 0)) <= 1e-9 * first.examples)) return false;
  const [relative, rounding] = net.dtype === "float32" ? [1e-4, 1e-6] : [1e-9, 1e-12];
  const same = (a: number, b: number, tolerance: number) => Math.abs(a - b) <= relative * Math.abs(a) + tolerance;
  // Nats have a size of their own.
  if (first.losses === undefined) return same(first.loss, second?.loss ?? Number.NaN, relative);
  return first.losses.every((own, c) => {
    const squares = first.squares?.[c] ?? 0;
    const tolerance = rounding * Math.sqrt(2 * own * squares) + rounding ** 2 * squares;
    return same(own, second?.losses?.[c] ?? Number.NaN, tolerance);
  });
}
