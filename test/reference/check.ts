// Checks everything the library says of a network against the reference: outputs, every derivative, every curvature.

import fc from "fast-check";
import { expect } from "vitest";
import {
  array,
  type Curvature,
  curvatureOf,
  gaussian,
  gradient,
  jacobian,
  jvp,
  laplace,
  mse,
  type NDArray,
  perSampleGradientNorms,
  perSampleGradients,
  type Structure,
  vjp,
} from "../../src/index.ts";
import { Fields } from "../../src/io/fields.ts";
import { parseJson } from "../../src/io/json.ts";
import { networkFields, networkJson, primitiveOf, readNetwork } from "../../src/io/networks.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { basisOf } from "../laplace/contract/cases.ts";
import { near, numbers } from "./draw.ts";
import { finiteDifferences } from "./finite-differences.ts";
import {
  blockDiagonal,
  correctedBlock,
  type Density,
  exampleOf,
  fullCurvature,
  inverted,
  kroneckerBlock,
  type Matrix,
  middles,
  type Part,
  product,
  transposed,
} from "./laplace.ts";
import { evaluate } from "./network.ts";
import type { Subject } from "./subject.ts";

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const total = (rows: readonly (readonly number[])[]) =>
  rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));

/** Outputs, Jacobians, products with them, gradients and norms; and that the kernels' memory is empty afterwards. */
export function checkDerivatives(subject: Subject): void {
  const before = memoryUse().inUse;
  const { blocks, inputShape, net, theta, rows, x, y, tokens, random } = subject;
  const { dtype, parameterCount: count, outputShape } = net;
  // Where a norm divides by little, its derivatives are differences of large numbers.
  const expectClose = (actual: NDArray, expected: readonly number[], least = dtype === "float32" ? 3 : 0.1) =>
    expect(actual.data).toBeAllClose(expected, near(expected, dtype, least));
  const outputs = rows.map((row) => evaluate(blocks, inputShape, theta, row).elements);
  fc.pre(outputs.flat().every(({ value, slopes }) => [value, ...slopes].every((number) => Math.abs(number) < 50)));
  const f = net.forward(x);
  expect(f.shape).toEqual([rows.length, ...outputShape]);
  expectClose(
    f,
    outputs.flat().map(({ value }) => value),
  );

  const byParameters = outputs.map((row) => row.map(({ slopes }) => slopes.slice(0, count)));
  const byInputs = outputs.map((row) => row.map(({ slopes }) => slopes.slice(count)));
  expectClose(jacobian(net, x), byParameters.flat(2));
  if (!tokens) expectClose(jacobian(net, x, { withRespectTo: "inputs" }), byInputs.flat(2));

  const dTheta = numbers(random, count, dtype);
  const dx = rows.map((row) => numbers(random, row.length, dtype));
  const ofParameters = byParameters.flatMap((example) => example.map((row) => dot(row, dTheta)));
  const ofInputs = byInputs.flatMap((example, b) => example.map((row) => dot(row, dx[b])));
  const inputs = array(dx.flat(), { shape: x.shape });
  if (count > 0) expectClose(jvp(net, x, dTheta), ofParameters);
  if (!tokens) {
    expectClose(jvp(net, x, { inputs }), ofInputs);
    expectClose(
      jvp(net, x, { parameters: dTheta, inputs }),
      ofParameters.map((value, i) => value + ofInputs[i]),
    );
  }

  const columns = outputs.map((row) => numbers(random, row.length, dtype));
  const cotangent = array(columns.flat(), { shape: f.shape });
  const pulled = (all: number[][][]) =>
    all.map((example, b) => total(example.map((row, c) => row.map((slope) => slope * columns[b][c]))));
  expectClose(vjp(net, x, cotangent), total(pulled(byParameters)));
  if (!tokens) expectClose(vjp(net, x, cotangent, { withRespectTo: "inputs" }), pulled(byInputs).flat());

  // The sum of squared errors: 2 (f − y)ᵀ ∂f
  const errors = outputs.map((row, b) => row.map(({ value }, c) => 2 * (value - y.data[b * row.length + c])));
  const gradients = byParameters.map((example, b) =>
    total(example.map((row, c) => row.map((slope) => errors[b][c] * slope))),
  );
  expectClose(perSampleGradients(net, mse, { x, y }, { reduction: "sum" }), gradients.flat());
  expectClose(gradient(net, mse, { x, y }, { reduction: "sum" }), total(gradients));
  const norms = perSampleGradientNorms(net, mse, { x, y }, { reduction: "sum" });
  const squares = gradients.map((row) => dot(row, row));
  expect(norms.data.map((norm) => norm ** 2)).toBeAllClose(squares, near(squares, dtype, 10));
  // Less, where arrays of a test before are collected meanwhile.
  expect(memoryUse().inUse).toBeLessThanOrEqual(before);
}

/** The Jacobian, over parameters and inputs, by differences of the outputs. */
export function checkDifferences({ net, x, theta, rows }: Subject): void {
  const one = x.sub(0).reshape(1, ...net.inputShape);
  const tolerance = { relative: 1e-6, absolute: 1e-6 };
  const byParameters = finiteDifferences((values) => net.clone([...values]).forward(one).data, theta);
  expect(jacobian(net, one).data).toBeAllClose(byParameters.flat(), tolerance);
  const byInputs = finiteDifferences((values) => net.forward(array([...values], { shape: one.shape })).data, rows[0]);
  expect(jacobian(net, one, { withRespectTo: "inputs" }).data).toBeAllClose(byInputs.flat(), tolerance);
}

