// An embedding is a dense layer without bias of one-hot tokens, whose weight is the table's transpose.

import { describe, expect, test } from "vitest";
import {
  array,
  concatenate,
  crossEntropy,
  curvatureOf,
  dense,
  embedding,
  flatten,
  gradient,
  jacobian,
  jvp,
  LaplaceError,
  type Layer,
  laplace,
  loadPosterior,
  MemoryBudgetError,
  mean,
  mse,
  type NDArray,
  type Network,
  network,
  OptionError,
  perSampleGradientNorms,
  perSampleGradients,
  randomNormal,
  reshape,
  savePosterior,
  split,
  type Traced,
  tanh,
  train,
  ValueError,
  vjp,
} from "../../src/index.ts";
import { peakOf } from "../laplace/peak.ts";

const [B, T, V, D] = [6, 4, 5, 3];
const tokens = Array.from({ length: B * T }, (_, i) => (i * i + (i >> 2)) % V);
const x = array(tokens, { shape: [B, T], dtype: "float64" });
const oneHot = array(
  tokens.flatMap((token) => Array.from({ length: V }, (_, v) => (v === token ? 1 : 0))),
  { shape: [B, T, V], dtype: "float64" },
);
const y = randomNormal([B, 2], { dtype: "float64", seed: 3 });
const rest: Layer = (value) => dense(2)(tanh(flatten(dense(3, tanh)(value))));
const embedded = network({ inputs: [T], dtype: "float64", seed: 1 }, (value) => rest(embedding(V, D)(value)));
const due = network({ inputs: [T, V], dtype: "float64" }, (value) => rest(dense(D, undefined, { bias: false })(value)));

/** Parameter vectors [..., P] of the embedding as those of the dense layer: the table transposed. */
function turned(values: NDArray): NDArray {
  const count = embedded.parameterCount;
  const data = values.data.slice();
  for (let row = 0; row < data.length; row += count) {
    for (let i = 0; i < V * D; i++) data[row + (i % D) * V + Math.floor(i / D)] = values.data[row + i];
  }
  return array(data, { shape: values.shape, dtype: "float64" });
}

due.setParameters(turned(embedded.parameters));
const close = { relative: 1e-11, absolute: 1e-12 };

