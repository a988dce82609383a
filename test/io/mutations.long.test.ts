// Thousands of files that are nearly right: each is read or refused by name, at once and in little memory.

import fc from "fast-check";
import { expect, test } from "vitest";
import { array, FileError, loadPosterior, readSafetensors, savePosterior, writeSafetensors } from "../../src/index.ts";
import { cpuTime } from "../cpu-time.ts";
import { entry, fileOf } from "./files.ts";
import { fit, plain } from "./fits.ts";

const small = writeSafetensors(
  { a: array([1, 2, 3]), "0.weight": array([[1], [2]], { dtype: "float32" }) },
  { k: "v" },
);
const posterior = savePosterior(await fit(plain("float64", 2), "gaussian", { structure: "ekfac" }));

type Reader = (bytes: Uint8Array) => unknown;

/** Reads a file as both kinds; anything but a result or a FileError goes through. */
function attempt(bytes: Uint8Array, readers: readonly Reader[] = [readSafetensors, loadPosterior]): number {
  let read = 0;
  for (const reader of readers) {
    try {
      reader(bytes);
      read++;
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
    }
  }
  return read;
}

function flipped(bytes: Uint8Array, bits: readonly number[]): Uint8Array {
  const changed = bytes.slice();
  for (const bit of bits) changed[(bit >> 3) % changed.length] ^= 1 << (bit & 7);
  return changed;
}

const headerOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(0, true);

const numbers = fc.oneof(
  fc.nat(20),
  fc.constantFrom(
    -1,
    0.5,
    2 ** 31,
    2 ** 32,
    2 ** 40,
    2 ** 53 - 1,
    2 ** 53,
    1e300,
    -0,
    "1e9",
    "00",
    "0x1",
    '"1"',
    "null",
  ),
);
const dtypes = fc.constantFrom("F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E5M2", "f32", "");
const strangeNames = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.constantFrom("__proto__", "constructor", "__metadata__", "a"),
);

/** Headers of the right form with the wrong numbers. */
const forged = fc
  .tuple(
    fc.array(fc.tuple(strangeNames, dtypes, fc.array(numbers, { maxLength: 5 }), numbers, numbers), { maxLength: 4 }),
    fc.nat(64),
    fc.oneof(fc.constant(undefined), fc.bigInt(0n, 2n ** 64n - 1n)),
  )
  .map(([entries, data, length]) => {
    const header = `{${entries.map(([name, dtype, shape, begin, end]) => entry(name, dtype, shape as never, begin, end)).join()}}`;
    return fileOf(header, new Array(data).fill(1), length);
  });

/** JSON of any form where a header is expected. */
const strangers = fc
  .tuple(fc.json({ maxDepth: 6 }), fc.nat(16), fc.boolean())
  .map(([json, data, wrap]) => fileOf(wrap ? `{"a":${json}}` : json, new Array(data).fill(0)));

const deep = fc
  .tuple(fc.constantFrom("[", '{"a":', '{"__proto__":'), fc.integer({ min: 1, max: 200_000 }))
  .map(([opening, depth]) => fileOf(`{"a":${opening.repeat(depth)}`));

const bases = fc.constantFrom(small, posterior);

const mutated = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(bases, fc.nat()).map(([bytes, end]) => bytes.subarray(0, end % bytes.length)) },
  {
    weight: 3,
    arbitrary: fc.tuple(bases, fc.array(fc.nat(), { minLength: 1, maxLength: 4 })).map(([b, at]) => flipped(b, at)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(bases, fc.nat(), fc.constantFrom("9", "-", "e", "]", "{", '"', ",", "\\", "99999999999", "__proto__"))
      .map(([bytes, at, text]) => {
        const header = new TextDecoder().decode(bytes.subarray(8, 8 + headerOf(bytes)));
        const place = at % header.length;
        const long = header.slice(0, place) + text + header.slice(place + 1);
        return fileOf(long, bytes.subarray(8 + headerOf(bytes)));
      }),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(bases, fc.nat(), fc.nat()).map(([bytes, one, other]) => {
      const header = new TextDecoder().decode(bytes.subarray(8, 8 + headerOf(bytes)));
      const offsets = [...header.matchAll(/"data_offsets":\[\d+,\d+\]/g)].map(([text]) => text);
      const [from, to] = [offsets[one % offsets.length], offsets[other % offsets.length]];
      const swapped = header.replace(from, "@").replace(to, from).replace("@", to);
      return fileOf(swapped, bytes.subarray(8 + headerOf(bytes)));
    }),
  },
  { weight: 4, arbitrary: forged },
  { weight: 2, arbitrary: strangers },
  { weight: 1, arbitrary: deep },
);

test("3000 mutated files", () => {
  const before = process.memoryUsage().rss;
  let [read, slowest] = [0, 0];
  fc.assert(
    fc.property(mutated, (bytes) => {
      const start = cpuTime();
      // Garbage may go meanwhile, so that this is the least that was allocated.
      const { arrayBuffers } = process.memoryUsage();
      read += attempt(bytes);
      expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(20 * bytes.length + 2 ** 20);
      slowest = Math.max(slowest, cpuTime() - start);
    }),
    { numRuns: 3000 },
  );
  expect(attempt(posterior)).toBe(2);
  expect(read).toBeGreaterThan(20);
  expect(slowest).toBeLessThan(5000);
  expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 29);
});

test("the longest headers: as many tensors, digits and letters as fit", () => {
  const most = 2 ** 24 - 10;
  const before = process.memoryUsage().rss;
  for (const header of [
    `{${Array.from({ length: 65_000 }, (_, i) => entry(String(i), "U8", [0], 0, 0)).join()}}`,
    `{"a":{"shape":[${"1,".repeat(most / 2 - 10)}1]}}`,
    `{"a":${"9".repeat(most)}}`,
    `{"${"\\u0041".repeat(most / 6 - 1)}":1}`,
  ]) {
    const start = cpuTime();
    attempt(fileOf(header), [readSafetensors]);
    expect(cpuTime() - start).toBeLessThan(5000);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 30);
  }
});