/** What comes back from JSON computes the same, to the bit. */
export function checkFiles({ net, x }: Subject): void {
  const json = parseJson("test", JSON.stringify(networkJson(net)), { depth: 8, integers: false });
  const { graph } = readNetwork(new Fields("test", json, networkFields), net.parameterCount, primitiveOf);
  const again = Object.assign(net.clone(), { graph });
  expect(again.parameterTable).toEqual(net.parameterTable);
  expect(again.forward(x)).toEqual(net.forward(x));
}

/** The noise of the Gaussian whose curvature is checked. */
export const noise = 0.6;

/** A subject's examples by the reference, and every curvature by its definition; eigenbases are the library's own. */
function referenceOf({ blocks, inputShape, net, theta, rows, y }: Subject, kind: "ggn" | "empiricalFisher") {
  const { size } = net.graph.output;
  const density: Density = { name: "gaussian", noise: new Array<number>(size).fill(noise) };
  const examples = rows.map((row, n) =>
    exampleOf(blocks, inputShape, theta, row, Array.from(y.data.subarray(n * size, (n + 1) * size))),
  );
  const prefixOf = (name: string) => name.slice(0, name.lastIndexOf("."));
  const parts = net.parameterTable.map(({ name, offset, size }): Part => {
    const first = net.parameterTable.find((other) => prefixOf(other.name) === prefixOf(name));
    return { role: name.slice(prefixOf(name).length + 1), begin: first?.offset ?? 0, offset, size };
  });
  const weights = middles(density, examples, kind, { samples: 1, seed: 0 });
  const all = fullCurvature(
    examples,
    weights,
    theta.map((_, i) => i),
  );
  const curvature = (structure: Structure, sharing: "expand" | "reduce", ours: Curvature): Matrix => {
    if (structure === "full") return all;
    if (structure === "diagonal") return all.map((row, i) => row.map((value, j) => (i === j ? value : 0)));
    return blockDiagonal(
      parts.map((part, i) =>
        structure === "kronecker"
          ? kroneckerBlock(examples, weights, part, sharing)
          : correctedBlock(examples, weights, part, basisOf(ours, i)),
      ),
    );
  };
  return { examples, curvature };
}

const structures = [
  ["full", "expand"],
  ["diagonal", "expand"],
  ["kronecker", "expand"],
  ["kronecker", "reduce"],
  ["ekfac", "expand"],
  ["ekfac", "reduce"],
] as const;

/** Close beside the largest number. */
function expectNear(actual: ArrayLike<number>, expected: readonly number[], relative = 1e-9): void {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  expect(actual).toBeAllClose(expected, { relative: 0, absolute: relative * largest });
}

/** Full, diagonal, Kronecker (both kinds of sharing) and corrected curvature, of GGN and empirical Fisher. */
export function checkCurvature(subject: Subject): void {
  const before = memoryUse().inUse;
  const { net, x, y } = subject;
  for (const kind of ["ggn", "empiricalFisher"] as const) {
    const reference = referenceOf(subject, kind);
    for (const [structure, sharing] of structures) {
      const ours = curvatureOf(net, gaussian({ noise }), { x, y }, { structure, curvature: kind, sharing });
      const due = reference.curvature(structure, sharing, ours);
      expectNear(ours.dense().data, due.flat());
      expectNear(
        ours.diagonal().data,
        due.map((row, i) => row[i]),
      );
    }
  }
  // Less, where arrays of a test before are collected meanwhile.
  expect(memoryUse().inUse).toBeLessThanOrEqual(before);
}

/** The variance of predictions in every structure: J P⁻¹ Jᵀ with P = H/σ² + P₀. */
export async function checkPredictions(subject: Subject): Promise<void> {
  const { net, x, y, rows } = subject;
  const priorPrecision = 0.7;
  const { examples, curvature } = referenceOf(subject, "ggn");
  for (const [structure, sharing] of structures) {
    const likelihood = gaussian({ noise });
    const options = { structure, sharing, likelihood, priorPrecision, checks: false };
    const posterior = await laplace(net, options).fit({ x, y });
    const h = curvature(structure, sharing, posterior.curvature);
    const precision = h.map((row, i) => row.map((value, j) => value / noise ** 2 + (i === j ? priorPrecision : 0)));
    const { inverse } = inverted(precision);
    const blocks = examples.map(({ jacobian: j }) => product(product(j, inverse), transposed(j)));
    const { functionMean, functionVariance, variance } = posterior.predict(x);
    expectNear(
      functionMean.data,
      examples.flatMap(({ f }) => f),
    );
    const variances = blocks.flatMap((block) => block.map((row, c) => row[c]));
    expectNear(functionVariance.data, variances);
    expectNear(
      variance.data,
      variances.map((value) => value + noise ** 2),
    );
    expect(functionVariance.shape).toEqual([rows.length, ...net.outputShape]);
  }
}
