// A table tied to the last layer: derivatives are those of a network with two tables, summed over the two; curvatures Sᵀ H S.

import { describe, expect, test } from "vitest";
import {
  array,
  curvatureOf,
  dense,
  embedding,
  gradient,
  jacobian,
  jvp,
  type Layer,
  laplace,
  loadPosterior,
  loadWeights,
  mean,
  mse,
  type NDArray,
  type Network,
  network,
  perSampleGradientNorms,
  perSampleGradients,
  randomNormal,
  savePosterior,
  tanh,
  tied,
  train,
  vjp,
} from "../../src/index.ts";

const [B, T, V, D] = [5, 3, 4, 2];
const x = array(
  Array.from({ length: B * T }, (_, i) => (i * i + (i >> 2)) % V),
  { shape: [B, T], dtype: "float64" },
);
const y = randomNormal([B, V], { seed: 3 });
const like = { dtype: "float64", inputs: [T], seed: 1 } as const;

/** "last": over the mean of positions, one position; otherwise a row of logits at every position, and their mean. */
const bodies: readonly [string, (head: Layer) => Layer][] = [
  ["behind all positions", (head) => (vectors) => head(dense(D, tanh, { name: "h" })(mean(vectors, 0)))],
  ["at every position", (head) => (vectors) => mean(head(dense(D, tanh, { name: "h" })(vectors)), 0)],
];
const close = { relative: 1e-10, absolute: 1e-12 };

describe.each(bodies)("%s", (_, body) => {
  const table = embedding(V, D, { name: "table" });
  const net = network(like, (tokens) => body(tied(table))(table(tokens)));
  const two = network(like, (tokens) =>
    body(dense(V, undefined, { bias: false, name: "head" }))(embedding(V, D, { name: "table" })(tokens)),
  );
  const { "table.weight": weight } = net.named();
  const [P, Q] = [net.parameterCount, two.parameterCount];
  loadWeights(two, { ...net.named(), "head.weight": weight });
  /** Places of the parameters of `two` in `net`. */
  const places = two.parameterTable.flatMap(({ name, size }) => {
    const own = net.parameterTable.find((one) => one.name === name.replace("head", "table"));
    return Array.from({ length: size }, (_, i) => (own?.offset ?? Number.NaN) + i);
  });
  /** Rows [n, Q] as rows [n, P]: summed over the two tables. */
  const summed = (rows: ArrayLike<number>): number[] => {
    const result = new Array<number>((rows.length / Q) * P).fill(0);
    for (let i = 0; i < rows.length; i++) result[Math.floor(i / Q) * P + places[i % Q]] += rows[i];
    return result;
  };
  const turned = (m: ArrayLike<number>, n: number) =>
    Array.from({ length: m.length }, (_, i) => m[(i % (m.length / n)) * n + Math.floor(i / (m.length / n))]);
  /** Sᵀ H S */
  const folded = (h: ArrayLike<number>) => summed(turned(summed(h), P));

  test("there is one table", () => {
    expect(P).toBe(Q - V * D);
    expect(net.parameterTable.map(({ name }) => name)).toEqual(["table.weight", "h.weight", "h.bias"]);
    expect(net.forward(x).data).toBeAllClose(two.forward(x).data, close);
  });

  test("derivatives are sums", () => {
    expect(jacobian(net, x).data).toBeAllClose(summed(jacobian(two, x).data), close);
    expect(gradient(net, mse, { x, y }).data).toBeAllClose(summed(gradient(two, mse, { x, y }).data), close);
    const rows = perSampleGradients(net, mse, { x, y });
    expect(rows.data).toBeAllClose(summed(perSampleGradients(two, mse, { x, y }).data), close);
    const norms = Array.from({ length: B }, (_, b) => {
      const row = Array.from(rows.data.subarray(b * P, (b + 1) * P));
      return Math.sqrt(row.reduce((sum, one) => sum + one * one, 0));
    });
    expect(perSampleGradientNorms(net, mse, { x, y }).data).toBeAllClose(norms, close);
    const v = randomNormal([P], { seed: 4 });
    const spread = array(
      places.map((place) => v.data[place]),
      { dtype: "float64" },
    );
    expect(jvp(net, x, v).data).toBeAllClose(jvp(two, x, spread).data, close);
    expect(vjp(net, x, y).data).toBeAllClose(summed(vjp(two, x, y).data), close);
  });

  test("curvatures are folded", () => {
    const of = (model: Network, options: object): NDArray =>
      curvatureOf(model, "regression", { x, y }, { structure: "full", ...options }).dense();
    for (const curvature of ["ggn", "empiricalFisher", "hessian"] as const) {
      const due = folded(of(two, { curvature }).data);
      const near = { relative: 1e-9, absolute: 1e-11 };
      expect(of(net, { curvature }).data).toBeAllClose(due, near);
      const diagonal = curvatureOf(net, "regression", { x, y }, { structure: "diagonal", curvature }).diagonal().data;
      expect(diagonal).toBeAllClose(
        Array.from({ length: P }, (_, i) => due[i * (P + 1)]),
        near,
      );
    }
    for (const structure of ["kronecker", "ekfac"] as const) {
      const call = () => curvatureOf(net, "regression", { x, y }, { structure });
      expect(call).toThrow(/no factors of "table.weight", a table in two roles/);
    }
  });

  test.each(["full", "diagonal", "lowRank"] as const)("%s: predictions, a last layer and files", async (structure) => {
    for (const weights of ["all", "lastLayer"] as const) {
      const posterior = await laplace(net, { likelihood: "regression", structure, weights, checks: false }).fit({
        x,
        y,
      });
      const rows = jacobian(net, x).data;
      const covariance = posterior.covariance().data;
      const places = [...posterior.indices];
      const due = Array.from({ length: B * V }, (_, row) => {
        let sum = 0;
        for (const [i, a] of places.entries()) {
          for (const [j, b] of places.entries())
            sum += rows[row * P + a] * covariance[i * places.length + j] * rows[row * P + b];
        }
        return sum;
      });
      const found = posterior.predict(x);
      expect(found.functionVariance.data).toBeAllClose(due, { relative: 1e-9, absolute: 1e-12 });
      const read = loadPosterior(savePosterior(posterior));
      expect(read.predict(x)).toEqual(found);
      expect(read.net.parameterCount).toBe(P);
    }
  });
});

test("one tensor is loaded into both, and training moves both", async () => {
  const table = embedding(V, D, { name: "wte" });
  const net = network(like, (tokens) => tied(table)(mean(table(tokens), 0)));
  const tensor = randomNormal([V, D], { seed: 8 });
  const rename = (name: string) => (name === "lm_head.weight" ? undefined : name);
  loadWeights(net, { "wte.weight": tensor, "lm_head.weight": tensor }, { rename });
  expect(net.parameters.data).toEqual(tensor.data);
  const { history } = await train(net, { x, y }, { loss: mse, epochs: 5 });
  expect(history[4].loss).toBeLessThan(history[0].loss);
  expect(() => tied(dense(3))).toThrow("expected the layer that embedding(…) gave");
});
