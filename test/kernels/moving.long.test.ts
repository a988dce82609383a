// Pages that are not cross-origin isolated have no SharedArrayBuffer: the kernels' memory moves when it grows, and detaches
// every view of it. A runtime with shared memory says what is right, to the bit. `npm run test:moving` runs all tests so.

import { afterEach, describe, expect, test, vi } from "vitest";
import * as here from "../../src/index.ts";

type Library = typeof here;

/** The library as such a page loads it, and its memory. */
async function withoutSharing() {
  const world = globalThis as { SharedArrayBuffer?: unknown };
  const kept = world.SharedArrayBuffer;
  delete world.SharedArrayBuffer;
  vi.resetModules();
  try {
    const library: Library = await import("../../src/index.ts");
    return { library, memory: await import("../../src/kernels/memory.ts") };
  } finally {
    if (kept !== undefined) world.SharedArrayBuffer = kept;
  }
}
afterEach(() => {
  vi.resetModules();
});

const structures = ["full", "diagonal", "kronecker", "ekfac"] as const;

/** What a small network's default fit says: evidence, prediction and covariance. */
async function fitted(library: Library, i: number): Promise<number[]> {
  const { chain, dense, conv2d, flatten, layerNorm, laplace, randomNormal, relu, Random } = library;
  const random = new Random(i);
  const [samples, inputs, width] = [300, 4, 32].map((most) => 1 + Math.floor(random.uniform() * most));
  const outputs = 1 + (i % 3);
  const structure = i < 60 ? "full" : structures[i % 4];
  const classes = i % 5 === 4;
  const net =
    i % 7 === 6
      ? chain({ inputs: [1, 4, inputs], seed: i }, conv2d(2, 1, relu), flatten, layerNorm(), dense(outputs + 1))
      : chain({ inputs, seed: i }, dense(width, relu), dense(outputs + 1));
  const x = randomNormal([samples, ...net.inputShape], { seed: i });
  const y = classes
    ? Array.from({ length: samples }, (_, n) => n % (outputs + 1))
    : randomNormal([samples, outputs + 1], { seed: i + 1 });
  const likelihood = classes ? "classification" : "regression";
  // Some weights of the first layer, so that rows of a subset are written, or all of them.
  const weights = i % 3 === 1 && structure === "full" ? { indices: [0, 2, net.parameterCount - 1] } : undefined;
  const posterior = await laplace(net, { likelihood, structure, checks: false, ...(weights && { weights }) }).fit({
    x,
    y,
  });
  const prediction = posterior.predict(x, { samples: 3 });
  return [
    posterior.logMarginalLikelihood(),
    ...prediction.mean.data,
    ...prediction.variance.data,
    ...posterior.functionCovariance(x).data,
    ...posterior.sample(2, { seed: i }).data,
  ];
}

