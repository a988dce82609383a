// Whatever is packed comes back: the packer looks for long.

import fc from "fast-check";
import { expect, test } from "vitest";
import { unpacker } from "../../src/kernels/generated/bytes.ts";
import { decode, unpack } from "../../src/kernels/unpack.ts";
// @ts-expect-error: a tool, in plain JavaScript
import { pack } from "../../tools/pack.mjs";

test("whatever is packed comes back", () => {
  const words = fc.array(fc.constantFrom("kernel", "0123456789", "αβγ", "x", "\n".repeat(600)));
  fc.assert(
    fc.property(words, fc.uint8Array({ maxLength: 300 }), (text, noise) => {
      const plain = Buffer.concat([Buffer.from(text.join("")), noise, Buffer.from(text.toReversed().join(" "))]);
      const found = unpack(decode(unpacker), pack(plain), plain.length);
      expect(Buffer.compare(found, plain)).toBe(0);
    }),
    { numRuns: 15 },
  );
});
