// The packed kernels against the build that was packed.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fuse } from "../../src/kernels/fuse.ts";
import { classes, common, eigh, jacobi, layers, training, unpacker, whole } from "../../src/kernels/generated/bytes.ts";
import { unpack } from "../../src/kernels/unpack.ts";

const parts = [classes, eigh, jacobi, layers, training];
const plain = readFileSync("src/kernels/generated/plain.wasm");

const kernelsOf = (bytes: Uint8Array<ArrayBuffer>) =>
  WebAssembly.Module.exports(new WebAssembly.Module(bytes)).flatMap(({ name }) => (/_f\d\d$/.test(name) ? [name] : []));

test("the texts are modules that have the kernels of the file that Node reads, each once", () => {
  expect(plain.length).toBe(whole);
  const modules = [unpack(unpacker.module, common), ...parts.map((part) => unpack(unpacker.module, common, part))];
  expect(modules.flatMap(kernelsOf).sort()).toEqual(kernelsOf(Uint8Array.from(plain)).sort());
  for (const [i, { first }] of parts.entries()) expect(kernelsOf(modules[i + 1])).toContain(`${first}_f64`);
  const fused = [common, ...parts].map((text) => text.fused);
  expect(modules.map((module) => fuse(module))).toEqual(fused);
});

/** Places of fused operations, with their numbers, as far as nothing else in the bytes looks like one. */
function fusedIn(module: Uint8Array): { at: number; code: number }[] {
  const found: { at: number; code: number }[] = [];
  for (let at = 0; at + 2 < module.length; at++) {
    const code = module[at + 1];
    if (module[at] === 0xfd && code >= 0x85 && code <= 0x88 && module[at + 2] === 2) found.push({ at, code });
  }
  return found;
}

test("each operation that the compiler fused is fused again, in as many bytes, and nothing else changes", () => {
  const relaxed = Uint8Array.from(plain);
  const fused = fuse(relaxed);
  expect(fuse(relaxed.slice())).toBe(0);
  const [ours, theirs] = [relaxed, readFileSync("src/kernels/generated/relaxed.wasm")].map(fusedIn);
  expect(fusedIn(plain)).toEqual([]);
  expect(ours.length).toBe(fused);
  expect(ours.map(({ code }) => code)).toEqual(theirs.map(({ code }) => code));
  const rest = relaxed.slice();
  for (const { at, code } of ours) {
    const length = code % 2 === 1 ? 10 : 14;
    expect([...relaxed.subarray(at + 3, at + length)]).toEqual(new Array(length - 3).fill(1));
    rest.set(plain.subarray(at, at + length), at);
  }
  expect(Buffer.compare(rest, plain)).toBe(0);
});
