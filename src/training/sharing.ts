// Gradients by an executor are in a program that has a pool, and in no other: `workers` brings them. Without them this thread takes
// them, with the same bits.

import type { gradientsOn } from "./in-shards.ts";

let brought: typeof gradientsOn | undefined;

/** Has gradients by executors from now on. */
export function bringGradients(sharing: typeof gradientsOn): void {
  brought = sharing;
}

/** What was brought, where there is an executor. */
export const gradientSharing = (on: unknown): typeof gradientsOn | undefined =>
  on === undefined ? undefined : brought;
