// Posteriors by products alone of dense classifiers 784-…-10, each in a process of its own, beside one epoch of their training.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Setting } from "./units.ts";

interface Found {
  readonly weights: number;
  readonly seconds: Readonly<Record<string, number>>;
  readonly memory: Readonly<Record<string, number>>;
  readonly evidence: { readonly standardError?: number };
}

/** The widths of the hidden layers, and what the process may take. */
const networks = [
  ["256", 500],
  ["1024,1024", 1500],
] as const;

/** Measures, prints, and gives what was measured. */
export async function runOperator({ suite, filter }: Setting): Promise<object[]> {
  const program = fileURLToPath(new URL("operator-network.js", import.meta.url));
  const results: object[] = [];
  for (const [widths, budget] of networks) {
    const name = `784-${widths.replaceAll(",", "-")}-10`;
    if (!name.includes(filter)) continue;
    const found = JSON.parse(execFileSync(process.execPath, [program, widths], { encoding: "utf8" })) as Found;
    const { weights, seconds, memory, evidence } = found;
    const most = Math.max(...Object.values(memory));
    console.log(`${suite}: ${name}, ${weights} weights, seconds of processor time`);
    for (const [what, time] of Object.entries(seconds)) console.log(`  ${what.padEnd(12)}${time.toFixed(2)}`);
    console.log(`  standard error of the evidence ${evidence.standardError?.toFixed(1)}`);
    console.log(`  most memory ${most.toFixed(0)} MB, target ≤ ${budget} MB, ${most <= budget ? "met" : "missed"}\n`);
    results.push({ suite, name, ...found, budget });
  }
  return results;
}
