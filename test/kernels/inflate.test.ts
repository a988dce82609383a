// The kernels' own decompression against zlib's, and what it gives against the compiled build.

import { readFileSync } from "node:fs";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fuse } from "../../src/kernels/fuse.ts";
import { compressed, fused, size } from "../../src/kernels/generated/bytes.ts";
import { inflate } from "../../src/kernels/inflate.ts";

const bytes = Buffer.from(compressed, "base64");

test("the plain build comes back to the byte", () => {
  const plain = inflate(bytes, size);
  expect(Buffer.compare(plain, inflateRawSync(bytes))).toBe(0);
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
  const plain = inflate(bytes, size);
  const relaxed = plain.slice();
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

test("whatever zlib writes with codes of its own is read", () => {
  const words = fc.array(fc.constantFrom("kernel", "0123456789", "αβγ", "x", "\n".repeat(300)), { minLength: 200 });
  fc.assert(
    fc.property(words, fc.uint8Array({ maxLength: 300 }), (text, noise) => {
      const plain = Buffer.concat([Buffer.from(text.join("")), noise, Buffer.from(text.toReversed().join(" "))]);
      const packed = deflateRawSync(plain, { level: 9 });
      if (((packed[0] >> 1) & 3) !== 2) return;
      expect(Buffer.compare(inflate(packed, plain.length), plain)).toBe(0);
    }),
    { numRuns: 30 },
  );
});

test("anything else is refused", () => {
  expect(() => inflate(deflateRawSync(Buffer.from("abc"), { level: 0 }), 3)).toThrow("in another way");
});