describe("an embedding", () => {
  test("gives the table's rows", () => {
    const net = network({ inputs: [T], dtype: "float64" }, embedding(V, D));
    const table = net.parameters.data;
    const rows = tokens.flatMap((token) => Array.from(table.subarray(token * D, (token + 1) * D)));
    expect(net.forward(x).shape).toEqual([B, T, D]);
    expect(Array.from(net.forward(x).data)).toEqual(rows);
  });

  test("has the derivatives of one-hot tokens", () => {
    expect(embedded.forward(x).data).toBeAllClose(due.forward(oneHot).data, close);
    expect(turned(jacobian(embedded, x)).data).toBeAllClose(jacobian(due, oneHot).data, close);
    const [a, b] = [gradient(embedded, mse, { x, y }), gradient(due, mse, { x: oneHot, y })];
    expect(turned(a).data).toBeAllClose(b.data, close);
    const rows = perSampleGradients(embedded, mse, { x, y });
    expect(turned(rows).data).toBeAllClose(perSampleGradients(due, mse, { x: oneHot, y }).data, close);
    const norms = perSampleGradientNorms(embedded, mse, { x, y });
    expect(norms.data).toBeAllClose(perSampleGradientNorms(due, mse, { x: oneHot, y }).data, close);
    const v = randomNormal([embedded.parameterCount], { dtype: "float64", seed: 5 });
    expect(jvp(embedded, x, v).data).toBeAllClose(jvp(due, oneHot, turned(v)).data, close);
    expect(turned(vjp(embedded, x, y)).data).toBeAllClose(vjp(due, oneHot, y).data, close);
  });

  test.each([
    ["full", "expand"],
    ["diagonal", "expand"],
    ["kronecker", "expand"],
    ["kronecker", "reduce"],
  ] as const)("has the curvature of one-hot tokens: %s, %s", (structure, sharing) => {
    const of = (net: typeof embedded, inputs: NDArray) =>
      curvatureOf(net, "regression", { x: inputs, y }, { structure, sharing }).dense();
    const n = embedded.parameterCount;
    const rows = turned(of(embedded, x));
    const transposed = array(
      Array.from({ length: n * n }, (_, i) => rows.data[(i % n) * n + Math.floor(i / n)]),
      {
        shape: [n, n],
        dtype: "float64",
      },
    );
    expect(turned(transposed).data).toBeAllClose(of(due, oneHot).data, { relative: 1e-10, absolute: 1e-10 });
  });

  test("has the diagonal and the predictions of one-hot tokens where a table is used twice", async () => {
    const sum = (values: Traced): Traced => dense(2)(tanh(mean(values, 0)));
    const table = embedding(V, D);
    // [T, D] twice: rows at two places, with tokens in common.
    const net = network({ inputs: [T], dtype: "float64", seed: 4 }, (tokens) => {
      const [first, rest] = split(tokens, [1, T - 1]);
      return sum(reshape(concatenate(flatten(table(first)), flatten(tanh(table(rest)))), [T, D]));
    });
    const layer = dense(D, undefined, { bias: false });
    const other = network({ inputs: [T, V], dtype: "float64" }, (rows) => {
      const [first, rest] = split(rows, [1, T - 1], 0);
      return sum(reshape(concatenate(flatten(layer(first)), flatten(tanh(layer(rest)))), [T, D]));
    });
    const turn = (values: NDArray) => {
      const data = values.data.slice();
      for (let i = 0; i < V * D; i++) data[(i % D) * V + Math.floor(i / D)] = values.data[i];
      return array(data, { shape: values.shape, dtype: "float64" });
    };
    other.setParameters(turn(net.parameters));
    expect(net.forward(x).data).toBeAllClose(other.forward(oneHot).data, close);
    expect(turn(gradient(net, mse, { x, y })).data).toBeAllClose(gradient(other, mse, { x: oneHot, y }).data, close);
    const norms = perSampleGradientNorms(net, mse, { x, y }).data;
    expect(norms).toBeAllClose(perSampleGradientNorms(other, mse, { x: oneHot, y }).data, close);
    for (const curvature of ["ggn", "empiricalFisher"] as const) {
      const options = { structure: "diagonal", curvature } as const;
      const a = curvatureOf(net, "regression", { x, y }, options).diagonal();
      const b = curvatureOf(other, "regression", { x: oneHot, y }, options).diagonal();
      expect(turn(a).data).toBeAllClose(b.data, close);
    }
    const fitted = (model: Network, inputs: NDArray) =>
      laplace(model, { likelihood: "regression", structure: "diagonal", checks: false }).fit({ x: inputs, y });
    const [a, b] = [(await fitted(net, x)).predict(x), (await fitted(other, oneHot)).predict(oneHot)];
    expect(a.variance.data).toBeAllClose(b.variance.data, close);
  });

  describe("with a paddingIndex", () => {
    const padding = 2;
    const padded = network({ inputs: [T], dtype: "float64", seed: 1 }, (value) =>
      rest(embedding(V, D, { paddingIndex: padding })(value)),
    );
    /** One-hot tokens, of which padding has zeros. */
    const without = array(
      oneHot.data.map((one, i) => (tokens[Math.floor(i / V)] === padding ? 0 : one)),
      { shape: oneHot.shape, dtype: "float64" },
    );
    const plain = network({ inputs: [T, V], dtype: "float64" }, (value) =>
      rest(dense(D, undefined, { bias: false })(value)),
    );
    plain.setParameters(turned(padded.parameters));

    test("has a row of zeros that is constant", async () => {
      const table = padded.parameters.data.slice(0, V * D);
      expect([...table.subarray(padding * D, (padding + 1) * D)]).toEqual(new Array(D).fill(0));
      expect(table.filter((entry) => entry === 0).length).toBe(D);
      expect(padded.forward(x).data).toBeAllClose(plain.forward(without).data, close);
      expect(turned(jacobian(padded, x)).data).toBeAllClose(jacobian(plain, without).data, close);
      const sum = gradient(padded, mse, { x, y });
      expect(turned(sum).data).toBeAllClose(gradient(plain, mse, { x: without, y }).data, close);
      const norms = perSampleGradientNorms(padded, mse, { x, y });
      expect(norms.data).toBeAllClose(perSampleGradientNorms(plain, mse, { x: without, y }).data, close);
      const v = randomNormal([padded.parameterCount], { dtype: "float64", seed: 5 });
      expect(jvp(padded, x, v).data).toBeAllClose(jvp(plain, without, turned(v)).data, close);
      // Another row than zeros is looked up, and left as it is.
      const own = padded.clone();
      own.parameters.data.fill(0.5, padding * D, (padding + 1) * D);
      expect(own.forward(x)).not.toEqual(padded.forward(x));
      await train(own, { x, y }, { loss: mse, epochs: 3 });
      expect([...own.parameters.data.slice(padding * D, (padding + 1) * D)]).toEqual(new Array(D).fill(0.5));
    });

    test.each(["full", "diagonal", "kronecker", "ekfac", "lowRank"] as const)(
      "%s has nothing of it",
      async (structure) => {
        const fitted = (model: Network, inputs: NDArray) =>
          laplace(model, { likelihood: "regression", structure, checks: false }).fit({ x: inputs, y });
        const [a, b] = [await fitted(padded, x), await fitted(plain, without)];
        const place = { relative: 1e-9, absolute: 1e-12 };
        // Tables turn the factors around, and what "ekfac" corrects with them.
        if (structure !== "ekfac") {
          expect(a.predict(x).variance.data).toBeAllClose(b.predict(without).variance.data, place);
          expect(a.evidence().logMarginalLikelihood).toBeCloseTo(b.evidence().logMarginalLikelihood, 9);
        }
        const variance = a.variance().data;
        for (let i = padding * D; i < (padding + 1) * D; i++) expect(variance[i]).toBeCloseTo(1, 10);
        expect(loadPosterior(savePosterior(a)).predict(x)).toEqual(a.predict(x));
      },
    );

    test("has a hessian, and options that are checked", () => {
      const of = (net: Network, inputs: NDArray) =>
        curvatureOf(net, "regression", { x: inputs, y }, { structure: "diagonal", curvature: "hessian" }).diagonal();
      expect(turned(of(padded, x)).data).toBeAllClose(of(plain, without).data, { relative: 1e-9, absolute: 1e-11 });
      expect(() => embedding(3, 2, { paddingIndex: 3 })).toThrow("is not among the tokens, 0 to 2");
      expect(() => embedding(3, 2, { paddingIndex: -1 })).toThrow(OptionError);
    });
  });

  test("needs no array of the size of one-hot tokens", async () => {
    const [vocabulary, length, batch] = [20_000, 64, 8];
    const net = network({ inputs: [length], seed: 1 }, (tokens) =>
      dense(3)(mean(embedding(vocabulary, 32)(tokens), 0)),
    );
    const inputs = array(
      Array.from({ length: batch * length }, (_, i) => (i * 7919) % vocabulary),
      { shape: [batch, length] },
    );
    const data = { x: inputs, y: array([0, 1, 2, 0, 1, 2, 0, 1]) };
    // The cotangents and the sums, a few tables in all; one-hot tokens would be 8 · 64 rows of 20 000.
    const most = 8 * 4 * net.parameterCount;
    const peak = await peakOf(0, () => {
      perSampleGradientNorms(net, crossEntropy, data);
      gradient(net, crossEntropy, data);
      curvatureOf(net, "classification", data, { structure: "diagonal" });
    });
    expect(peak).toBeLessThan(most);
    expect(() => curvatureOf(net, "classification", data, { structure: "kronecker" })).toThrow(MemoryBudgetError);
    await expect(laplace(net, { likelihood: "classification" }).fit(data)).rejects.toThrow(
      'Structures that fit: "diagonal"',
    );
  });

  test.each([-1, V, 0.5, 1e9])("refuses the token %s", (token) => {
    const bad = array([0, 1, token, 2], { shape: [1, T] });
    expect(() => embedded.forward(bad)).toThrow(ValueError);
    expect(() => embedded.forward(bad)).toThrow(`tokens must be whole numbers from 0 to ${V - 1}, not ${token}`);
  });

  test("has no derivative with respect to tokens", () => {
    for (const call of [
      () => jacobian(embedded, x, { withRespectTo: "inputs" }),
      () => jvp(embedded, x, { inputs: x }),
    ]) {
      expect(call).toThrow(LaplaceError);
      expect(call).toThrow("its inputs are tokens");
    }
  });

  test("checks its options", () => {
    expect(() => embedding(0, 2)).toThrow(OptionError);
    expect(() => embedding(2, 0.5)).toThrow(OptionError);
    expect(() => embedding(2 ** 25, 1)).toThrow("the vocabulary must be at most");
    expect(() => embedding(2, 2, { size: 3 } as object)).toThrow(OptionError);
  });
});
