// Estimators by seeds: they are right in the mean, and the same numbers come under a seed, here and on every other runtime
// (tools/across has the page and Deno compute them too).

import { describe, expect, test } from "vitest";
import * as library from "../../src/index.ts";
import { estimates } from "../../tools/across/estimates.mjs";

const { chain, curvatureOf, curvatureOperator, dense, gaussian, randomNormal, tanh } = library;

describe("over seeds, the mean is within four standard errors", () => {
  const net = chain({ inputs: 2, dtype: "float64", seed: 3 }, dense(4, tanh), dense(2));
  const data = { x: randomNormal([20, 2], { seed: 1 }), y: randomNormal([20, 2], { seed: 2 }) };
  const seeds = Array.from({ length: 60 }, (_, seed) => seed);

  test.each(["ggn", "hessian"] as const)(
    "of the diagonal and of the spectrum's moments, of the curvature %s",
    (kind) => {
      const operator = curvatureOperator(net, gaussian(), data, { curvature: kind });
      const matrix = curvatureOf(net, gaussian(), data, { curvature: kind, structure: "full" });
      const sum = (values: ArrayLike<number>, of: (x: number, i: number) => number) =>
        Array.from(values).reduce((all, x, i) => all + of(x, i), 0);
      const within = (due: number, found: readonly number[]) => {
        const mean = sum(found, (x) => x / found.length);
        const error = Math.sqrt(sum(found, (x) => (x - mean) ** 2) / (found.length - 1) / found.length);
        expect(error).toBeGreaterThan(0);
        expect(Math.abs(mean - due)).toBeLessThan(4 * error);
      };
      const diagonals = seeds.map((seed) => operator.diagonal({ products: 2, seed }).value.data);
      Array.from(matrix.diagonal().data).forEach((due, i) => {
        within(
          due,
          diagonals.map((one) => one[i]),
        );
      });
      // Three products of a vector know moments up to the fifth (Golub & Welsch 1969).
      const densities = seeds.map((seed) => operator.spectrum({ products: 3, vectors: 1, seed }));
      const { values } = library.eigh(matrix.dense(), { vectors: false });
      for (const power of [1, 2, 3, 5]) {
        within(
          sum(values.data, (x) => x ** power),
          densities.map(({ values: nodes, weights }) => sum(nodes.data, (x, i) => weights.data[i] * x ** power)),
        );
      }
    },
  );
});

/** Of each estimate how many numbers, their sum with the weights 1 to 7 in turn, and the last. */
const known: Record<string, readonly [number, number, number]> = {
  "trace, Hutch++": [1, 300.25195840450823, 300.25195840450823],
  "trace, Hutchinson": [1, 386.78579976843207, 386.78579976843207],
  diagonal: [50, 1426.2250240629614, 19.199159852463364],
  "the spectrum's nodes": [24, 2768.939825302397, 80.46466198214836],
  "the spectrum's weights": [24, 139.01803765768898, 1.233240416577054],
  eigenvalues: [3, 319.65146847786065, 44.1085437387261],
  "curvature by drawn targets": [50, 1467.389002588221, 40.85902848500556],
  "low rank of the GGN": [4, 8585.947635415301, 816.7327498084871],
  "low rank of the Hessian": [4, 879.818417569266, 194.00238023974762],
  "evidence by probes": [1, -135.63900906154458, -135.63900906154458],
  "its standard error": [1, 3.97317225872646, 3.97317225872646],
  "draws by products": [100, -19.388252356744484, -0.2676871112242089],
  "variances by draws": [60, 23.903271601689433, 0.09999149953021179],
  "points drawn from the data": [1, -128.3519277724434, -128.3519277724434],
};

test("under a seed every estimate is the same on every runtime", async () => {
  const found = await estimates(library);
  expect(Object.keys(found)).toEqual(Object.keys(known));
  for (const [name, [count, sum, last]] of Object.entries(known)) {
    const values = found[name];
    expect([name, values.length]).toEqual([name, count]);
    const weighed = values.reduce((all, x, i) => all + x * (1 + (i % 7)), 0);
    const size = values.reduce((all, x, i) => all + Math.abs(x) * (1 + (i % 7)), 0);
    expect([weighed / size, values[count - 1]]).toBeAllClose([sum / size, last], { relative: 1e-10, absolute: 1e-12 });
  }
});
