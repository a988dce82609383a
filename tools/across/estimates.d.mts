/** What is estimated from a seed by a library. @returns names with their numbers */
export function estimates(library: typeof import("../../src/index.ts")): Promise<Record<string, number[]>>;
