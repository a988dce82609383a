// Predictions by an executor are in a program that has a pool, and in no other: `workers` brings them. Without them this thread
// predicts, with the same bits.

import type { logProbabilitiesOn, predictAllOn, predictOn } from "./in-shards.ts";

/** What predicts by an executor. */
export interface RowSharing {
  readonly predictOn: typeof predictOn;
  readonly logProbabilitiesOn: typeof logProbabilitiesOn;
  readonly predictAllOn: typeof predictAllOn;
}

let brought: RowSharing | undefined;

/** Has predictions by executors from now on. */
export function bringRowSharing(sharing: RowSharing): void {
  brought = sharing;
}

/** What was brought, where there is an executor. */
export const rowSharing = (on: unknown): RowSharing | undefined => (on === undefined ? undefined : brought);
