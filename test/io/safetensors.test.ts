// The safetensors format: round trips, a file byte by byte, and every rule broken once.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  FileError,
  kernelArray,
  loadWeights,
  NDArray,
  OptionError,
  readSafetensors,
  ValueError,
  WeightsError,
  writeSafetensors,
  zeros,
} from "../../src/index.ts";
import { Checksum } from "../../src/io/checksum.ts";
import { entry, fileOf } from "./files.ts";

const bytesOf = ({ data }: NDArray) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const names = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "", '"\\\u0000\n', "重み", "🐘"),
);

/** Arrays of any bits: all NaNs, both zeros, the smallest numbers. */
const arrays = fc.tuple(fc.array(fc.nat(4), { maxLength: 4 }), fc.boolean(), fc.nat()).map(([shape, single, seed]) => {
  const size = shape.reduce((product, length) => product * length, 1);
  const bytes = new Uint8Array(size * (single ? 4 : 8)).map((_, i) => ((seed + i) * 2654435761) >>> 24);
  const values = single ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 5e-324];
  for (let i = 0; i < values.length; i += 3) values[i] = odd[(seed + i) % odd.length];
  return new NDArray(values, shape);
});

const textless = (name: string) => name !== "__metadata__";
const dictionaries = fc.dictionary(names.filter(textless), arrays, { maxKeys: 6 });
const texts = fc.dictionary(names, fc.string({ unit: "binary", maxLength: 20 }), { maxKeys: 4 });

