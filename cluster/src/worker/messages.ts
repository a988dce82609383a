// What a worker's process and the process that sums say to each other.

import type { ShardJob } from "../queue/jobs.ts";

/** To the process that sums: where everything is, first; then shards, one after the other, and that one is not wanted any more. */
export type ToSums =
  | {
      readonly begin: {
        readonly store: string;
        readonly by: string;
        readonly imports: readonly string[];
        /** Bytes that the process may take. */
        readonly budget?: number | undefined;
      };
    }
  | { readonly do: ShardJob }
  | { readonly stop: true };

/** From the process that sums. `failed` is an error as `errorMessage` writes it, `ends` says that the process ends with it. */
export type FromSums =
  | { readonly ready: true }
  | { readonly progress: number }
  | { readonly done: number }
  | { readonly failed: unknown; readonly lasting: boolean; readonly ends?: true };
