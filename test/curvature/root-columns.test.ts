// Where all columns of one example would not fit at once, they are pulled back in groups, and nothing is added twice.

import { describe, expect, test } from "vitest";
import { cutOfPass } from "../../src/curvature/accumulate.ts";
import { dryAccumulators, passesOf } from "../../src/curvature/accumulators.ts";
import { readPlan } from "../../src/curvature/plan.ts";
import { columnsOf } from "../../src/curvature/root-columns.ts";
import {
  array,
  categorical,
  chain,
  curvatureOf,
  curvatureProduct,
  dense,
  gaussian,
  type Likelihood,
  type Network,
  Random,
  reshape,
  type Structure,
} from "../../src/index.ts";
import { readLikelihood } from "../../src/likelihood/tasks.ts";
import { bringAll } from "../../src/structures/all.ts";

bringAll();

const random = new Random(3);
const x = array(
  Array.from({ length: 3 * 2 }, () => random.normal()),
  { shape: [3, 2] },
);

/** Whether a plan has its columns in groups. */
function grouped(net: Network, likelihood: Likelihood, structure: Structure): boolean {
  const plan = readPlan("test", net, () => readLikelihood("test", likelihood, net), { structure });
  const [pass] = passesOf(plan);
  const { columns } = cutOfPass({ plan, accumulatorFor: dryAccumulators(plan, pass), apart: 1 }, x.shape[0]);
  return columns < columnsOf(plan).count(plan.net.outputShape);
}

describe("a Gaussian of 2200 outputs", () => {
  // Each output has weights of its own, so that the GGN is Σ a aᵀ for each, with a 1 after a for the bias.
  const outputs = 2200;
  const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(outputs));
  const y = array(
    Array.from({ length: 3 * outputs }, () => random.normal()),
    { shape: [3, outputs] },
  );
  const sumOf = (i: number, j: number) => [0, 1, 2].reduce((sum, n) => sum + x.data[2 * n + i] * x.data[2 * n + j], 0);

  test("its diagonal", () => {
    expect(grouped(net, gaussian(), "diagonal")).toBe(true);
    const diagonal = curvatureOf(net, gaussian(), { x, y }, { structure: "diagonal" }).diagonal().data;
    const due = diagonal.map((_: number, i: number) => (i < 2 * outputs ? sumOf(i % 2, i % 2) : 3));
    expect(diagonal).toBeAllClose(due, { relative: 1e-12 });
  });

  test("its product with a vector", () => {
    const v = Float64Array.from({ length: net.parameterCount }, (_, i) => Math.sin(i));
    const product = curvatureProduct(net, gaussian(), { x, y }, v).data;
    const bias = 2 * outputs;
    const due = product.map((_: number, i: number) => {
      const o = i < bias ? Math.floor(i / 2) : i - bias;
      let sum = 0;
      for (let n = 0; n < 3; n++) {
        const [a, b] = [x.data[2 * n], x.data[2 * n + 1]];
        const moved = a * v[2 * o] + b * v[2 * o + 1] + v[bias + o];
        sum += moved * (i < bias ? x.data[2 * n + (i % 2)] : 1);
      }
      return sum;
    });
    expect(product).toBeAllClose(due, { relative: 1e-11, absolute: 1e-12 });
  });
});

describe("labels at 700 positions", () => {
  const positions = 700;
  const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3), dense(3 * positions), (h) =>
    reshape(h, [positions, 3]),
  );
  const labels = array(
    Array.from({ length: 3 * positions }, (_, i) => (i % 5 === 0 ? -1 : random.integer(3))),
    { shape: [3, positions] },
  );
  const likelihood = categorical({ classAxis: "last", ignoredLabel: -1 });

  const data = { x, y: labels };
  const weights = { parameters: ["0.weight", "0.bias"] };
  const of = (structure: Structure) => curvatureOf(net, likelihood, data, { structure, weights }).dense().data;
  const full = of("full");
  const close = { relative: 1e-10, absolute: 1e-10 };
  const trace = (matrix: ArrayLike<number>, from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => matrix[(from + i) * 10]).reduce((sum, entry) => sum + entry, 0);

  test("the whole matrix, by products with unit vectors", () => {
    expect(grouped(net, likelihood, "full")).toBe(true);
    for (let i = 0; i < 9; i++) {
      const v = new Float64Array(net.parameterCount);
      v[i] = 1;
      const due = curvatureProduct(net, likelihood, data, v).data.slice(0, 9);
      expect(full.slice(9 * i, 9 * (i + 1))).toBeAllClose(due, close);
    }
  });

  test("the other structures keep what they keep of it", () => {
    const diagonal = of("diagonal");
    expect(diagonal).toBeAllClose(
      full.map((entry: number, i: number) => (i % 10 === 0 ? entry : 0)),
      close,
    );
    // The block of the bias is B.
    const kronecker = of("kronecker");
    const isBias = (i: number) => Math.floor(i / 9) >= 6 && i % 9 >= 6;
    expect(kronecker.filter((_: number, i: number) => isBias(i))).toBeAllClose(
      full.filter((_: number, i: number) => isBias(i)),
      close,
    );
    const inputs = [...x.data].reduce((sum, entry) => sum + entry * entry, 0) / 3;
    expect([trace(kronecker, 0, 6)]).toBeAllClose([trace(full, 6, 9) * inputs], close);
    const ekfac = of("ekfac");
    expect([trace(ekfac, 0, 6), trace(ekfac, 6, 9)]).toBeAllClose([trace(full, 0, 6), trace(full, 6, 9)], close);
  });
});
