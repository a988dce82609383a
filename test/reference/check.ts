// Checks everything the library says of a network against the reference: outputs, every derivative, every curvature.

import fc from "fast-check";
import { expect } from "vitest";
import {
  array,
  curvatureOf,
  type DType,
  gaussian,
  gradient,
  jacobian,
  jvp,
  mse,
  type NDArray,
  type Network,
  perSampleGradientNorms,
  perSampleGradients,
  Random,
  vjp,
} from "../../src/index.ts";
import { Fields } from "../../src/io/fields.ts";
import { parseJson } from "../../src/io/json.ts";
import { networkFields, networkJson, readNetwork } from "../../src/io/networks.ts";
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
  kroneckerBlock,
  type Matrix,
  middles,
  type Part,
} from "./laplace.ts";
import { type Block, build, evaluate } from "./network.ts";

/** A network of blocks with random parameters and data. */
export interface Subject {
  readonly blocks: readonly Block[];
  readonly inputShape: readonly number[];
  readonly net: Network;
  readonly theta: readonly number[];
  /** Inputs, a row for each example. */
  readonly rows: readonly (readonly number[])[];
  readonly x: NDArray;
  readonly y: NDArray;
  readonly random: Random;
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const total = (rows: readonly (readonly number[])[]) =>
  rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));

export function subjectOf(
  blocks: readonly Block[],
  inputShape: readonly number[],
  { batch = 2, seed = 1, dtype = "float64" }: { batch?: number; seed?: number; dtype?: DType } = {},
): Subject {
  const net = build(blocks, inputShape, dtype);
  const random = new Random(seed);
  const theta = numbers(random, net.parameterCount, dtype, 0.7);
  net.setParameters(theta);
  const rows = Array.from({ length: batch }, () => numbers(random, net.graph.input.size, dtype));
  const targets = numbers(random, batch * net.graph.output.size, dtype);
  const x = array(rows.flat(), { shape: [batch, ...inputShape] });
  const y = array(targets, { shape: [batch, ...net.outputShape] });
  return { blocks, inputShape, net, theta, rows, x, y, random };
}

/** Outputs, Jacobians, products with them, gradients and norms; and that the kernels' memory is empty afterwards. */
export function checkDerivatives(subject: Subject): void {
  const { blocks, inputShape, net, theta, rows, x, y, random } = subject;
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
  expectClose(jacobian(net, x, { withRespectTo: "inputs" }), byInputs.flat(2));

  const dTheta = numbers(random, count, dtype);
  const dx = rows.map((row) => numbers(random, row.length, dtype));
  const ofParameters = byParameters.flatMap((example) => example.map((row) => dot(row, dTheta)));
  const ofInputs = byInputs.flatMap((example, b) => example.map((row) => dot(row, dx[b])));
  const inputs = array(dx.flat(), { shape: x.shape });
  if (count > 0) expectClose(jvp(net, x, dTheta), ofParameters);
  expectClose(jvp(net, x, { inputs }), ofInputs);
  expectClose(
    jvp(net, x, { parameters: dTheta, inputs }),
    ofParameters.map((value, i) => value + ofInputs[i]),
  );

  const columns = outputs.map((row) => numbers(random, row.length, dtype));
  const cotangent = array(columns.flat(), { shape: f.shape });
  const pulled = (all: number[][][]) =>
    all.map((example, b) => total(example.map((row, c) => row.map((slope) => slope * columns[b][c]))));
  expectClose(vjp(net, x, cotangent), total(pulled(byParameters)));
  expectClose(vjp(net, x, cotangent, { withRespectTo: "inputs" }), pulled(byInputs).flat());

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
  expect(memoryUse().inUse).toBe(0);
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
  const { graph } = readNetwork(new Fields("test", json, networkFields), net.parameterCount);
  const again = Object.assign(net.clone(), { graph });
  expect(again.parameterTable).toEqual(net.parameterTable);
  expect(again.forward(x)).toEqual(net.forward(x));
}

/** Full, diagonal, Kronecker (both kinds of sharing) and corrected curvature, of GGN and empirical Fisher. */
export function checkCurvature({ blocks, inputShape, net, theta, rows, x, y }: Subject): void {
  const noise = 0.6;
  const density: Density = { name: "gaussian", noise: new Array<number>(net.graph.output.size).fill(noise) };
  const size = net.graph.output.size;
  const examples = rows.map((row, n) =>
    exampleOf(blocks, inputShape, theta, row, Array.from(y.data.subarray(n * size, (n + 1) * size))),
  );
  const prefixOf = (name: string) => name.slice(0, name.lastIndexOf("."));
  const parts = net.parameterTable.map(({ name, offset, size }): Part => {
    const first = net.parameterTable.find((other) => prefixOf(other.name) === prefixOf(name));
    return { role: name.slice(prefixOf(name).length + 1), begin: first?.offset ?? 0, offset, size };
  });
  for (const kind of ["ggn", "empiricalFisher"] as const) {
    const weights = middles(density, examples, kind, { samples: 1, seed: 0 });
    const curve = (structure: "full" | "diagonal" | "kronecker" | "ekfac", sharing: "expand" | "reduce" = "expand") =>
      curvatureOf(net, gaussian({ noise }), { x, y }, { structure, curvature: kind, sharing });
    const expectNear = (actual: ArrayLike<number>, expected: readonly number[], relative = 1e-9) => {
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
      expect(actual).toBeAllClose(expected, { relative: 0, absolute: relative * largest });
    };
    const all = fullCurvature(
      examples,
      weights,
      theta.map((_, i) => i),
    );
    expectNear(curve("full").dense().data, all.flat());
    expectNear(
      curve("diagonal").diagonal().data,
      all.map((row, i) => row[i]),
    );
    for (const sharing of ["expand", "reduce"] as const) {
      const factors = parts.map((part) => kroneckerBlock(examples, weights, part, sharing));
      expectNear(curve("kronecker", sharing).dense().data, blockDiagonal(factors).flat());
      const corrected = curve("ekfac", sharing);
      const blocksOf = parts.map((part, i): Matrix => correctedBlock(examples, weights, part, basisOf(corrected, i)));
      expectNear(corrected.dense().data, blockDiagonal(blocksOf).flat());
    }
  }
  expect(memoryUse().inUse).toBe(0);
}
