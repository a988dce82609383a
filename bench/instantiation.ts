// What the default build of the kernels costs a program that starts: its size and the time of its first use.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { median } from "./compare.ts";

const PROCESSES = 5;

/** The default build's, medians over fresh processes. */
export interface Instantiation {
  readonly build: string;
  /** Of the first kernels.info() after the import: decoding, compiling, instantiating, the tables of functions. */
  readonly firstUseMilliseconds: number;
  /** Of new WebAssembly.Module and Instance alone. */
  readonly moduleMilliseconds: number;
  readonly bytes: number;
  readonly gzipBytes: number;
}

function run(...values: string[]): { milliseconds: number; build: string }[] {
  const script = fileURLToPath(new URL("./first-use.js", import.meta.url));
  const { LAPLACE_WIDE_SIMD: _, ...env } = process.env; // the default build is meant
  return Array.from({ length: PROCESSES }, () =>
    JSON.parse(execFileSync(process.execPath, [script, ...values], { env, encoding: "utf8" })),
  );
}

export function instantiation(): Instantiation {
  const firstUse = run();
  const { build } = firstUse[0];
  const file = `src/kernels/generated/${build}.wasm`; // npm runs scripts in the repository's root
  const bytes = readFileSync(file);
  return {
    build,
    firstUseMilliseconds: median(firstUse.map(({ milliseconds }) => milliseconds)),
    moduleMilliseconds: median(run(file).map(({ milliseconds }) => milliseconds)),
    bytes: bytes.length,
    gzipBytes: gzipSync(bytes, { level: 9 }).length,
  };
}
