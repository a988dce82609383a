// Candidates by an executor are in a program that has a pool, and in no other: `workers` brings them.

import type { candidatesOn } from "./candidates.ts";

let brought: typeof candidatesOn | undefined;

/** Has candidates scored by executors from now on. */
export function bringCandidates(sharing: typeof candidatesOn): void {
  brought = sharing;
}

/** What was brought, where there is an executor. */
export const candidateSharing = (on: unknown): typeof candidatesOn | undefined =>
  on === undefined ? undefined : brought;