describe("memory that is not shared", () => {
  test.each([
    ["as it grows", false],
    ["when it moves at every allocation", true],
  ])("90 fits give the bits of shared memory, %s", { timeout: 120_000 }, async (_, moves) => {
    const { library, memory } = await withoutSharing();
    expect(library.kernels.info()).toMatchObject({ sharedMemory: false, threads: 1 });
    if (moves) memory.moveAlways();
    for (let i = 0; i < 90; i++) {
      const [actual, expected] = [await fitted(library, i), await fitted(here, i)];
      expect(actual.length).toBeGreaterThan(10);
      expect(
        actual.every((value, at) => Object.is(value, expected[at])),
        `network ${i}`,
      ).toBe(true);
    }
  });

  test("the default fit of shared/faults/library/pages-without-shared-memory.mjs", async () => {
    const { library } = await withoutSharing();
    const evidence = async ({ chain, dense, laplace, randomNormal, relu }: Library) => {
      const x = randomNormal([500, 4], { seed: 1 });
      const y = Array.from({ length: 500 }, (_, i) => [x.at(i, 0)]);
      const net = chain({ inputs: 4, seed: 1 }, dense(32, relu), dense(1));
      const posterior = await laplace(net, { likelihood: "regression", checks: false }).fit({ x, y });
      return posterior.logMarginalLikelihood();
    };
    expect(await evidence(library)).toBe(await evidence(here));
  });

  test("training, with callbacks that compute in between, gives the same network", { timeout: 60_000 }, async () => {
    const { library, memory } = await withoutSharing();
    memory.moveAlways();
    const trained = async ({ adam, batchNorm, chain, dense, dropout, mse, relu, train, toyRegression }: Library) => {
      const data = toyRegression({ samples: 60, seed: 1 });
      const net = chain({ inputs: 1, seed: 1 }, dense(20, relu), batchNorm(), dropout(0.2), dense(1));
      const heard: number[] = [];
      await train(net, data, {
        loss: mse,
        optimizer: adam(),
        epochs: 5,
        weightDecay: 0.01,
        onProgress: ({ loss }) => heard.push(loss, ...net.forward(data.x).data),
      });
      return [...net.parameters.data, ...net.buffers.data, ...heard];
    };
    const [actual, expected] = [await trained(library), await trained(here)];
    expect(actual).toEqual(expected);
    expect(actual.every(Number.isFinite)).toBe(true);
  });

  test("data from a generator that computes with the library arrive whole", async () => {
    const { library, memory } = await withoutSharing();
    memory.moveAlways();
    const gradient = ({ batchedMatmul, chain, curvatureOf, dense, randomNormal, tanh }: Library) => {
      const net = chain({ inputs: 3, seed: 1, dtype: "float32" }, dense(4, tanh), dense(2));
      function* batches() {
        for (let i = 0; i < 4; i++) {
          const x = batchedMatmul(randomNormal([10, 300], { seed: i }), randomNormal([300, 3], { seed: i }));
          yield { x, y: randomNormal([10, 2], { seed: 9 + i }) };
        }
      }
      return curvatureOf(net, "regression", batches(), { structure: "full" }).dense().data;
    };
    expect(gradient(library)).toEqual(gradient(here));
  });

  test("what a user holds of a kernelArray stays what it shows when memory grows", async () => {
    const { library } = await withoutSharing();
    const { batchedMatmul, batchedTranspose, kernelArray, kernels, randomNormal, zeros } = library;
    const a = randomNormal([3, 3], { seed: 1 });
    const out = kernelArray([3, 3]);
    const [held, row] = [out.data, out.sub(1)];
    expect(batchedMatmul(a, a, { out })).toBe(out);
    const { memoryBytes } = kernels.info();
    batchedTranspose(zeros([1000, 1000]));
    expect(kernels.info().memoryBytes).toBeGreaterThan(memoryBytes);
    expect(out.data).toBe(held);
    expect([...held]).toEqual([...batchedMatmul(a, a).data]);
    expect([...row.data]).toEqual([...held.slice(3, 6)]);
    out.free();
  });
});

describe("the build that moves memory", () => {
  test("detaches a view that was kept at the next allocation, release and end of a loan", async () => {
    const { memory } = await withoutSharing();
    const { allocate, copyIn, inMemory, moveAlways, scope, takeBlock } = memory;
    moveAlways();
    const steps = [() => allocate(8), () => takeBlock(8), () => scope(() => {}), () => inMemory("float64", () => {})];
    for (const step of steps) {
      scope(() => {
        const pointer = copyIn("float64", [7]);
        // Within a loan nothing moves, neither at the end of a scope nor at that of an inner loan.
        inMemory("float64", (view) => {
          inMemory("float32", () => {});
          scope(() => {});
          expect(view[pointer / 8]).toBe(7);
        });
        // A mistake that nothing refuses: the view is kept beside the loan. It shows nothing from the loan's end on.
        let kept: ArrayLike<number> = [];
        inMemory("float64", (view) => {
          kept = view;
        });
        step();
        expect(kept[pointer / 8]).toBeUndefined();
        expect([...memory.copyOut("float64", pointer, 1)]).toEqual([7]);
      });
    }
  });

  test("is not there where memory is shared", async () => {
    const { moveAlways, shared } = await import("../../src/kernels/memory.ts");
    if (shared) expect(moveAlways).toThrow("does not move");
    else expect(moveAlways).not.toThrow();
  });
});
