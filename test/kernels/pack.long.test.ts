// Whatever is packed comes back: the packer looks for long.

import fc from "fast-check";
import { expect, test } from "vitest";
import { unpacker } from "../../src/kernels/generated/bytes.ts";
import { unpack } from "../../src/kernels/unpack.ts";
// @ts-expect-error: a tool, in plain JavaScript
import { pack } from "../../tools/pack.mjs";

test("whatever is packed comes back, and what is packed after it", () => {
  const words = fc.array(fc.constantFrom("kernel", "0123456789", "αβγ", "x", "\n".repeat(600)));
  fc.assert(
    fc.property(words, fc.uint8Array({ maxLength: 300 }), (text, noise) => {
      const plain = Buffer.concat([Buffer.from(text.join("")), noise, Buffer.from(text.toReversed().join(" "))]);
      const other = Buffer.concat([noise, plain.subarray(plain.length / 2)]);
      const texts = pack(plain, [other, noise]).map((packed: Uint8Array, i: number) => ({
        packed: Buffer.from(packed).toString("base64"),
        size: [plain, other, noise][i].length,
      }));
      const [first, second, third] = texts;
      expect(Buffer.compare(unpack(unpacker.module, first), plain)).toBe(0);
      expect(Buffer.compare(unpack(unpacker.module, first, second), other)).toBe(0);
      expect(Buffer.compare(unpack(unpacker.module, first, third), noise)).toBe(0);
    }),
    { numRuns: 15 },
  );
});
