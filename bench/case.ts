// What is measured, and who may take part in it.

import type { Way } from "./compare.ts";

/** A job that peers know by name. */
export interface Job {
  readonly setup: "gemm" | "syrk" | "trsm" | "cholesky" | "eigh" | "outer" | "gradients" | "gradients and outer";
  readonly dtype: "float32" | "float64";
  readonly sizes: readonly number[];
}

export type Numbers = Float32Array | Float64Array;

/** A job for us and for peers. */
export interface Case {
  readonly name: string;
  readonly job: Job;
  /** Floating-point operations, by the usual count, where there is one. */
  readonly flops?: number;
  readonly inputs: readonly Numbers[];
  readonly ours: Way;
  /** What we are measured against within this process. */
  readonly rival?: Way;
  /** Our result, row-major, and which part of it is comparable. */
  readonly result: () => Numbers;
  readonly compared: "all" | "lower" | "first";
}

/** Another library, which does jobs in a process of its own. */
export interface Peer {
  readonly name: string;
  /** Its versions and setting. */
  readonly description: string;
  /** The job on these inputs. Its `prepare` and its first run throw, with the reason, where the peer cannot do it. */
  way(job: Job, inputs: readonly Numbers[]): Way;
  /** The last result, row-major. */
  result(): Promise<Numbers>;
  stop(): void;
}

/** The largest difference between our result and a peer's, relative to the largest entry. */
export function difference({ job, result, compared }: Case, theirs: Numbers): number {
  const ours = result();
  const n = job.sizes[0];
  let [worst, largest] = [0, 0];
  const count = compared === "first" ? n : ours.length;
  for (let i = 0; i < count; i++) {
    if (compared === "lower" && i % n > Math.floor(i / n)) continue;
    worst = Math.max(worst, Math.abs(ours[i] - theirs[i]));
    largest = Math.max(largest, Math.abs(theirs[i]));
  }
  return worst / largest;
}
