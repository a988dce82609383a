// Kernels that come as texts, as in pages and bundles: each part when something calls it, with the bits of Node's one file.

import { afterEach, expect, test, vi } from "vitest";
import * as library from "../../src/index.ts";
import { kernelsFor, useBuild } from "../../src/kernels/kernels.ts";

const { chain, dense, kernels, randomNormal } = library;
const data = { x: randomNormal([6, 1, 6, 6], { seed: 1 }), y: [0, 1, 2, 0, 1, 2] };
const first = { eigh: "eigh", jacobi: "turnRow", layers: "unfold", classes: "spreadColumns", training: "adamStep" };

afterEach(() => {
  vi.unstubAllGlobals();
});

/** Something of every part, in both types. */
async function numbers() {
  const found = [];
  for (const dtype of ["float32", "float64"] as const) {
    const layers = [library.conv2d(2, 3, library.silu), library.maxPool2d(2), library.flatten, library.layerNorm()];
    const net = chain({ inputs: [1, 6, 6], seed: 2, dtype }, ...layers, dense(66));
    await library.train(net, data, { loss: library.crossEntropy, epochs: 2 });
    const before = net.parameters.data.slice();
    const options = { structure: "kronecker", likelihood: library.categorical(), checks: false } as const;
    const posterior = library.laplace(net, options);
    const memory = library.estimateMemory(net, { ...options, examples: 6 });
    const { mean, variance } = (await posterior.fit(data)).predict(data.x, { approximation: "meanField1" });
    const binary = library.perSampleGradients(net, library.binaryCrossEntropy, {
      x: data.x,
      y: new library.NDArray(new Float64Array(6 * 66).fill(1), [6, 66]),
    });
    await library.train(net, data, { loss: library.crossEntropy, optimizer: library.sgd(), epochs: 1 });
    const far = randomNormal([6, 2], { seed: 3, dtype }).data.map((x, i) => (i % 2 === 0 ? x : 1e-6 * x));
    const graded = library.laplace(chain({ inputs: 2, seed: 4, dtype }, dense(3)), options);
    const ofGraded = await graded.fit({ x: new library.NDArray(far, [6, 2]), y: data.y });
    found.push(
      ofGraded.logMarginalLikelihood(),
      before,
      memory,
      mean.data,
      variance.data,
      binary.data,
      net.parameters.data.slice(),
    );
  }
  return found;
}

test("parts come where they are called, and the bits are those of the file", async () => {
  const { build } = kernels.info();
  const due = await numbers();
  vi.stubGlobal("process", { ...process, getBuiltinModule: undefined });
  try {
    useBuild(build as "simd");
    for (const name of Object.values(first)) expect(kernelsFor("float64")).not.toHaveProperty(name);
    expect(await numbers()).toEqual(due);
    for (const name of Object.values(first)) expect(kernelsFor("float64")).toHaveProperty(name);
  } finally {
    vi.unstubAllGlobals();
    useBuild(build as "simd");
  }
});
