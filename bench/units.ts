// Jobs measured in milliseconds, or as multiples of what PyTorch needs for forward and backward over the same network and
// data in the same round.

import { type Data, type LaplaceOptions, laplace, type NDArray, type Network, type Posterior } from "../src/index.ts";
import { now } from "./clock.ts";
import { type Comparison, compare, type Measured, type Way } from "./compare.ts";
import type { Torch, TorchJob } from "./peers/torch.ts";
import { digits, time } from "./table.ts";

/** A job, the most it should take, and what PyTorch has for it. */
export interface LaplaceCase {
  readonly name: string;
  readonly ours: Way;
  /** Milliseconds, or multiples of PyTorch's forward and backward. */
  readonly target?: { readonly milliseconds: number } | { readonly units: number };
  /** Our result, flat, where PyTorch computes the same. */
  readonly gradient?: () => NDArray["data"];
  /** What PyTorch does of the same, and our result, flat, where it is not drawn. */
  readonly peer?: { readonly job: TorchJob; readonly result?: () => ArrayLike<number>; readonly warmUp?: number };
  /** How many times faster than that we should be. */
  readonly fasterThanPeer?: number;
}

/** A way whose work may be asynchronous. */
export function asynchronous(work: () => unknown, warmUp = 0.25): Way {
  return {
    name: "laplace-ts",
    warmUp,
    async run(repetitions) {
      const start = now();
      for (let i = 0; i < repetitions; i++) await work();
      return (now() - start) / 1000;
    },
  };
}

/** A fit that says nothing of a network that was not trained. */
export function quietFit(net: Network, data: Data, options: LaplaceOptions): Promise<Posterior> {
  return laplace(net, { onWarning: () => {}, ...options }).fit(data);
}

/** The largest difference, relative to the largest entry. */
function difference(ours: ArrayLike<number>, theirs: Float64Array): number {
  let [worst, largest] = [ours.length === theirs.length ? 0 : Number.POSITIVE_INFINITY, 0];
  theirs.forEach((x, i) => {
    worst = Math.max(worst, Math.abs(x - ours[i]));
    largest = Math.max(largest, Math.abs(x));
  });
  return worst / largest;
}

export const heading = (suite: string): string =>
  [
    suite.padEnd(52),
    ...["first", "steady", "PyTorch"].map((text) => text.padStart(11)),
    "ours/PyTorch (spread)".padStart(24),
    "target".padStart(12),
    "".padStart(8),
    "diff".padStart(8),
  ].join("");

/** Whether a job took no more than it should, if that is known. */
function met({ target }: LaplaceCase, { seconds }: Comparison, unit: Measured | undefined): boolean | undefined {
  if (target === undefined) return undefined;
  if ("milliseconds" in target) return 1000 * seconds <= target.milliseconds;
  return unit && 1 / unit.ratio <= target.units;
}

function line(item: LaplaceCase, result: Comparison, unit: Measured | undefined): string {
  const { target } = item;
  const most = target === undefined ? "" : "units" in target ? `≤ ${target.units}` : `≤ ${target.milliseconds} ms`;
  const ratio = unit && `${digits(1 / unit.ratio)} (${digits(1 / unit.spread[1])}–${digits(1 / unit.spread[0])})`;
  const reached = met(item, result, unit);
  return [
    item.name.padEnd(52),
    time(result.firstCall).padStart(11),
    time(result.seconds).padStart(11),
    (unit ? time(unit.seconds) : "").padStart(11),
    (ratio ?? "").padStart(24),
    most.padStart(12),
    (reached === undefined ? "" : reached ? "met" : "missed").padStart(8),
    (unit?.difference?.toExponential(0) ?? "").padStart(8),
  ]
    .join("")
    .trimEnd();
}

/** What takes part in a run. */
export interface Setting {
  readonly suite: string;
  readonly torch: Torch | undefined;
  readonly rounds: number;
  readonly filter: string;
}

/** Measures one case and prints it; `torch` must have its network loaded. */
export async function measure(item: LaplaceCase, inUnits: boolean, setting: Setting): Promise<object[]> {
  const { suite, torch, rounds, filter } = setting;
  if (!item.name.includes(filter)) return [];
  const others: Way[] = [];
  if (inUnits && torch !== undefined) {
    const check = (ours: (() => ArrayLike<number>) | undefined): Partial<Way> =>
      ours === undefined ? {} : { difference: async () => difference(ours(), await torch.result()) };
    others.push({ ...torch.way("gradient", 0.25), ...check(item.gradient) });
    // Last: its result is compared after the last round.
    const { peer } = item;
    if (peer !== undefined) others.push({ ...torch.way(peer.job, peer.warmUp ?? 0.25), ...check(peer.result) });
  }
  const comparison = await compare(item.ours, others, rounds);
  const measured = comparison.others.filter((other): other is Measured => "ratio" in other);
  const unit = measured.find(({ name }) => name === "PyTorch");
  console.log(line(item, comparison, unit));
  for (const other of comparison.others) {
    if ("reason" in other) console.log(`  ${other.name} is skipped: ${other.reason}`);
    if (other.name === "PyTorch" || !("ratio" in other)) continue;
    const spread = other.spread.map(digits).join("–");
    const least = item.fasterThanPeer;
    const wanted = least === undefined ? "" : `, target ≥ ${least} ${other.ratio >= least ? "met" : "missed"}`;
    const diff = other.difference === undefined ? "" : `, diff ${other.difference.toExponential(0)}`;
    console.log(
      `  ${other.name}: ${time(other.seconds)}, theirs / ours ${digits(other.ratio)} (${spread})${wanted}${diff}`,
    );
  }
  const { name, target } = item;
  return [{ suite, name, target, met: met(item, comparison, unit), ...comparison }];
}
