// What the default build of the kernels costs a program that starts: its size and the time of its first use.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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

/** A file with the bytes of a build. npm runs scripts in the repository's root. */
async function fileOf(build: string): Promise<string> {
  const file = (name: string) => `src/kernels/generated/${name}.wasm`;
  if (build !== "simd") return file(build);
  // The plain build is made of the relaxed one, and has no file.
  const { plainSimd } = await import(pathToFileURL(resolve("tools/plain-simd.mjs")).href);
  const path = join(mkdtempSync(join(tmpdir(), "laplace-ts-bench-")), "simd.wasm");
  writeFileSync(path, plainSimd(readFileSync(file("relaxed"))).plain);
  return path;
}

export async function instantiation(): Promise<Instantiation> {
  const firstUse = run();
  const { build } = firstUse[0];
  const file = await fileOf(build);
  const bytes = readFileSync(file);
  return {
    build,
    firstUseMilliseconds: median(firstUse.map(({ milliseconds }) => milliseconds)),
    moduleMilliseconds: median(run(file).map(({ milliseconds }) => milliseconds)),
    bytes: bytes.length,
    gzipBytes: gzipSync(bytes, { level: 9 }).length,
  };
}
