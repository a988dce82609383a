// Messages as files: they come back to the bit, and what was never written is refused.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FileError, NDArray, readSafetensors, writeSafetensors } from "../../src/index.ts";
import { contentsOf, valueFrom } from "../../src/remote/contents.ts";

const arrays = fc.oneof(
  fc.float64Array({ maxLength: 4 }),
  fc.float32Array({ maxLength: 4 }),
  fc.uint8Array({ maxLength: 4 }),
  fc.uint32Array({ maxLength: 4 }),
  fc.int32Array({ maxLength: 4 }),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.oneof(fc.double(), fc.string({ unit: "binary" }), fc.boolean(), fc.constantFrom(null, undefined), arrays),
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom("array", "list", "object", "number", "__proto__")),
      tie("tree"),
      { maxKeys: 3 },
    ),
  ),
}));

/** Fields that are undefined are as good as none. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(plain);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.map(([key, one]) => [key, plain(one)]));
}

describe("a message as a file", () => {
  test("comes back to the bit", () => {
    fc.assert(
      fc.property(tree, (value) => {
        const { tensors, metadata } = contentsOf(value, { own: "text" });
        const read = readSafetensors(writeSafetensors(tensors, metadata));
        expect(read.metadata.own).toBe("text");
        expect(valueFrom("test", read)).toStrictEqual(plain(value));
      }),
    );
  });

  test.each([
    ["{", {}],
    ["{}", {}],
    ["[1]", {}],
    ['{"list":1}', {}],
    ['{"object":[]}', {}],
    ['{"number":"7"}', {}],
    ['{"number":"toString"}', {}],
    ['{"array":"0","type":"Float64Array"}', {}],
    ['{"array":"toString","type":"Float64Array"}', {}],
    ['{"array":"0","type":"Float32Array"}', { 0: new NDArray(Float64Array.of(1), [1]) }],
    ['{"array":"0","type":"Uint8Array"}', { 0: new NDArray(Float64Array.of(256), [1]) }],
    ['{"array":"0","type":"Uint32Array"}', { 0: new NDArray(Float64Array.of(0.5), [1]) }],
    ['{"array":"0","type":"BigInt64Array"}', { 0: new NDArray(Float64Array.of(1), [1]) }],
    [
      '{"list":[{"array":"0","type":"Float64Array"},{"array":"0","type":"Float64Array"}]}',
      { 0: new NDArray(Float64Array.of(1), [1]) },
    ],
    [`${'{"list":['.repeat(70)}${"]}".repeat(70)}`, {}],
  ])("of %s is refused", (document, tensors) => {
    const contents = { tensors: tensors as Record<string, NDArray>, metadata: { "laplace-ts.document": document } };
    expect(() => valueFrom("test", contents)).toThrow(FileError);
  });

  test("without a document is refused, and functions are not written", () => {
    expect(() => valueFrom("test", { tensors: {}, metadata: {} })).toThrow(FileError);
    expect(() => contentsOf({ f: () => 1 })).toThrow(/are not written to files/);
    expect(() => contentsOf(new BigInt64Array(1))).toThrow(/are not written to files/);
  });
});
