// Primitives from outside: what the library's own one computes, they compute; files know them by their names.

import { expect, test } from "vitest";
import { applyPrimitive, definePrimitive, elementwiseRules, finite } from "../../src/graph.ts";
import {
  chain,
  curvatureOf,
  dense,
  FileError,
  gaussian,
  jacobian,
  jvp,
  type Layer,
  laplace,
  loadPosterior,
  network,
  OptionError,
  randomNormal,
  savePosterior,
  sigmoid,
} from "../../src/index.ts";

const logistic = definePrimitive<{ readonly steepness: number }>({
  name: "test.logistic",
  attributes: { steepness: finite },
  ...elementwiseRules({
    value: (x, { steepness }) => 1 / (1 + Math.exp(-steepness * x)),
    slope: (_, y, { steepness }) => steepness * y * (1 - y),
  }),
});
const layer: Layer = (x) => applyPrimitive(logistic, [x], { steepness: 1 });
const netOf = (activation: Layer) =>
  chain({ inputs: [3, 2], dtype: "float64", seed: 1 }, dense(4, activation), dense(2));
const x = randomNormal([5, 3, 2], { dtype: "float64", seed: 2 });
const y = randomNormal([5, 3, 2], { dtype: "float64", seed: 3 });

test("a primitive of one's own computes what the library's does", () => {
  const [ours, theirs] = [netOf(layer), netOf(sigmoid)];
  const close = { relative: 1e-12, absolute: 1e-14 };
  expect(ours.forward(x).data).toBeAllClose(theirs.forward(x).data, close);
  expect(jacobian(ours, x).data).toBeAllClose(jacobian(theirs, x).data, close);
  expect(jvp(ours, x, { inputs: x }).data).toBeAllClose(jvp(theirs, x, { inputs: x }).data, close);
  const fullOf = (net: typeof ours) => curvatureOf(net, gaussian(), { x, y }, { structure: "full" }).dense().data;
  expect(fullOf(ours)).toBeAllClose(fullOf(theirs), close);
});

test("it goes to files and comes back", async () => {
  const posterior = await laplace(netOf(layer), { likelihood: gaussian({ noise: 1 }), checks: false }).fit({ x, y });
  const bytes = savePosterior(posterior);
  expect(loadPosterior(bytes).predict(x).variance.data).toEqual(posterior.predict(x).variance.data);
  const text = new TextDecoder("latin1").decode(bytes).replace("test.logistic", "test.unknown!");
  const renamed = Uint8Array.from(text, (character) => character.charCodeAt(0));
  expect(() => loadPosterior(renamed)).toThrow(FileError);
});

test("what is not registered cannot be written, and a name is taken once", async () => {
  const stray = { ...logistic, name: "test.stray" };
  const net = netOf((value) => applyPrimitive(stray, [value], { steepness: 2 }));
  const posterior = await laplace(net, { likelihood: gaussian({ noise: 1 }), checks: false }).fit({ x, y });
  expect(() => savePosterior(posterior)).toThrow(/"test.stray" cannot be written to a file: definePrimitive/);
  expect(definePrimitive(logistic)).toBe(logistic);
  expect(() => definePrimitive({ ...logistic })).toThrow(OptionError);
  expect(() => definePrimitive({ ...logistic, name: "softmax" })).toThrow(/already/);
  expect(() => definePrimitive({ ...logistic, name: "" })).toThrow(OptionError);
  expect(() => definePrimitive({ ...logistic, name: "other", pullback: undefined as never })).toThrow(/pullback/);
  expect(() => definePrimitive({ ...logistic, name: "other", order: "quadratic" as never })).toThrow(/order/);
});

test("inputs that are not a list of a network's values are named", () => {
  const apply = (inputs: unknown) => () =>
    network({ inputs: 2 }, () => applyPrimitive(logistic, inputs as never, { steepness: 1 }));
  expect(apply(3)).toThrow("expected its inputs as a list, such as [x]");
  expect(apply([])).toThrow("needs an input");
  expect(apply([[1, 2]])).toThrow("expected values of the network that is being built as inputs, got object");
});
