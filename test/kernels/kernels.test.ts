import { afterEach, expect, test, vi } from "vitest";
import { batchedMatmul, kernels, OptionError } from "../../src/index.ts";
import { useBuild } from "../../src/kernels/kernels.ts";

const major = Number(process.versions.node.split(".")[0]);

afterEach(() => {
  vi.unstubAllGlobals();
});

test("info says which build runs and what memory is held", () => {
  batchedMatmul([[1]], [[2]]);
  const info = kernels.info();
  expect(info.build).toBe(major < 22 ? "simd" : "relaxed");
  expect(info.sharedMemory).toBe("SharedArrayBuffer" in globalThis);
  expect(info.memoryBytes).toBeGreaterThan(0);
  expect(info.bytesInUse).toBe(0);
});

test("the kernels load where the runtime decodes base64 by no means of its own but atob", () => {
  const { build } = kernels.info();
  const product = batchedMatmul([[1, 2]], [[3], [4]]);
  vi.stubGlobal("Buffer", undefined);
  vi.stubGlobal("Uint8Array", Object.assign(class extends Uint8Array {}, { fromBase64: undefined }));
  useBuild(build);
  expect(batchedMatmul([[1, 2]], [[3], [4]])).toEqual(product);
});

test("a runtime that takes the kernels' bytes and still refuses to compile them is heard", () => {
  const { build } = kernels.info();
  vi.stubGlobal("WebAssembly", {
    validate: () => true,
    Module: class {
      constructor() {
        throw new Error("a policy forbids it");
      }
    },
  });
  expect(() => useBuild(build)).toThrow("a policy forbids it");
});

test("wide SIMD works on Node 24 and later, and is refused with the reason before", () => {
  const { build } = kernels.info();
  if (major < 24) {
    expect(() => kernels.useWideSimd()).toThrow(OptionError);
    expect(() => kernels.useWideSimd()).toThrow("it needs Node 24 or later");
    expect(kernels.info().build).toBe(build);
    return;
  }
  kernels.useWideSimd();
  expect(kernels.info().build).toBe("wide");
  useBuild(build);
});
