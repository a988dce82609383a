// Runtimes that lack something, or allow less than usual: importing asks for nothing, and what is missing is named.

import { execFileSync, spawnSync } from "node:child_process";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import * as here from "../../src/index.ts";

type World = { process: unknown; Deno?: unknown; WebAssembly?: unknown };
const world = globalThis as unknown as World;
const { process: node, WebAssembly: assembly } = world;

afterEach(() => {
  world.process = node;
  world.WebAssembly = assembly;
  delete world.Deno;
  vi.restoreAllMocks();
  vi.resetModules();
});

/** The library, loaded anew. */
async function fresh(): Promise<typeof here> {
  vi.resetModules();
  return await import("../../src/index.ts");
}

const product = ({ batchedMatmul, randomNormal }: typeof here) => {
  const a = randomNormal([40, 40], { seed: 1 });
  return batchedMatmul(a, a).data;
};

/** Makes a constructor of WebAssembly throw. */
const failing = (name: "Module" | "Memory", error: Error) =>
  vi.spyOn(WebAssembly, name).mockImplementation(function refuse(): never {
    throw error;
  });

/** A process whose environment answers with `read`, and counts how often it is asked. */
function environment(read: (name: string) => string | undefined) {
  const asked: string[] = [];
  const env = new Proxy(
    {},
    {
      get(_, name) {
        if (typeof name !== "string") return undefined;
        asked.push(name);
        return read(name);
      },
      has(_, name) {
        throw new Error(`has ${String(name)}`);
      },
    },
  );
  // What Vitest itself asks of the process stays.
  world.process = new Proxy(node as object, {
    get: (target, name) => (name === "env" ? env : Reflect.get(target, name, target)),
  });
  return asked;
}

test("the environment is asked for nothing", async () => {
  for (const runtime of [undefined, {}]) {
    const asked = environment(() => {
      throw new Error("no access");
    });
    world.Deno = runtime;
    const library = await fresh();
    expect(product(library)).toEqual(product(here));
    expect(asked.filter((name) => name.startsWith("LAPLACE"))).toEqual([]);
  }
  world.process = undefined;
  expect(product(await fresh())).toEqual(product(here));
});

describe("WebAssembly", () => {
  test("that a content security policy forbids is named, with what to add", async () => {
    // As Chromium, Firefox and Safari say it. tools/test-runtimes.mjs asks Chromium itself.
    for (const message of [
      "WebAssembly.Module(): Compiling or instantiating WebAssembly module violates the following Content Security policy directive because neither 'wasm-eval' nor 'unsafe-eval' is an allowed source of script",
      "call to WebAssembly.Module() blocked by CSP",
      "Refused to create a WebAssembly object because 'unsafe-eval' or 'wasm-unsafe-eval' is not an allowed source of script in the following Content Security Policy directive",
    ]) {
      const library = await fresh();
      const spy = failing("Module", new WebAssembly.CompileError(message));
      let found: unknown;
      try {
        product(library);
      } catch (error) {
        found = error;
      }
      spy.mockRestore();
      expect(found).toBeInstanceOf(library.PlatformError);
      expect(found).toBeInstanceOf(library.LaplaceError);
      const { name, message: text, cause } = found as Error;
      expect(name).toBe("PlatformError");
      expect(text).toMatch(/content security policy.*Add 'wasm-unsafe-eval' to its script-src/);
      expect((cause as Error).message).toBe(message);
      // Nothing is kept of the failure: where it is allowed later, it works.
      expect(product(library)).toEqual(product(here));
      expect(library.kernels.info().bytesInUse).toBe(0);
    }
  });

  test("that is not compiled for another reason gives that reason", async () => {
    const library = await fresh();
    failing("Module", new RangeError("out of code space"));
    expect(() => product(library)).toThrow(/does not compile.*out of code space/);
    expect(() => product(library)).toThrow(library.PlatformError);
  });

  test("without SIMD is named", async () => {
    const library = await fresh();
    failing("Module", new WebAssembly.CompileError("invalid opcode"));
    vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    expect(() => product(library)).toThrow(/has no SIMD/);
    expect(() => product(library)).toThrow(library.PlatformError);
  });

  test("that is not there at all is named at first use; importing works", async () => {
    delete world.WebAssembly;
    const library = await fresh();
    expect(library.array([1, 2]).data).toEqual(Float64Array.of(1, 2));
    for (const use of [() => product(library), () => library.kernels.info(), () => library.kernels.setThreads(1)]) {
      if (use.toString().includes("setThreads")) use();
      else expect(use).toThrow(library.PlatformError);
    }
    expect(() => product(library)).toThrow(/no WebAssembly.*--jitless/);
  });

  test("whose memory is not to be had is named", async () => {
    const library = await fresh();
    failing("Memory", new RangeError("could not allocate memory"));
    expect(() => product(library)).toThrow(library.PlatformError);
    expect(() => product(library)).toThrow(/address space/);
    vi.restoreAllMocks();
    expect(product(library)).toEqual(product(here));
  });
});

describe("Node", () => {
  // Does nothing where the build is up to date.
  beforeAll(() => execFileSync(node_("execPath"), ["tools/prepare.mjs"], { stdio: "ignore" }), 300_000);

  const code = `const { batchedMatmul, kernels, randomNormal } = await import("./dist/index.js");
const a = randomNormal([300, 300], { seed: 1 });
kernels.setThreads(4);
const sum = batchedMatmul(a, a).data.reduce((total, x) => total + x, 0);
console.log(JSON.stringify({ sum, threads: kernels.info().threads }));`;
  const run = (...flags: string[]) => {
    const { stdout, stderr, status } = spawnSync(node_("execPath"), [...flags, "--input-type=module", "-e", code], {
      encoding: "utf8",
    });
    return { stdout, stderr, status };
  };

  test("that forbids workers computes with one thread, the same bits", () => {
    const plain = JSON.parse(run().stdout);
    expect(plain.threads).toBe(4);
    const permission =
      Number(node_("version").slice(1).split(".")[0]) < 23 ? "--experimental-permission" : "--permission";
    expect(JSON.parse(run(permission, "--allow-fs-read=*").stdout)).toEqual({ ...plain, threads: 1 });
  });

  test("without WebAssembly says what to change", () => {
    const { status, stderr } = run("--jitless");
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/PlatformError.*no WebAssembly.*--jitless/);
  });
});

function node_(name: "execPath" | "version"): string {
  return (node as { execPath: string; version: string })[name];
}
