// The table on the terminal: our columns, and three for each of the others.

import type { Comparison } from "./compare.ts";

export const digits = (ratio: number): string => ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0);

export function time(seconds: number): string {
  return seconds < 1e-3 ? `${(1e6 * seconds).toFixed(1)} µs` : `${(1e3 * seconds).toFixed(2)} ms`;
}

function line(name: string, cells: readonly string[]): string {
  const width = (i: number) => (i < 2 ? 10 : i === 2 ? 8 : [10, 18, 6][i % 3]);
  return `${name.padEnd(48)}${cells.map((cell, i) => cell.padStart(width(i))).join("")}`.trimEnd();
}

/** The line above; `others` are the names of those we are measured against. */
export function heading(suite: string, others: readonly string[]): string {
  const theirs = others.flatMap((name) => [name, "ratio (spread)", "diff"]);
  return line(suite, ["first", "steady", "GFLOP/s", ...theirs]);
}

/** The line of one case, with dashes where one of the others does not take part. */
export function row(name: string, { firstCall, seconds, others }: Comparison, flops?: number): string {
  const theirs = others.flatMap((other) => {
    if ("reason" in other) return ["–", "–", "–"];
    const ratio = `${digits(other.ratio)} (${other.spread.map(digits).join("–")})`;
    return [time(other.seconds), ratio, other.difference?.toExponential(0).replace("0e+0", "0") ?? ""];
  });
  const speed = flops === undefined ? "" : (flops / seconds / 1e9).toFixed(1);
  return line(name, [time(firstCall), time(seconds), speed, ...theirs]);
}
