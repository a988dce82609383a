// The small convolutional network of the plain-autograd reference: what no other network of it has.

import { expect, test } from "vitest";
import {
  crossEntropy,
  curvatureOf,
  eigh,
  gradient,
  jacobian,
  NDArray,
  perSampleGradientNorms,
  perSampleGradients,
} from "../../src/index.ts";
import { arrayOf, type Factors, type Oracle, readOracle, type Table } from "./oracles.ts";

interface Probe {
  readonly V: Table;
  readonly GV: Table;
}

interface CnnOracle extends Oracle {
  readonly outputs: Table;
  readonly outputsTest: Table;
  readonly lossPerSample: Table;
  /** [P, 2] */
  readonly perSampleGradFirst: Table;
  readonly perSampleGradSqNorm: Table;
  readonly jacobianFirst: Table;
  readonly jacobianTestFirst: Table;
  readonly ggnProbe: Probe;
  readonly efProbe: Probe;
  readonly ggnStats: { readonly trace: number; readonly frobenius: number; readonly topEigenvalues: Table };
  readonly kfac: Record<"expand" | "reduce" | "expandEmpirical" | "reduceEmpirical", readonly Factors[]>;
}

const { net, data, task, test: testInputs, oracle: read } = readOracle("digits_cnn");
const oracle = read as CnnOracle;
const count = net.parameterCount;

/** Entries may be sums whose terms cancel: relative to the largest. */
function expectClose(actual: ArrayLike<number>, { data: due }: Table): void {
  const largest = Math.max(...due.map(Math.abs));
  expect(actual).toBeAllClose(due, { relative: 1e-9, absolute: 1e-12 * largest });
}

test("outputs and losses", () => {
  expectClose(net.forward(data.x).data, oracle.outputs);
  expectClose(net.forward(testInputs).data, oracle.outputsTest);
  expectClose(crossEntropy(net.forward(data.x), data.y, { reduction: "none" }).data, oracle.lossPerSample);
});

test("gradients: their sum, single ones, their norms", () => {
  const sum = { reduction: "sum" } as const;
  expectClose(gradient(net, crossEntropy, data, sum).data, oracle.sumGrad);
  const rows = perSampleGradients(net, crossEntropy, data, sum).data;
  const { shape, data: due } = oracle.perSampleGradFirst;
  const first = Float64Array.from(
    { length: shape[1] * count },
    (_, i) => due[(i % count) * shape[1] + Math.floor(i / count)],
  );
  expectClose(rows.subarray(0, first.length), { shape: [], data: Array.from(first) });
  const norms = perSampleGradientNorms(net, crossEntropy, data, sum).data;
  expectClose(
    norms.map((norm) => norm ** 2),
    oracle.perSampleGradSqNorm,
  );
});

test("Jacobians", () => {
  const first = jacobian(net, data.x).data.subarray(0, oracle.jacobianFirst.data.length);
  expectClose(first, oracle.jacobianFirst);
  const ofTest = jacobian(net, testInputs).data.subarray(0, oracle.jacobianTestFirst.data.length);
  expectClose(ofTest, oracle.jacobianTestFirst);
});

test.each(["ggn", "empiricalFisher"] as const)("products with the full %s", (curvature) => {
  const { V, GV } = curvature === "ggn" ? oracle.ggnProbe : oracle.efProbe;
  expectClose(curvatureOf(net, task, data, { structure: "full", curvature }).times(arrayOf(V)).data, GV);
});

test("trace, norm and largest eigenvalues of the full GGN", () => {
  const { trace, frobenius, topEigenvalues } = oracle.ggnStats;
  const matrix = curvatureOf(net, task, data, { structure: "full" }).dense();
  const diagonal = Array.from({ length: count }, (_, i) => matrix.data[i * (count + 1)]);
  const found = [
    diagonal.reduce((sum, x) => sum + x, 0),
    Math.sqrt((matrix.data as Float64Array).reduce((sum, x) => sum + x * x, 0)),
  ];
  expect(found).toBeAllClose([trace, frobenius], { relative: 1e-9 });
  const values = eigh(new NDArray(matrix.data, [count, count]), { vectors: false }).values.data;
  expectClose(values.slice(-topEigenvalues.data.length).reverse(), topEigenvalues);
});

test.each([
  ["expand", "ggn"],
  ["reduce", "ggn"],
  ["expand", "empiricalFisher"],
  ["reduce", "empiricalFisher"],
] as const)("Kronecker factors: %s, %s", (sharing, curvature) => {
  const factors = oracle.kfac[curvature === "ggn" ? sharing : (`${sharing}Empirical` as const)];
  const { blocks } = curvatureOf(net, task, data, { structure: "kronecker", curvature, sharing }) as unknown as {
    blocks: { a?: Float64Array; b: Float64Array; count: number }[];
  };
  blocks.forEach(({ a, b, count: terms }, i) => {
    const due = factors[Math.floor(i / 2)];
    expectClose(b, due.B);
    expect(a === undefined).toBe(i % 2 === 1);
    if (a !== undefined)
      expectClose(
        a.map((x) => x / terms),
        due.A,
      );
  });
});