describe("what is written is read", () => {
  test("any arrays, any names, any texts, to the bit", () => {
    fc.assert(
      fc.property(dictionaries, texts, (tensors, metadata) => {
        const bytes = writeSafetensors(tensors, metadata);
        const read = readSafetensors(bytes);
        expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(tensors).sort());
        for (const name of Object.keys(tensors)) {
          expect(read.tensors[name].shape).toEqual(tensors[name].shape);
          expect(read.tensors[name].dtype).toBe(tensors[name].dtype);
          expect(bytesOf(read.tensors[name])).toEqual(bytesOf(tensors[name]));
        }
        const turned = Object.fromEntries(Object.entries(tensors).reverse());
        expect(writeSafetensors(turned, metadata)).toEqual(bytes);
        expect(bytes.length % (Object.values(tensors).some(({ dtype }) => dtype === "float32") ? 4 : 8)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test("parts of arrays, and arrays in the kernels' memory", () => {
    const rows = array([1, 2, 3, 4, 5, 6], { shape: [3, 2] });
    const kept = kernelArray([2], { dtype: "float32" });
    kept.data.set([7, 8]);
    const { tensors } = readSafetensors(writeSafetensors({ row: rows.sub(1), kept }));
    kept.free();
    expect(tensors.row.toArray()).toEqual([3, 4]);
    expect(tensors.kept.toArray()).toEqual([7, 8]);
    expect(tensors.valueOf).toBeUndefined();
  });

  test("into the bytes that the format's description gives, float64 first", () => {
    const header =
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    const data = [0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 128, 63, 0, 0, 192, 255];
    const a = new NDArray(new Float32Array(new Uint8Array(data.slice(8)).buffer), [1, 2]);
    const bytes = writeSafetensors({ a, b: array(2) }, { format: "pt" });
    expect(bytes).toEqual(fileOf(padded, data));
    expect(writeSafetensors({})).toEqual(fileOf("{}      "));
  });

  test("and refuses what a file cannot hold", () => {
    const x = array([1]);
    expect(() => writeSafetensors({ "\ud800": x })).toThrow("half a character");
    expect(() => writeSafetensors({ x }, { "\udfff": "" })).toThrow("half a character");
    expect(() => writeSafetensors({ x }, { a: "\ud800" })).toThrow(ValueError);
    expect(() => writeSafetensors({ x }, { a: 1 as never })).toThrow("well-formed text");
    expect(() => writeSafetensors({ __metadata__: x })).toThrow("__metadata__");
    expect(() => writeSafetensors({ x: [1] as never })).toThrow("must be an NDArray");
    expect(() => writeSafetensors({ x: zeros(new Array(33).fill(1)) })).toThrow("32 axes");
    expect(() => writeSafetensors(null as never)).toThrow(OptionError);
    expect(() => writeSafetensors({ x }, { long: "x".repeat(2 ** 24) })).toThrow("too many");
  });
});

describe("files of others", () => {
  /** A file of one tensor with these bytes. */
  const read = (dtype: string, shape: readonly number[], data: readonly number[]) =>
    readSafetensors(fileOf(`{${entry("x", dtype, shape, 0, data.length)}}`, data)).tensors.x;
  const little = (values: readonly number[], bytes: number) =>
    values.flatMap((value) => Array.from({ length: bytes }, (_, i) => (value / 2 ** (8 * i)) & 255));

  test("a file byte by byte, tensors in any order, with spaces", () => {
    const header = ` { "z" : {"shape":[2, 1],"data_offsets":[4,12],"dtype":"F32"},\n"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]} }  `;
    const bytes = fileOf(header.trimStart(), [254, 255, 255, 255, 0, 0, 128, 63, 0, 0, 0, 64]);
    const { tensors, metadata } = readSafetensors(bytes);
    expect(tensors.z.toArray()).toEqual([[1], [2]]);
    expect(tensors.a.toArray()).toEqual([-2]);
    expect(Object.keys(metadata)).toEqual([]);
  });

  test("float16 and bfloat16, all of them", () => {
    const all = Array.from({ length: 65536 }, (_, i) => i);
    const halves = read("F16", [65536], little(all, 2));
    const expected = all.map((bits) => {
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
      return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
    });
    expect(all.filter((bits) => !Object.is(halves.data[bits], expected[bits]))).toEqual([]);
    const uppers = read("BF16", [65536], little(all, 2));
    const floats = new Uint32Array(uppers.data.buffer);
    expect(all.filter((bits) => floats[bits] !== bits * 65536)).toEqual([]);
  });

  const stranger: [string, number, number[]][] = [
    ["I8", 1, [0]],
    ["I16", 2, [0, 0]],
    ["U16", 2, [0, 0]],
    ["U32", 4, [0, 0, 0, 0]],
    ["U64", 8, [0, 0, 0, 0, 0, 0, 0, 0]],
    ["F8_E4M3", 1, [0]],
    ["F8_E5M2", 1, [255]],
    ["F4", 1, [0]],
    ["of tomorrow", 3, [1, 2, 3]],
    ["BOOL", 1, [2]],
    ["I64", 8, [1, 0, 0, 0, 0, 0, 32, 0]],
  ];
  test.each(stranger)("a tensor of %s is named, and in nobody's way until it is asked for", (dtype, size, values) => {
    const one = [0, 0, 128, 63];
    const file = fileOf(`{${entry("0.weight", "F32", [1, 1], 0, 4)},${entry("mask", dtype, [1, 1], 4, 4 + size)}}`, [
      ...one,
      ...values,
    ]);
    const { tensors } = readSafetensors(file);
    expect(Object.keys(tensors).sort()).toEqual(["0.weight", "mask"]);
    expect(tensors["0.weight"].item()).toBe(1);
    expect(() => tensors.mask).toThrow(FileError);
    expect(() => tensors.mask).toThrow(/the tensor "mask"/);
    const make = () => chain({ inputs: 1, seed: 5 }, dense(1, undefined, { bias: false }));
    for (const weights of [file, tensors]) {
      const [passed, listed, needed] = [make(), make(), make()];
      const rename = (name: string) => (name === "mask" ? undefined : name);
      expect(loadWeights(passed, weights, { rename }).loaded).toEqual(["0.weight"]);
      expect(loadWeights(listed, weights, { strict: false })).toMatchObject({
        loaded: ["0.weight"],
        unexpected: ["mask"],
      });
      expect([passed.parameters.item(), listed.parameters.item()]).toEqual([1, 1]);
      expect(() => loadWeights(needed, weights)).toThrow(WeightsError);
      const swap = (name: string) => (name === "mask" ? "0.weight" : undefined);
      expect(() => loadWeights(needed, weights, { rename: swap })).toThrow(FileError);
      expect(needed.parameters).toEqual(make().parameters);
    }
  });

  test("weights that are not loaded may have any shape, NaN, or be no array", () => {
    const net = chain({ inputs: 1 }, dense(1, undefined, { bias: false }));
    const odd = { "0.weight": array([[2]]), nan: array([Number.NaN]), text: "none" as never, hole: undefined as never };
    expect(loadWeights(net, odd, { strict: false })).toEqual({
      loaded: ["0.weight"],
      missing: [],
      unexpected: ["nan", "text", "hole"],
      mismatched: [],
    });
    expect(loadWeights(net, structuredClone({ "0.weight": array([[3]]) })).loaded).toEqual(["0.weight"]);
    expect(net.parameters.item()).toBe(3);
    expect(() => loadWeights(net, { "0.weight": [[1]] as never })).toThrow(/"0.weight" must be an NDArray/);
  });

  test("integers and truth values, exactly or not at all", () => {
    expect(read("I64", [2], [...little([2 ** 53], 8), ...new Array(8).fill(255)]).toArray()).toEqual([2 ** 53, -1]);
    expect(() => read("I64", [], [1, 0, 0, 0, 0, 0, 32, 0])).toThrow("9007199254740993 is not exact");
    expect(read("U8", [2], [0, 255]).toArray()).toEqual([0, 255]);
    expect(read("BOOL", [2], [0, 1]).toArray()).toEqual([0, 1]);
    expect(() => read("BOOL", [1], [2])).toThrow("not a truth value");
    expect(read("F16", [0, 3], []).shape).toEqual([0, 3]);
  });

  test("from a Buffer, an ArrayBuffer, shared memory, and nothing else", () => {
    const bytes = writeSafetensors({ x: array([1, 2]) });
    // Also where SharedArrayBuffer is hidden, as in pages that are not cross-origin isolated.
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const shared = new Uint8Array(buffer, 1, bytes.length);
    shared.set(bytes);
    for (const source of [Buffer.from(bytes), bytes.buffer, shared]) {
      expect(readSafetensors(source).tensors.x.toArray()).toEqual([1, 2]);
    }
    for (const wrong of ["x", null, undefined, [1], {}]) {
      expect(() => readSafetensors(wrong as never)).toThrow(OptionError);
    }
  });
});

const f32 = (name: string, begin: number | string, end: number | string) => entry(name, "F32", [1], begin, end);
const eight = new Array(8).fill(0);

describe("a rule broken is a file refused", () => {
  test.each<[what: string, file: Uint8Array, message: RegExp]>([
    ["nothing", new Uint8Array(), /^truncated: .*has 0/],
    ["seven bytes", new Uint8Array(7), /^truncated/],
    ["no header", new Uint8Array(8), /^malformed: .*begin with {/],
    ["a picture", Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10, 0), /^malformed: .*probably not a safetensors/],
    ["a header beyond the file", fileOf("{}", [], 3n), /^truncated: .*ends at byte 11/],
    ["a header of 2^64 - 1 bytes", fileOf("{}", [], 2n ** 64n - 1n), /^malformed: .*18446744073709552000/],
    ["a header of 100 MB", fileOf("{}", [], 100_000_000n), /^malformed/],
    ["a header cut short", fileOf("{}", [], 1n), /^malformed: .*expected a name in quotes/],
    ["a byte order mark", fileOf("\ufeff{}"), /^malformed: .*begin with {/],
    ["a space first", fileOf(" {}"), /^malformed: .*begin with {/],
    ["a list", fileOf("[]"), /^malformed: .*begin with {/],
    ["a line's end last", fileOf("{}\n"), /^malformed: .*follows/],
    ["two objects", fileOf("{}{}"), /^malformed: .*follows/],
    ["no UTF-8", fileOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), /^malformed: .*UTF-8/],
    ["half a character", fileOf('{"\\ud800":{}}'), /^malformed: .*half a character/],
    ["an unknown escape", fileOf('{"\\x":{}}'), /^malformed: .*escape/],
    ["an escape at the end", fileOf('{"\\'), /^malformed: .*does not end/],
    ["a control character", fileOf('{"\n":{}}'), /^malformed: .*control/],
    ["a text without an end", fileOf('{"a'), /^malformed: .*does not end/],
    ["a name without a value", fileOf('{"a"}'), /^malformed: .*colon/],
    ["a name without quotes", fileOf("{a:1}"), /^malformed: .*name in quotes/],
    ["a comma too many", fileOf(`{${f32("a", 0, 4)},}`, eight.slice(4)), /^malformed: .*name in quotes/],
    ["a comma too few", fileOf(`{${f32("a", 0, 4)}${f32("b", 4, 8)}}`, eight), /^malformed: .*comma/],
    ["no end", fileOf(`{${f32("a", 0, 4)}`, eight.slice(4)), /^malformed: .*end of an object/],
    ["a list without an end", fileOf('{"a":{"shape":[1 2]}}'), /^malformed: .*end of a list/],
    ["a name twice", fileOf(`{${f32("a", 0, 4)},${f32("a", 4, 8)}}`, eight), /^malformed: .*"a" comes twice/],
    ["__proto__ twice", fileOf('{"__proto__":{},"__proto__":{}}'), /^malformed: .*comes twice/],
    ["a field twice", fileOf('{"a":{"dtype":"F32","dtype":"F64"}}'), /^malformed: .*"dtype" comes twice/],
    ["a metadata name twice", fileOf('{"__metadata__":{"a":"","a":""}}'), /^malformed: .*comes twice/],
    ["metadata of numbers", fileOf('{"__metadata__":{"a":1}}'), /^malformed: .*not a text/],
    ["metadata of lists", fileOf('{"__metadata__":[]}'), /^malformed: .*not an object/],
    ["metadata that is null", fileOf('{"__metadata__":null}'), /^malformed: .*not an object/],
    ["too many values", fileOf(`{"a":[${"1,".repeat(2 ** 19)}1]}`), /^malformed: .*more than 524288/],
    ["depth", fileOf(`{"a":${"[".repeat(100_000)}`), /^malformed: .*deeper than 3/],
    ["depth in the shape", fileOf('{"a":{"shape":[[1]]}}'), /^malformed: .*deeper/],
    ["a tensor that is null", fileOf('{"a":null}'), /^malformed: .*no description/],
    ["a tensor that is a list", fileOf('{"a":[]}'), /^malformed: .*no description/],
    ["a tensor that is true", fileOf('{"a":true}'), /^malformed: .*no description/],
    ["a word that is not JSON's", fileOf('{"a":tru}'), /^malformed: .*expected a value/],
    ["no dtype", fileOf('{"a":{"shape":[],"data_offsets":[0,0]}}'), /^malformed: .*no dtype/],
    ["no shape", fileOf('{"a":{"dtype":"F32","data_offsets":[0,0]}}'), /^malformed: .*no shape/],
    ["no offsets", fileOf('{"a":{"dtype":"F32","shape":[]}}'), /^malformed: .*data_offsets/],
    ["three offsets", fileOf('{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4,4]}}'), /^malformed: .*data_offsets/],
    ["a field more", fileOf('{"a":{"__proto__":1}}'), /^malformed: .*unknown field "__proto__"/],
    ["an unknown dtype", fileOf(`{${entry("a", "F8_E4M3", [1], 0, 1)}}`, [0]), /^unsupported: .*F8_E4M3.*Read are F64/],
    ["a dtype of Object's", fileOf(`{${entry("a", "constructor", [1], 0, 1)}}`, [0]), /^unsupported/],
    [
      "a negative length",
      fileOf(`{${entry("a", "F32", [-1], 0, 4)}}`, eight.slice(4)),
      /^malformed: .*-1 is not an integer/,
    ],
    ["a length of 1.0", fileOf(`{${entry("a", "F32", ["1.0"], 0, 4)}}`, eight.slice(4)), /^malformed: .*1.0 is not/],
    ["a length of 1e0", fileOf(`{${entry("a", "F32", ["1e0"], 0, 4)}}`, eight.slice(4)), /^malformed: .*1e0 is not/],
    ["a length of 01", fileOf(`{${entry("a", "F32", ["01"], 0, 4)}}`, eight.slice(4)), /^malformed: .*end of a list/],
    ["a length of 2^53", fileOf(`{${entry("a", "F32", ["9007199254740992"], 0, 4)}}`), /^malformed: .*not an integer/],
    ["many digits", fileOf(`{${entry("a", "F32", ["9".repeat(99)], 0, 4)}}`), /^malformed: .*too many digits/],
    ["a length in quotes", fileOf(`{${entry("a", "F32", ['"1"'], 0, 4)}}`), /^malformed: .*no shape/],
    ["33 axes", fileOf(`{${entry("a", "F32", new Array(33).fill(1), 0, 4)}}`, eight.slice(4)), /^malformed: .*32 axes/],
    ["a product of 2^64", fileOf(`{${entry("a", "F32", [2 ** 32, 2 ** 32], 0, 0)}}`), /^malformed: .*impossible shape/],
    ["the same beside 0", fileOf(`{${entry("a", "F32", [2 ** 32, 0, 2 ** 32], 0, 0)}}`), /^malformed: .*impossible/],
    ["a shape larger than its bytes", fileOf(`{${entry("a", "F32", [2 ** 40], 0, 4)}}`, eight), /^malformed: .*takes/],
    ["offsets for another shape", fileOf(`{${f32("a", 0, 8)}}`, eight), /^malformed: .*takes 4 bytes, but has 8/],
    ["offsets turned round", fileOf(`{${entry("a", "F32", [0], 4, 0)}}`), /^malformed: .*has -4/],
    ["a hole first", fileOf(`{${f32("a", 4, 8)}}`, eight), /^malformed: .*hole/],
    ["a hole between", fileOf(`{${f32("a", 0, 4)},${f32("b", 8, 12)}}`, [...eight, ...eight]), /^malformed: .*hole/],
    ["bytes shared", fileOf(`{${f32("a", 0, 4)},${f32("b", 0, 4)}}`, eight.slice(4)), /^malformed: .*overlap/],
    ["bytes shared in part", fileOf(`{${f32("a", 0, 4)},${f32("b", 2, 6)}}`, eight), /^malformed: .*overlap/],
    ["bytes left over", fileOf(`{${f32("a", 0, 4)}}`, eight), /^malformed: .*4 bytes follow/],
    ["bytes missing", fileOf(`{${f32("a", 0, 4)}}`, [0, 0, 0]), /^truncated: .*take 4 bytes.*has 3/],
    ["a terabyte missing", fileOf(`{${entry("a", "F32", [2 ** 38], 0, 2 ** 40)}}`), /^truncated: .*1099511627776/],
  ])("%s", (_, file, message) => {
    let refused = "none";
    try {
      // Types matter where a tensor is asked for.
      Object.values(readSafetensors(file).tensors);
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      refused = `${error.reason}: ${error.message}`;
      expect(error.message.length).toBeLessThan(400);
    }
    expect(refused).toMatch(message);
  });
});

test("the checksum is FNV-1a", () => {
  const sum = (text: string) => {
    const made = new Checksum();
    made.add(new TextEncoder().encode(text));
    return made.digits;
  };
  expect([sum(""), sum("a"), sum("foobar")]).toEqual(["cbf29ce484222325", "af63dc4c8601ec8c", "85944171f73967e8"]);
});
