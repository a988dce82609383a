// The packed kernels against the build that was packed.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fuse } from "../../src/kernels/fuse.ts";
import { fused, packed, size, unpacker } from "../../src/kernels/generated/bytes.ts";
import { decode, unpack } from "../../src/kernels/unpack.ts";

test("the text of the plain build comes back as the file that Node reads, to the byte", () => {
  const plain = unpack(decode(unpacker), decode(packed), size);
  expect(Buffer.compare(plain, readFileSync("src/kernels/generated/plain.wasm"))).toBe(0);
  expect(WebAssembly.validate(plain)).toBe(true);
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
  const plain = readFileSync("src/kernels/generated/plain.wasm");
  const relaxed = Uint8Array.from(plain);
  expect(fuse(relaxed)).toBe(fused);
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
