// The kernels' own decompression against zlib's, and what it gives against the compiled files.

import { readFileSync } from "node:fs";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compressed, sizes } from "../../src/kernels/generated/bytes.ts";
import { inflate } from "../../src/kernels/inflate.ts";

test("the builds come back to the byte, their quarters in turn", () => {
  const bytes = Buffer.from(compressed, "base64");
  const all = inflate(bytes, sizes.simd + sizes.relaxed);
  expect(Buffer.compare(all, inflateRawSync(bytes))).toBe(0);
  const files = ["simd", "relaxed"].map((name) => readFileSync(`src/kernels/generated/${name}.wasm`));
  const turns = [0, 1, 2, 3].flatMap((i) =>
    files.map((file) => file.subarray(Math.floor((file.length * i) / 4), Math.floor((file.length * (i + 1)) / 4))),
  );
  expect(Buffer.compare(all, Buffer.concat(turns))).toBe(0);
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
